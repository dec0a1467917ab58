// ulnn_kernel.h's choice for RV32IMC: rv32imc.S.
#ifndef ULNN_RV32IMC_H
#define ULNN_RV32IMC_H

#ifdef ULNN_KERNEL_RV32IMC_FEWEST
#define ULNN_KERNEL_NAME "rv32imc-fewest"
#else
#define ULNN_KERNEL_NAME "rv32imc"
#endif

// Both make the first 4 * quads groups of the matrix; `quads` is 1 or more.
// For activation ULNN_TABLE and shift 0.
void ulnn_rv32imc_rows(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t unused, int16_t *out, unsigned quads);

// For shift 0, gate_shift 0 and mode default.
void ulnn_rv32imc_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h, unsigned quads);

// m of SPEC 3.1 for the sixteen rows of four records from `record` on; `one` is 1.
void ulnn_rv32imc_quad(const ulnn_matrix_t *matrix, const int16_t *v, int32_t unused, int32_t *m,
    unsigned one, const void *record);

static inline size_t ulnn_rv32imc_record(const ulnn_matrix_t *matrix) {
    return 32 + 2u * matrix->weight_bits * matrix->blocks;
}

static inline const void *ulnn_rv32imc_products(
    const ulnn_matrix_t *matrix, const void *record, const int16_t *v, int32_t *m) {
    ulnn_rv32imc_quad(matrix, v, 0, m, 1, record);
    return (const char *)record + 4 * ulnn_rv32imc_record(matrix);
}

#define ULNN_KERNEL_QUAD ulnn_rv32imc_products

// How many of a matrix's groups are made how: first five at once, then four at once, then the rest,
// 0 to 3 of them, by portable.c.
typedef struct ulnn_rv32imc_split {
    unsigned fives, quads, rest;
} ulnn_rv32imc_split_t;

#ifdef ULNN_KERNEL_RV32IMC_FEWEST
// The same for the first 5 * fives + 4 * quads groups; `fives` is 1 or more.
void ulnn_rv32imc_five_rows(const ulnn_matrix_t *matrix, const int16_t *v, int32_t unused,
    int16_t *out, unsigned fives, unsigned quads);
void ulnn_rv32imc_five_heads(const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac,
    int16_t *h, unsigned fives, unsigned quads);

// As few passes over v as can be
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

#if !ULNN_CELLS_CFC
// For activation ULNN_TABLE and shift 0.
void ulnn_rv32imc_sparse_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out);

// For shift 0, gate_shift 0 and mode default or no_gate.
void ulnn_rv32imc_sparse_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h);

// m of SPEC 3.1 for groups of a sparse matrix, 1 or more, from `at` on, which moves behind them.
//   end  behind the last one's number in the list
void ulnn_rv32imc_sparse_products(ulnn_sparse_t *at, const ulnn_matrix_t *matrix, const int16_t *v,
    int32_t *m, const uint16_t *end);

#define ULNN_KERNEL_SPARSE_COUNT(n) (n)
#define ULNN_KERNEL_SPARSE_ROWS ulnn_rv32imc_sparse_rows
#define ULNN_KERNEL_SPARSE_HEADS ulnn_rv32imc_sparse_heads
#define ULNN_KERNEL_SPARSE_PRODUCTS ulnn_rv32imc_sparse_products
#endif
#include "fast_sparse.h"

#endif // ULNN_RV32IMC_H
