// SPDX-License-Identifier: MIT
// The arithmetic of SPEC section 3 for single values: exact, without undefined behaviour for any
// argument, and without help from the compiler's run-time library.
//
// ULNN_NO_LONG_MULTIPLY takes 32x32->64 products apart for processors that lack them
// (Cortex-M0); same bits.
#ifndef ULNN_ARITH_H
#define ULNN_ARITH_H

#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ulnn reads its file in place: little-endian machines only"
#endif
#if (-1 >> 1) != -1
#error "ulnn needs an arithmetic right shift"
#endif

#if !defined(ULNN_NO_LONG_MULTIPLY)
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define ULNN_NO_LONG_MULTIPLY 1
#else
#define ULNN_NO_LONG_MULTIPLY 0
#endif
#endif

// No instruction that divides 32 by 32 bits
#if !defined(ULNN_NO_DIVIDE)
#if (defined(__arm__) && !defined(__ARM_FEATURE_IDIV)) || \
    (defined(__riscv) && !defined(__riscv_div))
#define ULNN_NO_DIVIDE 1
#else
#define ULNN_NO_DIVIDE 0
#endif
#endif

#if defined(__GNUC__)
#define ULNN_INLINE inline __attribute__((always_inline))
#define ULNN_NOINLINE __attribute__((noinline))
#define ULNN_RARELY(condition) __builtin_expect((condition), 0)
#else
#define ULNN_INLINE inline
#define ULNN_NOINLINE
#define ULNN_RARELY(condition) (condition)
#endif

// The low word of a product; wraps.
static inline int32_t ulnn_mul_low(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a * (uint32_t)b);
}

// (a * b) >> 32
static inline int32_t ulnn_mul_high(int32_t a, int32_t b) {
#if ULNN_NO_LONG_MULTIPLY
    int32_t ah = a >> 16, bh = b >> 16;
    uint32_t al = (uint32_t)a & 0xffffu, bl = (uint32_t)b & 0xffffu;
    int32_t middle = ah * (int32_t)bl + (int32_t)((al * bl) >> 16);
    int32_t other = (int32_t)al * bh + (middle & 0xffff);
    return ah * bh + (middle >> 16) + (other >> 16);
#else
    return (int32_t)(((int64_t)a * b) >> 32);
#endif
}

static inline uint32_t ulnn_mul_high_unsigned(uint32_t a, uint32_t b) {
#if ULNN_NO_LONG_MULTIPLY
    // What the signed product lacks where a factor's upper bit is set
    const uint32_t more = (b & (uint32_t)((int32_t)a >> 31)) + (a & (uint32_t)((int32_t)b >> 31));
    return (uint32_t)ulnn_mul_high((int32_t)a, (int32_t)b) + more;
#else
    return (uint32_t)(((uint64_t)a * b) >> 32);
#endif
}

// (a * b + 2^31) >> 32, of SPEC 3.1
static inline int32_t ulnn_mul_round(int32_t a, int32_t b) {
#if ULNN_NO_LONG_MULTIPLY
    return ulnn_mul_high(a, b) + (int32_t)((uint32_t)ulnn_mul_low(a, b) >> 31);
#else
    int64_t product = (int64_t)a * b;
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
}

// v * 2^shift for a v that is known to fit
static inline int32_t ulnn_shift_left(int32_t v, unsigned shift) {
    return (int32_t)((uint32_t)v << shift);
}

// Saturation by one comparison: v is within -limit .. limit-1. The limit is 2^n, n at most 31.
static inline int ulnn_within(int32_t v, uint32_t limit) {
    return (uint32_t)v + limit <= 2 * limit - 1;
}

// The largest value, or the smallest one where v is negative, of n bits: top is 2^(n-1) - 1.
static inline int32_t ulnn_limit(int32_t v, int32_t top) {
    return (v >> 31) ^ top;
}

static inline int32_t ulnn_sat16(int32_t v) {
    return ulnn_within(v, 0x8000) ? v : ulnn_limit(v, 0x7fff);
}

// sat16(sat32(m * 2^shift)), shift 0 to 8: saturated before the shift, which then fits
static inline int32_t ulnn_scale16(int32_t m, unsigned shift) {
    return ulnn_within(m, 0x8000u >> shift) ? ulnn_shift_left(m, shift) : ulnn_limit(m, 0x7fff);
}

// sat32(m * 2^shift)
static inline int32_t ulnn_scale32(int32_t m, unsigned shift) {
    return ulnn_within(m, 0x80000000u >> shift) ? ulnn_shift_left(m, shift)
                                                : ulnn_limit(m, INT32_MAX);
}

// A saturated pre-activation u (Q18, 22 bits) is held as u * 2^10 below: it fills the word, so that
// its product with a slope is a high word, and the segment is in its upper bits.

// sat22(sat32(m * 2^shift)) * 2^10
static inline int32_t ulnn_scale22(int32_t m, unsigned shift) {
    return ulnn_within(m, 0x200000u >> shift) ? ulnn_shift_left(m, shift + 10)
                                              : ulnn_limit(m, 0x7fffffff) & ~0x3ff;
}

// One segment of a table, SPEC 2.4
static inline int32_t ulnn_line(int32_t slope, int32_t offset, int32_t u10) {
    return ulnn_mul_high(u10, ulnn_shift_left(slope, 6)) + offset;
}

// lookup of SPEC 2.4. middle: the table's entry 256. Of a valid table the answer has 16 bits.
static inline int32_t ulnn_lookup(const int16_t *middle, int32_t u10) {
    const int16_t *line = middle + 2 * (u10 >> 23);
    return ulnn_line(line[0], line[1], u10);
}

// SPEC 3.2 for ULNN_GATED
static inline int32_t ulnn_gated(
    const int16_t *middle, int32_t m, unsigned shift, unsigned output_shift) {
    int32_t g = ulnn_lookup(middle, ulnn_scale22(m, shift));
    int32_t factor = ulnn_shift_left(32768 + g, output_shift);
    return ulnn_sat16(ulnn_mul_round(ulnn_scale32(m, shift), factor));
}

// SPEC 3.3: sat22(sat32(t * 2^shift)) * 2^10, from rows time_a (m2) and time_b (m3)
static inline int32_t ulnn_gate(
    int32_t m2, int32_t m3, int32_t frac, unsigned gate_shift, unsigned shift) {
    int32_t high = ulnn_mul_high(m2, frac);
    uint32_t low = (uint32_t)m2 * (uint32_t)frac;
    if (!ulnn_within(high, 0x80000000u >> gate_shift)) {
        // The product alone is at least 2^31, and |m3| at most 2^30.
        return ulnn_limit(high, 0x7fffffff) & ~0x3ff;
    }
    int32_t product = ulnn_shift_left(high, gate_shift);
    uint32_t rest = ((low >> (31 - gate_shift)) + 1) >> 1; // at most 2^12
    // This sum may wrap, but not into the range below: t is below 2^31 + 2^30 + 2^12.
    int32_t t = (int32_t)((uint32_t)m3 + (uint32_t)product + rest);
    if (ulnn_within(t, 0x200000u >> shift)) {
        return ulnn_shift_left(t, shift + 10);
    }
    // |t| is 2^13 or more here: half of it, without the rest, has its sign, and fits.
    return ulnn_limit((m3 >> 1) + (product >> 1), 0x7fffffff) & ~0x3ff;
}

// SPEC 3.3: the new state. Products wrap, so that even a table which is no longer valid is safe.
static inline int32_t ulnn_mix_default(int32_t f1, int32_t f2, int32_t s) {
    return ((f1 + f2) >> 1) + (ulnn_mul_low(f2 - f1, s) >> 16);
}

static inline int32_t ulnn_mix_no_gate(int32_t f1, int32_t f2, int32_t s) {
    return (f1 + (f2 >> 1) + (ulnn_mul_low(f2, s) >> 16) + 1) >> 1;
}

// SPEC 3.8: a synapse's tanh. Adds wrap, like all sums below, for what is no longer valid.
static ULNN_INLINE int32_t ulnn_synapse(
    const int16_t *middle, int32_t s, int32_t slope, int32_t offset) {
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    typedef int32_t __attribute__((may_alias)) line_t;
    int32_t u, y;
    __asm__("smmlar %0, %1, %2, %3"
            : "=r"(u)
            : "r"(slope), "r"(ulnn_shift_left(s, 15)), "r"(offset));
    __asm__("ssat %0, #22, %1" : "=r"(u) : "r"(u));
    const int32_t line = ((const line_t *)(const void *)middle)[u >> 13];
    __asm__("smulwb %0, %1, %2" : "=r"(y) : "r"(u), "r"(line));
    return (int16_t)(y + (line >> 16));
#else
    // One bit more, for the rounding
    const int32_t product = ulnn_mul_high(slope, ulnn_shift_left(s, 16));
    const int32_t u = (int32_t)((uint32_t)((product + 1) >> 1) + (uint32_t)offset);
    int32_t u10 = ulnn_shift_left(u, 10);
    if (ULNN_RARELY(u10 >> 10 != u)) {
        u10 = ulnn_limit(u, 0x7fffffff) & ~0x3ff;
    }
    return ulnn_lookup(middle, u10);
#endif
}

// max(0, bit length of *n - 16). A 0, which only a file that is no longer valid makes, becomes 1.
static inline unsigned ulnn_excess(uint32_t *n) {
#if defined(__arm__) && defined(__ARM_FEATURE_CLZ) && defined(__GNUC__)
    uint32_t zeros;
    __asm__("clz %0, %1" : "=r"(zeros) : "r"(*n)); // 32 for 0
    *n |= zeros >> 5;
    const int excess = 16 - (int)zeros;
    return excess < 0 ? 0u : (unsigned)excess;
#else
    if (ULNN_RARELY(*n == 0)) {
        *n = 1;
    }
#if defined(__GNUC__) && (defined(__riscv_zbb) || defined(__x86_64__))
    const int excess = 16 - __builtin_clz(*n);
    return excess < 0 ? 0u : (unsigned)excess;
#else
    uint32_t top = *n >> 16;
    unsigned length = (unsigned)(top > 0xff) << 3;
    top >>= length;
    unsigned more = (unsigned)(top > 0xf) << 2;
    top >>= more;
    length += more;
    more = (unsigned)(top > 3) << 1;
    top >>= more;
    return length + more + (0xa4u >> 2 * top & 3); // bit lengths of 0 to 3
#endif
#endif
}

// n / d, for a quotient of 16 bits; d not 0
static inline uint32_t ulnn_divide(uint32_t n, uint32_t d) {
#if ULNN_NO_DIVIDE
    uint32_t quotient = 0;
    for (int bit = 15; bit >= 0; bit--) {
        quotient <<= 1;
        if (n >> bit >= d) {
            n -= d << bit;
            quotient++;
        }
    }
    return quotient;
#else
    return n / d;
#endif
}

// SPEC 3.8: the next potential of a neuron from n, d, its capacity and potential.
static ULNN_INLINE int32_t ulnn_potential(
    uint32_t n, uint32_t d, int32_t capacity, int32_t v, int32_t frac) {
    // n, d over the elapsed time
    const uint32_t twice = (uint32_t)frac << 1;
    n = ulnn_mul_high_unsigned(n, twice) - (twice & (uint32_t)((int32_t)n >> 31));
    d = ulnn_mul_high_unsigned(d, twice) + (uint32_t)capacity;
    const unsigned k = ulnn_excess(&d);
    d >>= k;
    // t = n' + 32768 * 2^k * d": the quotient is then 32768 more, and never negative.
    const uint32_t unit = d << k;
    uint32_t t;
    int32_t high;
#if ULNN_NO_LONG_MULTIPLY
    t = (uint32_t)ulnn_mul_low(capacity, v);
    high = ulnn_mul_high(capacity, v);
    high += ((int32_t)n >> 17) + (int32_t)(unit >> 17);
    t += n << 15;
    high += t < n << 15;
    t += unit << 15;
    high += t < unit << 15;
#else
    int32_t half = 32768;
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    __asm__("" : "+r"(half)); // a multiply-accumulate is less than the shifts
#endif
    uint64_t long_t = (uint64_t)((int64_t)(int32_t)n * half);
    long_t += (uint64_t)((int64_t)capacity * v);
    long_t += (uint64_t)unit * (uint32_t)half;
    t = (uint32_t)long_t;
    high = (int32_t)(long_t >> 32);
#endif
    const uint32_t top = (d << 16) - d;
    if (ULNN_RARELY((uint32_t)high >> k != 0)) {
        t = high < 0 ? 0 : top;
    } else {
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
        uint32_t upper; // 0 for k = 0: these processors shift by 32
        __asm__("lsl %0, %1, %2" : "=r"(upper) : "r"(high), "r"(32 - k));
        t = t >> k | upper;
#else
        t = t >> k | (uint32_t)high << 1 << (31 - k);
#endif
        t = t < top ? t : top;
    }
    return (int32_t)ulnn_divide(t + (d >> 1), d) - 32768;
}

#endif // ULNN_ARITH_H
