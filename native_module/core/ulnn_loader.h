// SPDX-License-Identifier: MIT
// What the parts of the loader share. Each calls only those after it: ulnn_load.c (file),
// ulnn_load_layer.c (layers), ulnn_load_matrix.c (their matrices) and ulnn_load_ltc.c (LTC layers),
// ulnn_load_list.c (lists in the model's memory).
#ifndef ULNN_LOADER_H
#define ULNN_LOADER_H

#include "ulnn_internal.h"

typedef struct ulnn_section {
    const uint8_t *data; // NULL: not there
    uint32_t size;
} ulnn_section_t;

// What is used most stands first: short offsets make short code.
typedef struct ulnn_loader {
    const uint8_t *file;
    size_t size;
    ulnn_error_t error;
    uint8_t size_only; // 1: no checks but those that the size of the memory depends on
    uint8_t table_count;
    uint8_t parts_seen; // bit t: a section of type t was there
    uint32_t dt_wanted; // the fixed dt of all layers that have one; 0: there is none
    uint32_t matrix_count;
    uint32_t values;     // of the vectors of all layers so far
    uint32_t scratch[2]; // values
    uint32_t lists;      // bytes of all lists so far
    // NULL, or where the model is written, and the bytes there. Too small, it becomes NULL: checks go
    // on, and the bytes it should have had are known at their end.
    uint8_t *memory;
    size_t memory_size;
    ulnn_info_t info;
    ulnn_section_t time, golden;
    const uint8_t *tables[ULNN_TABLES_MAX];
    ulnn_section_t layers[ULNN_LAYERS_MAX];
} ulnn_loader_t;

static inline uint32_t ulnn_u16(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t ulnn_u32(const uint8_t *p) {
    return ulnn_u16(p) | ulnn_u16(p + 2) << 16;
}

static inline size_t ulnn_align(size_t n) {
    return (n + ULNN_ALIGN - 1) & ~(size_t)(ULNN_ALIGN - 1);
}

// n filled up to a multiple of four
static inline uint32_t ulnn_fill(uint32_t n) {
    return (n + 3) & ~(uint32_t)3;
}

static inline int ulnn_fail(ulnn_loader_t *load, ulnn_status_t status, size_t got, size_t want) {
    load->error.status = status;
    load->error.got = got;
    load->error.want = want;
    return 0;
}

// Before a write that ends `end` bytes from the memory's start: without room for it there is none.
static inline void ulnn_need_room(ulnn_loader_t *load, size_t end) {
    if (load->memory_size < end) {
        load->memory = NULL;
    }
}

// Where the matrices stand in the model's memory.
static inline size_t ulnn_matrices_at(const ulnn_loader_t *load) {
    return ulnn_align(sizeof(ulnn_model_t)) + ulnn_align(load->info.layers * sizeof(ulnn_layer_t));
}

static inline void ulnn_at_least(uint32_t *size, uint32_t values) {
    if (*size < values) {
        *size = values;
    }
}

// What a layer lets its next matrix be, and where the stream must stand.
typedef struct ulnn_rules {
    uint8_t mode, gate_shift; // the layer's
    uint32_t activations;     // bit a: activation a
    uint32_t rows;            // 0: 1 to ULNN_ROWS_MAX
    uint32_t columns;
    uint32_t offset;
    int heads; // have a table, whatever their activation
} ulnn_rules_t;

// Checks 24 to 65 for layer l, whose input has *input values; on success these are its outputs.
// Answers 0 with load->error set.
int ulnn_load_layer(ulnn_loader_t *load, uint32_t l, uint32_t *input);

// Checks 35 to 52 for one matrix with the descriptor `d`; moves `rules` on to the next one, with
// the rows of this one as columns. Answers 0 with load->error set.
int ulnn_load_matrix(ulnn_loader_t *load, const ulnn_section_t *section, const uint8_t *d,
    ulnn_rules_t *rules, ulnn_matrix_t *matrix);

#if !ULNN_CELLS_CFC
// Checks 56 to 65 for an LTC layer, of which input_size, output_size and kind are known. Answers 0
// with load->error set.
int ulnn_load_ltc(ulnn_loader_t *load, const ulnn_section_t *section, ulnn_layer_t *layer);

// Takes room for a list of n values in the model's memory. Answers NULL when there is none: the
// checks are made without a copy then.
uint16_t *ulnn_take_list(ulnn_loader_t *load, uint32_t n);

// Whether n bytes are 0
int ulnn_all_zero(const uint8_t *bytes, size_t n);
#endif

#endif // ULNN_LOADER_H
