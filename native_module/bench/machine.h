// SPDX-License-Identifier: MIT
// What the bench needs of a bare virtual machine. One port per machine: cortex_m7.c, rv32.c.
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

// Where the host puts the cases (see cases.h), and memory for one model behind them.
extern const uint8_t *const machine_cases;

void machine_start(void);
void machine_put(char c);
void machine_exit(void) __attribute__((noreturn));

// Instructions executed so far, modulo 2^32; exact under -icount (cortex_m7.c says which shift).
uint32_t machine_instructions(void);

// The counting plugin counts from a visit of the first to a visit of the second.
void machine_begin(void);
void machine_end(void);

int bench(void);

#endif // MACHINE_H
