// SPDX-License-Identifier: MIT
// Sends the ordinary sparse matrices to an architecture's ULNN_KERNEL_SPARSE_ROWS and _HEADS, and the
// others to portable.c, which then takes its products from ULNN_KERNEL_SPARSE_PRODUCTS.
#ifndef ULNN_FAST_SPARSE_H
#define ULNN_FAST_SPARSE_H

#include "portable.h"
#include "ulnn_arch.h"

static inline void ulnn_fast_sparse_rows(
    const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out) {
    if (matrix->activation == ULNN_TABLE && matrix->shift == 0) {
        ULNN_KERNEL_SPARSE_ROWS(matrix, v, out);
    } else {
        ulnn_portable_sparse_rows(matrix, v, out);
    }
}

static inline void ulnn_fast_sparse_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h) {
    if ((matrix->shift | matrix->gate_shift) == 0 && matrix->mode <= ULNN_MODE_NO_GATE) {
        ULNN_KERNEL_SPARSE_HEADS(matrix, v, frac, h);
    } else {
        ulnn_portable_sparse_heads(matrix, v, frac, h);
    }
}

#define ulnn_kernel_sparse_rows ulnn_fast_sparse_rows
#define ulnn_kernel_sparse_heads ulnn_fast_sparse_heads

#endif // ULNN_FAST_SPARSE_H
