// SPDX-License-Identifier: MIT
// Included by cortex_m4.S and cortex_m7.S; empty by itself.
//
// From the four m of a neuron (SPEC 3.3) in r4-r7, with any shift and gate_shift: r4, r5, r6 the
// saturated pre-activations of f1, f2 and s. Changes r1-r3, r7, r12 and the flags.
#include "ulnn_assembly.h"

#if defined(ULNN_ASSEMBLY_PARTS)
        .macro  shifted
        ldr     r3, [sp, #FRAC]
        ldr     r12, [sp, #GATE_SHIFT]
        smull   r2, r3, r6, r3          // m2 * frac
        mvn     r1, #0x80000000
        asr     r1, r1, r12
        cmp     r3, r1                  // what exceeds 32 bits after the shift saturates u, too
        it      gt
        movgt   r3, r1
        mvn     r1, r1
        cmp     r3, r1
        it      lt
        movlt   r3, r1
        rsb     r1, r12, #31
        lsr     r2, r2, r1
        lsl     r3, r3, r12
        add     r2, r2, #1
        ldr     r12, [sp, #SHIFT]
        lsr     r2, r2, #1
        qadd    r3, r3, r2
        qadd    r6, r3, r7              // t
        ssat    r4, #22, r4
        ssat    r5, #22, r5
        ssat    r6, #22, r6
        lsl     r4, r4, r12
        lsl     r5, r5, r12
        lsl     r6, r6, r12
        ssat    r4, #22, r4
        ssat    r5, #22, r5
        ssat    r6, #22, r6
        .endm

#endif
