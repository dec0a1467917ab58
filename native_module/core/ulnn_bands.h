// SPDX-License-Identifier: MIT
// Features where samples arise: filters, level, kurtosis and the energies of bands, in integers.
//
// The law is SPEC 2.12.1 (what a track is) and 3.11 (what is computed). As in ulnn.h: no allocation,
// no static mutable state, nothing from the C library but memcpy and memset, and several threads
// at once as long as no two calls use the same ulnn_bands_t. Nothing blocks.
//
//     size_t need = ulnn_bands_size(track, words);    // 0: no track
//     ulnn_bands_t *bands = ulnn_bands_make(track, words, memory of need bytes);
//     ulnn_bands_feed(bands, samples, count);          // as they come
//     ulnn_bands_read(bands, y);                       // features of the last 2^n values
//
// A build with ULNN_BANDS=0 (ulnn_build.h) has none of these functions.
#ifndef ULNN_BANDS_H
#define ULNN_BANDS_H

#include "ulnn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ULNN_BANDS_ALIGN 4u

// A track at work. The first nine are its head (SPEC 2.12.1), of which callers may read `channels`;
// and they may read `outputs`.
typedef struct ulnn_bands {
    int16_t channels; // of a sample, 1 to 64
    int16_t channel;
    int16_t size_log;
    int16_t window;
    int16_t rectify;
    int16_t decimate;
    int16_t sections;
    int16_t moments;
    int16_t bands;
    int16_t outputs; // features, 1 to 35
    int16_t counted; // values of the next one's mean
    int16_t at;      // where the next value goes in the ring: the place of the oldest
    int32_t sum;
} ulnn_bands_t;

// Bytes of memory that ulnn_bands_make wants for a track.
//   track   `words` int16 values, aligned to 2
//   returns 0 for what is no track
//   time    linear in the number of sections and bands
size_t ulnn_bands_size(const int16_t *track, size_t words);

// A track as after ulnn_bands_reset, in memory of the caller.
//   track   a good one: ulnn_bands_size did not answer 0. Copied
//   memory  as many bytes as that said, aligned to ULNN_BANDS_ALIGN. It becomes the ulnn_bands_t;
//           there is nothing to free
ulnn_bands_t *ulnn_bands_make(const int16_t *track, size_t words, void *memory);

// As if no sample had been there.
void ulnn_bands_reset(ulnn_bands_t *bands);

// Takes `count` samples: filters, rectifies, averages, and keeps the last 2^n values.
//   x       count * channels values, the channels of one sample after those of another; aligned
//           to 2. NULL for a count of 0
void ulnn_bands_feed(ulnn_bands_t *bands, const int16_t *x, size_t count);

// The features of the last 2^n values; of zeros, where there were not so many.
//   y       `outputs` values, aligned to 2
//   stack   less than 256 bytes; the transform is made in the memory of `bands`
void ulnn_bands_read(ulnn_bands_t *bands, int16_t *y);

#ifdef __cplusplus
}
#endif

#endif // ULNN_BANDS_H
