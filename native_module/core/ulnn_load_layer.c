// The loader's checks 24 to 45: layers, their matrices, and every weight.
#include "ulnn_loader.h"

static void ulnn_at_least(uint32_t *size, uint32_t values) {
    if (*size < values) {
        *size = values;
    }
}

// Checks 42 to 44 for the stream of one matrix.
static int ulnn_load_stream(
    ulnn_loader_t *load, const uint8_t *record, uint32_t bits, uint32_t rows, uint32_t columns) {
    const uint32_t blocks = ulnn_fill(columns) / 4;
    const uint32_t block_bytes = 2 * bits;
    const uint32_t record_bytes = 32 + blocks * block_bytes;
    for (uint32_t row = 0; row < ulnn_fill(rows); row++) {
        const uint32_t r = row & 3;
        if (row != 0 && r == 0) {
            record += record_bytes;
        }
        load->error.index = row;
        const uint32_t bias = ulnn_u32(record + 4 * r);
        const uint32_t multiplier = ulnn_u32(record + 16 + blocks * block_bytes + 4 * r);
        if (multiplier >> 31 != 0) {
            return ulnn_fail(load, ULNN_ROW_MULTIPLIER, 0, 0);
        }
        uint32_t sum = 0;     // of |w|, at most 4096 * 32768
        uint32_t filling = 0; // not 0 when a weight of a filling column is not 0
        const uint8_t *block = record + 16;
        for (uint32_t c = 0; c < 4 * blocks; c++) {
            int32_t w;
            if (bits == 8) {
                // 0, 2, 1, 3
                w = (int8_t)block[4 * r + ((c & 1) << 1 | (c >> 1 & 1))];
            } else {
                w = (int16_t)ulnn_u16(block + ((c & 2) << 3) + 4 * r + 2 * (c & 1));
            }
            sum += (uint32_t)(w < 0 ? -w : w);
            if (c >= columns) {
                filling |= (uint32_t)w;
            }
            if ((c & 3) == 3) {
                block += block_bytes;
            }
        }
        if (row >= rows) {
            filling |= sum | bias | multiplier;
        }
        if (filling != 0) {
            return ulnn_fail(load, ULNN_ROW_FILLING, 0, 0);
        }
        const uint32_t size = bias >> 31 != 0 ? 0 - bias : bias;
        if (sum > 65535 || size > 0x7fffffffu - 32768 * sum) {
            return ulnn_fail(load, ULNN_ROW_OVERFLOW, 0, 0);
        }
    }
    return 1;
}

// What the layer lets its matrix be, and where its stream must stand.
typedef struct ulnn_rules {
    uint32_t activation_min, activation_max;
    uint32_t rows_min, rows_max;
    uint32_t columns;
    uint32_t offset;
} ulnn_rules_t;

// Checks 32 to 44 for one matrix; moves `rules` on to the next one.
static int ulnn_load_matrix(ulnn_loader_t *load, const ulnn_section_t *section, const uint8_t *d,
    ulnn_rules_t *rules, ulnn_matrix_t *matrix) {
    const uint32_t bits = d[0], activation = d[1], shift = d[2], output_shift = d[3], table = d[4];
    const uint32_t rows = ulnn_u16(d + 6), columns = ulnn_u16(d + 8), offset = ulnn_u32(d + 12);
    if (bits != 8 && bits != 16) {
        return ulnn_fail(load, ULNN_MATRIX_BITS, bits, 0);
    }
    if (activation < rules->activation_min || activation > rules->activation_max) {
        return ulnn_fail(load, ULNN_MATRIX_ACTIVATION, activation, 0);
    }
    if (shift > 8) {
        return ulnn_fail(load, ULNN_MATRIX_SHIFT, shift, 0);
    }
    if (output_shift > (activation == ULNN_GATED ? 14u : 0u)) {
        return ulnn_fail(load, ULNN_MATRIX_OUTPUT_SHIFT, output_shift, 0);
    }
    if (activation >= ULNN_TABLE ? table >= load->table_count : table != 0) {
        return ulnn_fail(load, ULNN_MATRIX_TABLE, table, 0);
    }
    if (d[5] != 0 || ulnn_u16(d + 10) != 0) {
        return ulnn_fail(load, ULNN_MATRIX_RESERVED, 0, 0);
    }
    if (rows < rules->rows_min || rows > rules->rows_max) {
        return ulnn_fail(load, ULNN_MATRIX_ROWS, rows, 0);
    }
    if (columns != rules->columns) {
        return ulnn_fail(load, ULNN_MATRIX_COLUMNS, columns, rules->columns);
    }
    if (offset != rules->offset) {
        return ulnn_fail(load, ULNN_MATRIX_OFFSET, offset, rules->offset);
    }
    // At most 1024 records of 32 KB and a bit: no overflow.
    const uint32_t groups = ulnn_fill(rows) / 4, blocks = ulnn_fill(columns) / 4;
    const uint32_t bytes = groups * (32 + 2 * bits * blocks);
    if (offset > section->size || bytes > section->size - offset) {
        return ulnn_fail(load, ULNN_MATRIX_FIT, 0, 0);
    }
    if (!ulnn_load_stream(load, section->data + offset, bits, rows, columns)) {
        return 0;
    }
    rules->offset += bytes;
    rules->columns = rows;
    load->info.macs += rows * columns; // at most the file's size
    if (load->info.weight_bits < bits) {
        load->info.weight_bits = (uint8_t)bits;
    }
    matrix->stream = section->data + offset;
    // The file is aligned to 4 where this pointer is used.
    matrix->table = activation >= ULNN_TABLE ? (const void *)load->tables[table] : NULL;
    matrix->groups = (uint16_t)groups;
    matrix->blocks = (uint16_t)blocks;
    matrix->weight_bits = (uint8_t)bits;
    matrix->activation = (uint8_t)activation;
    matrix->shift = (uint8_t)shift;
    matrix->output_shift = (uint8_t)output_shift;
    return 1;
}

// Appends one matrix to the model's. Its layer's shape decides about memory, so that is checked
// before every write.
static int ulnn_add_matrix(ulnn_loader_t *load, const ulnn_matrix_t *matrix) {
    size_t at = ulnn_matrices_at(load) + load->matrix_count * sizeof(*matrix);
    load->matrix_count++;
    if (load->memory != NULL) {
        if (load->memory_size < at + sizeof(*matrix)) {
            return ulnn_fail(load, ULNN_BAD_MEMORY, 0, 0);
        }
        memcpy(load->memory + at, matrix, sizeof(*matrix));
    }
    return 1;
}

int ulnn_load_layer(ulnn_loader_t *load, uint32_t l, uint32_t *input) {
    const ulnn_section_t *section = &load->layers[l];
    const uint8_t *d = section->data;
    const uint32_t kind = ulnn_u16(d), mode = d[2], gate_shift = d[3], input_size = ulnn_u16(d + 4);
    const uint32_t output_size = ulnn_u16(d + 6), count = ulnn_u16(d + 8);
    const uint32_t dt_fixed = ulnn_u32(d + 12);
    load->error.layer = (uint16_t)l;
    if (kind != ULNN_KIND_CFC && kind != ULNN_KIND_DENSE) {
        return ulnn_fail(load, ULNN_LAYER_KIND, kind, 0);
    }
    const int cfc = kind == ULNN_KIND_CFC;
    const int fixed = mode >= ULNN_MODE_DEFAULT_FIXED_DT;
    if (mode > (cfc ? ULNN_MODE_NO_GATE_FIXED_DT : 0u)) {
        return ulnn_fail(load, ULNN_LAYER_MODE, mode, 0);
    }
    if (gate_shift > (cfc && !fixed ? 12u : 0u)) {
        return ulnn_fail(load, ULNN_LAYER_GATE_SHIFT, gate_shift, 0);
    }
    if (input_size != *input) {
        return ulnn_fail(load, ULNN_LAYER_INPUT, input_size, *input);
    }
    if (output_size < 1 || output_size > 1024) {
        return ulnn_fail(load, ULNN_LAYER_OUTPUT, output_size, 0);
    }
    if (count < 1 || count > (cfc ? 16u : 1u)) {
        return ulnn_fail(load, ULNN_LAYER_MATRICES, count, 0);
    }
    if (ulnn_u16(d + 10) != 0 || (!fixed && dt_fixed != 0)) {
        return ulnn_fail(load, ULNN_LAYER_RESERVED, 0, 0);
    }
    if (fixed) {
        if (dt_fixed < 1 || dt_fixed > load->info.dt_max) {
            return ulnn_fail(load, ULNN_LAYER_FIXED_DT, dt_fixed, load->info.dt_max);
        }
        if (load->info.dt_fixed == 0) {
            load->info.dt_fixed = load->dt_wanted = dt_fixed;
        }
        if (load->info.dt_fixed != dt_fixed) {
            load->dt_wanted = 0;
        }
    }
    if (section->size < 16 + 16 * count) {
        return ulnn_fail(load, ULNN_LAYER_FIT, 0, 0);
    }
    ulnn_layer_t layer;
    memset(&layer, 0, sizeof(layer));
    layer.vector = load->values;
    layer.first_matrix = (uint16_t)load->matrix_count;
    layer.input_size = (uint16_t)input_size;
    layer.output_size = (uint16_t)output_size;
    layer.matrix_count = (uint8_t)count;
    layer.kind = (uint8_t)kind;

    ulnn_rules_t rules;
    rules.columns = cfc ? input_size + output_size : input_size;
    rules.offset = 16 + 16 * count;
    if (cfc) {
        load->values += ulnn_fill(rules.columns);
        load->info.state_size += output_size;
        if (count == 1) {
            ulnn_at_least(&load->scratch[0], ulnn_fill(output_size));
        }
    } else {
        ulnn_at_least(&load->scratch[1], ulnn_fill(input_size));
        ulnn_at_least(&load->scratch[0], ulnn_fill(output_size));
    }
    for (uint32_t j = 0; j < count; j++) {
        load->error.matrix = (uint16_t)j;
        const int heads = cfc && j == count - 1;
        rules.activation_min = heads ? ULNN_TABLE : cfc ? ULNN_RELU : ULNN_LINEAR;
        rules.activation_max = heads ? ULNN_TABLE : ULNN_GATED;
        rules.rows_min = heads ? (fixed ? 3 : 4) * output_size : cfc ? 1 : output_size;
        rules.rows_max = cfc && !heads ? 4096 : rules.rows_min;
        ulnn_matrix_t matrix;
        memset(&matrix, 0, sizeof(matrix));
        if (!ulnn_load_matrix(load, section, d + 16 + 16 * j, &rules, &matrix)) {
            return 0;
        }
        if (heads) {
            matrix.mode = (uint8_t)mode;
            matrix.gate_shift = (uint8_t)gate_shift;
        }
        if (cfc && (fixed || !heads)) {
            ulnn_at_least(&load->scratch[j & 1], ulnn_fill(rules.columns));
        }
        if (!ulnn_add_matrix(load, &matrix)) {
            return 0;
        }
    }
    if (rules.offset != section->size) {
        return ulnn_fail(load, ULNN_LAYER_SIZE, section->size, rules.offset);
    }
    if (load->memory != NULL) {
        size_t at = ulnn_align(sizeof(ulnn_model_t)) + l * sizeof(layer);
        memcpy(load->memory + at, &layer, sizeof(layer));
    }
    *input = output_size;
    return 1;
}
