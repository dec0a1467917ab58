// The contract of an inner kernel: all multiply-accumulates of a step's matrices happen behind
// these four functions. Everything else (loading, order of layers, state, the cells) is in core/.
//
// portable.c is the reference and is always there. An architecture's kernel computes the same
// bits for every input; ulnn_choice.h chooses it at build time.
//
// What a kernel may rely on:
// * `stream`, `table` are aligned to 4 bytes; `v` and `out` of ulnn_kernel_rows to 8; `h` of
//   ulnn_kernel_heads to 2 only.
// * `v` has 4 * blocks values: what stands behind the matrix's columns is initialised, and its
//   weights are 0. `out` has room for 4 * groups values: filling rows may be written.
// * `v` and the outputs do not overlap.
// * The stream (SPEC 2.5) is `groups` records, read once, front to back:
//       bias[4] int32 | blocks * (16 or 32 bytes) | multiplier[4] int32
// * Of a sparse matrix, group g has n columns of its own, in ceil(n / 4) blocks, 1 to `blocks`;
//   list[g] is ULNN_KERNEL_SPARSE_COUNT(n). Which values of `v` the blocks meet is said by four
//   byte offsets a block, of type ULNN_KERNEL_SPARSE_OFFSET, group after group, from
//   list[4 * ceil(groups / 4)] on: each is even and within the 4 * blocks values. The list is a
//   copy, aligned to 8, and can be trusted. Weights behind the n columns are 0 in what the loader
//   has checked: a kernel need not read them.
//
// What a kernel may not rely on: that the stream and the table still hold what the loader has
// checked. They lie in a buffer of the caller. Whatever they hold, a kernel reads and writes only
// inside the bounds above, and does not trap; the numbers may then be anything.
#ifndef ULNN_KERNEL_H
#define ULNN_KERNEL_H

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

// Where the next group of a sparse matrix stands. Assembly reads it, too.
typedef struct ulnn_sparse {
    const void *record;     //  0
    const uint16_t *counts; //  4: its number in the list
    const void *offsets;    //  8
    unsigned left;          // groups
} ulnn_sparse_t;

// out[r] = activation(row r over v), for 4 * groups rows (SPEC 3.1, 3.2).
void ulnn_portable_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out);

// h[i] = the new state of neuron i, for `groups` neurons: rows 4i .. 4i+3 are its ff1, ff2,
// time_a, time_b (SPEC 3.1, 3.3). Not for modes whose heads are rows.
//   frac  the elapsed time, Q31 of 2^n ticks: 0 to 2^31-1
void ulnn_portable_heads(const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h);

// The same for sparse matrices, and only for them.
void ulnn_portable_sparse_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out);
void ulnn_portable_sparse_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h);

// h[i] = the new state of neuron i, for n neurons (1 or more), with a fixed dt (SPEC 3.4), behind
// ulnn_kernel_rows: such heads are rows like any others.
//   rows  3 * n values, filled up to a multiple of four, aligned to 8: f1, f2, s of each neuron
void ulnn_mix(const int16_t *rows, int16_t *h, unsigned n, unsigned mode);

// The choice. Each header defines ULNN_KERNEL_NAME, ulnn_kernel_rows and ulnn_kernel_heads, with
// the contracts of the two functions above, and may define ulnn_kernel_sparse_rows and
// ulnn_kernel_sparse_heads. A kernel that defines ULNN_KERNEL_SPARSE_PRODUCTS, for portable.c, may
// have the list as it likes it: ULNN_KERNEL_SPARSE_COUNT, what it wants to know of n columns, and
// ULNN_KERNEL_SPARSE_OFFSET, the type of an offset.
#include "ulnn_choice.h"
#if defined(ULNN_KERNEL_CORTEX_M7)
#include "cortex_m7.h"
#elif defined(ULNN_KERNEL_CORTEX_M4)
#include "cortex_m4.h"
#elif defined(ULNN_KERNEL_RV32IMC)
#include "rv32imc.h"
#else
#if !defined(ULNN_KERNEL_XTENSA)
#define ULNN_KERNEL_NAME "portable"
#elif defined(CONFIG_IDF_TARGET_ESP32S3) || defined(ULNN_XTENSA_PIE)
#undef ULNN_XTENSA_PIE
#define ULNN_XTENSA_PIE 1
#define ULNN_KERNEL_NAME "xtensa-pie"
#else
#define ULNN_KERNEL_NAME "xtensa-mac16"
#endif
#define ulnn_kernel_rows ulnn_portable_rows
#define ulnn_kernel_heads ulnn_portable_heads
#endif
#ifndef ULNN_KERNEL_SPARSE_COUNT
#define ULNN_KERNEL_SPARSE_COUNT(n) (((n) + 3) / 4)
#endif
#ifndef ULNN_KERNEL_SPARSE_OFFSET
#define ULNN_KERNEL_SPARSE_OFFSET uint16_t
#endif
#ifndef ulnn_kernel_sparse_rows
#define ulnn_kernel_sparse_rows ulnn_portable_sparse_rows
#endif
#ifndef ulnn_kernel_sparse_heads
#define ulnn_kernel_sparse_heads ulnn_portable_sparse_heads
#endif

#endif // ULNN_KERNEL_H
