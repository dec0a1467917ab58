// SPDX-License-Identifier: MIT
// The cells beside CfC with gates: LSTM, GRU, LTC, and CfC's mode `pure` (SPEC 3.5 to 3.8).
//
// Sums and products of values that come from the file wrap, so that no file is undefined behaviour.
#include "ulnn_internal.h"

#if !ULNN_CELLS_CFC

// Puts x, and dt where it is an input, into the layer's vector.
static int16_t *ulnn_cell_vector(
    ulnn_model_t *model, const ulnn_layer_t *layer, const void *x, int32_t frac) {
    int16_t *vector = model->values + layer->vector;
    ulnn_copy_values(vector, x, layer->input_size);
    if (layer->time_input != 0) {
        vector[layer->input_size] = (int16_t)(frac >> 16);
    }
    return vector;
}

// (a + b + 2^15) >> 16 over more than 32 bits
static inline int32_t ulnn_half_sum(int32_t a, int32_t b) {
    return (a >> 16) + (b >> 16) + (((a & 0xffff) + (b & 0xffff) + 0x8000) >> 16);
}

// SPEC 3.6, and the LSTM's part of a mixed memory.
void ulnn_memory(ulnn_model_t *model, const ulnn_layer_t *layer, const void *x, int32_t frac) {
    const ulnn_matrix_t *matrix = layer->matrix;
    const int16_t *middle = matrix->table + 512;
    const int16_t *gates = model->scratch[0];
    const unsigned n = layer->output_size, shift = layer->shift;
    ulnn_run_rows(matrix, ulnn_cell_vector(model, layer, x, frac), model->scratch[0]);
    int16_t *h = model->values + layer->state;
    int16_t *c = h + n, *end = c;
    do {
        const int32_t kept = *c * (32768 + gates[1]);
        const int32_t new = ((32768 + gates[0]) * gates[2]) >> shift;
        const int32_t cell = ulnn_sat16(ulnn_half_sum(kept, new));
        *c++ = (int16_t)cell;
        const int16_t t = (int16_t)ulnn_lookup(middle, ulnn_scale22(cell, 3 + shift));
        *h++ = (int16_t)(((32768 + gates[3]) * t + 0x8000) >> 16);
        gates += 4;
    } while (h != end);
}

// SPEC 3.7
static const int16_t *ulnn_gru(
    ulnn_model_t *model, const ulnn_layer_t *layer, const void *x, int32_t frac) {
    const ulnn_matrix_t *matrix = layer->matrix;
    const int16_t *middle = matrix->table + 512;
    const unsigned n = layer->output_size, shift = 12u - layer->shift;
    const int16_t *vector = ulnn_cell_vector(model, layer, x, frac);
    const int16_t *gates = model->scratch[0], *q = model->scratch[1];
    int16_t *p = model->scratch[0] + 4 * matrix->groups;
    int16_t *h = model->values + layer->state;
    ulnn_run_rows(matrix, vector, model->scratch[0]);
    ulnn_run_rows(matrix + 1, h, model->scratch[1]);
    ulnn_run_rows(matrix + 2, vector, p);
    for (const int16_t *end = q + n; q != end; q++, p++, h++, gates += 2) {
        const int32_t r = gates[0], z = gates[1];
        const int32_t w = *p * 32768 + (((32768 + r) * *q) >> 1);
        const int16_t new = (int16_t)ulnn_lookup(middle, ulnn_scale22(w >> shift, 0));
        *h = (int16_t)((new *(32768 - z) + *h *(32768 + z) + 0x8000) >> 16);
    }
    return h - n;
}

// SPEC 3.8
static const int16_t *ulnn_ltc(
    ulnn_model_t *model, const ulnn_layer_t *layer, const void *x, int32_t frac) {
    const unsigned n = layer->state_size;
    const int16_t *vector = ulnn_cell_vector(model, layer, x, frac);
    ulnn_unfold_t *neurons = (void *)model->scratch[1];
    ulnn_ltc_t ltc;
    ltc.neurons = layer->numbers;
    ltc.synapses = ltc.neurons + 4 * (size_t)n;
    ltc.counts = layer->counts;
    ltc.sources = ltc.counts + 2 * (size_t)n;
    ltc.table = layer->table;
    ltc.size = n;
    const size_t sensory = ulnn_ltc_sense(&ltc, vector, neurons);
    ltc.sources += sensory;
    ltc.synapses += 3 * sensory;

    int16_t *state = model->values + layer->state;
    int16_t *v = state, *next = model->scratch[0];
    for (unsigned left = layer->unfolds; left != 0; left--) {
        ulnn_ltc_unfold(&ltc, neurons, v, frac, next);
        int16_t *old = v;
        v = next;
        next = old;
    }
    if (v != state) {
        ulnn_copy_values(state, v, n);
    }
    return state;
}

const int16_t *ulnn_cell(
    ulnn_model_t *model, const ulnn_layer_t *layer, const void *x, int32_t frac) {
    if (layer->kind == ULNN_KIND_LTC) {
        return ulnn_ltc(model, layer, x, frac);
    }
    if (layer->kind == ULNN_KIND_GRU) {
        return ulnn_gru(model, layer, x, frac);
    }
    ulnn_memory(model, layer, x, frac);
    return model->values + layer->state;
}

void ulnn_pure(const ulnn_matrix_t *heads, const void *numbers, const int16_t *z, int32_t frac,
    int16_t *h, unsigned n) {
    const uint32_t *neuron = numbers; // tau, a, gain, 0
    const int16_t *middle = heads->table + 512;
    for (const int16_t *end = h + n; h != end; h++, z++, neuron += 4) {
        const int32_t r = (int32_t)((uint32_t)(*z < 0 ? -*z : *z) + neuron[0]);
        const int32_t u = ulnn_gate(r, 0, frac, heads->gate_shift, 0);
        const int32_t w = (int16_t)ulnn_lookup(middle, u); // the root of e
        const int32_t e = (w * w + (1 << 14)) >> 15;
        const int32_t p = (e * *z + (1 << 14)) >> 15;
        const uint32_t change = (uint32_t)ulnn_mul_round((int32_t)neuron[2], p * 32768);
        *h = (int16_t)ulnn_sat16((int32_t)(neuron[1] + change));
    }
}

#else
// C wants something in every file.
typedef int ulnn_no_cells_t;
#endif
