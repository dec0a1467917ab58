// SPDX-License-Identifier: MIT
// The limits of the format (SPEC section 2), as plain numbers, which texts of errors can quote.
#ifndef ULNN_LIMITS_H
#define ULNN_LIMITS_H

#define ULNN_FILE_MAX 16777216 // bytes of a file
#define ULNN_SECTIONS_MAX 64
#define ULNN_TABLES_MAX 4
#define ULNN_LAYERS_MAX 16
#define ULNN_MATRICES_MAX 16 // of a layer
#define ULNN_DIALECTS_MAX 6
#define ULNN_SIZE_MAX 1024        // inputs, outputs and neurons, of a model and of a layer
#define ULNN_ROWS_MAX 4096        // of a matrix
#define ULNN_SYNAPSES_MAX 1048576 // of an LTC layer
#define ULNN_UNFOLDS_MAX 64
#define ULNN_TICKS_MAX 2147483647
#define ULNN_GOLDEN_MAX 4096 // steps

#endif // ULNN_LIMITS_H
