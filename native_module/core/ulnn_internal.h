// SPDX-License-Identifier: MIT
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
    ULNN_KIND_LSTM = 3,
    ULNN_KIND_GRU = 4,
    ULNN_KIND_LTC = 5,
    ULNN_KIND_MIXED = 6,
};

typedef struct ulnn_layer {
    const ulnn_matrix_t *matrix; // the first
    uint32_t vector;             // first of its values in model->values
    uint32_t state; // first of its state there; dense: anything, with a state_size of 0
    uint16_t input_size;
    uint16_t output_size; // CfC, LSTM, GRU: hidden size
    uint16_t state_size;
    uint8_t matrix_count;
    uint8_t kind;
#if !ULNN_CELLS_CFC
    uint8_t time_input;     // LSTM, GRU: 1 where dt is an input, too
    uint8_t shift;          // LSTM, mixed: cell_shift; GRU: state_shift
    uint8_t unfolds;        // LTC
    const void *numbers;    // in the file. CfC, mode pure: the neurons'; LTC: also the synapses'
    const int16_t *table;   // LTC
    const uint16_t *counts; // LTC, a copy: of sensory, then of internal synapses; their sources
#endif
} ulnn_layer_t;

// Memory of a model, in this order, each part aligned to ULNN_ALIGN:
//     ulnn_model_t | layers | matrices | vectors of the layers | scratch[0] | scratch[1] | lists
// The lists, which are copied from the file, end where the memory does that the caller gave.
// Every vector is filled up to a multiple of four values, which keeps them all aligned to 8. It is
// what the layer's first matrix sees, and what it keeps until the next step:
//     CfC, LSTM, mixed   x | dt, where it is an input | h | the LSTM's cell state | filling
//     GRU                x | dt, where it is an input | filling | h | filling
//     LTC                x | filling | potentials | filling
//
// scratch[0] takes what backbone layers 0, 2, ... and dense layers put out, and the new state of
// layers without a backbone; scratch[1] backbone layers 1, 3, ..., and the input of dense layers.
// With a fixed dt or in mode pure, heads put their rows out like one backbone layer more. Then
//     LSTM, mixed   [0] gates
//     GRU           [0] gates, then the input candidate; [1] the hidden candidate
//     LTC           [0] new potentials; [1] an ulnn_unfold_t for each neuron
// What a layer reads may be the output of a dense layer, in scratch[0]: it is copied into the
// layer's vector first, and nothing reads it there later.
struct ulnn_model {
    ulnn_layer_t *layers;
    int16_t *values;
    int16_t *scratch[2];
    const uint8_t *golden; // in the file: the dts of GOLDEN, or NULL
    uint32_t clamped;
    uint32_t time_shift; // 31 - n of SPEC 2.3
    uint32_t dt_least; // a step is counted as clamped unless dt_least <= dt <= dt_least + dt_span.
    uint32_t dt_span;  // Layers with different fixed dts: both 0, which no dt is
    ulnn_info_t info;
};

// Copies n int16 values, 1 or more. There are few of them and they are mostly aligned, so that a
// general memcpy would spend more on finding that out than on copying.
static inline void ulnn_copy_values(void *to, const void *from, size_t n) {
#if defined(__GNUC__)
    typedef struct __attribute__((may_alias)) {
        uint32_t pairs[4];
    } block_t;
    if ((((uintptr_t)to | (uintptr_t)from) & 3) == 0 && (n & 7) == 0) {
        const block_t *source = from;
        block_t *target = to;
        const block_t *end = target + n / 8;
        do {
            *target++ = *source++;
        } while (target != end);
        return;
    }
#endif
    memcpy(to, from, n * sizeof(int16_t));
}

static inline void ulnn_run_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out) {
#if !ULNN_CELLS_CFC
    if (matrix->list != NULL) {
        ulnn_kernel_sparse_rows(matrix, v, out);
        return;
    }
#endif
    ulnn_kernel_rows(matrix, v, out);
}

#if !ULNN_CELLS_CFC
// Apart from the steps of CfC layers, whose registers they would take.

// One step of an LSTM, GRU or LTC layer (SPEC 3.6 to 3.8) over x, of any alignment. Returns the
// output.
ULNN_NOINLINE const int16_t *ulnn_cell(
    ulnn_model_t *model, const ulnn_layer_t *layer, const void *x, int32_t frac);

// The LSTM's part of a step of a mixed memory layer: puts its h in the place of the layer's.
ULNN_NOINLINE void ulnn_memory(
    ulnn_model_t *model, const ulnn_layer_t *layer, const void *x, int32_t frac);

// SPEC 3.5: the new states h of n neurons, 1 or more, from the rows z of the heads.
ULNN_NOINLINE void ulnn_pure(const ulnn_matrix_t *heads, const void *numbers, const int16_t *z,
    int32_t frac, int16_t *h, unsigned n);

// What an unfold needs of a neuron, one after the other
typedef struct ulnn_unfold {
    uint32_t num, den; // with the sensory synapses
    int32_t capacity;
    uint32_t internal; // synapses, 0 to 65535
} ulnn_unfold_t;

// An LTC layer. What is in the file is only read, and cannot be trusted.
typedef struct ulnn_ltc {
    const int32_t *neurons;  // num, den, capacity, 0 of each; in the file
    const int32_t *synapses; // three words each: slope, offset, w_den | w_num << 16; in the file
    const uint16_t *counts;  // of the sensory synapses of each neuron, then of the internal ones
    const uint16_t *sources; // byte offsets of what the synapses read, in the order of `synapses`
    const int16_t *table;
    unsigned size; // neurons
} ulnn_ltc_t;

// Fills `neurons` from x. Returns the number of all sensory synapses.
size_t ulnn_ltc_sense(const ulnn_ltc_t *ltc, const int16_t *x, ulnn_unfold_t *neurons);

// One unfold: the next potentials of all neurons, 1 or more, from v, in the same array. `ltc` with
// the synapses and sources of the internal synapses.
void ulnn_ltc_unfold(
    const ulnn_ltc_t *ltc, const ulnn_unfold_t *neurons, int16_t *v, int32_t frac, int16_t *next);
#endif

#endif // ULNN_INTERNAL_H
