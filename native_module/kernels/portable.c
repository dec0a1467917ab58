// The reference kernel: plain C, fast enough to be used where nothing better is there.
//
// gcc would add up products before it adds them to the accumulator: 10 % more instructions on a
// Cortex-M7, whose multiply-accumulate does both.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O2", "no-tree-reassoc")
#endif
#include "ulnn_kernel.h"
#include "ulnn_arith.h"

#ifndef ULNN_KERNEL_PRODUCTS
// Four rows over v: m[r] of SPEC 3.1. Returns the next record. One accumulator per row stays in a
// register; they wrap (unsigned), so that no weights whatsoever are undefined behaviour.
static inline const void *ulnn_portable_group(
    const ulnn_matrix_t *matrix, const void *record, const int16_t *v, int32_t m[4]) {
    const uint32_t *bias = record;
    uint32_t a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3];
    const int16_t *end = v + 4 * (size_t)matrix->blocks;
    const int32_t *multiplier;
    if (matrix->weight_bits == 8) {
        const int8_t *w = (const int8_t *)(bias + 4);
        do {
            int32_t x0 = v[0], x1 = v[1], x2 = v[2], x3 = v[3];
            a0 += (uint32_t)(w[0] * x0);
            a1 += (uint32_t)(w[4] * x0);
            a2 += (uint32_t)(w[8] * x0);
            a3 += (uint32_t)(w[12] * x0);
            a0 += (uint32_t)(w[1] * x2);
            a1 += (uint32_t)(w[5] * x2);
            a2 += (uint32_t)(w[9] * x2);
            a3 += (uint32_t)(w[13] * x2);
            a0 += (uint32_t)(w[2] * x1);
            a1 += (uint32_t)(w[6] * x1);
            a2 += (uint32_t)(w[10] * x1);
            a3 += (uint32_t)(w[14] * x1);
            a0 += (uint32_t)(w[3] * x3);
            a1 += (uint32_t)(w[7] * x3);
            a2 += (uint32_t)(w[11] * x3);
            a3 += (uint32_t)(w[15] * x3);
            w += 16;
            v += 4;
        } while (v != end);
        multiplier = (const int32_t *)(const void *)w;
    } else {
        const int16_t *w = (const int16_t *)(bias + 4);
        do {
            int32_t x0 = v[0], x1 = v[1], x2 = v[2], x3 = v[3];
            a0 += (uint32_t)(w[0] * x0);
            a1 += (uint32_t)(w[2] * x0);
            a2 += (uint32_t)(w[4] * x0);
            a3 += (uint32_t)(w[6] * x0);
            a0 += (uint32_t)(w[1] * x1);
            a1 += (uint32_t)(w[3] * x1);
            a2 += (uint32_t)(w[5] * x1);
            a3 += (uint32_t)(w[7] * x1);
            a0 += (uint32_t)(w[8] * x2);
            a1 += (uint32_t)(w[10] * x2);
            a2 += (uint32_t)(w[12] * x2);
            a3 += (uint32_t)(w[14] * x2);
            a0 += (uint32_t)(w[9] * x3);
            a1 += (uint32_t)(w[11] * x3);
            a2 += (uint32_t)(w[13] * x3);
            a3 += (uint32_t)(w[15] * x3);
            w += 16;
            v += 4;
        } while (v != end);
        multiplier = (const int32_t *)(const void *)w;
    }
    m[0] = ulnn_mul_round((int32_t)a0, multiplier[0]);
    m[1] = ulnn_mul_round((int32_t)a1, multiplier[1]);
    m[2] = ulnn_mul_round((int32_t)a2, multiplier[2]);
    m[3] = ulnn_mul_round((int32_t)a3, multiplier[3]);
    return multiplier + 4;
}
#endif // ULNN_KERNEL_PRODUCTS

// An architecture that has nothing better for a matrix lends its products: ULNN_KERNEL_PRODUCTS
// for any number of records, ULNN_KERNEL_QUAD for four at once.
#if defined(ULNN_KERNEL_PRODUCTS)
#define ULNN_GROUPS 4u
#elif defined(ULNN_KERNEL_QUAD)
#define ULNN_GROUPS 4u
static const void *ulnn_quad_products(
    const ulnn_matrix_t *matrix, const void *record, const int16_t *v, int32_t *m, unsigned n) {
    if (n == 4) {
        return ULNN_KERNEL_QUAD(matrix, record, v, m);
    }
    for (; n != 0; n--, m += 4) {
        record = ulnn_portable_group(matrix, record, v, m);
    }
    return record;
}
#define ULNN_KERNEL_PRODUCTS ulnn_quad_products
#else
#define ULNN_GROUPS 1u
#if defined(ULNN_KERNEL_XTENSA)
#include "xtensa.h"
#define ULNN_KERNEL_PRODUCTS(matrix, record, v, m, n) ulnn_xtensa_group(matrix, record, v, m)
#else
#define ULNN_KERNEL_PRODUCTS(matrix, record, v, m, n) ulnn_portable_group(matrix, record, v, m)
#endif
#endif

void ulnn_portable_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out) {
    const void *record = matrix->stream;
    // The middle of the table, whose rows are counted from there in both directions.
    const int16_t *middle = matrix->table == NULL ? NULL : matrix->table + 512;
    const unsigned activation = matrix->activation;
    const unsigned shift = matrix->shift, output_shift = matrix->output_shift;
    int32_t m[4 * ULNN_GROUPS];
    for (unsigned n, left = matrix->groups; left != 0; left -= n, out += 4 * n) {
        n = left < ULNN_GROUPS ? left : ULNN_GROUPS;
        record = ULNN_KERNEL_PRODUCTS(matrix, record, v, m, n);
        switch (activation) {
            case ULNN_TABLE:
                for (unsigned r = 0; r < 4 * n; r++) {
                    out[r] = (int16_t)ulnn_lookup(middle, ulnn_scale22(m[r], shift));
                }
                break;
            case ULNN_GATED:
                for (unsigned r = 0; r < 4 * n; r++) {
                    out[r] = (int16_t)ulnn_gated(middle, m[r], shift, output_shift);
                }
                break;
            case ULNN_RELU:
                for (unsigned r = 0; r < 4 * n; r++) {
                    int32_t y = ulnn_scale16(m[r], shift);
                    out[r] = (int16_t)(y < 0 ? 0 : y);
                }
                break;
            default:
                for (unsigned r = 0; r < 4 * n; r++) {
                    out[r] = (int16_t)ulnn_scale16(m[r], shift);
                }
                break;
        }
    }
}

void ulnn_portable_heads(const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h) {
    const void *record = matrix->stream;
    const int16_t *middle = matrix->table + 512;
    const unsigned mode = matrix->mode;
    const unsigned shift = matrix->shift, gate_shift = matrix->gate_shift;
    int32_t m[4 * ULNN_GROUPS];
    const int32_t *next = m, *end = m;
    for (unsigned left = matrix->groups; left != 0; left--, next += 4) {
        if (next == end) {
            const unsigned n = left < ULNN_GROUPS ? left : ULNN_GROUPS;
            record = ULNN_KERNEL_PRODUCTS(matrix, record, v, m, n);
            next = m;
            end = m + 4 * n;
        }
        int32_t f1 = ulnn_lookup(middle, ulnn_scale22(next[0], shift));
        int32_t f2 = ulnn_lookup(middle, ulnn_scale22(next[1], shift));
        int32_t u = ulnn_gate(next[2], next[3], frac, gate_shift, shift);
        int32_t s = ulnn_lookup(middle, u);
        if (mode == ULNN_MODE_DEFAULT) {
            *h++ = (int16_t)ulnn_mix_default(f1, f2, s);
        } else {
            *h++ = (int16_t)ulnn_mix_no_gate(f1, f2, s);
        }
    }
}

void ulnn_mix(const int16_t *rows, int16_t *h, unsigned n, unsigned mode) {
    if (mode == ULNN_MODE_DEFAULT_FIXED_DT) {
#if defined(ULNN_KERNEL_MIX)
        ULNN_KERNEL_MIX(rows, h, n);
#else
        do {
            *h++ = (int16_t)ulnn_mix_default(rows[0], rows[1], rows[2]);
            rows += 3;
        } while (--n != 0);
#endif
    } else {
        do {
            *h++ = (int16_t)ulnn_mix_no_gate(rows[0], rows[1], rows[2]);
            rows += 3;
        } while (--n != 0);
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
