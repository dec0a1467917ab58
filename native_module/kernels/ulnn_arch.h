// SPDX-License-Identifier: MIT
// What the chosen architecture brings: its ULNN_KERNEL_NAME, the functions of its assembly, and those
// that it lends to portable.c. Declarations only: who calls what is in ulnn_kernel.h.
//
// A header that defines ULNN_KERNEL_SPARSE_PRODUCTS may have the list of a sparse matrix as it likes
// it: ULNN_KERNEL_SPARSE_COUNT, what it wants to know of n columns, and ULNN_KERNEL_SPARSE_OFFSET,
// the type of an offset.
#ifndef ULNN_ARCH_H
#define ULNN_ARCH_H

#include "ulnn_choice.h"
#if defined(ULNN_KERNEL_CORTEX_M7)
#include "cortex_m7.h"
#elif defined(ULNN_KERNEL_CORTEX_M4)
#include "cortex_m4.h"
#elif defined(ULNN_KERNEL_RV32IMC)
#include "rv32imc.h"
#elif defined(ULNN_KERNEL_XTENSA)
#include "xtensa.h"
#else
#define ULNN_KERNEL_NAME "portable"
#endif
#ifndef ULNN_KERNEL_SPARSE_COUNT
#define ULNN_KERNEL_SPARSE_COUNT(n) (((n) + 3) / 4)
#endif
#ifndef ULNN_KERNEL_SPARSE_OFFSET
#define ULNN_KERNEL_SPARSE_OFFSET uint16_t
#endif

#endif // ULNN_ARCH_H
