// SPDX-License-Identifier: MIT
// The reference kernel, portable.c: always there, and the contract of every kernel's functions.
#ifndef ULNN_PORTABLE_H
#define ULNN_PORTABLE_H

#include "ulnn_matrix.h"

// out[r] = activation(row r over v), for 4 * groups rows (SPEC 3.1, 3.2).
void ulnn_portable_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out);

// h[i] = the new state of neuron i, for `groups` neurons: rows 4i .. 4i+3 are its ff1, ff2,
// time_a, time_b (SPEC 3.1, 3.3). Not for modes whose heads are rows.
//   frac  the elapsed time, Q31 of 2^n ticks: 0 to 2^31-1
void ulnn_portable_heads(const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h);

// The same for sparse matrices, and only for them.
void ulnn_portable_sparse_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out);
void ulnn_portable_sparse_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h);

// h[i] = the new state of neuron i, for n neurons (1 or more), with a fixed dt (SPEC 3.4), after
// ulnn_kernel_rows: such heads are rows like any others.
//   rows  3 * n values, filled up to a multiple of four, aligned to 8: f1, f2, s of each neuron
void ulnn_mix(const int16_t *rows, int16_t *h, unsigned n, unsigned mode);

#endif // ULNN_PORTABLE_H
