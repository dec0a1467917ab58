// SPDX-License-Identifier: MIT
// Sends the ordinary matrices to an architecture's ULNN_KERNEL_ROWS, _HEADS and _SHIFTED (heads
// with shifts), and the others to portable.c, which then takes its products from ULNN_KERNEL_PRODUCTS.
#ifndef ULNN_FAST_PATH_H
#define ULNN_FAST_PATH_H

#include "portable.h"
#include "ulnn_arch.h"

static inline void ulnn_kernel_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out) {
    if (matrix->activation == ULNN_TABLE && matrix->shift == 0) {
        ULNN_KERNEL_ROWS(matrix, v, out);
    } else {
        ulnn_portable_rows(matrix, v, out);
    }
}

static inline void ulnn_kernel_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h) {
    if ((matrix->shift | matrix->gate_shift | matrix->mode) == 0) { // mode: ULNN_MODE_DEFAULT
        ULNN_KERNEL_HEADS(matrix, v, frac, h);
    } else if (matrix->mode == ULNN_MODE_DEFAULT) {
        ULNN_KERNEL_SHIFTED(matrix, v, frac, h);
    } else {
        ulnn_portable_heads(matrix, v, frac, h);
    }
}

#endif // ULNN_FAST_PATH_H
