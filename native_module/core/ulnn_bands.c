// SPDX-License-Identifier: MIT
// Features of a frame (SPEC 3.11). Its twin in Python is firmware/ulnn_rules/bands.py.
#include "ulnn_internal.h"
#include "ulnn_bands.h"

#if ULNN_BANDS

enum {
    ULNN_TRACK_HEAD = 9,    // values of a track before its sections
    ULNN_TRACK_SECTION = 9, // of a section
    ULNN_MEAN = 1,
    ULNN_RMS = 2,
    ULNN_KURTOSIS = 4,
};

typedef struct ulnn_biquad {
    int32_t c1, c2;       // its state
    int16_t kind;         // 0 low-pass, 1 high-pass, 2 band-pass, 3 notch
    int16_t factor[4][2]; // a1, a2, a3, k: each a number and a shift
    int16_t filling;
} ulnn_biquad_t;

typedef struct ulnn_complex {
    int16_t re, im;
} ulnn_complex_t;

// A sum of up to 2^10 numbers below 2^30: high * 2^15 + low. Others would have 64 bits.
typedef struct ulnn_sum {
    uint32_t high, low;
} ulnn_sum_t;

// The largest value of each at the head of a track
ULNN_CONST uint16_t ulnn_track_most[ULNN_TRACK_HEAD] = {64, 63, 10, 1, 1, 1024, 8, 7, 32};

// round(32767 * sin(2 pi k / 1024))
ULNN_CONST int16_t ulnn_sines[257] = {
    // clang-format off
    0, 201, 402, 603, 804, 1005, 1206, 1407, 1608, 1809, 2009, 2210, 2410, 2611, 2811, 3012, 3212,
    3412, 3612, 3811, 4011, 4210, 4410, 4609, 4808, 5007, 5205, 5404, 5602, 5800, 5998, 6195, 6393,
    6590, 6786, 6983, 7179, 7375, 7571, 7767, 7962, 8157, 8351, 8545, 8739, 8933, 9126, 9319, 9512,
    9704, 9896, 10087, 10278, 10469, 10659, 10849, 11039, 11228, 11417, 11605, 11793, 11980, 12167,
    12353, 12539, 12725, 12910, 13094, 13279, 13462, 13645, 13828, 14010, 14191, 14372, 14553,
    14732, 14912, 15090, 15269, 15446, 15623, 15800, 15976, 16151, 16325, 16499, 16673, 16846,
    17018, 17189, 17360, 17530, 17700, 17869, 18037, 18204, 18371, 18537, 18703, 18868, 19032,
    19195, 19357, 19519, 19680, 19841, 20000, 20159, 20317, 20475, 20631, 20787, 20942, 21096,
    21250, 21403, 21554, 21705, 21856, 22005, 22154, 22301, 22448, 22594, 22739, 22884, 23027,
    23170, 23311, 23452, 23592, 23731, 23870, 24007, 24143, 24279, 24413, 24547, 24680, 24811,
    24942, 25072, 25201, 25329, 25456, 25582, 25708, 25832, 25955, 26077, 26198, 26319, 26438,
    26556, 26674, 26790, 26905, 27019, 27133, 27245, 27356, 27466, 27575, 27683, 27790, 27896,
    28001, 28105, 28208, 28310, 28411, 28510, 28609, 28706, 28803, 28898, 28992, 29085, 29177,
    29268, 29358, 29447, 29534, 29621, 29706, 29791, 29874, 29956, 30037, 30117, 30195, 30273,
    30349, 30424, 30498, 30571, 30643, 30714, 30783, 30852, 30919, 30985, 31050, 31113, 31176,
    31237, 31297, 31356, 31414, 31470, 31526, 31580, 31633, 31685, 31736, 31785, 31833, 31880,
    31926, 31971, 32014, 32057, 32098, 32137, 32176, 32213, 32250, 32285, 32318, 32351, 32382,
    32412, 32441, 32469, 32495, 32521, 32545, 32567, 32589, 32609, 32628, 32646, 32663, 32678,
    32692, 32705, 32717, 32728, 32737, 32745, 32752, 32757, 32761, 32765, 32766, 32767,
    // clang-format on
};

/******************************************************************************/
// Memory of a track: ulnn_bands_t | sections | frame | ring | first and last bin of each band

static inline ulnn_biquad_t *ulnn_bands_sections(ulnn_bands_t *bands) {
    return (ulnn_biquad_t *)(void *)(bands + 1);
}

static inline int16_t *ulnn_bands_frame(ulnn_bands_t *bands) {
    return (int16_t *)(void *)(ulnn_bands_sections(bands) + bands->sections);
}

size_t ulnn_bands_size(const int16_t *track, size_t words) {
    const uint16_t *p = (const uint16_t *)track; // negative ones are too large
    for (unsigned k = 0; k < ULNN_TRACK_HEAD; k++) {
        if (k >= words || p[k] > ulnn_track_most[k]) {
            return 0;
        }
    }
    const unsigned size_log = p[2], sections = p[6], bands = p[8];
    if (p[1] >= p[0] || size_log < 4 || p[5] == 0 || (p[7] | bands) == 0 ||
        words != ULNN_TRACK_HEAD + ULNN_TRACK_SECTION * sections + 2 * bands) {
        return 0;
    }
    p += ULNN_TRACK_HEAD;
    for (unsigned k = 0; k < sections; k++) {
        // Its kind, then four pairs of a number and a shift
        for (unsigned i = 0; i < ULNN_TRACK_SECTION; i++) {
            if (*p++ > (i == 0 ? 3 : i & 1 ? 32767 : 15)) {
                return 0;
            }
        }
    }
    for (unsigned k = 0; k < bands; k++, p += 2) {
        if (p[0] > p[1] || p[1] > 1 << (size_log - 1)) {
            return 0;
        }
    }
    return sizeof(ulnn_bands_t) + sizeof(ulnn_biquad_t) * sections + 4 * bands +
           ((size_t)4 << size_log);
}

ulnn_bands_t *ulnn_bands_make(const int16_t *track, size_t words, void *memory) {
    ulnn_bands_t *bands = memory;
    memcpy(bands, track, 2 * ULNN_TRACK_HEAD);
    const int moments = bands->moments;
    bands->outputs = (int16_t)((moments & 1) + (moments >> 1 & 1) + (moments >> 2) + bands->bands);
    ulnn_biquad_t *section = ulnn_bands_sections(bands);
    const int16_t *p = track + ULNN_TRACK_HEAD;
    for (int k = 0; k < bands->sections; k++, p += ULNN_TRACK_SECTION) {
        memcpy(&section[k].kind, p, 2 * ULNN_TRACK_SECTION);
    }
    memcpy(ulnn_bands_frame(bands) + ((size_t)2 << bands->size_log), p,
        2 * (words - (size_t)(p - track)));
    ulnn_bands_reset(bands);
    return bands;
}

void ulnn_bands_reset(ulnn_bands_t *bands) {
    ulnn_biquad_t *section = ulnn_bands_sections(bands);
    for (int k = 0; k < bands->sections; k++) {
        section[k].c1 = section[k].c2 = 0;
    }
    memset(ulnn_bands_frame(bands), 0, (size_t)4 << bands->size_log);
    bands->sum = 0;
    bands->at = bands->counted = 0;
}

/******************************************************************************/
// Samples

// v * m * 2^-(14 + r), for |v| below 2^29
static inline int32_t ulnn_factor(int32_t v, const int16_t *factor, int base) {
    const int32_t m = factor[0];
    const int r = factor[1] + base;
    return ((v >> 14) * m + ((v & 16383) * m >> 14) + (1 << r >> 1)) >> r;
}

// v within -limit .. limit - 1, a power of two
static inline int32_t ulnn_clamp(int32_t v, int32_t limit) {
    return ulnn_within(v, (uint32_t)limit) ? v : ulnn_limit(v, limit - 1);
}

// One sample, times 2^10, through a section
static ULNN_NOINLINE int32_t ulnn_filter(ulnn_biquad_t *s, int32_t v) {
    // Band-pass and notch are scaled before, so that no resonance is larger than the signal.
    const int scaled = s->kind >= 2;
    const int32_t c1 = s->c1, c2 = s->c2;
    const int32_t d = (scaled ? ulnn_factor(v, s->factor[3], 0) : v) - c2;
    const int32_t v1 = ulnn_factor(c1, s->factor[0], 1) + ulnn_factor(d, s->factor[1], 2);
    const int32_t v2 = c2 + ulnn_factor(c1, s->factor[1], 2) + ulnn_factor(d, s->factor[2], 1);
    s->c1 = ulnn_clamp(2 * v1 - c1, 1 << 27);
    s->c2 = ulnn_clamp(2 * v2 - c2, 1 << 27);
    if (scaled) {
        v = s->kind == 2 ? v1 : v - v1;
    } else {
        v = s->kind == 0 ? v2 : v - ulnn_factor(v1, s->factor[3], 0) - v2;
    }
    return ulnn_clamp(v, 1 << 25);
}

void ulnn_bands_feed(ulnn_bands_t *bands, const int16_t *x, size_t count) {
    ulnn_biquad_t *sections = ulnn_bands_sections(bands);
    const int size = 1 << bands->size_log;
    int16_t *ring = ulnn_bands_frame(bands) + size;
    const int32_t decimate = bands->decimate;
    for (; count != 0; count--, x += bands->channels) {
        int32_t v = x[bands->channel];
        if (bands->sections != 0) {
            v = ulnn_shift_left(v, 10);
            for (int k = 0; k < bands->sections; k++) {
                v = ulnn_filter(&sections[k], v);
            }
            v = ulnn_sat16((v + 512) >> 10);
        }
        if (bands->rectify && v < 0) {
            v = ulnn_sat16(-v);
        }
        bands->sum += v;
        if (++bands->counted == decimate) {
            if (decimate != 1) {
                // From 0 up, to divide numbers without a sign
                const int32_t sum = bands->sum + 32768 * decimate + (decimate >> 1);
                v = (int32_t)ulnn_divide((uint32_t)sum, (uint32_t)decimate) - 32768;
            }
            ring[bands->at] = (int16_t)v;
            bands->at = (int16_t)((bands->at + 1) & (size - 1));
            bands->counted = 0;
            bands->sum = 0;
        }
    }
}

/******************************************************************************/
// Features

static inline void ulnn_sum_add(ulnn_sum_t *sum, uint32_t n) {
    sum->high += n >> 15;
    sum->low += n & 32767;
}

// 256 * log2 of a sum, about 1 too low at most; 0 counts as 1
static ULNN_NOINLINE int32_t ulnn_log2(ulnn_sum_t sum) {
    uint32_t m = sum.high + (sum.low >> 15), low = sum.low & 32767;
    if ((m | low) == 0) {
        return 0;
    }
    int32_t p = 29;
    for (; m >= 32768; m >>= 1) {
        p++;
    }
    for (; m < 16384; p--) {
        low <<= 1;
        m = 2 * m + (low >> 15);
        low &= 32767;
    }
    for (unsigned k = 0; k < 8; k++) {
        m = m * m >> 14;
        p *= 2;
        if (m >= 32768) {
            m >>= 1;
            p++;
        }
    }
    return p;
}

// The cosine of a of 1024 parts of a turn, 0 to 512
static int32_t ulnn_cosine(unsigned a) {
    return a <= 256 ? ulnn_sines[256 - a] : -ulnn_sines[a - 256];
}

// Its cosine and sine
static ulnn_complex_t ulnn_direction(unsigned a) {
    const ulnn_complex_t w = {(int16_t)ulnn_cosine(a), ulnn_sines[a <= 256 ? a : 512 - a]};
    return w;
}

// The bits of v and of all others in `top`, whatever the sign
static inline uint32_t ulnn_bits(uint32_t top, int32_t v) {
    return top | (uint32_t)(v ^ (v >> 31));
}

// By how much that is shifted which is made of numbers of these bits
static inline unsigned ulnn_guard(uint32_t top) {
    return top < 8192 ? 0 : top < 16384 ? 1 : 2;
}

// The frame less its mean, times 2^k, and its moments. Returns k, and moves *y behind them.
static int ulnn_bands_load(ulnn_bands_t *bands, int16_t **y) {
    const unsigned n = (unsigned)bands->size_log, size = 1u << n;
    int16_t *z = ulnn_bands_frame(bands);
    const int16_t *ring = z + size;
    int32_t mean = (int32_t)(size >> 1);
    for (unsigned i = 0; i < size; i++) {
        mean += ring[i];
    }
    mean >>= n;
    uint32_t top = 0;
    for (unsigned i = 0; i < size; i++) {
        const int32_t d = ring[i] - mean;
        top |= (uint32_t)(d < 0 ? -d : d);
    }
    int k = top != 0 ? 14 : 0;
    for (; top != 0; top >>= 1) {
        k--;
    }
    ulnn_sum_t squares = {0, 0}, fourths = {0, 0};
    for (unsigned i = 0; i < size; i++) {
        int32_t d = ring[((unsigned)bands->at + i) & (size - 1)] - mean;
        d = k >= 0 ? ulnn_shift_left(d, (unsigned)k) : d >> -k;
        uint32_t t = (uint32_t)(d * d);
        ulnn_sum_add(&squares, t);
        t >>= 14;
        ulnn_sum_add(&fourths, t * t);
        if (bands->window) {
            const int32_t c = ulnn_cosine((i <= size / 2 ? i : size - i) << (10 - n));
            d = (d * ((32768 - c) >> 1) + 16384) >> 15;
        }
        z[i] = (int16_t)d;
    }
    const int32_t square = ulnn_log2(squares);
    int16_t *out = *y;
    if (bands->moments & ULNN_MEAN) {
        *out++ = (int16_t)mean;
    }
    if (bands->moments & ULNN_RMS) {
        *out++ = (int16_t)(square - 512 * k - 256 * (int)n);
    }
    if (bands->moments & ULNN_KURTOSIS) {
        const int32_t kurtosis = 256 * ((int)n + 28) + ulnn_log2(fourths) - 2 * square;
        *out++ = (int16_t)(kurtosis > 0 && square != 0 ? kurtosis : 0);
    }
    *y = out;
    return k;
}

// Puts the numbers in the order of their places read backwards.
static void ulnn_bands_reverse(ulnn_complex_t *z, unsigned pairs) {
    unsigned j = 0;
    for (unsigned i = 1; i < pairs; i++) {
        unsigned bit = pairs >> 1;
        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j |= bit;
        if (i < j) {
            const ulnn_complex_t a = z[i];
            z[i] = z[j];
            z[j] = a;
        }
    }
}

// v * w* / 2^15, rounded, for w of a length of 1
static ULNN_INLINE void ulnn_turn(
    const ulnn_complex_t *v, ulnn_complex_t w, int32_t *re, int32_t *im) {
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    uint32_t both, turn;
    memcpy(&both, v, sizeof(both));
    memcpy(&turn, &w, sizeof(turn));
    __asm__("smlad %0, %1, %2, %3" : "=r"(*re) : "r"(both), "r"(turn), "r"(16384));
    __asm__("smlsdx %0, %1, %2, %3" : "=r"(*im) : "r"(turn), "r"(both), "r"(16384));
    *re >>= 15;
    *im >>= 15;
#else
    *re = (v->re * w.re + v->im * w.im + 16384) >> 15;
    *im = (v->im * w.re - v->re * w.im + 16384) >> 15;
#endif
}

// Makes the sums and differences of all pairs that are `half` apart and turned by w, from *a on up
// to `end`. Returns their bits.
static ULNN_NOINLINE uint32_t ulnn_butterflies(
    ulnn_complex_t *a, const ulnn_complex_t *end, unsigned half, ulnn_complex_t w, unsigned s) {
    const int32_t r = 1 << s >> 1;
    uint32_t top = 0;
    do {
        ulnn_complex_t *b = a + half;
        int32_t re, im, u, v;
        ulnn_turn(b, w, &re, &im);
        u = a->re + r - re;
        v = a->re + r + re;
        b->re = (int16_t)(u >>= s);
        a->re = (int16_t)(v >>= s);
        top = ulnn_bits(ulnn_bits(top, u), v);
        u = a->im + r - im;
        v = a->im + r + im;
        b->im = (int16_t)(u >>= s);
        a->im = (int16_t)(v >>= s);
        top = ulnn_bits(ulnn_bits(top, u), v);
        a = b + half;
    } while (a < end);
    return top;
}

// The Fourier transform in place. Returns s: the true values are these times 2^s; *guard is that
// of what is made of them.
static unsigned ulnn_bands_transform(ulnn_complex_t *z, unsigned pairs, unsigned *guard) {
    ulnn_bands_reverse(z, pairs);
    uint32_t top = 0;
    for (unsigned i = 0; i < pairs; i++) {
        top = ulnn_bits(ulnn_bits(top, z[i].re), z[i].im);
    }
    unsigned shifted = 0;
    for (unsigned half = 1, turn = 512; half < pairs; half *= 2, turn >>= 1) {
        const unsigned s = ulnn_guard(top);
        shifted += s;
        top = 0;
        for (unsigned j = 0; j < half; j++) {
            top |= ulnn_butterflies(z + j, z + pairs, half, ulnn_direction(j * turn), s);
        }
    }
    *guard = ulnn_guard(top);
    return shifted;
}

// log2 of the energy of bins `first` to `last` of 2 * pairs real samples, by the transform of half
// the length.
static int32_t ulnn_bands_energy(
    const ulnn_complex_t *z, unsigned pairs, unsigned turn, const int16_t *band, unsigned guard) {
    const int32_t r = 1 << guard >> 1;
    ulnn_sum_t energy = {0, 0};
    for (unsigned k = (unsigned)band[0]; k <= (unsigned)band[1]; k++) {
        const ulnn_complex_t a = z[k & (pairs - 1)], b = z[(0u - k) & (pairs - 1)];
        const ulnn_complex_t odd = {
            (int16_t)((a.im + b.im + 1) >> 1), (int16_t)((b.re - a.re + 1) >> 1)};
        int32_t re, im;
        ulnn_turn(&odd, ulnn_direction(k * turn), &re, &im);
        re = (((a.re + b.re + 1) >> 1) + re + r) >> guard;
        im = (((a.im - b.im + 1) >> 1) + im + r) >> guard;
        ulnn_sum_add(&energy, (uint32_t)(re * re + im * im));
    }
    return ulnn_log2(energy);
}

void ulnn_bands_read(ulnn_bands_t *bands, int16_t *y) {
    int16_t *frame = ulnn_bands_frame(bands), *end = y + bands->outputs;
    ulnn_complex_t *z = (ulnn_complex_t *)(void *)frame;
    const unsigned size = 1u << bands->size_log, pairs = size >> 1;
    const int k = ulnn_bands_load(bands, &y);
    if (y == end) {
        return;
    }
    unsigned guard;
    const int shifted = (int)ulnn_bands_transform(z, pairs, &guard);
    const int32_t scale = 512 * (shifted + (int)guard - k);
    for (const int16_t *band = frame + 2 * size; y != end; band += 2) {
        const int32_t v = ulnn_bands_energy(z, pairs, 1024 >> bands->size_log, band, guard) + scale;
        *y++ = (int16_t)(v > 0 ? v : 0);
    }
}

#endif
