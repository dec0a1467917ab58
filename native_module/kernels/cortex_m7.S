// SPDX-License-Identifier: MIT
// The kernel for the Cortex-M7, which issues two instructions a cycle: every SMLAD has a load, an
// unpacking or an addition beside it. LDM would need fewer instructions, but issues alone.
// Contract: ulnn_kernel.h.
//
// The rows of a group sit in r8-r11. The blocks of columns are written out, ULNN_KERNEL_BLOCKS of
// them, and called so that those that are wanted remain; more columns make more passes. Rows,
// heads and the plain group share the blocks. Position independent, no data.
//
//   r0 stream   r1 v   r2, r3 four values of v   r4-r7 weights   r8-r11 accumulators   r12 scratch
//
// A block finds its first four words of weights (r4-r7) and its first values of v (r2) loaded and
// loads those of the next one; the last one of a pass loads four words more, which are the next
// weights or the multipliers, but nothing of v: behind v there may be nothing. r0 points at the
// last word loaded, so that its update rides on a load (and the other loads have short codes).
#include "ulnn_assembly.h"

#if defined(ULNN_KERNEL_CORTEX_M7)
#define ULNN_ASSEMBLY_PARTS 1

#ifndef ULNN_KERNEL_BLOCKS
#define ULNN_KERNEL_BLOCKS 34
#endif

        .syntax unified
        .thumb
        .section .text.ulnn_cortex_m7, "ax", %progbits

        .equ    SIZE8, 80
        .equ    SIZE16, 56

// The frame.
        .equ    X, 0
        .equ    FRAC, 4
        .equ    OUT, 8
        .equ    END, 12         // r0 behind the last record
        .equ    TABLE, 16       // its middle
        .equ    ENTRY, 20       // where the first pass starts
        .equ    START, 24       // r0 before the first record
        .equ    FIRST, 28       // with several passes: the first one,
        .equ    FULL, 32        // a full one,
        .equ    PASSES, 36      // how many full ones,
        .equ    LEFT, 40
        .equ    BACK, 44        // where the last one returns to
        .equ    SHIFT, 48
        .equ    GATE_SHIFT, 52
        .equ    FRAME, 60       // with nine registers: a multiple of 8

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

// void ulnn_cortex_m7_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out)
// activation ULNN_TABLE, shift 0
function ulnn_cortex_m7_rows
        str     r1, [sp, #X]
        str     r2, [sp, #OUT]
        bl      prepare
        .balign 8
1:      blx     r3
        smmulr  r4, r8, r4
        ldr     r3, [sp, #END]
        smmulr  r5, r9, r5
        ldr     lr, [sp, #TABLE]
        smmulr  r6, r10, r6
        cmp     r0, r3
        smmulr  r7, r11, r7
        beq     8f
7:      ssat    r4, #22, r4
        ldr     r8, [r0, #4]
        ssat    r5, #22, r5
        ldr     r1, [sp, #X]
        ssat    r6, #22, r6
        asr     r2, r4, #13
        ssat    r7, #22, r7
        asr     r3, r5, #13
        ldr     r2, [lr, r2, lsl #2]
        asr     r12, r6, #13
        ldr     r3, [lr, r3, lsl #2]
        asr     r11, r7, #13
        smulwb  r4, r4, r2
        ldr     r12, [lr, r12, lsl #2]
        smulwb  r5, r5, r3
        ldr     r11, [lr, r11, lsl #2]
        add     r4, r4, r2, asr #16
        ldr     lr, [sp, #OUT]
        smulwb  r6, r6, r12
        ldr     r9, [r0, #8]
        add     r5, r5, r3, asr #16
        smulwb  r7, r7, r11
        ldr     r2, [r1]
        ldr     r3, [sp, #ENTRY]
        pkhbt   r4, r4, r5, lsl #16
        ldr     r10, [r0, #12]
        add     r6, r6, r12, asr #16
        add     r12, lr, #8
        add     r7, r7, r11, asr #16
        ldr     r11, [r0, #16]
        str     r4, [lr]
        ldr     r4, [r0, #20]
        pkhbt   r6, r6, r7, lsl #16
        ldr     r5, [r0, #24]
        str     r6, [lr, #4]
        ldr     r6, [r0, #28]
        str     r12, [sp, #OUT]
        ldr     r7, [r0, #32]!
        bne     1b
        leave
// Behind the last record nothing may be read: what is loaded ahead there comes from the front.
8:      ldr     r0, [sp, #START]
        b       7b

// void ulnn_cortex_m7_heads(matrix, const int16_t *v, int32_t frac, int16_t *h)
// shift 0, gate_shift 0, mode default
function ulnn_cortex_m7_heads
        strd    r1, r2, [sp, #X]
        str     r3, [sp, #OUT]
        bl      prepare
        .balign 8
1:      blx     r3
        smmulr  r6, r10, r6
        ldr     r1, [sp, #END]
        smmulr  r7, r11, r7
        ldr     r3, [sp, #FRAC]
        smmulr  r4, r8, r4
        ldr     lr, [sp, #TABLE]
        smmulr  r5, r9, r5
        cmp     r0, r1
        smmlar  r6, r6, r3, r7          // t of SPEC 3.3
        beq     8f
7:      ssat    r4, #22, r4
        ldr     r8, [r0, #4]
        ssat    r5, #22, r5
        ldr     r9, [r0, #8]
        ssat    r6, #22, r6
        asr     r2, r4, #13
        asr     r3, r5, #13
        ldr     r2, [lr, r2, lsl #2]
        asr     r7, r6, #13
        ldr     r3, [lr, r3, lsl #2]
        ldr     r7, [lr, r7, lsl #2]
        smulwb  r4, r4, r2
        smulwb  r5, r5, r3
        ldr     r1, [sp, #X]
        smulwb  r6, r6, r7
        add     r4, r4, r2, asr #16
        add     r5, r5, r3, asr #16
        ldr     r10, [r0, #12]
        shadd16 lr, r4, r5              // its low half: (f1 + f2) >> 1
        sub     r5, r5, r4
        add     r6, r6, r7, asr #16
        ldr     r12, [sp, #OUT]
        smlawb  lr, r5, r6, lr
        ldr     r4, [r0, #20]
        ldr     r2, [r1]
        ldr     r5, [r0, #24]
        ldr     r6, [r0, #28]
        ldr     r11, [r0, #16]
        strh    lr, [r12], #2
        ldr     r3, [sp, #ENTRY]
        str     r12, [sp, #OUT]
        ldr     r7, [r0, #32]!
        bne     1b
        leave
8:      ldr     r0, [sp, #START]
        b       7b

#include "cortex_m_mix.S"
#include "cortex_m_shifts.S"

// The same for any shift and gate_shift; mode default
function ulnn_cortex_m7_shifted
        strd    r1, r2, [sp, #X]
        str     r3, [sp, #OUT]
        ldrb    r4, [r0, #14]
        ldrb    r5, [r0, #17]
        strd    r4, r5, [sp, #SHIFT]
        bl      prepare
1:      blx     r3
        smmulr  r6, r10, r6
        smmulr  r7, r11, r7
        smmulr  r4, r8, r4
        smmulr  r5, r9, r5
        shifted
        ldr     lr, [sp, #TABLE]
        asr     r2, r4, #13
        asr     r3, r5, #13
        asr     r7, r6, #13
        ldr     r2, [lr, r2, lsl #2]
        ldr     r3, [lr, r3, lsl #2]
        ldr     r7, [lr, r7, lsl #2]
        smulwb  r4, r4, r2
        ldr     r12, [sp, #OUT]
        smulwb  r5, r5, r3
        ldr     r1, [sp, #END]
        smulwb  r6, r6, r7
        add     r4, r4, r2, asr #16
        cmp     r0, r1
        add     r5, r5, r3, asr #16
        shadd16 r2, r4, r5
        sub     r5, r5, r4
        add     r6, r6, r7, asr #16
        ldr     r1, [sp, #X]
        smlawb  r2, r5, r6, r2
        strh    r2, [r12], #2
        str     r12, [sp, #OUT]
        beq     2f
        bl      load
        ldr     r3, [sp, #ENTRY]
        b       1b
2:      leave

// const void *ulnn_cortex_m7_products(
//     matrix, const void *record, const int16_t *v, int32_t *m, unsigned n)
function ulnn_cortex_m7_products
        ldr     r7, [sp, #FRAME + 36]
        str     r2, [sp, #X]
        str     r3, [sp, #OUT]
        mov     r10, r1
        bl      prepare_at
1:      blx     r3
        smmulr  r4, r8, r4
        ldr     r12, [sp, #END]
        smmulr  r5, r9, r5
        ldr     r3, [sp, #OUT]
        smmulr  r6, r10, r6
        cmp     r0, r12
        smmulr  r7, r11, r7
        stm     r3!, {r4-r7}
        beq     2f
        str     r3, [sp, #OUT]
        ldr     r1, [sp, #X]
        bl      load
        ldr     r3, [sp, #ENTRY]
        b       1b
2:      add     r0, r0, #4
        leave

// Fills the frame for the matrix in r0 and loads what the first group needs: r0-r2, r3 ENTRY,
// r4-r7, r8-r11.
        .balign 4
        .thumb_func
prepare:
        ldr     r10, [r0]
        ldrh    r7, [r0, #8]            // groups
// The same for r7 records from r10 on.
        .thumb_func
prepare_at:
        ldr     r1, [sp, #X]
        ldrh    r5, [r0, #10]           // blocks
        ldrb    r6, [r0, #12]           // bits
        ldr     r9, [r0, #4]            // table
        sub     r0, r10, #4
        add     r9, r9, #1024
        mul     r2, r5, r6
        str     r9, [sp, #TABLE]
        lsl     r2, r2, #1
        str     r0, [sp, #START]
        add     r2, r2, #32
        mla     r2, r2, r7, r0
        str     r2, [sp, #END]
        adr.w   r8, start8
        mov     r7, #SIZE8
        cmp     r6, #8
        beq     1f
        adr.w   r8, start16
        mov     r7, #SIZE16
1:      orr     r8, r8, #1
        rsbs    r5, r5, #ULNN_KERNEL_BLOCKS
        mla     r3, r5, r7, r8          // ENTRY, if one pass is enough
        bmi     3f
2:      str     r3, [sp, #ENTRY]
load:
        ldrd    r8, r9, [r0, #4]
        ldrd    r10, r11, [r0, #12]
        ldr     r2, [r1]
        ldrd    r4, r5, [r0, #20]
        ldr     r6, [r0, #28]
        ldr     r7, [r0, #32]!
        bx      lr
// Several passes: the first one with what a number of full ones leaves, 1 block or more.
3:      str     r8, [sp, #FULL]
        mov     r9, #ULNN_KERNEL_BLOCKS
        mvn     r5, r5
        udiv    r6, r5, r9
        mls     r5, r6, r9, r5
        add     r6, r6, #1
        str     r6, [sp, #PASSES]
        rsb     r5, r5, #ULNN_KERNEL_BLOCKS - 1
        mla     r3, r5, r7, r8
        str     r3, [sp, #FIRST]
        adr.w   r3, passes
        orr     r3, r3, #1
        b       2b

        .balign 4
        .thumb_func
passes:
        str     lr, [sp, #BACK]
        ldr     r12, [sp, #PASSES]
        str     r12, [sp, #LEFT]
        ldr     r3, [sp, #FIRST]
        blx     r3
1:      ldr     r3, [sp, #FULL]
        ldr     r2, [r1, #8]!
        blx     r3
        ldr     r3, [sp, #LEFT]
        subs    r3, r3, #1
        str     r3, [sp, #LEFT]
        bne     1b
        ldr     lr, [sp, #BACK]
        bx      lr

// 16 products in 11 cycles. A word of int8 weights holds w0, w2, w1, w3.
        .macro  block8 last=0
        sxtb16  r12, r4
        ldr     r3, [r1, #4]
        sxtb16  r4, r4, ror #8
        smlad   r8, r12, r2, r8
        sxtb16  r12, r5
        smlad   r8, r4, r3, r8
        sxtb16  r5, r5, ror #8
        smlad   r9, r12, r2, r9
        sxtb16  r12, r6
        smlad   r9, r5, r3, r9
        sxtb16  r6, r6, ror #8
        smlad   r10, r12, r2, r10
        sxtb16  r12, r7
        smlad   r10, r6, r3, r10
        sxtb16  r7, r7, ror #8
        smlad   r11, r12, r2, r11
        ldr     r4, [r0, #4]
        smlad   r11, r7, r3, r11
        .if     \last == 0
        ldr     r2, [r1, #8]!
        .endif
        ldr     r5, [r0, #8]
        ldr     r6, [r0, #12]
        ldr     r7, [r0, #16]!
        .endm

        .balign 8
start8:
        .rept   ULNN_KERNEL_BLOCKS - 1
        block8
        .endr
        block8  last=1
        bx      lr

// 16 products in 9 cycles.
        .macro  block16 last=0
        smlad   r8, r4, r2, r8
        ldr     r4, [r0, #4]
        smlad   r9, r5, r2, r9
        ldr     r5, [r0, #8]
        ldr     r3, [r1, #4]
        smlad   r10, r6, r2, r10
        ldr     r6, [r0, #12]
        smlad   r11, r7, r2, r11
        ldr     r7, [r0, #16]
        .if     \last == 0
        ldr     r2, [r1, #8]!
        .endif
        smlad   r8, r4, r3, r8
        ldr     r4, [r0, #20]
        smlad   r9, r5, r3, r9
        ldr     r5, [r0, #24]
        smlad   r10, r6, r3, r10
        ldr     r6, [r0, #28]
        smlad   r11, r7, r3, r11
        ldr     r7, [r0, #32]!
        .endm

        .balign 8
start16:
        .rept   ULNN_KERNEL_BLOCKS - 1
        block16
        .endr
        block16 last=1
        bx      lr

#include "cortex_m_sparse.S"

#endif
