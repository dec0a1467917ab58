// What the two halves of the loader share: ulnn_load.c (file) and ulnn_load_layer.c (layers).
#ifndef ULNN_LOADER_H
#define ULNN_LOADER_H

#include "ulnn_internal.h"

#define ULNN_TABLES_MAX 4u
#define ULNN_LAYERS_MAX 16u

typedef struct ulnn_section {
    const uint8_t *data; // NULL: not there
    uint32_t size;
} ulnn_section_t;

// What is used most stands first: short offsets make short code.
typedef struct ulnn_loader {
    const uint8_t *file;
    size_t size;
    ulnn_error_t error;
    uint8_t table_count;
    uint8_t parts_seen; // bit t: a section of type t was there
    uint32_t dt_wanted; // the fixed dt of all layers that have one; 0: there is none
    uint32_t matrix_count;
    uint32_t values;     // of the vectors of all CfC layers so far
    uint32_t scratch[2]; // values
    // NULL, or where the model is written, and the bytes there
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

// Where the matrices stand in the model's memory.
static inline size_t ulnn_matrices_at(const ulnn_loader_t *load) {
    return ulnn_align(sizeof(ulnn_model_t)) + ulnn_align(load->info.layers * sizeof(ulnn_layer_t));
}

// Checks 24 to 45 for layer l, whose input has *input values; on success these are its outputs.
// Answers 0 with load->error set.
int ulnn_load_layer(ulnn_loader_t *load, uint32_t l, uint32_t *input);

#endif // ULNN_LOADER_H
