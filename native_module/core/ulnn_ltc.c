// The two passes of an LTC layer over its synapses, where all its time goes (SPEC 3.8).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O2")
#endif
#include "ulnn_internal.h"

#if !ULNN_CELLS_CFC

// Adds the synapses up to `end`; moves `sources` and `synapses` on.
static ULNN_INLINE ulnn_sums_t ulnn_ltc_sum(ulnn_sums_t sums, const int16_t *middle,
    const int16_t *values, const uint16_t **sources, const uint16_t *end,
    const int32_t **synapses) {
    const uint16_t *source = *sources;
    const int32_t *synapse = *synapses;
    for (; source != end; source++, synapse += 3) {
        const int32_t s = *(const int16_t *)(const void *)((const char *)values + *source);
        const int32_t u = ulnn_synapse(middle, s, synapse[0], synapse[1]);
        const uint32_t w = (uint32_t)synapse[2];
        sums.den += (uint32_t)(int16_t)w * (uint32_t)u;
        sums.num += (uint32_t)((int32_t)w >> 16) * (uint32_t)u;
    }
    *sources = source;
    *synapses = synapse;
    return sums;
}

size_t ulnn_ltc_sense(const ulnn_ltc_t *ltc, const int16_t *x, ulnn_sums_t *sums) {
    const int16_t *middle = ltc->table + 512;
    const int32_t *neuron = ltc->neurons, *synapse = ltc->synapses;
    const uint16_t *source = ltc->sources, *count = ltc->counts;
    for (const uint16_t *end = count + ltc->size; count != end; count++, neuron += 4) {
        const ulnn_sums_t start = {(uint32_t)neuron[0], (uint32_t)neuron[1]};
        *sums++ = ulnn_ltc_sum(start, middle, x, &source, source + *count, &synapse);
    }
    return (size_t)(source - ltc->sources);
}

void ulnn_ltc_unfold(
    const ulnn_ltc_t *ltc, const ulnn_sums_t *sums, const int16_t *v, int32_t frac, int16_t *next) {
    const int16_t *middle = ltc->table + 512;
    const int32_t *neuron = ltc->neurons, *synapse = ltc->synapses;
    const uint16_t *source = ltc->sources, *count = ltc->counts;
    const int16_t *old = v;
    for (const uint16_t *end = count + ltc->size; count != end; count++, neuron += 4) {
        const ulnn_sums_t all =
            ulnn_ltc_sum(*sums++, middle, v, &source, source + *count, &synapse);
        *next++ = (int16_t)ulnn_potential(all.num, all.den, neuron[2], *old++, frac);
    }
}

#else
// C wants something in every file.
typedef int ulnn_no_ltc_t;
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
