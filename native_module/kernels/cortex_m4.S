// SPDX-License-Identifier: MIT
// The fewest-instructions kernel for cores that issue one instruction a cycle (Cortex-M4, M33 with
// DSP): weights come in bursts (LDM), two products at a time (SMLAD). Contract: ulnn_kernel.h.
//
// The rows of a group sit in r8-r11. The blocks of columns are written out, ULNN_KERNEL_BLOCKS of
// them, and entered so that those that are wanted remain; more columns make more passes. Rows,
// heads and the plain group share the blocks: they enter by ENTRY and leave by RETURN, both words
// of the frame. Position independent, no data.
//
//   r0 stream   r1 v   r2, r3 four values of v   r4-r7, r12, lr weights   r8-r11 accumulators
#include "ulnn_assembly.h"

#if defined(ULNN_KERNEL_CORTEX_M4)
#define ULNN_ASSEMBLY_PARTS 1

#ifndef ULNN_KERNEL_BLOCKS
#define ULNN_KERNEL_BLOCKS 33
#endif

        .syntax unified
        .thumb
        .section .text.ulnn_cortex_m4, "ax", %progbits

        .equ    TRIPLES, ULNN_KERNEL_BLOCKS / 3
        .equ    BLOCKS, TRIPLES * 3

// The frame; the first five words are read by one LDM.
        .equ    X, 0
        .equ    FRAC, 4
        .equ    OUT, 8
        .equ    END, 12
        .equ    TABLE, 16
        .equ    RETURN, 20      // where the blocks go at their end
        .equ    ENTRY, 24
        .equ    TRIPLE, 28      // int16: where the single blocks go
        .equ    EPILOGUE, 32    // with several passes: where the last one goes
        .equ    PASSES, 36      // full passes behind the first one
        .equ    LEFT, 40
        .equ    SHIFT, 44
        .equ    GATE_SHIFT, 48
        .equ    FRAME, 52

        .macro  function name
        .balign 4
        .global \name
        .thumb_func
        .type   \name, %function
\name:
        push    {r4-r11, lr}
        sub     sp, sp, #FRAME
        .endm

        .macro  leave
        add     sp, sp, #FRAME
        pop     {r4-r11, pc}
        .endm

        .macro  address register, label
        adr.w   \register, \label
        orr     \register, \register, #1
        .endm

// lookup of SPEC 2.4 for three or four saturated values: u in \a.., temporaries \t..
        .macro  lookup3 a, b, c, t, u, v
        asr     \t, \a, #13
        asr     \u, \b, #13
        asr     \v, \c, #13
        ldr     \t, [lr, \t, lsl #2]
        ldr     \u, [lr, \u, lsl #2]
        ldr     \v, [lr, \v, lsl #2]
        smulwb  \a, \a, \t
        smulwb  \b, \b, \u
        smulwb  \c, \c, \v
        add     \a, \a, \t, asr #16
        add     \b, \b, \u, asr #16
        add     \c, \c, \v, asr #16
        .endm

// void ulnn_cortex_m4_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out)
// activation ULNN_TABLE, shift 0
function ulnn_cortex_m4_rows
        str     r1, [sp, #X]
        str     r2, [sp, #OUT]
        address r4, rows_end
        bl      prepare
rows_next:
        ldm     r0!, {r8-r11}
        ldr     pc, [sp, #ENTRY]
        .balign 4
rows_end:
        ldm     r0!, {r4-r7}
        ldm     sp, {r1, r2, r3, r12, lr}
        smmulr  r4, r8, r4
        smmulr  r5, r9, r5
        smmulr  r6, r10, r6
        smmulr  r7, r11, r7
        ssat    r4, #22, r4
        ssat    r5, #22, r5
        ssat    r6, #22, r6
        ssat    r7, #22, r7
        asr     r11, r7, #13
        ldr     r11, [lr, r11, lsl #2]
        lookup3 r4, r5, r6, r8, r9, r10
        smulwb  r7, r7, r11
        add     r7, r7, r11, asr #16
        pkhbt   r4, r4, r5, lsl #16
        pkhbt   r5, r6, r7, lsl #16
        strd    r4, r5, [r3], #8
        cmp     r0, r12
        str     r3, [sp, #OUT]
        bne     rows_next
        leave

// void ulnn_cortex_m4_heads(matrix, const int16_t *v, int32_t frac, int16_t *h)
// shift 0, gate_shift 0, mode default
function ulnn_cortex_m4_heads
        str     r1, [sp, #X]
        str     r2, [sp, #FRAC]
        str     r3, [sp, #OUT]
        address r4, heads_end
        bl      prepare
heads_next:
        ldm     r0!, {r8-r11}
        ldr     pc, [sp, #ENTRY]
        .balign 4
heads_end:
        ldm     r0!, {r4-r7}
        ldm     sp, {r1, r2, r3, r12, lr}
        smmulr  r7, r11, r7
        smmulr  r6, r10, r6
        smmulr  r4, r8, r4
        smmulr  r5, r9, r5
        smmlar  r6, r6, r2, r7          // t of SPEC 3.3
        ssat    r4, #22, r4
        ssat    r5, #22, r5
        ssat    r6, #22, r6
        lookup3 r4, r5, r6, r8, r9, r10
        shadd16 r7, r4, r5              // its low half: (f1 + f2) >> 1
        sub     r5, r5, r4
        smlawb  r7, r5, r6, r7
        cmp     r0, r12
        strh    r7, [r3], #2
        str     r3, [sp, #OUT]
        bne     heads_next
        leave

#include "cortex_m_mix.S"
#include "cortex_m_shifts.S"

// The same for any shift and gate_shift; mode default
function ulnn_cortex_m4_shifted
        str     r1, [sp, #X]
        str     r2, [sp, #FRAC]
        str     r3, [sp, #OUT]
        ldrb    r4, [r0, #14]
        ldrb    r5, [r0, #17]
        strd    r4, r5, [sp, #SHIFT]
        address r4, shifted_end
        bl      prepare
shifted_next:
        ldm     r0!, {r8-r11}
        ldr     pc, [sp, #ENTRY]
        .balign 4
shifted_end:
        ldm     r0!, {r4-r7}
        smmulr  r7, r11, r7
        smmulr  r6, r10, r6
        smmulr  r4, r8, r4
        smmulr  r5, r9, r5
        shifted
        ldm     sp, {r1, r2, r3, r12, lr}
        lookup3 r4, r5, r6, r8, r9, r10
        shadd16 r7, r4, r5
        sub     r5, r5, r4
        smlawb  r7, r5, r6, r7
        cmp     r0, r12
        strh    r7, [r3], #2
        str     r3, [sp, #OUT]
        bne     shifted_next
        leave

// const void *ulnn_cortex_m4_products(
//     matrix, const void *record, const int16_t *v, int32_t *m, unsigned n)
function ulnn_cortex_m4_products
        ldr     r7, [sp, #FRAME + 36]
        str     r2, [sp, #X]
        str     r3, [sp, #OUT]
        mov     r10, r1
        address r4, products_end
        bl      prepare_at
products_next:
        ldm     r0!, {r8-r11}
        ldr     pc, [sp, #ENTRY]
        .balign 4
products_end:
        ldm     r0!, {r4-r7}
        ldm     sp, {r1, r2, r3, r12}
        smmulr  r4, r8, r4
        smmulr  r5, r9, r5
        smmulr  r6, r10, r6
        smmulr  r7, r11, r7
        stm     r3!, {r4-r7}
        cmp     r0, r12
        str     r3, [sp, #OUT]
        bne     products_next
        leave

// Fills the frame for the matrix in r0, X and OUT apart. r4: where the blocks go in the end.
// Answers r0 stream, r1 v.
        .balign 4
        .thumb_func
prepare:
        ldr     r10, [r0]               // stream
        ldrh    r7, [r0, #8]            // groups
// The same for r7 records from r10 on.
        .thumb_func
prepare_at:
        ldr     r1, [sp, #X]
        ldrh    r5, [r0, #10]           // blocks
        ldrb    r6, [r0, #12]           // bits
        ldr     r9, [r0, #4]            // table
        mul     r2, r5, r6
        lsl     r2, r2, #1
        add     r2, r2, #32
        mla     r2, r2, r7, r10
        add     r9, r9, #1024
        mov     r0, r10
        cmp     r6, #8
        bne     prepare16
        // int8
        address r3, end8
        mov     r7, #BLOCKS
        mov     r8, #-72
        b       prepare_passes
prepare16:
        mov     r3, #3
        udiv    r7, r5, r3
        mls     r6, r7, r3, r5          // single blocks before the triples
        mov     r5, r7
        address r3, end16
        mov     r7, #TRIPLES
        mov     r8, #-124
prepare_passes:
        // r5 units of work, r7 of them in a pass, r8 minus the bytes of one, r3 their end
        str     r4, [sp, #RETURN]
        cmp     r5, r7
        bls     prepare_entry
        str     r4, [sp, #EPILOGUE]
        sub     r4, r5, #1
        udiv    r4, r4, r7
        mls     r5, r4, r7, r5
        str     r4, [sp, #PASSES]
        str     r4, [sp, #LEFT]
        address r4, again8
        cmp     r7, #BLOCKS
        beq     1f
        address r4, again16
1:      str     r4, [sp, #RETURN]
prepare_entry:
        mla     r3, r5, r8, r3
        str     r3, [sp, #ENTRY]
        cmp     r8, #-72
        beq     2f
        str     r3, [sp, #TRIPLE]
        cbz     r6, 2f
        mov     r4, #-44
        address r3, end1
        mla     r3, r6, r4, r3
        str     r3, [sp, #ENTRY]
2:      str     r2, [sp, #END]
        str     r9, [sp, #TABLE]
        bx      lr

// Between two passes: the next one in full, or the end.
        .macro  again start
        ldr     r2, [sp, #LEFT]
        subs    r2, r2, #1
        bmi     1f
        str     r2, [sp, #LEFT]
        b       \start
1:      ldr     r2, [sp, #PASSES]
        str     r2, [sp, #LEFT]
        ldr     pc, [sp, #EPILOGUE]
        .endm

        .balign 4
        .thumb_func
again8:
        again   start8
        .balign 4
        .thumb_func
again16:
        again   start16

// One word of int8 weights of one row: bytes w0, w2, w1, w3
        .macro  row8 acc, weights
        sxtb16  r12, \weights
        sxtb16  \weights, \weights, ror #8
        smlad   \acc, r12, r2, \acc
        smlad   \acc, \weights, r3, \acc
        .endm

        .balign 4
start8:
        .rept   BLOCKS
        ldrd    r2, r3, [r1], #8
        ldm.w   r0!, {r4-r7}
        row8    r8, r4
        row8    r9, r5
        row8    r10, r6
        row8    r11, r7
        .endr
        .balign 4
end8:
        ldr     pc, [sp, #RETURN]

// The single blocks of int16: columns modulo three.
        .balign 4
        .rept   2
        ldrd    r2, r3, [r1], #8
        ldm.w   r0!, {r4-r7}
        smlad   r8, r4, r2, r8
        smlad   r9, r5, r2, r9
        smlad   r10, r6, r2, r10
        smlad   r11, r7, r2, r11
        ldm.w   r0!, {r4-r7}
        smlad   r8, r4, r3, r8
        smlad   r9, r5, r3, r9
        smlad   r10, r6, r3, r10
        smlad   r11, r7, r3, r11
        .endr
        .balign 4
end1:
        ldr     pc, [sp, #TRIPLE]

        .macro  weights6
        ldm     r0!, {r4-r7, r12, lr}
        .endm

// Three blocks are four bursts of six words.
        .balign 4
start16:
        .rept   TRIPLES
        ldrd    r2, r3, [r1], #8
        weights6
        smlad   r8, r4, r2, r8
        smlad   r9, r5, r2, r9
        smlad   r10, r6, r2, r10
        smlad   r11, r7, r2, r11
        smlad   r8, r12, r3, r8
        smlad   r9, lr, r3, r9
        weights6
        smlad   r10, r4, r3, r10
        smlad   r11, r5, r3, r11
        ldrd    r2, r3, [r1], #8
        smlad   r8, r6, r2, r8
        smlad   r9, r7, r2, r9
        smlad   r10, r12, r2, r10
        smlad   r11, lr, r2, r11
        weights6
        smlad   r8, r4, r3, r8
        smlad   r9, r5, r3, r9
        smlad   r10, r6, r3, r10
        smlad   r11, r7, r3, r11
        ldrd    r2, r3, [r1], #8
        smlad   r8, r12, r2, r8
        smlad   r9, lr, r2, r9
        weights6
        smlad   r10, r4, r2, r10
        smlad   r11, r5, r2, r11
        smlad   r8, r6, r3, r8
        smlad   r9, r7, r3, r9
        smlad   r10, r12, r3, r10
        smlad   r11, lr, r3, r11
        .endr
        .balign 4
end16:
        ldr     pc, [sp, #RETURN]

#include "cortex_m_sparse.S"

#endif
