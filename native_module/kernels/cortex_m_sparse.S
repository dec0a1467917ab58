// SPDX-License-Identifier: MIT
// Included by cortex_m4.S and cortex_m7.S; empty by itself.
//
// Sparse matrices: the values of v that a block meets are gathered, then it is as in dense ones.
// Groups have few blocks, so a loop of one block does; weights come in bursts. Where only one or
// two columns are in the last of several blocks, its other half is skipped.
//
// A group's number in the list is ceil(n / 2) - 1 for n columns, at least 1: less 2 for each block,
// it is positive before another whole one, 0 before half a one, and negative at the end.
//
//   r0 stream   r1 number of the group   r2, r3 values of v   r4-r7 weights   r8-r11 accumulators
//   r12 v, with int8 scratch, too   lr offsets
#include "ulnn_assembly.h"

#if defined(ULNN_ASSEMBLY_PARTS) && !ULNN_CELLS_CFC

// The frame; the first six words are read by one LDM.
        .equ    SPARSE_FRAC, 0
        .equ    SPARSE_OUT, 4
        .equ    SPARSE_LIST, 8          // behind the number of the group
        .equ    SPARSE_END, 12          // behind that of the last group
        .equ    SPARSE_TABLE, 16        // its middle
        .equ    SPARSE_X, 20
        .equ    SPARSE_RETURN, 24       // where the blocks go at their end
        .equ    SPARSE_ENTRY, 28        // the next group
        .equ    SPARSE_AT, 32           // of the products: what moves on
        .equ    SPARSE_FRAME, 36        // with nine registers: a multiple of 8

        .macro  sparse_function name
        .balign 4
        .global \name
        .thumb_func
        .type   \name, %function
\name:
        push    {r4-r11, lr}
        sub     sp, sp, #SPARSE_FRAME
        .endm

        .macro  sparse_address register, label
        adr.w   \register, \label + 1
        .endm

// To the next group, if there is one: r2 its output, r3 its number, r10 their end.
        .macro  sparse_next end
        cmp     r3, r10
        ldrh    r1, [r3], #2            // behind the last one stand the offsets
        beq     \end
        strd    r2, r3, [sp, #SPARSE_OUT]
        ldr     pc, [sp, #SPARSE_ENTRY]
        .endm

        .macro  sparse_leave
        add     sp, sp, #SPARSE_FRAME
        pop     {r4-r11, pc}
        .endm

        .macro  sparse_gather
        ldm     lr!, {r2-r5}
        ldrh    r2, [r12, r2]
        ldrh    r3, [r12, r3]
        ldrh    r4, [r12, r4]
        ldrh    r5, [r12, r5]
        subs    r1, r1, #2
        pkhbt   r2, r2, r3, lsl #16
        pkhbt   r3, r4, r5, lsl #16
        .endm

        .macro  sparse_gather_half
        ldrd    r2, r3, [lr], #16
        ldrh    r2, [r12, r2]
        ldrh    r3, [r12, r3]
        ldm     r0!, {r4-r7}
        pkhbt   r2, r2, r3, lsl #16
        .endm

// The accumulators of a group; half 0: without halves of blocks, for less code
        .macro  sparse_sum8 half
        ldm     r0!, {r8-r11}
1:      sparse_gather
        ldm     r0!, {r4-r7}
        sxtb16  r12, r4
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
        ldr     r12, [sp, #SPARSE_X]
        smlad   r11, r7, r3, r11
        .if     \half
        bgt     1b
        bmi     2f
        sparse_gather_half
        sxtb16  r4, r4
        sxtb16  r5, r5
        smlad   r8, r4, r2, r8
        sxtb16  r6, r6
        smlad   r9, r5, r2, r9
        sxtb16  r7, r7
        smlad   r10, r6, r2, r10
        smlad   r11, r7, r2, r11
        .else
        bge     1b
        .endif
2:
        .endm

        .macro  sparse_sum16 half
        ldm     r0!, {r8-r11}
1:      sparse_gather
        ldm     r0!, {r4-r7}
        smlad   r8, r4, r2, r8
        smlad   r9, r5, r2, r9
        smlad   r10, r6, r2, r10
        smlad   r11, r7, r2, r11
        ldm     r0!, {r4-r7}
        smlad   r8, r4, r3, r8
        smlad   r9, r5, r3, r9
        smlad   r10, r6, r3, r10
        smlad   r11, r7, r3, r11
        .if     \half
        bgt     1b
        bmi     2f
        sparse_gather_half
        add     r0, r0, #16
        smlad   r8, r4, r2, r8
        smlad   r9, r5, r2, r9
        smlad   r10, r6, r2, r10
        smlad   r11, r7, r2, r11
        .else
        bge     1b
        .endif
2:
        .endm

// r4, r5, r6 of f1, f2, s; r2, r3, r10, r12 of the frame
        .macro  sparse_lookups
        ldm     r0!, {r4-r7}
        smmulr  r7, r11, r7
        smmulr  r6, r10, r6
        smmulr  r4, r8, r4
        smmulr  r5, r9, r5
        ldm     sp, {r1, r2, r3, r10, r11, r12}
        smmlar  r6, r6, r1, r7          // t of SPEC 3.3
        ssat    r4, #22, r4
        ssat    r5, #22, r5
        asr     r8, r4, #13
        ssat    r6, #22, r6
        asr     r9, r5, #13
        ldr     r8, [r11, r8, lsl #2]
        asr     r1, r6, #13
        ldr     r9, [r11, r9, lsl #2]
        ldr     r1, [r11, r1, lsl #2]
        smulwb  r4, r4, r8
        smulwb  r5, r5, r9
        smulwb  r6, r6, r1
        add     r4, r4, r8, asr #16
        add     r5, r5, r9, asr #16
        add     r6, r6, r1, asr #16
        .endm

// Heads of mode default, the usual ones
        .macro  sparse_default bits
3:      sparse_sum\bits 1
        sparse_lookups
        shadd16 r7, r4, r5              // its low half: (f1 + f2) >> 1
        sub     r5, r5, r4
        cmp     r3, r10
        smlawb  r7, r5, r6, r7
        ldrh    r1, [r3], #2
        strh    r7, [r2], #2
        strd    r2, r3, [sp, #SPARSE_OUT]
        bne     3b
        .endm

// void ulnn_cortex_m_sparse_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out)
// activation ULNN_TABLE, shift 0
sparse_function ulnn_cortex_m_sparse_rows
        mov     r3, r2
        sparse_address r4, sparse_rows_end
        b       1f

// void ulnn_cortex_m_sparse_heads(matrix, const int16_t *v, int32_t frac, int16_t *h)
// shift 0, gate_shift 0, mode default or no_gate
sparse_function ulnn_cortex_m_sparse_heads
        ldrb    r4, [r0, #16]           // mode
1:      ldrh    r7, [r0, #8]            // groups
        ldr     r5, [r0, #20]           // list
        ldr     r9, [r0, #4]            // table
        mov     r12, r1
        add     r7, r5, r7, lsl #1
        ldrb    r6, [r0, #12]           // bits
        add     lr, r7, #7
        ldr     r0, [r0]                // stream
        bic     lr, lr, #7
        ldrh    r1, [r5], #2
        add     r9, r9, #1024
        stm     sp, {r2, r3, r5, r7, r9, r12}
        cbz     r4, 2f
        cmp     r4, #1
        bne     sparse_start
        sparse_address r4, sparse_no_gate_end
        b       sparse_start
2:      cmp     r6, #8
        bne     sparse_default16
        sparse_default 8
        sparse_leave
        .balign 4
sparse_default16:
        sparse_default 16
sparse_end:
        sparse_leave

// r4 RETURN, r6 bits
sparse_start:
        sparse_address r3, sparse_group8
        cmp     r6, #8
        beq     1f
        sparse_address r3, sparse_group16
1:      strd    r4, r3, [sp, #SPARSE_RETURN]
        bx      r3

        .balign 4
sparse_group8:
        sparse_sum8 0
        ldr     pc, [sp, #SPARSE_RETURN]

        .balign 4
sparse_group16:
        sparse_sum16 0
        ldr     pc, [sp, #SPARSE_RETURN]

        .balign 4
sparse_rows_end:
        ldm     r0!, {r4-r7}
        smmulr  r7, r11, r7
        smmulr  r6, r10, r6
        smmulr  r4, r8, r4
        smmulr  r5, r9, r5
        ldm     sp, {r1, r2, r3, r10, r11, r12}
        ssat    r4, #22, r4
        ssat    r5, #22, r5
        asr     r8, r4, #13
        ssat    r6, #22, r6
        asr     r9, r5, #13
        ldr     r8, [r11, r8, lsl #2]
        ssat    r7, #22, r7
        ldr     r9, [r11, r9, lsl #2]
        asr     r1, r6, #13
        smulwb  r4, r4, r8
        ldr     r1, [r11, r1, lsl #2]
        smulwb  r5, r5, r9
        add     r4, r4, r8, asr #16
        asr     r8, r7, #13
        add     r5, r5, r9, asr #16
        ldr     r8, [r11, r8, lsl #2]
        smulwb  r6, r6, r1
        pkhbt   r4, r4, r5, lsl #16
        smulwb  r7, r7, r8
        add     r6, r6, r1, asr #16
        add     r7, r7, r8, asr #16
        pkhbt   r5, r6, r7, lsl #16
        strd    r4, r5, [r2], #8
        sparse_next sparse_end

        .balign 4
sparse_no_gate_end:
        sparse_lookups
        add     r4, r4, r5, asr #1
        smlawb  r4, r5, r6, r4
        add     r4, r4, #1
        asr     r4, r4, #1
        strh    r4, [r2], #2
        sparse_next sparse_end

// void ulnn_cortex_m_sparse_products(ulnn_sparse_t *at, matrix, const int16_t *v, int32_t *m,
//     const uint16_t *end)
sparse_function ulnn_cortex_m_sparse_products
        str     r0, [sp, #SPARSE_AT]
        ldr     r7, [sp, #SPARSE_FRAME + 36]
        mov     r12, r2
        ldrb    r6, [r1, #12]           // bits
        ldr     lr, [r0, #8]
        ldrd    r0, r5, [r0]
        ldrh    r1, [r5], #2
        stm     sp, {r2, r3, r5, r7, r9, r12}
        sparse_address r4, sparse_products_end
        b       sparse_start

        .balign 4
sparse_products_end:
        ldm     r0!, {r4-r7}
        smmulr  r7, r11, r7
        smmulr  r6, r10, r6
        smmulr  r4, r8, r4
        smmulr  r5, r9, r5
        ldm     sp, {r1, r2, r3, r10, r11, r12}
        stm     r2!, {r4-r7}
        sparse_next 1f
1:      ldr     r1, [sp, #SPARSE_AT]
        subs    r3, r3, #2
        strd    r0, r3, [r1]
        str     lr, [r1, #8]
        sparse_leave

#endif
