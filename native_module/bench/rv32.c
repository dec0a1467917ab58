// SPDX-License-Identifier: MIT
// QEMU's virt machine (RV32IMC), run with -icount shift=0 -bios none.
#include "machine.h"

const uint8_t *const machine_cases = (const uint8_t *)0x84000000;

void machine_put(char c) {
    *(volatile uint8_t *)0x10000000 = (uint8_t)c;
}

void machine_exit(void) {
    *(volatile uint32_t *)0x100000 = 0x5555;
    for (;;) {
    }
}

void machine_start(void) {
}

uint32_t machine_instructions(void) {
    uint32_t count;
    __asm volatile(".option push\n .option arch, +zicsr\n csrr %0, minstret\n .option pop"
                   : "=r"(count)
                   :
                   : "memory");
    return count;
}

__attribute__((used)) static void start(void) {
    bench();
    machine_exit();
}

__attribute__((naked, section(".reset"), used)) void reset(void) {
    __asm volatile("la sp, stack_top\n j start");
}
