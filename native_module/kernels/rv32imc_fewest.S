// SPDX-License-Identifier: MIT
// Included by rv32imc.S; empty by itself.
//
// The fewest instructions: twenty rows (five records, a five) at once, which takes every register
// and 57 KiB of loops. Fives, and quads behind them, use all records up where there are twelve or
// more. One register of scratch is left to the products, which wait for their loads on some cores.
// As with the quads, a five ends with its pointers TAIL bytes before the multipliers. Blocks that
// fit one pass, which is the ordinary case, pay nothing for there being passes.
//
//   s0-s11, t1, t2, t3, ra, a2-a5 accumulators     a6, a7, t5, t6, t4 weights of the five records
//   a1 v     a0 a value of v     t0 scratch
//
// An epilogue begins with record 3, whose registers it needs; only t4 must be there at its end.
#include "ulnn_assembly.h"

#if defined(ULNN_ASSEMBLY_PARTS)

// Room for 16 inputs beside a number of units that is a power of two.
        .equ    FIVE_BLOCKS, 2 * ULNN_KERNEL_BLOCKS + 4
        .equ    FIVE_BLOCK_CODE, 4 * (4 + 20 * 10)
        .set    TAIL, 32 * FIVE_BLOCKS

// The frame: X, RETURN, TABLE, FRAC as with the quads.
//      SIZE, 0         // of a record
//      ENTRY, 12       // of the first pass; with several `several`
//      END, 28         // t4 at the end of the last five
        .equ    OUT, 32
        .equ    PASSED, 36      // where a pass ends: RETURN; with several `again`
        .equ    MATRIX, 40
        .equ    VECTOR, 44
        .equ    QUADS, 48       // behind the fives
        .equ    SPILLED, 52     // two words
// With several passes
        .equ    FULL, 60        // a full pass
        .equ    FIRST, 64       // the first pass
        .equ    BACK, 68        // from the last pass to the first one
        .equ    ADVANCE, 72     // from a pass to the next one
        .equ    LAST, 76        // a1 in the last pass

        .macro  product load, pointer, offset, acc
        \load   t0, \offset(\pointer)
        mul     t0, t0, a0
        add     \acc, \acc, t0
        .endm

        .macro  one_by_one load, pointer, offset, a, b, c, d
        product \load, \pointer, \offset, \a
        product \load, \pointer, \offset + 4, \b
        product \load, \pointer, \offset + 8, \c
        product \load, \pointer, \offset + 12, \d
        .endm

        .macro  five_column load, x, offset
        lh      a0, \x(a1)
        one_by_one \load, a6, \offset, s0, s1, s2, s3
        one_by_one \load, a7, \offset, s4, s5, s6, s7
        one_by_one \load, t5, \offset, s8, s9, s10, s11
        one_by_one \load, t6, \offset, t1, t2, t3, ra
        one_by_one \load, t4, \offset, a2, a3, a4, a5
        .endm

        .macro  five_passed
        lw      t0, PASSED(sp)
        jr      t0
        .endm

// All pointers to weights
        .macro  move by
        add     a6, a6, \by
        add     a7, a7, \by
        add     t5, t5, \by
        add     t6, t6, \by
        add     t4, t4, \by
        .endm

// At the end, so that branches reach the rest. s3: where the pass starts.
        .subsection 2
five_link8:
        jal     s3, five_linked
        .set    block, 0
        .rept   FIVE_BLOCKS
        five_column lb, 8 * block, TAIL / 2 + 16 * block
        five_column lb, 8 * block + 2, TAIL / 2 + 16 * block + 2
        five_column lb, 8 * block + 4, TAIL / 2 + 16 * block + 1
        five_column lb, 8 * block + 6, TAIL / 2 + 16 * block + 3
        .set    block, block + 1
        .endr
        five_passed

five_link16:
        jal     s3, five_linked
        .set    block, 0
        .rept   FIVE_BLOCKS
        five_column lh, 8 * block, 32 * block
        five_column lh, 8 * block + 2, 32 * block + 2
        five_column lh, 8 * block + 4, 32 * block + 16
        five_column lh, 8 * block + 6, 32 * block + 18
        .set    block, block + 1
        .endr
        five_passed
        .previous

// Several passes: s4 becomes what the first one leaves out, t1 where a five enters.
passes:
        sw      t0, RETURN(sp)
        sw      s3, FULL(sp)
        li      t2, FIVE_BLOCKS
        addi    t0, s0, -1
        remu    t0, t0, t2
        sub     s4, t2, t0
        addi    s4, s4, -1
        sub     t0, s0, t2
        slli    t1, t0, 3
        add     t1, t1, a1
        sw      t1, LAST(sp)
        add     t0, t0, s4
        mul     t0, t0, s1
        neg     t0, t0
        sw      t0, BACK(sp)
        mul     t0, t2, s1
        sw      t0, ADVANCE(sp)
        jal     t0, 1f
again:
        lw      t0, LAST(sp)
        beq     a1, t0, 2f
        lw      t0, ADVANCE(sp)
        move    t0
        addi    a1, a1, 8 * FIVE_BLOCKS
        lw      t0, FULL(sp)
        jr      t0
2:      lw      t0, RETURN(sp)
        jr      t0
1:      sw      t0, PASSED(sp)
        mul     t0, s4, s5
        add     t0, t0, s3
        sw      t0, FIRST(sp)
        jal     t1, five_entered
several:
        lw      t0, BACK(sp)
        move    t0
        lw      t0, FIRST(sp)
        jr      t0

// Fills the frame for the matrix in a0, v in a1, twice frac in a2, the output in a3, fives in a4,
// quads in a5. Comes from `jal t0` like `prepare`. Goes on to the first five.
five_prepare:
        addi    sp, sp, -FRAME
        registers sw
        sw      t0, PASSED(sp)
        sw      a0, MATRIX(sp)
        sw      a1, VECTOR(sp)
        sw      a2, FRAC(sp)
        sw      a3, OUT(sp)
        sw      a5, QUADS(sp)
        lw      t4, 0(a0)               // stream
        lw      t3, 4(a0)               // table
        lhu     s0, 10(a0)              // blocks
        lbu     s1, 12(a0)              // bits
        sw      t3, TABLE(sp)
        slli    s1, s1, 1               // bytes of a block
        mul     s2, s0, s1
        addi    s2, s2, 32
        sw      s2, SIZE(sp)
        addi    t4, t4, -16 - TAIL      // as at the end of a five in front of the first one
        slli    t1, a4, 2
        add     t1, t1, a4
        mul     t1, t1, s2
        add     t1, t1, t4
        sw      t1, END(sp)
        li      s4, 16
        beq     s1, s4, 1f
        j       five_link16
1:      j       five_link8
five_linked:
        li      s4, FIVE_BLOCKS
        sub     s4, s4, s0              // blocks that the pass leaves out
        li      s5, FIVE_BLOCK_CODE
        bltz    s4, passes
        mul     t1, s4, s5
        add     t1, t1, s3
five_entered:
        sw      t1, ENTRY(sp)
        slli    s4, s4, 3
        sub     a1, a1, s4
        sw      a1, X(sp)
five:
        lw      t0, SIZE(sp)
        lw      s0, TAIL + 16(t4)
        lw      s1, TAIL + 20(t4)
        lw      s2, TAIL + 24(t4)
        lw      s3, TAIL + 28(t4)
        add     a6, t4, t0
        add     a7, a6, t0
        add     t5, a7, t0
        add     t6, t5, t0
        add     t4, t6, t0
        lw      s4, TAIL + 16(a6)
        lw      s5, TAIL + 20(a6)
        lw      s6, TAIL + 24(a6)
        lw      s7, TAIL + 28(a6)
        lw      s8, TAIL + 16(a7)
        lw      s9, TAIL + 20(a7)
        lw      s10, TAIL + 24(a7)
        lw      s11, TAIL + 28(a7)
        lw      t1, TAIL + 16(t5)
        lw      t2, TAIL + 20(t5)
        lw      t3, TAIL + 24(t5)
        lw      ra, TAIL + 28(t5)
        lw      a2, TAIL + 16(t6)
        lw      a3, TAIL + 20(t6)
        lw      a4, TAIL + 24(t6)
        lw      a5, TAIL + 28(t6)
        lw      a1, X(sp)
        lw      t0, ENTRY(sp)
        jr      t0

// ra: the output. Behind the last five: the quads, which are prepared by themselves.
        .macro  next_five bytes, quads
        addi    ra, ra, \bytes
        sw      ra, OUT(sp)
        lw      t0, END(sp)
        bne     t0, t4, five
        lw      a4, QUADS(sp)
        beqz    a4, 1f
        lw      a0, MATRIX(sp)
        lw      a1, VECTOR(sp)
        lw      a2, FRAC(sp)
        mv      a3, ra
        addi    a5, t4, TAIL + 16
        j       \quads
1:      registers lw
        addi    sp, sp, FRAME
        ret
        .endm

// void ulnn_rv32imc_five_rows(matrix, const int16_t *v, int32_t unused, int16_t *out,
//     unsigned fives, unsigned quads)
function ulnn_rv32imc_five_rows
        jal     t0, five_prepare
        rounded t1, t6, 0, a1
        rounded t2, t6, 1, a1
        rounded t3, t6, 2, a1
        rounded ra, t6, 3, a1
        sw      t3, SPILLED(sp)
        sw      ra, SPILLED + 4(sp)
        lw      a0, TABLE(sp)
        lui     a1, 0x200
        lui     t6, 0x400
        lw      ra, OUT(sp)
        looked_up t1, 24, ra, t6, t3
        looked_up t2, 26, ra, t6, t3
        lw      t2, SPILLED(sp)
        looked_up t2, 28, ra, t6
        lw      t2, SPILLED + 4(sp)
        looked_up t2, 30, ra, t6
        row     s0, a6, 0, 0, ra, t6
        row     s1, a6, 1, 2, ra, t6
        row     s2, a6, 2, 4, ra, t6
        row     s3, a6, 3, 6, ra, t6
        row     s4, a7, 0, 8, ra, t6
        row     s5, a7, 1, 10, ra, t6
        row     s6, a7, 2, 12, ra, t6
        row     s7, a7, 3, 14, ra, t6
        row     s8, t5, 0, 16, ra, t6
        row     s9, t5, 1, 18, ra, t6
        row     s10, t5, 2, 20, ra, t6
        row     s11, t5, 3, 22, ra, t6
        row     a2, t4, 0, 32, ra, t6
        row     a3, t4, 1, 34, ra, t6
        row     a4, t4, 2, 36, ra, t6
        row     a5, t4, 3, 38, ra, t6
        next_five 40, quads_rows

// void ulnn_rv32imc_five_heads(matrix, const int16_t *v, int32_t frac, int16_t *h,
//     unsigned fives, unsigned quads)
function ulnn_rv32imc_five_heads
        slli    a2, a2, 1
        jal     t0, five_prepare
        lw      a0, FRAC(sp)
        rounded t1, t6, 0, a1
        rounded t2, t6, 1, a1
        gate    t3, ra, t6, a0, a1
        lw      a0, TABLE(sp)
        lui     a1, 0x200
        lui     t6, 0x400
        lookup  t3, t6, a0, ra
        lw      a0, TABLE(sp)
        lookup  t1, t6, ra
        lookup  t2, t6, ra
        lw      ra, OUT(sp)
        mixed   t1, t2, t3, 6, ra
        lw      t3, FRAC(sp)
        neuron  s0, s1, s2, s3, a6, 0, ra, t6
        neuron  s4, s5, s6, s7, a7, 2, ra, t6
        neuron  s8, s9, s10, s11, t5, 4, ra, t6
        neuron  a2, a3, a4, a5, t4, 8, ra, t6
        next_five 10, quads_heads

#endif
