// SPDX-License-Identifier: MIT
// The kernel for RV32IMC (ESP32-C3, -C6). Contract: ulnn_kernel.h.
//
// Without SIMD a product costs a load, a multiplication and an addition; what can be saved is the
// loading of v: sixteen rows (four records, a quad) are made at once, in sixteen registers. The
// loop of blocks is written out ULNN_KERNEL_BLOCKS times and entered so that the blocks are used
// up at its end. Rows and heads share it. What does not fill a quad is left to portable.c.
// ULNN_KERNEL_RV32IMC_FEWEST: rv32imc_fewest.S as well.
// Pointers move in front of a pass and not behind it, which saves the last move: a quad ends with
// them TAIL bytes before the multipliers, for both sizes of weights.
// Position independent, no data, no relocations: addresses come from jal.
//
//   s0-s11, a2-a5 accumulators     a6, a7, t5, t6 weights of the four records
//   a1 v     ra a1 in the last pass     a0 a value of v     t4 the output     t0-t3 scratch
#include "ulnn_assembly.h"

#if defined(ULNN_KERNEL_RV32IMC)
#define ULNN_ASSEMBLY_PARTS 1

#ifndef ULNN_KERNEL_BLOCKS // a power of two, at most 32; with fives 16
#ifdef ULNN_KERNEL_RV32IMC_FEWEST
#define ULNN_KERNEL_BLOCKS 16
#else
#define ULNN_KERNEL_BLOCKS 8
#endif
#endif

        .option norelax
        .option rvc
        .section .text.ulnn_rv32imc, "ax", %progbits

        .equ    BLOCK_CODE, 4 * (4 + 16 * 10)
        .equ    ADVANCE_CODE, 5 * 4
        .equ    TAIL, 32 * ULNN_KERNEL_BLOCKS

// The frame, in front of the saved registers.
        .equ    SIZE, 0         // of a record
        .equ    STRIDE, 4       // from a quad's last pass to the next quad's first one
        .equ    X, 8            // a1 in the first pass
        .equ    ENTRY, 12       // of the first pass, less ADVANCE_CODE
        .equ    RETURN, 16
        .equ    TABLE, 20
        .equ    FRAC, 24        // twice frac, unsigned: the product's high word has one more bit
        .equ    END, 28         // t6 at the end of the last quad
#ifdef ULNN_KERNEL_RV32IMC_FEWEST
        .equ    SAVED, 80       // between: what the fives need
        .equ    FRAME, 144
#else
        .equ    SAVED, 32
        .equ    FRAME, 96
#endif

        .macro  function name
        .balign 4
        .global \name
        .type   \name, %function
\name:
        .endm

// Saves s0-s11 and ra, or restores them.
        .macro  registers instruction
        \instruction ra, SAVED(sp)
        \instruction s0, SAVED + 4(sp)
        \instruction s1, SAVED + 8(sp)
        \instruction s2, SAVED + 12(sp)
        \instruction s3, SAVED + 16(sp)
        \instruction s4, SAVED + 20(sp)
        \instruction s5, SAVED + 24(sp)
        \instruction s6, SAVED + 28(sp)
        \instruction s7, SAVED + 32(sp)
        \instruction s8, SAVED + 36(sp)
        \instruction s9, SAVED + 40(sp)
        \instruction s10, SAVED + 44(sp)
        \instruction s11, SAVED + 48(sp)
        .endm

// Four products: the value a0 with the weights of four rows.
        .macro  products load, pointer, offset, a, b, c, d
        \load   t0, \offset(\pointer)
        \load   t1, \offset + 4(\pointer)
        \load   t2, \offset + 8(\pointer)
        \load   t3, \offset + 12(\pointer)
        mul     t0, t0, a0
        mul     t1, t1, a0
        mul     t2, t2, a0
        mul     t3, t3, a0
        add     \a, \a, t0
        add     \b, \b, t1
        add     \c, \c, t2
        add     \d, \d, t3
        .endm

        .macro  column load, x, offset
        lh      a0, \x(a1)
        products \load, a6, \offset, s0, s1, s2, s3
        products \load, a7, \offset, s4, s5, s6, s7
        products \load, t5, \offset, s8, s9, s10, s11
        products \load, t6, \offset, a2, a3, a4, a5
        .endm

// On to the next pass. Not compressed: the first pass jumps over ADVANCE_CODE bytes.
        .macro  advance bytes
        .option push
        .option norvc
        addi    a6, a6, \bytes
        addi    a7, a7, \bytes
        addi    t5, t5, \bytes
        addi    t6, t6, \bytes
        addi    a1, a1, 8 * ULNN_KERNEL_BLOCKS
        .option pop
        .endm

// The end of a pass: back, or to the epilogue. From 8 blocks on the way back is too far for a
// branch, and the assembler makes two instructions of it.
        .macro  passed next
        bne     a1, ra, \next
        lw      t0, RETURN(sp)
        jr      t0
        .endm

// Where the loops start, for `prepare`: t1.
link8:
        jal     t1, linked
next8:
        advance 16 * ULNN_KERNEL_BLOCKS
        .set    block, 0
        .rept   ULNN_KERNEL_BLOCKS
        column  lb, 8 * block, TAIL / 2 + 16 * block
        column  lb, 8 * block + 2, TAIL / 2 + 16 * block + 2
        column  lb, 8 * block + 4, TAIL / 2 + 16 * block + 1
        column  lb, 8 * block + 6, TAIL / 2 + 16 * block + 3
        .set    block, block + 1
        .endr
        passed  next8

link16:
        jal     t1, linked
next16:
        advance 32 * ULNN_KERNEL_BLOCKS
        .set    block, 0
        .rept   ULNN_KERNEL_BLOCKS
        column  lh, 8 * block, 32 * block
        column  lh, 8 * block + 2, 32 * block + 2
        column  lh, 8 * block + 4, 32 * block + 16
        column  lh, 8 * block + 6, 32 * block + 18
        .set    block, block + 1
        .endr
        passed  next16

// Fills the frame for the matrix in a0, v in a1, frac in a2, the output in a3, quads in a4, the
// first record in a5.
// Comes from `jal t0`: what stands behind is the epilogue. Goes on to the first quad.
#ifdef ULNN_KERNEL_RV32IMC_FEWEST
// The fives come to the label, with a frame.
        .macro  start label
        addi    sp, sp, -FRAME
        registers sw
\label: jal     t0, prepare
        .endm

prepare:
#else
        .macro  start label
        jal     t0, prepare
        .endm

prepare:
        addi    sp, sp, -FRAME
        registers sw
#endif
        sw      t0, RETURN(sp)
        sw      a2, FRAC(sp)
        lw      t3, 4(a0)               // table
        lhu     s0, 10(a0)              // blocks
        lbu     s1, 12(a0)              // bits
        sw      t3, TABLE(sp)
        slli    s1, s1, 1               // bytes of a block
        mul     s2, s0, s1
        addi    s2, s2, 32
        sw      s2, SIZE(sp)
        addi    t6, a5, -16 - TAIL      // as at the end of a quad in front of the first one
        sub     t5, t6, s2
        sub     a7, t5, s2
        sub     a6, a7, s2
        mul     t0, s2, a4
        slli    t0, t0, 2
        add     t0, t0, t6
        sw      t0, END(sp)
        slli    ra, s0, 3
        add     ra, ra, a1
        addi    ra, ra, -8 * ULNN_KERNEL_BLOCKS
        neg     s0, s0
        andi    s0, s0, ULNN_KERNEL_BLOCKS - 1  // blocks that the first pass leaves out
        slli    t0, s0, 3
        sub     a1, a1, t0
        sw      a1, X(sp)
        li      t0, ULNN_KERNEL_BLOCKS
        sub     t0, t0, s0
        mul     t0, t0, s1
        sub     t1, t6, a6              // three records
        add     t0, t0, t1
        addi    t0, t0, 32
        sw      t0, STRIDE(sp)
        mv      t4, a3
        li      t0, 16
        beq     s1, t0, link8
        j       link16
linked:
        li      t0, BLOCK_CODE
        mul     t0, t0, s0
        add     t1, t1, t0
        sw      t1, ENTRY(sp)
quad:
        lw      t1, SIZE(sp)
        lw      t2, STRIDE(sp)
        lw      s0, TAIL + 16(t6)
        lw      s1, TAIL + 20(t6)
        lw      s2, TAIL + 24(t6)
        lw      s3, TAIL + 28(t6)
        add     t0, t6, t1
        lw      s4, TAIL + 16(t0)
        lw      s5, TAIL + 20(t0)
        lw      s6, TAIL + 24(t0)
        lw      s7, TAIL + 28(t0)
        add     t0, t0, t1
        lw      s8, TAIL + 16(t0)
        lw      s9, TAIL + 20(t0)
        lw      s10, TAIL + 24(t0)
        lw      s11, TAIL + 28(t0)
        add     t0, t0, t1
        lw      a2, TAIL + 16(t0)
        lw      a3, TAIL + 20(t0)
        lw      a4, TAIL + 24(t0)
        lw      a5, TAIL + 28(t0)
        add     a6, a6, t2
        add     a7, a7, t2
        add     t5, t5, t2
        add     t6, t6, t2
        lw      a1, X(sp)
        lw      t0, ENTRY(sp)
        jr      ADVANCE_CODE(t0)

// m of SPEC 3.1, in place; the multiplier is word \i behind the weights.
        .macro  rounded acc, pointer, i, high=t1
        lw      t0, TAIL + 4 * \i(\pointer)
        mulh    \high, \acc, t0
        mul     t0, \acc, t0
        srli    t0, t0, 31
        add     \acc, \high, t0
        .endm

// lookup(sat22) of SPEC 2.4, in place; a0 table, a1 2^21, limit 2^22. slope may be a0, which is
// lost then. A saturated value leaves the straight path. b: of `gate`, whose sum may have wrapped.
        .macro  lookup u, limit=t2, slope=t1, b
        add     t0, \u, a1
        bgeu    t0, \limit, 1f
2:      srli    t0, t0, 13
        slli    t0, t0, 2
        add     t0, t0, a0
        lw      t0, 0(t0)
        slli    \slope, t0, 16
        mulh    \u, \u, \slope
        srai    t0, t0, 16
        add     \u, \u, t0
        .subsection 1
1:
        .ifnb   \b
        slli    t0, \u, 1               // half of each term: the sum's sign
        sub     t0, t0, \b
        srai    t0, t0, 1
        srai    \u, \b, 1
        add     \u, \u, t0
        .endif
        srai    \u, \u, 31
        addi    t0, a1, -1
        xor     \u, \u, t0
        add     t0, \u, a1
        j       2b
        .previous
        .endm

        .macro  epilogue
        lw      a0, TABLE(sp)
        lui     a1, 0x200
        lui     t2, 0x400
        .endm

        .macro  next_quad bytes
        addi    t4, t4, \bytes
        lw      t0, END(sp)
        bne     t0, t6, quad
        registers lw
        addi    sp, sp, FRAME
        ret
        .endm

        .macro  looked_up acc, offset, to, limit, slope=t1
        lookup  \acc, \limit, \slope
        sh      \acc, \offset(\to)
        .endm

        .macro  row acc, pointer, i, offset, to=t4, limit=t2
        rounded \acc, \pointer, \i
        looked_up \acc, \offset, \to, \limit
        .endm

// void ulnn_rv32imc_rows(matrix, const int16_t *v, int32_t unused, int16_t *out, unsigned quads)
// activation ULNN_TABLE, shift 0
function ulnn_rv32imc_rows
        lw      a5, 0(a0)
        start   quads_rows
        epilogue
        row     s0, a6, 0, 0
        row     s1, a6, 1, 2
        row     s2, a6, 2, 4
        row     s3, a6, 3, 6
        row     s4, a7, 0, 8
        row     s5, a7, 1, 10
        row     s6, a7, 2, 12
        row     s7, a7, 3, 14
        row     s8, t5, 0, 16
        row     s9, t5, 1, 18
        row     s10, t5, 2, 20
        row     s11, t5, 3, 22
        row     a2, t6, 0, 24
        row     a3, t6, 1, 26
        row     a4, t6, 2, 28
        row     a5, t6, 3, 30
        next_quad 32

        .macro  stored acc, pointer, i, offset
        rounded \acc, \pointer, \i
        sw      \acc, \offset(t4)
        .endm

// void ulnn_rv32imc_quad(
//     matrix, const int16_t *v, int32_t unused, int32_t *m, unsigned one, const void *record)
function ulnn_rv32imc_quad
        start   quads_products
        epilogue
        stored  s0, a6, 0, 0
        stored  s1, a6, 1, 4
        stored  s2, a6, 2, 8
        stored  s3, a6, 3, 12
        stored  s4, a7, 0, 16
        stored  s5, a7, 1, 20
        stored  s6, a7, 2, 24
        stored  s7, a7, 3, 28
        stored  s8, t5, 0, 32
        stored  s9, t5, 1, 36
        stored  s10, t5, 2, 40
        stored  s11, t5, 3, 44
        stored  a2, t6, 0, 48
        stored  a3, t6, 1, 52
        stored  a4, t6, 2, 56
        stored  a5, t6, 3, 60
        next_quad 64

// t of SPEC 3.3 in ta. Its two roundings are one: with a, b of one bit more than the products,
//     ((a + 1) >> 1) + ((b + 1) >> 1) = (a + ((b + 1) | 1)) >> 1
// b takes a multiplier of 0 or more. The sum wraps only where t is far out of lookup's range.
        .macro  gate ta, tb, pointer, frac=t3, high=t1
        rounded \ta, \pointer, 2, \high
        lw      t0, TAIL + 12(\pointer)
        slli    t0, t0, 1
        mulhsu  \tb, \tb, t0
        addi    \tb, \tb, 1
        ori     \tb, \tb, 1
        mulhsu  \ta, \ta, \frac
        add     \ta, \ta, \tb
        srai    \ta, \ta, 1
        .endm

// The new state, mode default
        .macro  mixed f1, f2, s, offset, to
        add     t0, \f1, \f2
        srai    t0, t0, 1
        sub     \f2, \f2, \f1
        mul     \f2, \f2, \s
        srai    \f2, \f2, 16
        add     t0, t0, \f2
        sh      t0, \offset(\to)
        .endm

        .macro  neuron f1, f2, ta, tb, pointer, offset, to=t4, limit=t2
        rounded \f1, \pointer, 0
        rounded \f2, \pointer, 1
        gate    \ta, \tb, \pointer
        lookup  \f1, \limit
        lookup  \f2, \limit
        lookup  \ta, \limit, t1, \tb
        mixed   \f1, \f2, \ta, \offset, \to
        .endm

// void ulnn_rv32imc_heads(matrix, const int16_t *v, int32_t frac, int16_t *h, unsigned quads)
// shift 0, gate_shift 0, mode default
function ulnn_rv32imc_heads
        lw      a5, 0(a0)
        slli    a2, a2, 1
        start   quads_heads
        epilogue
        lw      t3, FRAC(sp)
        neuron  s0, s1, s2, s3, a6, 0
        neuron  s4, s5, s6, s7, a7, 2
        neuron  s8, s9, s10, s11, t5, 4
        neuron  a2, a3, a4, a5, t6, 6
        next_quad 8

#ifdef ULNN_KERNEL_RV32IMC_FEWEST
#include "rv32imc_fewest.S"
#endif

#include "rv32imc_sparse.S"

#endif
