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

// (a * b + 2^31) >> 32, of SPEC 3.1
static inline int32_t ulnn_mul_round(int32_t a, int32_t b) {
#if ULNN_NO_LONG_MULTIPLY
    return ulnn_mul_high(a, b) + (int32_t)((uint32_t)ulnn_mul_low(a, b) >> 31);
#else
    return (int32_t)(((int64_t)a * b + 0x80000000) >> 32);
#endif
}

static inline int32_t ulnn_clamp(int32_t v, int32_t low, int32_t high) {
    return v < low ? low : v > high ? high : v;
}

static inline int32_t ulnn_sat16(int32_t v) {
    return ulnn_clamp(v, -32768, 32767);
}

static inline int32_t ulnn_sat22(int32_t v) {
    return ulnn_clamp(v, -2097152, 2097151);
}

// v * 2^shift for a v that is known to fit
static inline int32_t ulnn_shift_left(int32_t v, unsigned shift) {
    return (int32_t)((uint32_t)v << shift);
}

// sat16(sat32(m * 2^shift)), shift 0 to 8: saturating first loses nothing, and then it fits
static inline int32_t ulnn_scale16(int32_t m, unsigned shift) {
    return ulnn_sat16(ulnn_shift_left(ulnn_sat16(m), shift));
}

// sat22(sat32(m * 2^shift)), likewise
static inline int32_t ulnn_scale22(int32_t m, unsigned shift) {
    return ulnn_sat22(ulnn_shift_left(ulnn_sat22(m), shift));
}

// sat32(m * 2^shift)
static inline int32_t ulnn_scale32(int32_t m, unsigned shift) {
    int32_t high = INT32_MAX >> shift;
    if (m > high) {
        return INT32_MAX;
    }
    return m < -high - 1 ? INT32_MIN : ulnn_shift_left(m, shift);
}

// One segment of a table, SPEC 2.4. u: a saturated pre-activation, 22 bits.
static inline int32_t ulnn_line(int32_t slope, int32_t offset, int32_t u) {
#if ULNN_NO_LONG_MULTIPLY
    return (u >> 16) * slope + (((u & 0xffff) * slope) >> 16) + offset;
#else
    return (int32_t)(((int64_t)u * slope) >> 16) + offset;
#endif
}

// lookup of SPEC 2.4. Of a valid table the answer has 16 bits.
static inline int32_t ulnn_lookup(const int16_t *table, int32_t u) {
    const int16_t *line = table + 2 * ((u >> 13) + 256);
    return ulnn_line(line[0], line[1], u);
}

// SPEC 3.2 for ULNN_GATED
static inline int32_t ulnn_gated(
    const int16_t *table, int32_t m, unsigned shift, unsigned output_shift) {
    int32_t p = ulnn_scale32(m, shift);
    int32_t g = ulnn_lookup(table, ulnn_sat22(p));
    return ulnn_sat16(ulnn_mul_round(p, ulnn_shift_left(32768 + g, output_shift)));
}

// SPEC 3.3: the pre-activation u of the gate s, from rows time_a (m2) and time_b (m3)
static inline int32_t ulnn_gate(
    int32_t m2, int32_t m3, int32_t frac, unsigned gate_shift, unsigned shift) {
    // The 64-bit product m2 * frac in two words. Its high word is saturated where t is far
    // beyond 22 bits in any case (|m3| <= 2^30), so that it fits 32 bits after the shift.
    int32_t limit = INT32_MAX >> gate_shift;
    int32_t high = ulnn_clamp(ulnn_mul_high(m2, frac), -limit - 1, limit);
    uint32_t low = (uint32_t)ulnn_mul_low(m2, frac);
    int64_t t = (int64_t)ulnn_shift_left(high, gate_shift) + m3;
    t += ((low >> (31 - gate_shift)) + 1) >> 1;
    int32_t u = t < -2097152 ? -2097152 : t > 2097151 ? 2097151 : (int32_t)t;
    return ulnn_sat22(ulnn_shift_left(u, shift));
}

// SPEC 3.3: the new state. Products wrap, so that even a table which is no longer valid is safe.
static inline int32_t ulnn_mix_default(int32_t f1, int32_t f2, int32_t s) {
    return ((f1 + f2) >> 1) + (ulnn_mul_low(f2 - f1, s) >> 16);
}

static inline int32_t ulnn_mix_no_gate(int32_t f1, int32_t f2, int32_t s) {
    return (f1 + (f2 >> 1) + (ulnn_mul_low(f2, s) >> 16) + 1) >> 1;
}

#endif // ULNN_ARITH_H
