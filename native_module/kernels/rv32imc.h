// ulnn_kernel.h's choice for RV32IMC: rv32imc.S.
#ifndef ULNN_RV32IMC_H
#define ULNN_RV32IMC_H

#define ULNN_KERNEL_NAME "rv32imc"

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

// The groups of a matrix behind its first `quads` quads: 0 to 3 of them, in `rest`.
static inline void ulnn_rv32imc_rest(
    const ulnn_matrix_t *matrix, unsigned quads, ulnn_matrix_t *rest) {
    *rest = *matrix;
    rest->stream = (const char *)matrix->stream + 4 * quads * ulnn_rv32imc_record(matrix);
    rest->groups = (uint16_t)(matrix->groups - 4 * quads);
}

static inline void ulnn_kernel_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out) {
    unsigned quads = matrix->groups / 4;
    if (quads == 0 || matrix->activation != ULNN_TABLE || matrix->shift != 0) {
        ulnn_portable_rows(matrix, v, out);
        return;
    }
    ulnn_rv32imc_rows(matrix, v, 0, out, quads);
    if ((matrix->groups & 3) != 0) {
        ulnn_matrix_t rest;
        ulnn_rv32imc_rest(matrix, quads, &rest);
        ulnn_portable_rows(&rest, v, out + 16 * quads);
    }
}

static inline void ulnn_kernel_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h) {
    unsigned quads = matrix->groups / 4;
    if (quads == 0 || (matrix->shift | matrix->gate_shift | matrix->mode) != 0) {
        ulnn_portable_heads(matrix, v, frac, h);
        return;
    }
    ulnn_rv32imc_heads(matrix, v, frac, h, quads);
    if ((matrix->groups & 3) != 0) {
        ulnn_matrix_t rest;
        ulnn_rv32imc_rest(matrix, quads, &rest);
        ulnn_portable_heads(&rest, v, frac, h + 4 * quads);
    }
}

#if !ULNN_CELLS_CFC
// For shift 0, gate_shift 0 and mode default or no_gate.
void ulnn_rv32imc_sparse_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h);

// m of SPEC 3.1 for groups of a sparse matrix, 1 or more, from `at` on, which moves behind them.
//   end  behind the number of blocks of the last one
void ulnn_rv32imc_sparse_products(ulnn_sparse_t *at, const ulnn_matrix_t *matrix, const int16_t *v,
    int32_t *m, const uint16_t *end);

#define ULNN_KERNEL_SPARSE_HEADS ulnn_rv32imc_sparse_heads
#define ULNN_KERNEL_SPARSE_PRODUCTS ulnn_rv32imc_sparse_products
#endif
#include "fast_sparse.h"

#endif // ULNN_RV32IMC_H
