// SPDX-License-Identifier: MIT
// What kernels work on: a matrix that is ready to run, and what they may rely on.
//
// What a kernel may rely on:
// * `stream`, `table` are aligned to 4 bytes; `v` and `out` of ulnn_kernel_rows to 8; `h` of
//   ulnn_kernel_heads to 2 only.
// * `v` has 4 * blocks values: those after the matrix's columns are initialised, and their
//   weights are 0. `out` has room for 4 * groups values: filling rows may be written.
// * `v` and the outputs do not overlap.
// * The stream (SPEC 2.5) is `groups` records, read once, front to back:
//       bias[4] int32 | blocks * (16 or 32 bytes) | multiplier[4] int32
// * Of a sparse matrix, group g has n columns of its own, in ceil(n / 4) blocks, 1 to `blocks`;
//   list[g] is ULNN_KERNEL_SPARSE_COUNT(n). Which values of `v` the blocks meet is said by four
//   byte offsets a block, of type ULNN_KERNEL_SPARSE_OFFSET, group after group, from
//   list[4 * ceil(groups / 4)] on: each is even and within the 4 * blocks values. The list is a
//   copy, aligned to 8, and can be trusted. Weights after the n columns are 0 in what the loader
//   has checked: a kernel need not read them.
//
// What a kernel may not rely on: that the stream and the table still hold what the loader has
// checked. They lie in a buffer of the caller. Whatever they hold, a kernel reads and writes only
// inside the bounds above, and does not trap; the numbers may then be anything.
#ifndef ULNN_MATRIX_H
#define ULNN_MATRIX_H

#include <stddef.h>
#include <stdint.h>

#include "../core/ulnn_build.h"

enum {
    ULNN_LINEAR = 0,
    ULNN_RELU = 1,
    ULNN_TABLE = 2,
    ULNN_GATED = 3,
};

enum {
    ULNN_MODE_DEFAULT = 0,
    ULNN_MODE_NO_GATE = 1,
    ULNN_MODE_DEFAULT_FIXED_DT = 2,
    ULNN_MODE_NO_GATE_FIXED_DT = 3,
    ULNN_MODE_PURE = 4,
    ULNN_MODE_LINEAR = 16, // with default or no_gate: ff1 and ff2 are linear rows
};

// Whether heads of a mode are rows like any others, for ulnn_kernel_rows
static inline int ulnn_heads_are_rows(unsigned mode) {
    return mode - ULNN_MODE_DEFAULT_FIXED_DT <= ULNN_MODE_PURE - ULNN_MODE_DEFAULT_FIXED_DT;
}

// One matrix, ready to run. On 32-bit machines assembly reads it at the offsets on the right.
typedef struct ulnn_matrix {
    const void *stream;   //  0
    const int16_t *table; //  4: 512 pairs of slope, offset; NULL without TABLE and GATED
    uint16_t groups;      //  8: of four rows
    uint16_t blocks;      // 10: of four columns
    uint8_t weight_bits;  // 12: 8 or 16
    uint8_t activation;   // 13: ULNN_LINEAR ...; not for heads: `mode` says it
    uint8_t shift;        // 14: 0 to 8
    uint8_t output_shift; // 15: 0 to 14, with GATED
    uint8_t mode;         // 16: ULNN_MODE_...; heads only
    uint8_t gate_shift;   // 17: 0 to 12; heads only
    const uint16_t *list; // 20: of a sparse matrix; NULL: dense
} ulnn_matrix_t;

// Where the next group of a sparse matrix is. Assembly reads it, too.
typedef struct ulnn_sparse {
    const void *record;     //  0
    const uint16_t *counts; //  4: its number in the list
    const void *offsets;    //  8
    unsigned left;          // groups
} ulnn_sparse_t;

#endif // ULNN_MATRIX_H
