// SPDX-License-Identifier: MIT
// What a virtual board gives the port: time, one UART, sleep and reset. One .c file per machine.
#ifndef ULNN_BOARDS_QEMU_HW_H
#define ULNN_BOARDS_QEMU_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpconfigboard.h"

// Words that QEMU's generic loader may set before the board starts; 0 means the default.
// They lie at the start of the large RAM (hw_config), so a hard reset keeps them.
typedef struct _hw_config_t {
    uint32_t disk_kib;
    uint32_t heap_kib;
    uint32_t serial_number;
    // Writes to the disk until a reset in the middle of one, as when the power goes; 0: none.
    // A program sets it (machine.mem32), and it counts down.
    uint32_t writes_to_cut;
    // Not 0: the clock jumps over sleeps (mphalport.c).
    uint32_t skip_sleep;
    // What the next start reports as machine.reset_cause(): one of HW_RESET_*.
    uint32_t reset_cause;
} hw_config_t;

// A reset from outside leaves 0.
enum {
    HW_RESET_POWER_ON,
    HW_RESET_HARD,
    HW_RESET_WATCHDOG,
    HW_RESET_DEEP_SLEEP,
    HW_RESET_SOFT
};

// From the linker script. The heap area ends at _heap_max, the disk area at _disk_max.
extern volatile hw_config_t hw_config;
extern uint8_t _heap_start, _heap_max, _disk_start, _disk_max, _stack_bottom, _estack;

void hw_init(void);

// Counts since reset, HW_TIME_HZ a second; never steps back, does not wrap in practice.
uint64_t hw_time(void);

// A counter as near to CPU cycles as the machine has one; wraps at 2**32.
uint32_t hw_cycles(void);

// Asks for one interrupt, hal_timer(), when hw_time() reaches that count; it may come early.
// UINT64_MAX: none.
void hw_timer_at(uint64_t time);

// Sleeps until an interrupt is pending. Call with interrupts disabled, so that an interrupt
// between the caller's check and the sleep is not lost.
void hw_sleep(void);

uint32_t hw_irq_disable(void);
void hw_irq_restore(uint32_t state);

bool hw_uart_tx_ready(void);
void hw_uart_tx(uint8_t c);

// Takes up reception again after hal_uart_rx_ready() returned false.
void hw_uart_rx_resume(void);

void hw_reset(void) __attribute__((noreturn));

// Provided by mphalport.c, called from the receive interrupt.
// hal_uart_rx_ready() false means: leave the bytes with the host until hw_uart_rx_resume().
bool hal_uart_rx_ready(void);
void hal_uart_rx(uint8_t c);

// Provided by mphalport.c, called from the timer's interrupt.
void hal_timer(void);

// Provided by mphalport.c: reports a processor fault on the UART and stops.
void hal_fault(const char *what, uint32_t pc, uint32_t lr, uint32_t cause, uint32_t addr)
    __attribute__((noreturn));

#endif // ULNN_BOARDS_QEMU_HW_H
