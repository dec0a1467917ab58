// SPDX-License-Identifier: MIT
// The two passes of an LTC layer over its synapses, where all its time goes (SPEC 3.8).
//
// gcc would calculate anew where the pointers are behind the loop, though they are there.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O2", "no-tree-scev-cprop", "no-ivopts")
#endif
#include "ulnn_internal.h"

#if !ULNN_CELLS_CFC

// The table's middle as a register of its own, which gcc would rather add up for every lookup.
static ULNN_INLINE const int16_t *ulnn_ltc_middle(const ulnn_ltc_t *ltc) {
    const int16_t *middle = ltc->table + 512;
#if defined(__GNUC__)
    __asm__("" : "+r"(middle));
#endif
    return middle;
}

// Adds the synapses of one neuron; moves `sources` and `synapses` behind them.
static ULNN_INLINE void ulnn_ltc_sum(uint32_t *num, uint32_t *den, const int16_t *middle,
    const int16_t *values, const uint16_t **sources, size_t count, const int32_t **synapses) {
    const uint16_t *source = *sources, *end = source + count;
    const int32_t *synapse = *synapses;
    for (; source != end; source++, synapse += 3) {
        const int32_t s = *(const int16_t *)(const void *)((const char *)values + *source);
        const uint32_t u = (uint32_t)ulnn_synapse(middle, s, synapse[0], synapse[1]);
#if defined(__ARM_FEATURE_DSP)
        // One load, and multiplies that take halves
        const int32_t w_den = (int16_t)synapse[2], w_num = synapse[2] >> 16;
#else
        const int16_t *w = (const int16_t *)(const void *)(synapse + 2);
        const int32_t w_den = w[0], w_num = w[1];
#endif
        *den += (uint32_t)w_den * u;
        *num += (uint32_t)w_num * u;
    }
    *sources = source;
    *synapses = synapse;
}

size_t ulnn_ltc_sense(const ulnn_ltc_t *ltc, const int16_t *x, ulnn_unfold_t *neurons) {
    const int16_t *middle = ulnn_ltc_middle(ltc);
    const int32_t *neuron = ltc->neurons, *synapse = ltc->synapses;
    const uint16_t *source = ltc->sources, *count = ltc->counts;
    for (const uint16_t *end = count + ltc->size; count != end; count++, neuron += 4) {
        uint32_t num = (uint32_t)neuron[0], den = (uint32_t)neuron[1];
        ulnn_ltc_sum(&num, &den, middle, x, &source, *count, &synapse);
        neurons->num = num;
        neurons->den = den;
        neurons->capacity = neuron[2];
        neurons->internal = count[ltc->size];
        neurons++;
    }
    return (size_t)(source - ltc->sources);
}

void ulnn_ltc_unfold(
    const ulnn_ltc_t *ltc, const ulnn_unfold_t *neurons, int16_t *v, int32_t frac, int16_t *next) {
    const int16_t *middle = ulnn_ltc_middle(ltc);
    const int32_t *synapse = ltc->synapses;
    const uint16_t *source = ltc->sources;
    const ulnn_unfold_t *end = neurons + ltc->size;
    // One pointer for both potentials; they are parts of one array.
    int16_t *old = v;
    const ptrdiff_t ahead = next - v;
    do {
        uint32_t num = neurons->num, den = neurons->den;
        ulnn_ltc_sum(&num, &den, middle, v, &source, neurons->internal, &synapse);
        const int32_t to = ulnn_potential(num, den, neurons->capacity, *old, frac);
        old[ahead] = (int16_t)to;
        old++;
        neurons++;
    } while (neurons != end);
}

#else
// C wants something in every file.
typedef int ulnn_no_ltc_t;
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
