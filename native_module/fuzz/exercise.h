// SPDX-License-Identifier: MIT
// What the fuzzers do with one byte string, and the tools they share.
#ifndef ULNN_EXERCISE_H
#define ULNN_EXERCISE_H

#include <stddef.h>
#include <stdint.h>

#include "../core/ulnn.h"

// A small deterministic random generator (xorshift).
typedef struct random_state {
    uint64_t s;
} random_t;

uint32_t random_next(random_t *random);

// 0 to n - 1; n at least 1
uint32_t random_below(random_t *random, size_t n);

// Writes file_size and crc32 into a header, so that a changed file gets past those checks.
void fix_file(uint8_t *data, size_t size);

// Checks and, when it is good, loads, steps, self-tests, saves and restores; then overwrites the
// file's buffer and steps on. Aborts where the engine breaks a promise of ulnn.h; the sanitizers
// see the rest. Works on copies of exactly the right size.
//   returns the status of ulnn_check, with *error filled when it is not ULNN_OK
ulnn_status_t exercise(const uint8_t *data, size_t size, random_t *random, ulnn_error_t *error);

#endif // ULNN_EXERCISE_H
