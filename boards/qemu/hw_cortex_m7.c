// SPDX-License-Identifier: MIT
// QEMU mps2-an500: Cortex-M7, CMSDK UART 0 and timers 0 (time base) and 1 (wake-up).

#include "hw.h"

#define REG(addr) (*(volatile uint32_t *)(addr))

#define UART_DATA REG(0x40004000)
#define UART_STATE REG(0x40004004)
#define UART_CTRL REG(0x40004008)
#define UART_INT REG(0x4000400c)
#define UART_BAUDDIV REG(0x40004010)
#define UART_STATE_TXFULL (1 << 0)
#define UART_STATE_RXFULL (1 << 1)
#define UART_CTRL_TX_EN (1 << 0)
#define UART_CTRL_RX_EN (1 << 1)
#define UART_CTRL_RX_IRQ (1 << 3)
#define UART_INT_RX (1 << 1)

#define TIMER_CTRL(n) REG(0x40000000 + 0x1000 * (n))
#define TIMER_VALUE(n) REG(0x40000004 + 0x1000 * (n))
#define TIMER_RELOAD(n) REG(0x40000008 + 0x1000 * (n))
#define TIMER_INT(n) REG(0x4000000c + 0x1000 * (n))
#define TIMER_CTRL_EN (1 << 0)
#define TIMER_CTRL_IRQ (1 << 3)

#define NVIC_ISER0 REG(0xe000e100)
#define SCB_AIRCR REG(0xe000ed0c)
#define SCB_CFSR REG(0xe000ed28)
#define SCB_BFAR REG(0xe000ed38)
#define SCB_CPACR REG(0xe000ed88)
#define IRQ_UART_RX (0)
#define IRQ_TIMER0 (8)
#define IRQ_TIMER1 (9)

static volatile uint32_t time_high;

extern uint32_t _sidata, _sdata, _edata, _sbss, _ebss;
int main(void);

// Plain integer code only until the FPU is on: a hard-float compiler may use its registers
// for anything after that.
__attribute__((noreturn)) void Reset_Handler(void) {
    SCB_CPACR |= 0xf << 20;
    __asm volatile("dsb\nisb" ::: "memory");
    for (uint32_t *src = &_sidata, *dest = &_sdata; dest < &_edata;) {
        *dest++ = *src++;
    }
    for (uint32_t *dest = &_sbss; dest < &_ebss;) {
        *dest++ = 0;
    }
    main();
    hw_reset();
}

void hw_init(void) {
    UART_BAUDDIV = 16;
    UART_CTRL = UART_CTRL_TX_EN | UART_CTRL_RX_EN | UART_CTRL_RX_IRQ;
    TIMER_RELOAD(0) = 0xffffffff;
    TIMER_VALUE(0) = 0xffffffff;
    TIMER_CTRL(0) = TIMER_CTRL_EN | TIMER_CTRL_IRQ;
    NVIC_ISER0 = 1 << IRQ_UART_RX | 1 << IRQ_TIMER0 | 1 << IRQ_TIMER1;
}

/******************************************************************************/
// Time and sleep

uint32_t hw_irq_disable(void) {
    uint32_t state;
    __asm volatile("mrs %0, primask\ncpsid i" : "=r"(state)::"memory");
    return state;
}

void hw_irq_restore(uint32_t state) {
    __asm volatile("msr primask, %0" ::"r"(state) : "memory");
}

uint64_t hw_time(void) {
    uint32_t state = hw_irq_disable();
    uint32_t high = time_high;
    uint32_t left = TIMER_VALUE(0);
    // Wrapped, and the interrupt has not been taken yet? A look at a register costs a turn of
    // QEMU's lock, so only shortly after.
    if (left > 0xffffffff - HW_TIME_HZ && (TIMER_INT(0) & 1)) {
        left = TIMER_VALUE(0);
        ++high;
    }
    hw_irq_restore(state);
    return (uint64_t)high << 32 | (0xffffffff - left);
}

// QEMU's Cortex-M7 has no DWT cycle counter; the timer is the finest clock there is.
uint32_t hw_cycles(void) {
    return 0xffffffff - TIMER_VALUE(0);
}

void TIMER0_Handler(void) {
    TIMER_INT(0) = 1;
    time_high = time_high + 1;
}

static void timer1_stop(void) {
    TIMER_CTRL(1) = 0;
    TIMER_INT(1) = 1;
}

void TIMER1_Handler(void) {
    timer1_stop();
    hal_timer();
}

void hw_timer_at(uint64_t time) {
    uint32_t state = hw_irq_disable();
    timer1_stop();
    if (time != UINT64_MAX) {
        uint64_t now = hw_time();
        uint64_t left = time > now ? time - now : 1;
        TIMER_RELOAD(1) = 0xffffffff;
        TIMER_VALUE(1) = left < 0xffffffff ? left : 0xffffffff;
        TIMER_CTRL(1) = TIMER_CTRL_EN | TIMER_CTRL_IRQ;
    }
    hw_irq_restore(state);
}

void hw_sleep(void) {
    __asm volatile("dsb\nwfi" ::: "memory");
}

/******************************************************************************/
// UART

void UART_RX_Handler(void) {
    UART_INT = UART_INT_RX;
    while (UART_STATE & UART_STATE_RXFULL) {
        if (!hal_uart_rx_ready()) {
            UART_CTRL &= ~UART_CTRL_RX_IRQ;
            return;
        }
        hal_uart_rx(UART_DATA);
    }
}

void hw_uart_rx_resume(void) {
    uint32_t state = hw_irq_disable();
    UART_CTRL |= UART_CTRL_RX_IRQ;
    // The byte that waited came in while the interrupt was off, so nothing is pending for it.
    UART_RX_Handler();
    hw_irq_restore(state);
}

bool hw_uart_tx_ready(void) {
    return !(UART_STATE & UART_STATE_TXFULL);
}

void hw_uart_tx(uint8_t c) {
    UART_DATA = c;
}

/******************************************************************************/
// Reset, faults, vectors

void hw_reset(void) {
    SCB_AIRCR = 0x05fa << 16 | 1 << 2;
    for (;;) {
    }
}

__attribute__((used)) static void fault_report(const uint32_t *frame) {
    hal_fault("HardFault", frame[6], frame[5], SCB_CFSR, SCB_BFAR);
}

__attribute__((naked)) void Fault_Handler(void) {
    __asm volatile("tst lr, #4\n"
                   "ite eq\n"
                   "mrseq r0, msp\n"
                   "mrsne r0, psp\n"
                   "b fault_report\n");
}

#define F Fault_Handler
__attribute__((section(".isr_vector"), used)) const void *const isr_vector[16 + 10] = {
    &_estack,
    Reset_Handler,
    F,
    F,
    F,
    F,
    F,
    F,
    F,
    F,
    F,
    F,
    F,
    F,
    F,
    F,
    [16 + IRQ_UART_RX] = UART_RX_Handler,
    [16 + IRQ_TIMER0] = TIMER0_Handler,
    [16 + IRQ_TIMER1] = TIMER1_Handler,
};
