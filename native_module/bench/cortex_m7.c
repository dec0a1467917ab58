// SPDX-License-Identifier: MIT
// QEMU's mps2-an500 (Cortex-M7), run with -icount shift=8 -semihosting.
//
// One instruction takes 2^8 ns of virtual time; the CMSDK timer counts 40 ns. Rounded to
// instructions the count is exact (it wraps after 6.7e8 instructions).
#include "machine.h"

const uint8_t *const machine_cases = (const uint8_t *)0x60000000;

#define TIMER_CONTROL (*(volatile uint32_t *)0x40000000)
#define TIMER_VALUE (*(volatile uint32_t *)0x40000004)
#define TIMER_RELOAD (*(volatile uint32_t *)0x40000008)

extern uint32_t stack_top, bss_start, bss_end, data_start, data_end, data_load;

static int32_t semihosting(int32_t call, const void *argument) {
    register int32_t r0 __asm("r0") = call;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void machine_put(char c) {
    semihosting(3, &c); // SYS_WRITEC
}

void machine_exit(void) {
    semihosting(0x18, (const void *)0x20026); // SYS_EXIT, application exit
    for (;;) {
    }
}

void machine_start(void) {
    TIMER_CONTROL = 0;
    TIMER_RELOAD = 0xffffffff;
    TIMER_VALUE = 0xffffffff;
    TIMER_CONTROL = 1;
}

uint32_t machine_instructions(void) {
    uint64_t ticks = (uint32_t)~TIMER_VALUE;
    return (uint32_t)((ticks * 40 + 128) >> 8);
}

static void fault(void) {
    for (const char *text = "fault\n"; *text != 0; text++) {
        machine_put(*text);
    }
    machine_exit();
}

static void start(void) {
    *(volatile uint32_t *)0xe000ed88 |= 0xf00000; // the FPU on
    __asm volatile("dsb\n isb");
    for (uint32_t *p = &bss_start; p < &bss_end; p++) {
        *p = 0;
    }
    const uint32_t *from = &data_load;
    for (uint32_t *p = &data_start; p < &data_end; p++) {
        *p = *from++;
    }
    machine_start();
    bench();
    machine_exit();
}

__attribute__((section(".vectors"), used))
const void *const vectors[] = {&stack_top, start, fault, fault, fault, fault, fault};
