// SPDX-License-Identifier: MIT
// The loader's checks 56 to 65: LTC layers, with every synapse.
#include "ulnn_loader.h"

#if !ULNN_CELLS_CFC

#define NEURON_SIZE 16u
#define SYNAPSE_SIZE 12u

static uint32_t ulnn_fill16(uint32_t n) {
    return (n + 15) & ~(uint32_t)15;
}

// Adds the weights of `count` synapses; whether their offsets are good.
static int ulnn_load_synapses(const uint8_t *synapse, uint32_t count, uint32_t sums[2]) {
    for (; count != 0; count--, synapse += SYNAPSE_SIZE) {
        if (ulnn_u32(synapse + 4) + (1u << 30) > 1u << 31) {
            return 0;
        }
        for (unsigned i = 0; i < 2; i++) {
            const int32_t w = (int16_t)ulnn_u16(synapse + 8 + 2 * i);
            // More than 65535 is refused anyway: no overflow
            sums[i] += (uint32_t)(w < 0 ? -w : w);
            if (sums[i] > 65535) {
                return 0;
            }
        }
    }
    return 1;
}

// Check 65 for one neuron
static int ulnn_load_neuron(const uint8_t *neuron, const uint32_t sums[2]) {
    const uint32_t num = ulnn_u32(neuron), den = ulnn_u32(neuron + 4);
    const uint32_t capacity = ulnn_u32(neuron + 8);
    const uint32_t size = num >> 31 != 0 ? 0 - num : num;
    const uint32_t most = 0x7fffffffu;
    return capacity >= 1 && capacity <= 1u << 30 && ulnn_u32(neuron + 12) == 0 &&
           den >= 32768 * sums[0] && den <= most - 32768 * sums[0] &&
           size <= most - 32768 * sums[1];
}

int ulnn_load_ltc(ulnn_loader_t *load, const ulnn_section_t *section, ulnn_layer_t *layer) {
    const uint8_t *d = section->data;
    const uint32_t neurons = ulnn_u16(d + 16), unfolds = d[18], table = d[19];
    const uint32_t synapses = ulnn_u32(d + 20);
    const uint32_t inputs = layer->input_size;
    if (neurons < layer->output_size || neurons > ULNN_SIZE_MAX) {
        return ulnn_fail(load, ULNN_LTC_NEURONS, neurons, layer->output_size);
    }
    if (unfolds < 1 || unfolds > ULNN_UNFOLDS_MAX) {
        return ulnn_fail(load, ULNN_LTC_UNFOLDS, unfolds, 0);
    }
    if (table >= load->table_count) {
        return ulnn_fail(load, ULNN_LTC_TABLE, table, 0);
    }
    if (ulnn_u32(d + 24) != 0 || ulnn_u32(d + 28) != 0) {
        return ulnn_fail(load, ULNN_LAYER_RESERVED, 0, 0);
    }
    if (synapses > ULNN_SYNAPSES_MAX) {
        return ulnn_fail(load, ULNN_LTC_SYNAPSES_MAX, synapses, 0);
    }
    // At most 15 MB: no overflow
    const uint32_t sources_at = 32 + 4 * neurons, sources_end = sources_at + 2 * synapses;
    const uint32_t neurons_at = ulnn_fill16(sources_end);
    const uint32_t synapses_at = neurons_at + NEURON_SIZE * neurons;
    const uint32_t synapses_end = synapses_at + SYNAPSE_SIZE * synapses;
    if (section->size != ulnn_fill16(synapses_end)) {
        return ulnn_fail(load, ULNN_LAYER_SIZE, section->size, ulnn_fill16(synapses_end));
    }
    uint16_t *list = ulnn_take_list(load, 2 * neurons + synapses);
    layer->counts = list;
    layer->numbers = d + neurons_at;
    // The file is aligned to 4 where this pointer is used.
    layer->table = (const void *)load->tables[table];
    layer->unfolds = (uint8_t)unfolds;
    layer->state = load->values + ulnn_fill(inputs);
    layer->state_size = (uint16_t)neurons;
    load->values += ulnn_fill(inputs) + ulnn_fill(neurons);
    ulnn_at_least(&load->scratch[0], ulnn_fill(neurons));
    ulnn_at_least(&load->scratch[1], 8 * neurons); // an ulnn_unfold_t each
    load->info.neurons = (uint16_t)(load->info.neurons + neurons);
    load->info.synapses += synapses;
    load->info.weight_bits = 16;
    if (load->size_only) {
        return 1;
    }
    // The copy is checked, where there is one.
    const uint8_t *counts = d + 32;
    if (list != NULL) {
        memcpy(list, counts, 4 * neurons + 2 * synapses);
        counts = (const uint8_t *)list;
    }
    uint32_t sensory = 0, sum = 0;
    for (uint32_t i = 0; i < 2 * neurons; i++) {
        sum += ulnn_u16(counts + 2 * i);
        if (i < neurons) {
            sensory = sum;
        }
    }
    if (sum != synapses) {
        return ulnn_fail(load, ULNN_LTC_SYNAPSES, sum, synapses);
    }
    for (uint32_t k = 0; k < synapses; k++) {
        const uint32_t offset = ulnn_u16(counts + 4 * neurons + 2 * k);
        if ((offset & 1) != 0 || offset >= 2 * (k < sensory ? inputs : neurons)) {
            load->error.index = k;
            return ulnn_fail(load, ULNN_LTC_ENTRY, offset, 0);
        }
    }
    if (!ulnn_all_zero(d + sources_end, neurons_at - sources_end) ||
        !ulnn_all_zero(d + synapses_end, section->size - synapses_end)) {
        return ulnn_fail(load, ULNN_LAYER_RESERVED, 0, 0);
    }
    const uint8_t *first = d + synapses_at;
    const uint8_t *second = first + SYNAPSE_SIZE * sensory;
    uint32_t left[2] = {sensory, synapses - sensory};
    for (uint32_t i = 0; i < neurons; i++) {
        const uint32_t n = ulnn_u16(counts + 2 * i), m = ulnn_u16(counts + 2 * (neurons + i));
        uint32_t sums[2] = {0, 0}; // of |w_den|, |w_num|
        // Too many only where the file is being changed
        if (n > left[0] || m > left[1] || !ulnn_load_synapses(first, n, sums) ||
            !ulnn_load_synapses(second, m, sums) ||
            !ulnn_load_neuron(d + neurons_at + NEURON_SIZE * i, sums)) {
            load->error.index = i;
            return ulnn_fail(load, ULNN_NEURON_NUMBERS, 0, 0);
        }
        first += SYNAPSE_SIZE * n;
        second += SYNAPSE_SIZE * m;
        left[0] -= n;
        left[1] -= m;
    }
    load->info.macs += 3 * (sensory + unfolds * (synapses - sensory));
    return 1;
}

#else
// C wants something in every file.
typedef int ulnn_no_load_ltc_t;
#endif
