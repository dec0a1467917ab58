// SPDX-License-Identifier: MIT
// The inner kernels: all multiply-accumulates of a step's matrices happen in these four
// functions. Everything else (loading, order of layers, state, the cells) is in core/.
//
// portable.c is the reference and is always there. An architecture's kernel computes the same
// bits for every input; ulnn_choice.h chooses it at build time.
//
//     ulnn_kernel_rows           ulnn_kernel_heads            contracts: portable.h
//     ulnn_kernel_sparse_rows    ulnn_kernel_sparse_heads
#ifndef ULNN_KERNEL_H
#define ULNN_KERNEL_H

#include "portable.h"
#include "ulnn_arch.h"

#if defined(ULNN_KERNEL_CORTEX_M7) || defined(ULNN_KERNEL_CORTEX_M4)
#include "fast_path.h"
#elif defined(ULNN_KERNEL_RV32IMC)
#include "rv32imc_path.h"
#else
#define ulnn_kernel_rows ulnn_portable_rows
#define ulnn_kernel_heads ulnn_portable_heads
#endif
#if defined(ULNN_KERNEL_SPARSE_PRODUCTS)
#include "fast_sparse.h"
#else
#define ulnn_kernel_sparse_rows ulnn_portable_sparse_rows
#define ulnn_kernel_sparse_heads ulnn_portable_sparse_heads
#endif

#endif // ULNN_KERNEL_H
