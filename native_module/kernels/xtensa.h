// SPDX-License-Identifier: MIT
// The products of four int16 rows on Xtensa cores, for portable.c, which does the rest:
// ESP32-S3 with its 128-bit PIE instructions, ESP32 with the MAC16 option. int8 rows stay portable:
// neither core multiplies 8 by 16 bits.
//
// MAC16 was run once, under QEMU's dc233c: equal to portable.c bit for bit. PIE was NOT RUN: there was
// no compiler and no emulator with these instructions where this was written; it follows Espressif's
// ESP32-S3 Technical Reference Manual (chapter PIE). Neither was timed on a board. Therefore no build
// chooses them by itself: define ULNN_KERNEL_XTENSA=1, and run the model's self test.
#ifndef ULNN_XTENSA_H
#define ULNN_XTENSA_H

#include "ulnn_arith.h"
#include "ulnn_matrix.h"

#if !defined(__XTENSA__)
#error "ULNN_KERNEL_XTENSA is for Xtensa cores"
#endif

#if defined(CONFIG_IDF_TARGET_ESP32S3) || defined(ULNN_XTENSA_PIE)
#undef ULNN_XTENSA_PIE
#define ULNN_XTENSA_PIE 1
#define ULNN_KERNEL_NAME "xtensa-pie"
#else
#define ULNN_KERNEL_NAME "xtensa-mac16"
#endif

#if defined(ULNN_XTENSA_PIE)
// A record of int16 weights fits the 128-bit registers: eight values, one pair of each row. Every
// pair meets the same two values of v, and each of the eight products has its own 40-bit sum.
// The loads drop the low address bits, so the stream must be aligned to 16.
static inline int ulnn_xtensa_can(const void *record) {
    return ((uintptr_t)record & 15) == 0;
}

static inline void ulnn_xtensa_products(
    const int16_t *w, const int16_t *v, size_t blocks, uint32_t sums[4]) {
    // The low and the high four sums, 20 bytes each, stored in pieces of 16 and 4.
    uint8_t raw[64] __attribute__((aligned(16)));
    uint8_t *p = raw;
    __asm__ volatile("ee.zero.qacc\n"
                     "1:\n"
                     "ee.vld.128.ip q0, %[w], 16\n"
                     "ee.vldbc.32.ip q1, %[v], 4\n"
                     "ee.vld.128.ip q2, %[w], 16\n"
                     "ee.vldbc.32.ip q3, %[v], 4\n"
                     "ee.vmulas.s16.qacc q0, q1\n"
                     "ee.vmulas.s16.qacc q2, q3\n"
                     "addi %[n], %[n], -1\n"
                     "bnez %[n], 1b\n"
                     "ee.st.qacc_l.l.128.ip %[p], 16\n"
                     "ee.st.qacc_l.h.32.ip %[p], 16\n"
                     "ee.st.qacc_h.l.128.ip %[p], 16\n"
                     "ee.st.qacc_h.h.32.ip %[p], 0\n"
                     : [w] "+&r"(w), [v] "+&r"(v), [n] "+&r"(blocks), [p] "+&r"(p)
                     :
                     : "memory");
    for (unsigned i = 0; i < 8; i++) {
        const uint8_t *lane = raw + 32 * (i / 4) + 5 * (i % 4);
        uint32_t sum = lane[0] | (uint32_t)lane[1] << 8 | (uint32_t)lane[2] << 16;
        sums[i / 2] += sum | (uint32_t)lane[3] << 24;
    }
}
#else
// MAC16: one row after the other, in the one 40-bit accumulator. The bound of SPEC 2.5 keeps the
// sum within its low word.
static inline int ulnn_xtensa_can(const void *record) {
    (void)record;
    return 1;
}

static inline void ulnn_xtensa_products(
    const int16_t *w, const int16_t *v, size_t blocks, uint32_t sums[4]) {
    for (unsigned r = 0; r < 4; r++) {
        const int16_t *row = w + 2 * r;
        const int16_t *x = v - 2; // ldinc adds 4 bytes before it loads
        size_t n = blocks;
        uint32_t zero = 0, sum, first, second;
        __asm__ volatile("wsr %[zero], acclo\n"
                         "wsr %[zero], acchi\n"
                         "1:\n"
                         "ldinc m0, %[x]\n"
                         "ldinc m1, %[x]\n"
                         "l32i %[a], %[row], 0\n"
                         "l32i %[b], %[row], 16\n"
                         "addi %[row], %[row], 32\n"
                         "mula.da.ll m0, %[a]\n"
                         "mula.da.hh m0, %[a]\n"
                         "mula.da.ll m1, %[b]\n"
                         "mula.da.hh m1, %[b]\n"
                         "addi %[n], %[n], -1\n"
                         "bnez %[n], 1b\n"
                         "rsr %[sum], acclo\n"
                         : [row] "+&r"(row), [x] "+&r"(x), [n] "+&r"(n), [sum] "=&r"(sum),
                         [a] "=&r"(first), [b] "=&r"(second)
                         : [zero] "r"(zero)
                         : "memory");
        sums[r] += sum;
    }
}
#endif

// m[r] of SPEC 3.1 for the four rows of one record. Returns the next record; NULL, with m as it was,
// where only portable.c can.
static inline const void *ulnn_xtensa_group(
    const ulnn_matrix_t *matrix, const void *record, const int16_t *v, int32_t m[4]) {
    if (matrix->weight_bits != 16 || !ulnn_xtensa_can(record)) {
        return NULL;
    }
    const uint32_t *bias = record;
    const int16_t *w = (const int16_t *)(const void *)(bias + 4);
    const int32_t *multiplier = (const int32_t *)(const void *)(w + 16 * (size_t)matrix->blocks);
    uint32_t sums[4] = {bias[0], bias[1], bias[2], bias[3]};
    ulnn_xtensa_products(w, v, matrix->blocks, sums);
    for (unsigned r = 0; r < 4; r++) {
        m[r] = ulnn_mul_round((int32_t)sums[r], multiplier[r]);
    }
    return multiplier + 4;
}

#define ULNN_KERNEL_GROUP ulnn_xtensa_group

#endif // ULNN_XTENSA_H
