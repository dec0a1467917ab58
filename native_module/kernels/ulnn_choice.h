// SPDX-License-Identifier: MIT
// Which kernel: one of ULNN_KERNEL_PORTABLE, _CORTEX_M7, _CORTEX_M4, _RV32IMC, _XTENSA. A build
// may define one; otherwise the compiler's macros decide. Only preprocessor lines: assembly
// includes this, too.
//
// A build that compiles for such a machine compiles the *.S of this folder as well: those that are
// not chosen are empty.
//
// ULNN_KERNEL_RV32IMC_FEWEST is ULNN_KERNEL_RV32IMC with fewer instructions a step, for 71 KiB more
// of code.
#ifndef ULNN_CHOICE_H
#define ULNN_CHOICE_H

#if defined(ULNN_KERNEL_RV32IMC_FEWEST)
#define ULNN_KERNEL_RV32IMC 1
#endif
#if defined(ULNN_KERNEL_PORTABLE) || defined(ULNN_KERNEL_CORTEX_M7) || \
    defined(ULNN_KERNEL_CORTEX_M4) || defined(ULNN_KERNEL_RV32IMC) || defined(ULNN_KERNEL_XTENSA)
// the build has chosen
#elif defined(__ARM_ARCH_7EM__)
// M4 or M7, which the compiler does not tell: on an M4, M7's needs a sixth more instructions, but
// on an M7 M4's needs half as many cycles again.
#define ULNN_KERNEL_CORTEX_M7 1
#elif defined(__ARM_ARCH_8M_MAIN__) && defined(__ARM_FEATURE_DSP)
#define ULNN_KERNEL_CORTEX_M4 1
#elif defined(__riscv) && __riscv_xlen == 32 && defined(__riscv_mul) && \
    defined(__riscv_compressed) && !defined(__riscv_32e) && !defined(__linux__)
#define ULNN_KERNEL_RV32IMC 1
#else
#define ULNN_KERNEL_PORTABLE 1
#endif

#endif // ULNN_CHOICE_H
