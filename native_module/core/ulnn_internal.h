// What the parts of the engine know of each other. Not for callers.
#ifndef ULNN_INTERNAL_H
#define ULNN_INTERNAL_H

#include <string.h>

#include "ulnn.h"
#include "../kernels/ulnn_arith.h"
#include "../kernels/ulnn_kernel.h"

// Constant data. Native modules for xtensawin read wrong values from `static const` data
// (micropython issue 14429), so a build can leave the `static` out.
#ifndef ULNN_CONST
#define ULNN_CONST static const
#endif

enum {
    ULNN_KIND_CFC = 1,
    ULNN_KIND_DENSE = 2,
};

typedef struct ulnn_layer {
    uint32_t vector;       // CfC: first of its values in model->values: x | h | filling
    uint16_t first_matrix; // in model->matrices
    uint16_t input_size;
    uint16_t output_size; // CfC: hidden size
    uint8_t matrix_count;
    uint8_t kind;
} ulnn_layer_t;

// Memory of a model, in this order, each part aligned to ULNN_ALIGN:
//     ulnn_model_t | layers | matrices | vectors of the CfC layers | scratch[0] | scratch[1]
// Every vector is filled up to a multiple of four values, which keeps them all aligned to 8.
//
// scratch[0] takes what backbone layers 0, 2, ... and dense layers put out, and the new state of
// layers without a backbone; scratch[1] backbone layers 1, 3, ..., and the input of dense layers.
// With a fixed dt, heads put their rows out like one backbone layer more.
struct ulnn_model {
    ulnn_layer_t *layers;
    ulnn_matrix_t *matrices;
    int16_t *values;
    int16_t *scratch[2];
    const uint8_t *golden; // in the file: the dts of GOLDEN, or NULL
    uint32_t clamped;
    uint32_t time_shift; // 31 - n of SPEC 2.3
    uint32_t dt_least; // a step is counted as clamped unless dt_least <= dt <= dt_least + dt_span.
    uint32_t dt_span;  // Layers with different fixed dts: both 0, which no dt is
    ulnn_info_t info;
};

#endif // ULNN_INTERNAL_H
