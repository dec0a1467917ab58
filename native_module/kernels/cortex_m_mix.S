// SPDX-License-Identifier: MIT
// Included by cortex_m4.S and cortex_m7.S; empty by itself.
//
// The default mode's new state from the rows of heads with a fixed dt (ulnn_mix), two neurons at a
// time: they are three words, f1 f2 | s f1' | f2' s'.
#include "ulnn_assembly.h"

#if defined(ULNN_ASSEMBLY_PARTS)

// r4, r5: the words from f1 on; r3: 1, 1. Changes r6, r7.
        .macro  mix_sum
        smuad   r6, r4, r3              // f1 + f2
        pkhbt   r7, r5, r5, lsl #16     // s, s
        .endm

// void ulnn_cortex_m_mix(const int16_t *rows, int16_t *h, unsigned n)
        .balign 4
        .global ulnn_cortex_m_mix
        .thumb_func
        .type   ulnn_cortex_m_mix, %function
ulnn_cortex_m_mix:
        push    {r4-r7, lr}
        mov     r3, #0x00010001
        subs    r2, r2, #2
        blo     2f
        .balign 8
1:      ldrd    r4, r5, [r0], #12
        ldr     r12, [r0, #-4]
        mix_sum
        pkhbt   lr, r12, r5             // f2', f1'
        smusdx  r7, r7, r4              // (f2 - f1) * s
        pkhtb   r5, r12, r12, asr #16   // s', s'
        asrs    r6, r6, #1
        smuad   r4, lr, r3
        smusd   r5, lr, r5
        add     r6, r6, r7, asr #16
        asrs    r4, r4, #1
        strh    r6, [r1], #4
        add     r4, r4, r5, asr #16
        strh    r4, [r1, #-2]
        subs    r2, r2, #2
        bhs     1b
2:      adds    r2, r2, #1
        bne     3f
        // An odd one: the filling behind its s is there.
        ldrd    r4, r5, [r0]
        mix_sum
        smusdx  r7, r7, r4
        asrs    r6, r6, #1
        add     r6, r6, r7, asr #16
        strh    r6, [r1]
3:      pop     {r4-r7, pc}

#endif
