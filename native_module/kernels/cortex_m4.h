// SPDX-License-Identifier: MIT
// What cortex_m4.S has, for single-issue ARM cores with DSP instructions.
#ifndef ULNN_CORTEX_M4_H
#define ULNN_CORTEX_M4_H

#include "cortex_m_sparse.h"
#include "ulnn_matrix.h"

#define ULNN_KERNEL_NAME "cortex-m4"

// For activation ULNN_TABLE and shift 0.
void ulnn_cortex_m4_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out);

// For shift 0, gate_shift 0 and mode default.
void ulnn_cortex_m4_heads(const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h);

// For mode default.
void ulnn_cortex_m4_shifted(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h);

// ulnn_mix for mode default; behind the rows there may be read up to a multiple of four.
void ulnn_cortex_m_mix(const int16_t *rows, int16_t *h, unsigned n);

// m of SPEC 3.1 for the rows of n records, 1 or more. Returns the next record.
const void *ulnn_cortex_m4_products(
    const ulnn_matrix_t *matrix, const void *record, const int16_t *v, int32_t *m, unsigned n);

#define ULNN_KERNEL_PRODUCTS ulnn_cortex_m4_products
#define ULNN_KERNEL_ROWS ulnn_cortex_m4_rows
#define ULNN_KERNEL_HEADS ulnn_cortex_m4_heads
#define ULNN_KERNEL_SHIFTED ulnn_cortex_m4_shifted
#define ULNN_KERNEL_MIX ulnn_cortex_m_mix

#endif // ULNN_CORTEX_M4_H
