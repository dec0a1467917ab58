// SPDX-License-Identifier: MIT
// The reference kernel: plain C, fast enough to be used where nothing better is there.
//
// gcc would add up products before it adds them to the accumulator: 10 % more instructions on a
// Cortex-M7, whose multiply-accumulate does both.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O2", "no-tree-reassoc")
#endif
#include "portable.h"
#include "ulnn_arch.h"
#include "ulnn_arith.h"

#if !defined(ULNN_KERNEL_PRODUCTS) || (!ULNN_CELLS_CFC && !defined(ULNN_KERNEL_SPARSE_PRODUCTS))
// Keeps gcc from calculating anew where a pointer is behind a loop, though it is there.
#if defined(__GNUC__)
#define ULNN_OPAQUE(pointer) __asm__("" : "+r"(pointer))
#else
#define ULNN_OPAQUE(pointer) (void)0
#endif

// Four rows: m[r] of SPEC 3.1. Returns the next record. One accumulator per row stays in a
// register; they wrap (unsigned), so that no weights whatsoever are undefined behaviour.
//   sparse   a constant. 0: over the first 4 * blocks values of v, blocks 1 or more; 1: over those at
//            the offsets
static ULNN_INLINE const void *ulnn_portable_products(const void *record, unsigned weight_bits,
    size_t blocks, const int16_t *v, const uint16_t *offsets, int sparse, int32_t m[4]) {
#define ULNN_X(c) (!sparse ? v[c] : *(const int16_t *)(const void *)(bytes + offsets[c]))
    const uint32_t *bias = record;
    uint32_t a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3];
    const char *bytes = (const char *)v;
    const int16_t *end = v + 4 * blocks;
    const uint16_t *offsets_end = !sparse ? NULL : offsets + 4 * blocks;
    const int32_t *multiplier;
    if (weight_bits == 8) {
        const int8_t *w = (const int8_t *)(bias + 4);
        do {
            int32_t x0 = ULNN_X(0), x1 = ULNN_X(1), x2 = ULNN_X(2), x3 = ULNN_X(3);
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
            if (!sparse) {
                v += 4;
            } else {
                offsets += 4;
                ULNN_OPAQUE(w);
            }
        } while (!sparse ? v != end : offsets != offsets_end);
        multiplier = (const int32_t *)(const void *)w;
    } else {
        const int16_t *w = (const int16_t *)(bias + 4);
        do {
            int32_t x0 = ULNN_X(0), x1 = ULNN_X(1), x2 = ULNN_X(2), x3 = ULNN_X(3);
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
            if (!sparse) {
                v += 4;
            } else {
                offsets += 4;
                ULNN_OPAQUE(w);
            }
        } while (!sparse ? v != end : offsets != offsets_end);
        multiplier = (const int32_t *)(const void *)w;
    }
#undef ULNN_X
    m[0] = ulnn_mul_round((int32_t)a0, multiplier[0]);
    m[1] = ulnn_mul_round((int32_t)a1, multiplier[1]);
    m[2] = ulnn_mul_round((int32_t)a2, multiplier[2]);
    m[3] = ulnn_mul_round((int32_t)a3, multiplier[3]);
    return multiplier + 4;
}
#endif

#ifndef ULNN_KERNEL_PRODUCTS
static inline const void *ulnn_portable_group(
    const ulnn_matrix_t *matrix, const void *record, const int16_t *v, int32_t m[4]) {
    return ulnn_portable_products(record, matrix->weight_bits, matrix->blocks, v, NULL, 0, m);
}
#endif // ULNN_KERNEL_PRODUCTS

// An architecture that has nothing better for a matrix lends its products: ULNN_KERNEL_PRODUCTS
// for any number of records, ULNN_KERNEL_QUAD for four at once, ULNN_KERNEL_GROUP for those of one
// record that it can make.
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
#if defined(ULNN_KERNEL_GROUP)
static inline const void *ulnn_one_group(
    const ulnn_matrix_t *matrix, const void *record, const int16_t *v, int32_t m[4]) {
    const void *next = ULNN_KERNEL_GROUP(matrix, record, v, m);
    return next != NULL ? next : ulnn_portable_group(matrix, record, v, m);
}
#define ULNN_KERNEL_PRODUCTS(matrix, record, v, m, n) ulnn_one_group(matrix, record, v, m)
#else
#define ULNN_KERNEL_PRODUCTS(matrix, record, v, m, n) ulnn_portable_group(matrix, record, v, m)
#endif
#endif

// Inlined where every group goes through here; apart where few do, and four at once.
#if ULNN_GROUPS == 1u
#define ULNN_PER_GROUP ULNN_INLINE
#else
#define ULNN_PER_GROUP ULNN_NOINLINE
#endif

// out[0] to out[count - 1] of the rows m, SPEC 3.2
static ULNN_PER_GROUP void ulnn_activate(
    const ulnn_matrix_t *matrix, const int32_t *m, unsigned count, int16_t *out) {
    // The middle of the table, whose rows are counted from there in both directions.
    const int16_t *middle = matrix->table == NULL ? NULL : matrix->table + 512;
    const unsigned shift = matrix->shift, output_shift = matrix->output_shift;
    switch (matrix->activation) {
        case ULNN_TABLE:
            for (unsigned r = 0; r < count; r++) {
                out[r] = (int16_t)ulnn_lookup(middle, ulnn_scale22(m[r], shift));
            }
            break;
        case ULNN_GATED:
            for (unsigned r = 0; r < count; r++) {
                out[r] = (int16_t)ulnn_gated(middle, m[r], shift, output_shift);
            }
            break;
        case ULNN_RELU:
            for (unsigned r = 0; r < count; r++) {
                int32_t y = ulnn_scale16(m[r], shift);
                out[r] = (int16_t)(y < 0 ? 0 : y);
            }
            break;
        default:
            for (unsigned r = 0; r < count; r++) {
                out[r] = (int16_t)ulnn_scale16(m[r], shift);
            }
            break;
    }
}

// The new states of n neurons, 1 or more, whose rows are m.
static ULNN_PER_GROUP void ulnn_neurons(
    const ulnn_matrix_t *matrix, const int32_t *m, unsigned n, int32_t frac, int16_t *h) {
    const int16_t *middle = matrix->table + 512;
    const unsigned shift = matrix->shift, gate_shift = matrix->gate_shift, mode = matrix->mode;
    do {
        int32_t f1, f2;
        if (mode < ULNN_MODE_LINEAR) {
            f1 = ulnn_lookup(middle, ulnn_scale22(m[0], shift));
            f2 = ulnn_lookup(middle, ulnn_scale22(m[1], shift));
        } else {
            f1 = ulnn_scale16(m[0], shift);
            f2 = ulnn_scale16(m[1], shift);
        }
        int32_t s = ulnn_lookup(middle, ulnn_gate(m[2], m[3], frac, gate_shift, shift));
        if (mode == ULNN_MODE_DEFAULT) {
            *h++ = (int16_t)ulnn_mix_default(f1, f2, s);
        } else if ((mode & ULNN_MODE_NO_GATE) != 0) {
            *h++ = (int16_t)ulnn_mix_no_gate(f1, f2, s);
        } else {
            *h++ = (int16_t)ulnn_sat16(ulnn_mix_default(f1, f2, s));
        }
        m += 4;
    } while (--n != 0);
}

// The fields that are read for every group stay in registers when they are the function's own.
#if ULNN_GROUPS == 1u
#define ULNN_OWN(matrix) const ulnn_matrix_t own = *(matrix)
#define ULNN_FIELDS &own
#else
#define ULNN_OWN(matrix) (void)0
#define ULNN_FIELDS matrix
#endif

void ulnn_portable_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out) {
    const void *record = matrix->stream;
    ULNN_OWN(matrix);
    int32_t m[4 * ULNN_GROUPS];
    for (unsigned n, left = matrix->groups; left != 0; left -= n, out += 4 * n) {
        n = left < ULNN_GROUPS ? left : ULNN_GROUPS;
        record = ULNN_KERNEL_PRODUCTS(ULNN_FIELDS, record, v, m, n);
        ulnn_activate(ULNN_FIELDS, m, 4 * n, out);
    }
}

void ulnn_portable_heads(const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h) {
    const void *record = matrix->stream;
    ULNN_OWN(matrix);
    int32_t m[4 * ULNN_GROUPS];
    for (unsigned n, left = matrix->groups; left != 0; left -= n, h += n) {
        n = left < ULNN_GROUPS ? left : ULNN_GROUPS;
        record = ULNN_KERNEL_PRODUCTS(ULNN_FIELDS, record, v, m, n);
        ulnn_neurons(ULNN_FIELDS, m, n, frac, h);
    }
}

#if !ULNN_CELLS_CFC
enum {
    SPARSE_GROUPS = 4 // at once
};

static inline ulnn_sparse_t ulnn_sparse_start(const ulnn_matrix_t *matrix) {
    const uint16_t *offsets = matrix->list + ((matrix->groups + 3u) & ~3u);
    const ulnn_sparse_t start = {matrix->stream, matrix->list, offsets, matrix->groups};
    return start;
}

// m of the next groups. Returns how many they are, 0 behind the last.
static ULNN_NOINLINE unsigned ulnn_sparse_products(
    ulnn_sparse_t *at, const ulnn_matrix_t *matrix, const int16_t *v, int32_t *m) {
    const unsigned n = at->left < SPARSE_GROUPS ? at->left : SPARSE_GROUPS;
    at->left -= n;
#if defined(ULNN_KERNEL_SPARSE_PRODUCTS)
    if (n != 0) {
        ULNN_KERNEL_SPARSE_PRODUCTS(at, matrix, v, m, at->counts + n);
    }
#else
    const unsigned weight_bits = matrix->weight_bits;
    const uint16_t *blocks = at->counts, *offsets = at->offsets;
    const void *record = at->record;
    for (unsigned k = 0; k < n; k++, m += 4) {
        record = ulnn_portable_products(record, weight_bits, *blocks, v, offsets, 1, m);
        offsets += 4 * *blocks++;
    }
    at->record = record;
    at->counts = blocks;
    at->offsets = offsets;
#endif
    return n;
}

void ulnn_portable_sparse_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out) {
    ulnn_sparse_t at = ulnn_sparse_start(matrix);
    int32_t m[4 * SPARSE_GROUPS];
    for (unsigned n; (n = ulnn_sparse_products(&at, matrix, v, m)) != 0; out += 4 * n) {
        ulnn_activate(matrix, m, 4 * n, out);
    }
}

// Ordinary heads by a loop of their own, where it is not too long for the processor. Groups have so
// few products that what is around them counts.
#if !defined(ULNN_KERNEL_SPARSE_PRODUCTS) && !ULNN_NO_LONG_MULTIPLY
#define ULNN_SPARSE_PLAIN 1
// For shift 0, gate_shift 0 and mode default.
static ULNN_NOINLINE void ulnn_sparse_plain(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h) {
    const ulnn_sparse_t at = ulnn_sparse_start(matrix);
    const void *record = at.record;
    const uint16_t *blocks = at.counts, *offsets = at.offsets;
    const uint16_t *end = blocks + at.left;
    const int16_t *middle = matrix->table + 512;
    const unsigned weight_bits = matrix->weight_bits;
    do {
        int32_t m[4];
        const size_t n = *blocks++;
        record = ulnn_portable_products(record, weight_bits, n, v, offsets, 1, m);
        offsets += 4 * n;
        const int32_t f1 = ulnn_lookup(middle, ulnn_scale22(m[0], 0));
        const int32_t f2 = ulnn_lookup(middle, ulnn_scale22(m[1], 0));
        const int32_t s = ulnn_lookup(middle, ulnn_gate(m[2], m[3], frac, 0, 0));
        *h++ = (int16_t)ulnn_mix_default(f1, f2, s);
    } while (blocks != end);
}
#else
#define ULNN_SPARSE_PLAIN 0
#endif

void ulnn_portable_sparse_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h) {
#if ULNN_SPARSE_PLAIN
    if ((matrix->shift | matrix->gate_shift | matrix->mode) == 0) {
        ulnn_sparse_plain(matrix, v, frac, h);
        return;
    }
#endif
    ulnn_sparse_t at = ulnn_sparse_start(matrix);
    int32_t m[4 * SPARSE_GROUPS];
    for (unsigned n; (n = ulnn_sparse_products(&at, matrix, v, m)) != 0; h += n) {
        ulnn_neurons(matrix, m, n, frac, h);
    }
}
#endif

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
