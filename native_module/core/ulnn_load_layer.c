// SPDX-License-Identifier: MIT
// The loader's checks 24 to 34 and 53 to 55: layers.
#include "ulnn_loader.h"

// The number, 0 to 31, that belongs to a kind
#define ULNN_BY_KIND(kind, cfc, dense, lstm, gru, ltc, mixed)                                     \
    (((uint32_t)(cfc) | (uint32_t)(dense) << 5 | (uint32_t)(lstm) << 10 | (uint32_t)(gru) << 15 | \
         (uint32_t)(ltc) << 20 | (uint32_t)(mixed) << 25) >>                                      \
            5 * ((kind)-1) &                                                                      \
        31u)

static int ulnn_is_cfc(uint32_t kind) {
    return kind == ULNN_KIND_CFC || kind == ULNN_KIND_MIXED;
}

// Where the next matrix goes in the model's memory.
static size_t ulnn_next_matrix(const ulnn_loader_t *load) {
    return ulnn_matrices_at(load) + load->matrix_count * sizeof(ulnn_matrix_t);
}

// Appends one matrix to the model's. Its layer's shape decides about memory, so that is checked
// before every write.
static void ulnn_add_matrix(ulnn_loader_t *load, const ulnn_matrix_t *matrix) {
    const size_t at = ulnn_next_matrix(load);
    load->matrix_count++;
    ulnn_need_room(load, at + sizeof(*matrix));
    if (load->memory != NULL) {
        memcpy(load->memory + at, matrix, sizeof(*matrix));
    }
}

// Check 33.
static int ulnn_load_fixed_dt(ulnn_loader_t *load, uint32_t dt_fixed) {
    if (dt_fixed < 1 || dt_fixed > load->info.dt_max) {
        return ulnn_fail(load, ULNN_LAYER_FIXED_DT, dt_fixed, load->info.dt_max);
    }
    if (load->info.dt_fixed == 0) {
        load->info.dt_fixed = load->dt_wanted = dt_fixed;
    }
    if (load->info.dt_fixed != dt_fixed) {
        load->dt_wanted = 0;
    }
    return 1;
}

// Checks 24 to 34. Fills the first fields of `layer` and `rules`.
static int ulnn_load_head(ulnn_loader_t *load, const ulnn_section_t *section, uint32_t input,
    ulnn_layer_t *layer, ulnn_rules_t *rules) {
    const uint8_t *d = section->data;
    const uint32_t kind = ulnn_u16(d), mode = d[2], gate_shift = d[3], input_size = ulnn_u16(d + 4);
    const uint32_t output_size = ulnn_u16(d + 6), count = ulnn_u16(d + 8);
    const uint32_t state_shift = d[10], cell_shift = d[11], dt_fixed = ulnn_u32(d + 12);
    if (kind < ULNN_KIND_CFC || kind > (ULNN_CELLS_CFC ? ULNN_KIND_DENSE : ULNN_KIND_MIXED)) {
        return ulnn_fail(load, ULNN_LAYER_KIND, kind, 0);
    }
    const int cfc = ulnn_is_cfc(kind);
    const int pure = cfc && mode == ULNN_MODE_PURE;
    const int fixed = cfc && !pure && mode >= ULNN_MODE_DEFAULT_FIXED_DT;
    if (mode > (ULNN_CELLS_CFC ? ULNN_BY_KIND(kind, 3, 0, 0, 0, 0, 0)
                               : ULNN_BY_KIND(kind, 4, 0, 1, 1, 0, 4))) {
        return ulnn_fail(load, ULNN_LAYER_MODE, mode, 0);
    }
    if (gate_shift > (cfc && !fixed ? 12u : 0u)) {
        return ulnn_fail(load, ULNN_LAYER_GATE_SHIFT, gate_shift, 0);
    }
    if (input_size != input) {
        return ulnn_fail(load, ULNN_LAYER_INPUT, input_size, input);
    }
    if (output_size < 1 || output_size > ULNN_SIZE_MAX) {
        return ulnn_fail(load, ULNN_LAYER_OUTPUT, output_size, 0);
    }
    if (count < ULNN_BY_KIND(kind, 1, 1, 1, 3, 0, 2) ||
        count > ULNN_BY_KIND(kind, ULNN_MATRICES_MAX, 1, 1, 3, 0, ULNN_MATRICES_MAX)) {
        return ulnn_fail(load, ULNN_LAYER_MATRICES, count, 0);
    }
    if (state_shift > (kind == ULNN_KIND_GRU || pure ? 8u : 0u)) {
        return ulnn_fail(load, ULNN_LAYER_STATE_SHIFT, state_shift, 0);
    }
    if (cell_shift > ULNN_BY_KIND(kind, 0, 0, 8, 0, 0, 8)) {
        return ulnn_fail(load, ULNN_LAYER_CELL_SHIFT, cell_shift, 0);
    }
    if (!fixed && dt_fixed != 0) {
        return ulnn_fail(load, ULNN_LAYER_RESERVED, 0, 0);
    }
    if (fixed && !ulnn_load_fixed_dt(load, dt_fixed)) {
        return 0;
    }
    if (section->size < 16 + 16 * (kind == ULNN_KIND_LTC ? 1 : count)) {
        return ulnn_fail(load, ULNN_LAYER_FIT, 0, 0);
    }
    rules->mode = (uint8_t)mode;
    rules->gate_shift = (uint8_t)gate_shift;
    rules->offset = 16 + 16 * count;
    rules->columns = 0;
    layer->vector = load->values;
    if (load->memory != NULL) {
        layer->matrix = (void *)(load->memory + ulnn_next_matrix(load));
    }
    layer->input_size = (uint16_t)input_size;
    layer->output_size = (uint16_t)output_size;
    layer->matrix_count = (uint8_t)count;
    layer->kind = (uint8_t)kind;
#if !ULNN_CELLS_CFC
    layer->time_input = (uint8_t)(cfc ? 0 : mode);
    layer->shift = (uint8_t)(kind == ULNN_KIND_GRU ? state_shift : cell_shift);
#endif
    return 1;
}

// What matrix j may be. rules->columns are the rows of the one before.
static void ulnn_rule(ulnn_rules_t *rules, const ulnn_layer_t *layer, uint32_t j) {
    const uint32_t inputs = layer->input_size, outputs = layer->output_size;
    uint32_t first = 0; // of the matrices of a CfC
    rules->activations = 1u << ULNN_TABLE;
    rules->rows = 4 * outputs;
    rules->heads = 0;
#if !ULNN_CELLS_CFC
    if (layer->kind == ULNN_KIND_GRU) {
        const uint32_t filled = ulnn_fill(inputs + layer->time_input);
        rules->activations = j == 0 ? 1u << ULNN_TABLE : 1u << ULNN_LINEAR;
        rules->rows = j == 0 ? 2 * outputs : outputs;
        rules->columns = (j == 1 ? 0 : filled) + (j == 2 ? 0 : outputs);
        return;
    }
    if (layer->kind == ULNN_KIND_LSTM || (layer->kind == ULNN_KIND_MIXED && j == 0)) {
        rules->columns = inputs + layer->time_input + outputs;
        return;
    }
    first = layer->kind == ULNN_KIND_MIXED;
#endif
    if (layer->kind == ULNN_KIND_DENSE) {
        rules->activations =
            1u << ULNN_LINEAR | 1u << ULNN_RELU | 1u << ULNN_TABLE | 1u << ULNN_GATED;
        rules->rows = outputs;
        rules->columns = inputs;
        return;
    }
    if (j == first) {
        rules->columns = inputs + outputs;
    }
    if (j != layer->matrix_count - 1u) {
        rules->activations = 1u << ULNN_RELU | 1u << ULNN_TABLE | 1u << ULNN_GATED;
        rules->rows = 0;
        return;
    }
    rules->heads = 1;
    if (rules->mode == ULNN_MODE_PURE) {
        rules->activations = 1u << ULNN_LINEAR;
        rules->rows = outputs;
    } else if (ulnn_heads_are_rows(rules->mode)) {
        rules->rows = 3 * outputs;
    } else {
        rules->activations |= 1u << ULNN_LINEAR;
    }
}

// Room for what the layer keeps between steps, and for what its first matrix reads.
static void ulnn_take_vector(ulnn_loader_t *load, ulnn_layer_t *layer) {
    const uint32_t outputs = layer->output_size;
    uint32_t before = layer->input_size;
    uint32_t state = outputs;
#if !ULNN_CELLS_CFC
    before += layer->time_input;
    if (layer->kind == ULNN_KIND_GRU) {
        before = ulnn_fill(before);
        // The input candidate stands behind the gates.
        ulnn_at_least(&load->scratch[0], ulnn_fill(2 * outputs) + ulnn_fill(outputs));
        ulnn_at_least(&load->scratch[1], ulnn_fill(outputs));
    } else if (layer->kind == ULNN_KIND_LSTM || layer->kind == ULNN_KIND_MIXED) {
        state += outputs;
        ulnn_at_least(&load->scratch[0], 4 * outputs);
    }
#endif
    if (layer->kind == ULNN_KIND_DENSE) {
        ulnn_at_least(&load->scratch[1], ulnn_fill(before));
        ulnn_at_least(&load->scratch[0], ulnn_fill(outputs));
        return;
    }
    layer->state = load->values + before;
    layer->state_size = (uint16_t)state;
    load->values += ulnn_fill(before + state);
    load->info.neurons = (uint16_t)(load->info.neurons + outputs);
}

#if !ULNN_CELLS_CFC
// Checks 53 and 54, the numbers of mode `pure`. They begin at *offset, which moves to their end.
static int ulnn_load_numbers(
    ulnn_loader_t *load, const ulnn_section_t *section, ulnn_layer_t *layer, uint32_t *offset) {
    const uint8_t *numbers = section->data + *offset;
    const uint32_t bytes = 16u * layer->output_size;
    if (bytes > section->size - *offset) {
        return ulnn_fail(load, ULNN_NEURONS_FIT, 0, 0);
    }
    layer->numbers = numbers;
    *offset += bytes;
    for (uint32_t i = 0; i < layer->output_size; i++, numbers += 16) {
        load->error.index = i;
        if (ulnn_u32(numbers) > 1u << 30 || ulnn_u32(numbers + 4) + 0x8000 > 0xffff ||
            ulnn_u32(numbers + 12) != 0) {
            return ulnn_fail(load, ULNN_NEURON_NUMBERS, 0, 0);
        }
    }
    return 1;
}
#endif

// Checks 35 to 55.
static int ulnn_load_matrices(
    ulnn_loader_t *load, const ulnn_section_t *section, ulnn_layer_t *layer, ulnn_rules_t *rules) {
    const uint8_t *d = section->data + 16;
    const uint32_t first = layer->kind == ULNN_KIND_MIXED; // of the matrices of a CfC
    ulnn_take_vector(load, layer);
    for (uint32_t j = 0; j < layer->matrix_count; j++, d += 16) {
        ulnn_matrix_t matrix;
        memset(&matrix, 0, sizeof(matrix));
        load->error.matrix = (uint16_t)j;
        ulnn_rule(rules, layer, j);
        if (!ulnn_load_matrix(load, section, d, rules, &matrix)) {
            return 0;
        }
        uint32_t room = 4u * matrix.groups; // in scratch
        if (rules->heads) {
            matrix.mode = rules->mode;
            matrix.gate_shift = rules->gate_shift;
            if (!ulnn_heads_are_rows(rules->mode)) {
                if (matrix.activation == ULNN_LINEAR) {
                    matrix.mode |= ULNN_MODE_LINEAR;
                }
                room = j == first ? ulnn_fill(layer->output_size) : 0;
            }
        }
        if (ulnn_is_cfc(layer->kind) && j >= first) {
            ulnn_at_least(&load->scratch[(j - first) & 1], room);
        }
        ulnn_add_matrix(load, &matrix);
    }
#if !ULNN_CELLS_CFC
    if (ulnn_is_cfc(layer->kind) && rules->mode == ULNN_MODE_PURE &&
        !ulnn_load_numbers(load, section, layer, &rules->offset)) {
        return 0;
    }
#endif
    if (rules->offset != section->size) {
        return ulnn_fail(load, ULNN_LAYER_SIZE, section->size, rules->offset);
    }
    return 1;
}

int ulnn_load_layer(ulnn_loader_t *load, uint32_t l, uint32_t *input) {
    const ulnn_section_t *section = &load->layers[l];
    ulnn_layer_t layer;
    ulnn_rules_t rules;
    memset(&layer, 0, sizeof(layer));
    load->error.layer = (uint16_t)l;
    if (!ulnn_load_head(load, section, *input, &layer, &rules)) {
        return 0;
    }
#if !ULNN_CELLS_CFC
    if (layer.kind == ULNN_KIND_LTC) {
        if (!ulnn_load_ltc(load, section, &layer)) {
            return 0;
        }
    } else
#endif
        if (!ulnn_load_matrices(load, section, &layer, &rules)) {
        return 0;
    }
    load->info.state_size += layer.state_size;
    if (load->memory != NULL) {
        size_t at = ulnn_align(sizeof(ulnn_model_t)) + l * sizeof(layer);
        memcpy(load->memory + at, &layer, sizeof(layer));
    }
    *input = layer.output_size;
    return 1;
}
