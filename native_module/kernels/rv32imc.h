// SPDX-License-Identifier: MIT
// What rv32imc.S has, for RV32IMC.
#ifndef ULNN_RV32IMC_H
#define ULNN_RV32IMC_H

#include "ulnn_matrix.h"

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

#ifdef ULNN_KERNEL_RV32IMC_FEWEST
// The same for the first 5 * fives + 4 * quads groups; `fives` is 1 or more.
void ulnn_rv32imc_five_rows(const ulnn_matrix_t *matrix, const int16_t *v, int32_t unused,
    int16_t *out, unsigned fives, unsigned quads);
void ulnn_rv32imc_five_heads(const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac,
    int16_t *h, unsigned fives, unsigned quads);
#endif

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

#endif // ULNN_RV32IMC_H
