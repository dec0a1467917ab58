// SPDX-License-Identifier: MIT
// Sparse matrices on Cortex-M with DSP instructions, M4 and M7: cortex_m_sparse.S.
#ifndef ULNN_CORTEX_M_SPARSE_H
#define ULNN_CORTEX_M_SPARSE_H

#include "ulnn_matrix.h"

#if !ULNN_CELLS_CFC
// For activation ULNN_TABLE and shift 0.
void ulnn_cortex_m_sparse_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out);

// For shift 0, gate_shift 0 and mode default or no_gate.
void ulnn_cortex_m_sparse_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h);

// m of SPEC 3.1 for groups of a sparse matrix, 1 or more, from `at` on, which moves behind them.
//   end  behind the last one's number in the list
void ulnn_cortex_m_sparse_products(ulnn_sparse_t *at, const ulnn_matrix_t *matrix, const int16_t *v,
    int32_t *m, const uint16_t *end);

#define ULNN_KERNEL_SPARSE_COUNT(n) ((n) < 3 ? 1 : ((n) + 1) / 2 - 1)
#define ULNN_KERNEL_SPARSE_OFFSET uint32_t
#define ULNN_KERNEL_SPARSE_ROWS ulnn_cortex_m_sparse_rows
#define ULNN_KERNEL_SPARSE_HEADS ulnn_cortex_m_sparse_heads
#define ULNN_KERNEL_SPARSE_PRODUCTS ulnn_cortex_m_sparse_products
#endif

#endif // ULNN_CORTEX_M_SPARSE_H
