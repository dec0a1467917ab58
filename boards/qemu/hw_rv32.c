// SPDX-License-Identifier: MIT
// QEMU virt, one rv32 hart in machine mode: 16550 UART through the PLIC, CLINT timer.

#include "hw.h"

#define REG(addr) (*(volatile uint32_t *)(addr))
#define REG8(addr) (*(volatile uint8_t *)(addr))

#define UART_DATA REG8(0x10000000)
#define UART_IER REG8(0x10000001)
#define UART_FCR REG8(0x10000002)
#define UART_LCR REG8(0x10000003)
#define UART_LSR REG8(0x10000005)
#define UART_LSR_DR (1 << 0)
#define UART_LSR_THRE (1 << 5)
#define UART_FIFO_SIZE (16)

#define MTIMECMP_LOW REG(0x02004000)
#define MTIMECMP_HIGH REG(0x02004004)

#define IRQ_UART (10)
#define PLIC_PRIORITY(n) REG(0x0c000000 + 4 * (n))
#define PLIC_ENABLE0 REG(0x0c002000)
#define PLIC_THRESHOLD REG(0x0c200000)
#define PLIC_CLAIM REG(0x0c200004)

#define TEST_FINISHER REG(0x00100000)
#define TEST_FINISHER_RESET (0x7777)

#define MSTATUS_MIE (1 << 3)
#define MIE_MTIE (1 << 7)
#define MIE_MEIE (1 << 11)
#define MCAUSE_INTERRUPT (0x80000000)
#define MCAUSE_TIMER (MCAUSE_INTERRUPT | 7)
#define MCAUSE_EXTERNAL (MCAUSE_INTERRUPT | 11)

#define CSR_READ(reg)                                \
    ({                                               \
        uint32_t v_;                                 \
        __asm volatile("csrr %0, " #reg : "=r"(v_)); \
        v_;                                          \
    })

void hw_init(void) {
    UART_LCR = 0x80;
    UART_DATA = 1;
    UART_IER = 0;
    UART_LCR = 0x03;
    // FIFO on, interrupt at 8 bytes or after a short silence.
    UART_FCR = 0x81;
    UART_IER = 0x01;
    PLIC_PRIORITY(IRQ_UART) = 1;
    PLIC_ENABLE0 = 1 << IRQ_UART;
    PLIC_THRESHOLD = 0;
    hw_timer_at(UINT64_MAX);
    __asm volatile("csrs mie, %0" ::"r"(MIE_MTIE | MIE_MEIE) : "memory");
    hw_irq_restore(MSTATUS_MIE);
}

/******************************************************************************/
// Time and sleep

uint32_t hw_irq_disable(void) {
    uint32_t state;
    __asm volatile("csrrci %0, mstatus, 8" : "=r"(state)::"memory");
    return state & MSTATUS_MIE;
}

void hw_irq_restore(uint32_t state) {
    __asm volatile("csrs mstatus, %0" ::"r"(state & MSTATUS_MIE) : "memory");
}

uint64_t hw_time(void) {
    // The CSRs and not MTIME: a register of a device costs a turn of QEMU's lock.
    uint32_t high, low;
    do {
        high = CSR_READ(timeh);
        low = CSR_READ(time);
    } while (high != CSR_READ(timeh));
    return (uint64_t)high << 32 | low;
}

// Virtual nanoseconds when QEMU runs with -icount (an instruction takes 2**shift), else host
// cycles.
uint32_t hw_cycles(void) {
    return CSR_READ(mcycle);
}

void hw_timer_at(uint64_t time) {
    uint32_t state = hw_irq_disable();
    // High word out of the way first, so that no value between the old and new one matches.
    MTIMECMP_HIGH = 0xffffffff;
    MTIMECMP_LOW = time;
    MTIMECMP_HIGH = time >> 32;
    hw_irq_restore(state);
}

void hw_sleep(void) {
    __asm volatile("wfi" ::: "memory");
}

/******************************************************************************/
// UART

static uint8_t tx_free;

static void uart_rx_interrupt(void) {
    while (UART_LSR & UART_LSR_DR) {
        if (!hal_uart_rx_ready()) {
            UART_IER = 0;
            return;
        }
        hal_uart_rx(UART_DATA);
    }
}

void hw_uart_rx_resume(void) {
    UART_IER = 0x01;
}

// THRE says that the whole FIFO is free.
bool hw_uart_tx_ready(void) {
    if (tx_free == 0 && (UART_LSR & UART_LSR_THRE)) {
        tx_free = UART_FIFO_SIZE;
    }
    return tx_free != 0;
}

void hw_uart_tx(uint8_t c) {
    --tx_free;
    UART_DATA = c;
}

/******************************************************************************/
// Reset and traps

void hw_reset(void) {
    TEST_FINISHER = TEST_FINISHER_RESET;
    for (;;) {
    }
}

__attribute__((interrupt("machine"), aligned(4))) void trap_handler(void) {
    uint32_t cause = CSR_READ(mcause);
    if (cause == MCAUSE_EXTERNAL) {
        uint32_t irq = PLIC_CLAIM;
        if (irq == IRQ_UART) {
            uart_rx_interrupt();
        }
        PLIC_CLAIM = irq;
    } else if (cause == MCAUSE_TIMER) {
        hw_timer_at(UINT64_MAX);
        hal_timer();
    } else {
        hal_fault("trap", CSR_READ(mepc), 0, cause, CSR_READ(mtval));
    }
}
