// SPDX-License-Identifier: MIT
// Sends what fills passes of four or five groups to rv32imc.S, and the rest to portable.c.
#ifndef ULNN_RV32IMC_PATH_H
#define ULNN_RV32IMC_PATH_H

#include "portable.h"
#include "ulnn_arch.h"

// How many of a matrix's groups are made how: first five at once, then four at once, then the rest,
// 0 to 3 of them, by portable.c.
typedef struct ulnn_rv32imc_split {
    unsigned fives, quads, rest;
} ulnn_rv32imc_split_t;

#ifdef ULNN_KERNEL_RV32IMC_FEWEST
// The fewest passes over v
static inline ulnn_rv32imc_split_t ulnn_rv32imc_split(unsigned groups) {
    const unsigned n = (groups + 4) / 5, quads = 5 * n - groups;
    ulnn_rv32imc_split_t split = {n - quads, quads, 0};
    if (quads > n) { // 1, 2, 3, 6, 7, 11
        split.fives = n - 1;
        split.quads = 0;
        split.rest = groups - 5 * split.fives;
    }
    return split;
}
#else
#define ulnn_rv32imc_five_rows(matrix, v, unused, out, fives, quads) (void)0
#define ulnn_rv32imc_five_heads(matrix, v, frac, h, fives, quads) (void)0

static inline ulnn_rv32imc_split_t ulnn_rv32imc_split(unsigned groups) {
    const ulnn_rv32imc_split_t split = {0, groups / 4, groups & 3};
    return split;
}
#endif

// The last `groups` groups of a matrix, in `rest`
static inline void ulnn_rv32imc_rest(
    const ulnn_matrix_t *matrix, unsigned groups, ulnn_matrix_t *rest) {
    *rest = *matrix;
    rest->stream =
        (const char *)matrix->stream + (matrix->groups - groups) * ulnn_rv32imc_record(matrix);
    rest->groups = (uint16_t)groups;
}

static inline void ulnn_kernel_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out) {
    const ulnn_rv32imc_split_t split = ulnn_rv32imc_split(matrix->groups);
    if (matrix->groups == split.rest || matrix->activation != ULNN_TABLE || matrix->shift != 0) {
        ulnn_portable_rows(matrix, v, out);
        return;
    }
    if (split.fives != 0) {
        ulnn_rv32imc_five_rows(matrix, v, 0, out, split.fives, split.quads);
    } else {
        ulnn_rv32imc_rows(matrix, v, 0, out, split.quads);
    }
    if (split.rest != 0) {
        ulnn_matrix_t rest;
        ulnn_rv32imc_rest(matrix, split.rest, &rest);
        ulnn_portable_rows(&rest, v, out + 4 * (matrix->groups - split.rest));
    }
}

static inline void ulnn_kernel_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h) {
    const ulnn_rv32imc_split_t split = ulnn_rv32imc_split(matrix->groups);
    if (matrix->groups == split.rest || (matrix->shift | matrix->gate_shift | matrix->mode) != 0) {
        ulnn_portable_heads(matrix, v, frac, h);
        return;
    }
    if (split.fives != 0) {
        ulnn_rv32imc_five_heads(matrix, v, frac, h, split.fives, split.quads);
    } else {
        ulnn_rv32imc_heads(matrix, v, frac, h, split.quads);
    }
    if (split.rest != 0) {
        ulnn_matrix_t rest;
        ulnn_rv32imc_rest(matrix, split.rest, &rest);
        ulnn_portable_heads(&rest, v, frac, h + matrix->groups - split.rest);
    }
}

#endif // ULNN_RV32IMC_PATH_H
