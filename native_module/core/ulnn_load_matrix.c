// SPDX-License-Identifier: MIT
// The loader's checks 35 to 52: one matrix, its list of columns, and every weight.
#include "ulnn_loader.h"

// One matrix as its stream is checked
typedef struct ulnn_stream {
    const uint8_t *records;
    const uint8_t *counts; // sparse: in the file, the columns of each group; dense: NULL
    uint32_t bits;
    uint32_t rows;
    uint32_t columns; // dense
    uint32_t blocks;  // of all groups, as the section's size has been checked for
} ulnn_stream_t;

// Checks 50 to 52.
static int ulnn_load_stream(ulnn_loader_t *load, const ulnn_stream_t *stream) {
    const uint32_t bits = stream->bits, block_bytes = 2 * bits;
    const uint8_t *record = stream->records;
    uint32_t columns = stream->columns, left = stream->blocks;
    uint32_t blocks = 0, record_bytes = 0;
    for (uint32_t row = 0; row < ulnn_fill(stream->rows); row++) {
        const uint32_t r = row & 3;
        if (r == 0) {
            record += record_bytes;
#if !ULNN_CELLS_CFC
            if (stream->counts != NULL) {
                columns = ulnn_u16(stream->counts + row / 2);
            }
#endif
            blocks = ulnn_fill(columns) / 4;
            record_bytes = 32 + blocks * block_bytes;
            if (blocks > left) { // the file is being changed
                return ulnn_fail(load, ULNN_MATRIX_FIT, 0, 0);
            }
            left -= blocks;
        }
        load->error.index = row;
        const uint32_t bias = ulnn_u32(record + 4 * r);
        const uint32_t multiplier = ulnn_u32(record + record_bytes - 16 + 4 * r);
        if (multiplier >> 31 != 0) {
            return ulnn_fail(load, ULNN_ROW_MULTIPLIER, 0, 0);
        }
        uint32_t sum = 0;     // of |w|, at most ULNN_ROWS_MAX * 32768
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
        if (row >= stream->rows) {
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

#if !ULNN_CELLS_CFC
// Checks 45 and 46: the columns of each group of a sparse matrix.
static int ulnn_load_counts(
    ulnn_loader_t *load, ulnn_stream_t *stream, uint32_t columns, uint32_t room) {
    const uint32_t groups = ulnn_fill(stream->rows) / 4;
    if (2 * groups > room) {
        return ulnn_fail(load, ULNN_MATRIX_FIT, 0, 0);
    }
    for (uint32_t g = 0; g < groups; g++) {
        const uint32_t n = ulnn_u16(stream->counts + 2 * g);
        if (n < 1 || n > columns) {
            load->error.index = g;
            return ulnn_fail(load, ULNN_GROUP_COLUMNS, n, columns);
        }
        stream->blocks += ulnn_fill(n) / 4;
        load->info.synapses += n;
        const uint32_t rows = stream->rows - 4 * g;
        load->info.macs += n * (rows < 4 ? rows : 4);
    }
    return 1;
}

// Checks 48 and 49, and the list as kernels read it: ulnn_kernel.h.
static int ulnn_load_list(ulnn_loader_t *load, const ulnn_stream_t *stream, uint32_t columns,
    const uint8_t *end, ulnn_matrix_t *matrix) {
    const uint32_t groups = ulnn_fill(stream->rows) / 4;
    const uint8_t *entry = stream->counts + 2 * groups;
    const uint32_t width = sizeof(ULNN_KERNEL_SPARSE_OFFSET) / sizeof(uint16_t);
    uint16_t *list = ulnn_take_list(load, ulnn_fill(groups) + 4 * width * stream->blocks);
    matrix->list = list;
    if (load->size_only) {
        return 1;
    }
    ULNN_KERNEL_SPARSE_OFFSET *to = list == NULL ? NULL : (void *)(list + ulnn_fill(groups));
    uint32_t left = stream->blocks;
    load->error.index = 0;
    for (uint32_t g = 0; g < ulnn_fill(groups); g++) {
        const uint32_t n = g < groups ? ulnn_u16(stream->counts + 2 * g) : 0;
        const uint32_t blocks = ulnn_fill(n) / 4;
        if (blocks > left) { // the file is being changed
            return ulnn_fail(load, ULNN_MATRIX_FIT, 0, 0);
        }
        left -= blocks;
        if (list != NULL) {
            list[g] = (uint16_t)ULNN_KERNEL_SPARSE_COUNT(n);
        }
        for (uint32_t c = 0; c < 4 * blocks; c++, entry += 2) {
            const uint32_t offset = ulnn_u16(entry);
            if (c < n ? (offset & 1) != 0 || offset >= 2 * columns : offset != 0) {
                return ulnn_fail(load, ULNN_MATRIX_ENTRY, offset, 0);
            }
            if (to != NULL) {
                *to++ = (ULNN_KERNEL_SPARSE_OFFSET)offset;
            }
            load->error.index++;
        }
    }
    if (!ulnn_all_zero(entry, (size_t)(end - entry))) {
        return ulnn_fail(load, ULNN_MATRIX_RESERVED, 0, 0);
    }
    return 1;
}
#endif

int ulnn_load_matrix(ulnn_loader_t *load, const ulnn_section_t *section, const uint8_t *d,
    ulnn_rules_t *rules, ulnn_matrix_t *matrix) {
    const uint32_t bits = d[0], activation = d[1], shift = d[2], output_shift = d[3], table = d[4];
    const uint32_t storage = d[5];
    const uint32_t rows = ulnn_u16(d + 6), columns = ulnn_u16(d + 8), offset = ulnn_u32(d + 12);
    if (bits != 8 && bits != 16) {
        return ulnn_fail(load, ULNN_MATRIX_BITS, bits, 0);
    }
    if (activation > ULNN_GATED || (rules->activations >> activation & 1) == 0) {
        return ulnn_fail(load, ULNN_MATRIX_ACTIVATION, activation, 0);
    }
    if (shift > 8) {
        return ulnn_fail(load, ULNN_MATRIX_SHIFT, shift, 0);
    }
    if (output_shift > (activation == ULNN_GATED ? 14u : 0u)) {
        return ulnn_fail(load, ULNN_MATRIX_OUTPUT_SHIFT, output_shift, 0);
    }
    const int has_table = activation >= ULNN_TABLE || rules->heads;
    if (has_table ? table >= load->table_count : table != 0) {
        return ulnn_fail(load, ULNN_MATRIX_TABLE, table, 0);
    }
    if (storage > (ULNN_CELLS_CFC ? 0 : 1)) {
        return ulnn_fail(load, ULNN_MATRIX_STORAGE, storage, 0);
    }
    if (ulnn_u16(d + 10) != 0) {
        return ulnn_fail(load, ULNN_MATRIX_RESERVED, 0, 0);
    }
    if (rules->rows != 0 ? rows != rules->rows : rows < 1 || rows > ULNN_ROWS_MAX) {
        return ulnn_fail(load, ULNN_MATRIX_ROWS, rows, 0);
    }
    if (columns != rules->columns) {
        return ulnn_fail(load, ULNN_MATRIX_COLUMNS, columns, rules->columns);
    }
    if (offset != rules->offset) {
        return ulnn_fail(load, ULNN_MATRIX_OFFSET, offset, rules->offset);
    }
    // At most 1024 records of 32 KB and a bit, and 8 MB of lists: no overflow.
    const uint32_t groups = ulnn_fill(rows) / 4, blocks = ulnn_fill(columns) / 4;
    const uint8_t *start = section->data + offset;
    if (offset > section->size) {
        return ulnn_fail(load, ULNN_MATRIX_FIT, 0, 0);
    }
    const uint32_t room = section->size - offset;
    ulnn_stream_t stream = {start, NULL, bits, rows, columns, groups * blocks};
    uint32_t list_bytes = 0;
    if (storage == 0) {
        load->info.macs += rows * columns; // at most the file's size, like the next one
        load->info.synapses += groups * columns;
    }
#if !ULNN_CELLS_CFC
    if (storage != 0) {
        stream.counts = start;
        stream.blocks = 0;
        if (!ulnn_load_counts(load, &stream, columns, room)) {
            return 0;
        }
        list_bytes = (2 * (groups + 4 * stream.blocks) + 15) & ~(uint32_t)15;
        stream.records = start + list_bytes;
    }
#endif
    const uint32_t bytes = list_bytes + 32 * groups + 2 * bits * stream.blocks;
    if (bytes > room) {
        return ulnn_fail(load, ULNN_MATRIX_FIT, 0, 0);
    }
#if !ULNN_CELLS_CFC
    if (storage != 0 && !ulnn_load_list(load, &stream, columns, stream.records, matrix)) {
        return 0;
    }
#endif
    if (!load->size_only && !ulnn_load_stream(load, &stream)) {
        return 0;
    }
    rules->offset += bytes;
    rules->columns = rows;
    if (load->info.weight_bits < bits) {
        load->info.weight_bits = (uint8_t)bits;
    }
    matrix->stream = stream.records;
    // The file is aligned to 4 where this pointer is used.
    matrix->table = has_table ? (const void *)load->tables[table] : NULL;
    matrix->groups = (uint16_t)groups;
    matrix->blocks = (uint16_t)blocks;
    matrix->weight_bits = (uint8_t)bits;
    matrix->activation = (uint8_t)activation;
    matrix->shift = (uint8_t)shift;
    matrix->output_shift = (uint8_t)output_shift;
    return 1;
}
