// SPDX-License-Identifier: MIT
// ulnn: liquid and recurrent networks in integer arithmetic. The portable engine.
//
// The law is native_module/SPEC.md: file format, every rounding, every error text. This header
// says who owns what.
//
// * C99, integers only. No allocation, no static mutable state, nothing from the C library but
//   memcpy, memset and memcmp. Little-endian machines, two's complement, arithmetic right shift.
// * Every function may be called from several threads at once as long as no two calls use the
//   same model. Nothing blocks; the time of a step depends only on the model's shape.
// * Ordinary use:
//
//       ulnn_error_t error;
//       size_t need = ulnn_memory_size(file, size);
//       void *memory = (need bytes, aligned to ULNN_ALIGN, anywhere);
//       ulnn_model_t *model = ulnn_load(file, size, memory, need, &error);
//       if (model == NULL) { ... ulnn_error_text() ... }
//       ulnn_step(model, x, y, dt);
//
// * For C++ as well. native_module/README.md has builds, native_module/examples/ whole programs.
#ifndef ULNN_H
#define ULNN_H

#include <stddef.h>
#include <stdint.h>

#include "ulnn_build.h"
#include "ulnn_limits.h"

#ifdef __cplusplus
extern "C" {
#endif

// The version of this code, as a text and as numbers for #if. The file format has its own
// (ULNN_FORMAT_MAJOR).
#define ULNN_VERSION "0.2.0"
#define ULNN_VERSION_MAJOR 0
#define ULNN_VERSION_MINOR 2
#define ULNN_VERSION_PATCH 0
#define ULNN_FORMAT_MAJOR 1

#define ULNN_HEADER_SIZE 64u // bytes that are read of a file that is too large

// Alignment of the model's memory, and of the file for ulnn_load.
#define ULNN_ALIGN 8u
#define ULNN_FILE_ALIGN 4u

// Longest text that ulnn_error_text writes, with its final 0.
#define ULNN_TEXT_MAX 112u

/******************************************************************************/
// Errors

// What ulnn_check and ulnn_load answer. Everything from ULNN_TOO_SHORT on is a reason of SPEC
// section 4 for refusing the file, in the order of the checks there; the list with the texts is
// in ulnn_errors.h. The two before are mistakes of the caller, in a call for a good file.
typedef enum ulnn_status {
    ULNN_OK = 0,
    ULNN_BAD_MEMORY,    // memory is NULL, not aligned to ULNN_ALIGN, or less than `want` bytes
    ULNN_BAD_ALIGNMENT, // the file is not aligned to ULNN_FILE_ALIGN
    ULNN_FIRST_TEXT,    // texts of SPEC section 4 start behind this
#define ULNN_ERROR(name, text) ULNN_##name,
#include "ulnn_errors.h"
#undef ULNN_ERROR
} ulnn_status_t;

// One refusal, as numbers: made without any text, so that a caller who only wants to know
// whether a file is good carries no strings.
typedef struct ulnn_error {
    ulnn_status_t status;
    uint16_t layer;  // {l} of the text, where it has one
    uint16_t matrix; // {j}
    uint32_t index;  // {k}, {r} or {t}: section, segment, row, group, entry, neuron or step
    size_t got;      // {got}
    size_t want;     // {want}
} ulnn_error_t;

// Writes the text of SPEC section 4 for `error`, ending in 0.
//   text    at least ULNN_TEXT_MAX bytes
//   returns the length without the 0
size_t ulnn_error_text(const ulnn_error_t *error, char *text);

/******************************************************************************/
// Loading

// A loaded model: lies in the memory that the caller gave to ulnn_load, and is gone when that
// memory is. There is nothing to free and nothing to close.
typedef struct ulnn_model ulnn_model_t;

// What is in a file. All sizes are in values unless a name says bytes.
typedef struct ulnn_info {
    uint32_t file_size; // bytes
    uint32_t model_version;
    uint32_t tick_ns;
    uint32_t dt_max;       // ticks
    uint32_t dt_fixed;     // ticks, of the first layer that has one; 0 without
    uint32_t golden_steps; // 0 without GOLDEN
    uint32_t macs;         // multiply-accumulates a step, without filling
    uint32_t state_size;   // int16 values, at most 16 * 2048
    uint32_t synapses;     // connections, as SPEC section 5 counts them
    uint16_t neurons;      // with a state, at most 16 * 1024
    uint16_t dialect;      // 1 to 6, SPEC 2.7
    uint16_t input_size;
    uint16_t output_size;
    uint8_t layers;
    uint8_t weight_bits; // the largest of the file: 8 or 16; LTC counts as 16
    uint8_t format_minor;
    uint8_t sha256[32]; // as written in the header; nothing here computes it
} ulnn_info_t;

// Makes all checks of SPEC section 4, in that order, on any byte string. Not needed before
// ulnn_load, which makes them, too.
//   file    size bytes; any alignment; only read, and only inside its bounds. When size is more
//           than ULNN_FILE_MAX, only the first ULNN_HEADER_SIZE bytes are read
//   need    on ULNN_OK: what ulnn_memory_size answers. May be NULL
//   error   filled when the answer is not ULNN_OK. May be NULL
//   stack   less than 1 KB
//   time    linear in size; no recursion
ulnn_status_t ulnn_check(const void *file, size_t size, size_t *need, ulnn_error_t *error);

// Bytes of memory that ulnn_load wants for a file; 0 for one that it refuses.
//   file    as above
//   returns the same for every file of that shape: weights are not read, nor the CRC checked, so a
//           file with an answer may still be refused by ulnn_load
//   time    linear in the number of layers, matrices and groups of sparse matrices
size_t ulnn_memory_size(const void *file, size_t size);

// Makes all checks of ulnn_check, once, and a model with its state at 0.
//   file    as above, but aligned to ULNN_FILE_ALIGN. It stays the caller's and must stay
//           readable, in the same place, as long as the model is used: weights and tables are
//           read from it in place. Everything that decides about addresses is copied: bytes that
//           change later change the numbers a step computes, never where it reads or writes
//   memory  at least what ulnn_memory_size answers, aligned to ULNN_ALIGN. It becomes the model. May
//           be NULL, which a good file answers with ULNN_BAD_MEMORY
//   returns the model, or NULL with `error` filled (error may be NULL): the file's error, where it
//           has one
ulnn_model_t *ulnn_load(
    const void *file, size_t size, void *memory, size_t memory_size, ulnn_error_t *error);

// What the model's file says. The answer lives in the model.
const ulnn_info_t *ulnn_model_info(const ulnn_model_t *model);

/******************************************************************************/
// Running

// One step (SPEC section 3). Cannot fail.
//   x       input_size int16 values, any alignment
//   y       output_size int16 values, any alignment; may be x
//   dt      ticks since the step before, 1 or more. More than dt_max is clamped and counted;
//           layers with a fixed dt count any other; 0 is against the contract (SPEC: an error that
//           the binding raises) and computes nonsense without harm
void ulnn_step(ulnn_model_t *model, const void *x, void *y, uint32_t dt);

// State and counter of clamped steps to 0.
void ulnn_reset(ulnn_model_t *model);

// Steps since load or reset in which dt was replaced by dt_max or a fixed dt; stays at 2^32-1.
uint32_t ulnn_clamped(const ulnn_model_t *model);

// Copies the state out or in: state_size int16 values in the order of the layers, any alignment.
// Every value is a valid state.
void ulnn_state_get(const ulnn_model_t *model, void *state);
void ulnn_state_set(ulnn_model_t *model, const void *state);

// What ulnn_self_test found at the last state rather than at a step.
#define ULNN_STATE_DIFFERS 0xffffffffu

// Replays the golden vectors of the file: resets, steps, compares, resets.
//   differs  on failure: the first step whose output differs, or ULNN_STATE_DIFFERS
//   returns  1 when everything is equal (also without golden vectors), 0 when not
int ulnn_self_test(ulnn_model_t *model, uint32_t *differs);

// A part of ulnn_self_test, for callers that do something between: `count` golden steps from
// `first`, and, where they are the last, the state. The parts follow each other after ulnn_reset;
// whoever is done resets. first + count is at most golden_steps.
int ulnn_self_test_part(ulnn_model_t *model, uint32_t first, uint32_t count, uint32_t *differs);

// The name of the inner kernels in this build: "portable" or an architecture's.
const char *ulnn_kernel_name(void);

// The name of a dialect (SPEC 2.7), 1 to 6; others give "".
const char *ulnn_dialect_name(unsigned dialect);

#ifdef __cplusplus
}
#endif

#endif // ULNN_H
