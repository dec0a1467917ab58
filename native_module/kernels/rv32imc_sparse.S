// SPDX-License-Identifier: MIT
// Included by rv32imc.S; empty by itself.
//
// Sparse matrices: one group at a time, since each has columns of its own.
//
//   a0 v   a1 offsets   a2-a5 accumulators   a6 record, 16 bytes behind as the weights are read
//   a7 numbers of columns   t5 the next group   t6 where the blocks go at their end   t0-t4 scratch
//   s0 twice frac   s1 table, its middle   s2 2^21   s3 2^22   s4 output   s5 end of a7
//   s6 end of a1 in this group's whole blocks   s7 at, of the products   s8 columns behind them
#include "ulnn_assembly.h"

#if defined(ULNN_ASSEMBLY_PARTS) && !ULNN_CELLS_CFC

        .equ    SPARSE_FRAME, 48

        .macro  sparse_registers instruction
        \instruction s0, 0(sp)
        \instruction s1, 4(sp)
        \instruction s2, 8(sp)
        \instruction s3, 12(sp)
        \instruction s4, 16(sp)
        \instruction s5, 20(sp)
        \instruction s6, 24(sp)
        \instruction s7, 28(sp)
        \instruction s8, 32(sp)
        .endm

        .macro  sparse_function name
        .balign 4
        .global \name
        .type   \name, %function
\name:
        addi    sp, sp, -SPARSE_FRAME
        sparse_registers sw
        .endm

        .macro  sparse_leave
        sparse_registers lw
        addi    sp, sp, SPARSE_FRAME
        ret
        .endm

        .macro  sparse_column load, entry, offset
        lhu     t0, \entry(a1)
        add     t0, t0, a0
        lh      t0, 0(t0)
        \load   t1, \offset(a6)
        \load   t2, \offset + 4(a6)
        \load   t3, \offset + 8(a6)
        \load   t4, \offset + 12(a6)
        mul     t1, t1, t0
        mul     t2, t2, t0
        mul     t3, t3, t0
        mul     t4, t4, t0
        add     a2, a2, t1
        add     a3, a3, t2
        add     a4, a4, t3
        add     a5, a5, t4
        .endm

// The last block, where it isn't whole: one to three columns.
        .macro  sparse_rest load, third, bytes
        beqz    s8, 2f
        sparse_column \load, 0, 16
        addi    s8, s8, -1
        beqz    s8, 1f
        sparse_column \load, 2, 18
        addi    s8, s8, -1
        beqz    s8, 1f
        sparse_column \load, 4, \third
1:      addi    a1, a1, 8
        addi    a6, a6, \bytes
2:      jr      t6
        .endm

        .macro  sparse_start
        lhu     s8, 0(a7)
        addi    a7, a7, 2
        srli    t0, s8, 2
        slli    t0, t0, 3
        add     s6, a1, t0
        andi    s8, s8, 3
        lw      a2, 0(a6)
        lw      a3, 4(a6)
        lw      a4, 8(a6)
        lw      a5, 12(a6)
        .endm

// Come from `jal t5`, with the number of bits in t0: to the first group.
sparse_enter:
        addi    t0, t0, -8
        bnez    t0, sparse_enter16
        jal     t5, sparse_linked
sparse_group8:
        sparse_start
        beq     a1, s6, 2f
1:      sparse_column lb, 0, 16
        sparse_column lb, 2, 18
        sparse_column lb, 4, 17
        sparse_column lb, 6, 19
        addi    a1, a1, 8
        addi    a6, a6, 16
        bne     a1, s6, 1b
2:      sparse_rest lb, 17, 16
sparse_enter16:
        jal     t5, sparse_linked
sparse_group16:
        sparse_start
        beq     a1, s6, 2f
1:      sparse_column lh, 0, 16
        sparse_column lh, 2, 18
        sparse_column lh, 4, 32
        sparse_column lh, 6, 34
        addi    a1, a1, 8
        addi    a6, a6, 32
        bne     a1, s6, 1b
2:      sparse_rest lh, 32, 32
sparse_linked:
        jr      t5

        .macro  sparse_rounded acc, i
        lw      t0, 16 + 4 * \i(a6)
        mulh    t1, \acc, t0
        mul     t0, \acc, t0
        srli    t0, t0, 31
        add     \acc, t1, t0
        .endm

// lookup(sat22) of SPEC 2.4, in place. A saturated value leaves the straight path.
        .macro  sparse_lookup u
        add     t0, \u, s2
        bgeu    t0, s3, 1f
2:      srai    t0, \u, 13
        slli    t0, t0, 2
        add     t0, t0, s1
        lw      t0, 0(t0)
        slli    t1, t0, 16
        mulh    \u, \u, t1
        srai    t0, t0, 16
        add     \u, \u, t0
        .subsection 1
1:      srai    \u, \u, 31
        addi    t0, s2, -1
        xor     \u, \u, t0
        j       2b
        .previous
        .endm

// void ulnn_rv32imc_sparse_rows(const ulnn_matrix_t *matrix, const int16_t *v, int16_t *out)
// activation ULNN_TABLE, shift 0
sparse_function ulnn_rv32imc_sparse_rows
        mv      a3, a2
        li      t2, -1
        j       1f

// void ulnn_rv32imc_sparse_heads(matrix, const int16_t *v, int32_t frac, int16_t *h)
// shift 0, gate_shift 0, mode default or no_gate
sparse_function ulnn_rv32imc_sparse_heads
        lbu     t2, 16(a0)              // mode
        slli    s0, a2, 1
1:      mv      s4, a3
        lw      s1, 4(a0)
        lhu     t1, 8(a0)               // groups
        lw      a7, 20(a0)              // list
        addi    s1, s1, 1024
        addi    a4, t1, 3
        andi    a4, a4, -4
        slli    a4, a4, 1
        slli    t1, t1, 1
        add     s5, a7, t1
        lw      a6, 0(a0)               // stream
        lbu     t0, 12(a0)              // bits
        mv      a0, a1
        add     a1, a7, a4
        lui     s2, 0x200
        lui     s3, 0x400
        bltz    t2, sparse_rows
        bnez    t2, sparse_no_gate
        jal     t6, sparse_enter
        .macro  sparse_activations
        sparse_rounded a2, 0
        sparse_rounded a3, 1
        sparse_rounded a4, 2
        sparse_rounded a5, 3
        mulhsu  a4, a4, s0
        addi    a4, a4, 1
        srai    a4, a4, 1
        add     a4, a4, a5
        sparse_lookup a2
        sparse_lookup a3
        sparse_lookup a4
        .endm
        sparse_activations
        add     t0, a2, a3
        srai    t0, t0, 1
        sub     a3, a3, a2
        mul     a3, a3, a4
        srai    a3, a3, 16
        add     t0, t0, a3
        sh      t0, 0(s4)
        addi    s4, s4, 2
        addi    a6, a6, 32
        beq     a7, s5, 3f
        jr      t5
3:      sparse_leave
sparse_rows:
        jal     t6, sparse_enter
        sparse_rounded a2, 0
        sparse_rounded a3, 1
        sparse_rounded a4, 2
        sparse_rounded a5, 3
        sparse_lookup a2
        sparse_lookup a3
        sparse_lookup a4
        sparse_lookup a5
        sh      a2, 0(s4)
        sh      a3, 2(s4)
        sh      a4, 4(s4)
        sh      a5, 6(s4)
        addi    s4, s4, 8
        addi    a6, a6, 32
        beq     a7, s5, 3f
        jr      t5
3:      sparse_leave
sparse_no_gate:
        jal     t6, sparse_enter
        sparse_activations
        srai    t0, a3, 1
        add     t0, t0, a2
        mul     a3, a3, a4
        srai    a3, a3, 16
        add     t0, t0, a3
        addi    t0, t0, 1
        srai    t0, t0, 1
        sh      t0, 0(s4)
        addi    s4, s4, 2
        addi    a6, a6, 32
        beq     a7, s5, 3f
        jr      t5
3:      sparse_leave

// void ulnn_rv32imc_sparse_products(ulnn_sparse_t *at, matrix, const int16_t *v, int32_t *m,
//     const uint16_t *end)
sparse_function ulnn_rv32imc_sparse_products
        mv      s7, a0
        mv      s4, a3
        mv      s5, a4
        lw      a6, 0(s7)
        lw      a7, 4(s7)
        lbu     t0, 12(a1)
        lw      a1, 8(s7)
        mv      a0, a2
        jal     t6, sparse_enter
        sparse_rounded a2, 0
        sparse_rounded a3, 1
        sparse_rounded a4, 2
        sparse_rounded a5, 3
        sw      a2, 0(s4)
        sw      a3, 4(s4)
        sw      a4, 8(s4)
        sw      a5, 12(s4)
        addi    s4, s4, 16
        addi    a6, a6, 32
        beq     a7, s5, 3f
        jr      t5
3:      sw      a6, 0(s7)
        sw      a7, 4(s7)
        sw      a1, 8(s7)
        sparse_leave

#endif
