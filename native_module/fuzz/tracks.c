// SPDX-License-Identifier: MIT
// Runs features of random tracks over random samples, in memory of exactly their size.
//
//     tracks [--seed N] [--count N]
//
// One track of three is broken in one value. The last line counts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/ulnn_bands.h"
#include "exercise.h"

#define TRACK_MAX (9 + 9 * 8 + 2 * 32)

static size_t make_track(int16_t *track, random_t *random) {
    static const int16_t odd[] = {0, -1, 1, 3, 15, 16, 32767, -32768};
    const int size = 4 + (int)random_below(random, 4), channels = 1 + (int)random_below(random, 3);
    const int sections = (int)random_below(random, random_below(random, 8) == 0 ? 9 : 3);
    const int bands = 1 + (int)random_below(random, random_below(random, 8) == 0 ? 32 : 4);
    const int head[] = {channels, (int)random_below(random, (size_t)channels), size,
        (int)random_below(random, 2), (int)random_below(random, 2),
        1 + (int)random_below(random, 9), sections, (int)random_below(random, 8), bands};
    size_t n = 0;
    for (unsigned i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        track[n++] = (int16_t)head[i];
    }
    for (int i = 0; i < sections; i++) {
        track[n++] = (int16_t)random_below(random, 4);
        for (unsigned k = 0; k < 4; k++) {
            track[n++] = random_below(random, 3) ? (int16_t)random_below(random, 32768) : 32767;
            track[n++] = (int16_t)(random_below(random, 2) ? random_below(random, 16) : 0);
        }
    }
    for (int i = 0; i < bands; i++) {
        const size_t last = random_below(random, ((size_t)1 << (size - 1)) + 1);
        track[n++] = (int16_t)random_below(random, last + 1);
        track[n++] = (int16_t)last;
    }
    if (random_below(random, 3) == 0) {
        track[random_below(random, n)] = odd[random_below(random, 8)];
        n -= random_below(random, 8) == 0 ? random_below(random, n + 1) : 0;
    }
    return n;
}

// Samples in a block of exactly their size: noise, or an extreme for long.
static int16_t *make_samples(size_t n, random_t *random) {
    int16_t *x = malloc(2 * n + 1);
    const uint32_t kind = random_below(random, 3), last = random_next(random);
    for (size_t i = 0; x != NULL && i < n; i++) {
        const uint32_t high = (kind == 1 ? last : random_next(random)) & 1;
        x[i] = kind == 0 ? (int16_t)random_next(random) : (int16_t)(high ? 32767 : -32768);
    }
    return x;
}

static int run_track(random_t *random) {
    int16_t made[TRACK_MAX];
    const size_t n = make_track(made, random);
    int16_t *track = malloc(2 * n + 1);
    if (track == NULL) {
        abort();
    }
    memcpy(track, made, 2 * n);
    const size_t need = ulnn_bands_size(track, n);
    void *memory = need == 0 ? NULL : malloc(need);
    if (memory != NULL) {
        memset(memory, 0xa5, need);
        ulnn_bands_t *bands = ulnn_bands_make(track, n, memory);
        int16_t *y = malloc(2u * (unsigned)bands->outputs);
        for (unsigned k = 0; y != NULL && k < 3; k++) {
            const size_t count = random_below(random, 400);
            int16_t *x = make_samples(count * (size_t)bands->channels, random);
            ulnn_bands_feed(bands, x, x == NULL ? 0 : count);
            ulnn_bands_read(bands, y);
            free(x);
        }
        ulnn_bands_reset(bands);
        free(y);
        free(memory);
    }
    free(track);
    return need != 0;
}

int main(int argc, char **argv) {
    unsigned long count = 1000, seed = 1, good = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--count") == 0) {
            count = strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            seed = strtoul(argv[i + 1], NULL, 10);
        }
    }
    random_t random = {seed * 0x9e3779b97f4a7c15u + 1};
    for (unsigned long n = 0; n < count; n++) {
        good += (unsigned long)run_track(&random);
    }
    printf("%lu tracks: %lu good\n", count, good);
    return 0;
}
