// SPDX-License-Identifier: MIT
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"

// After this long without the host taking a byte, output is dropped, as USB serial ports do, so
// that a board nobody listens to keeps running.
#define TX_TIMEOUT (HW_TIME_HZ / 2)

int mp_interrupt_char = -1;

static uint8_t rx_ring[HAL_RX_RING_SIZE];
static volatile uint32_t rx_head, rx_tail;
static volatile bool rx_held;
static volatile bool event;
static bool tx_dropping;

/******************************************************************************/
// Input

static inline uint32_t rx_used(void) {
    return rx_head - rx_tail;
}

// With Ctrl-C armed the interrupt keeps reading even when the ring is full (further bytes are
// lost), otherwise a program that never reads could not be stopped. With Ctrl-C off, the bytes
// are data, and the host has to wait.
bool hal_uart_rx_ready(void) {
    rx_held = rx_used() == HAL_RX_RING_SIZE && mp_interrupt_char < 0;
    return !rx_held;
}

void hal_uart_rx(uint8_t c) {
    event = true;
    if (c == mp_interrupt_char) {
        mp_sched_keyboard_interrupt();
    } else if (rx_used() < HAL_RX_RING_SIZE) {
        rx_ring[rx_head % HAL_RX_RING_SIZE] = c;
        rx_head = rx_head + 1;
    }
}

static void rx_resume(void) {
    if (rx_held && (mp_interrupt_char >= 0 || rx_used() < HAL_RX_RING_SIZE / 2)) {
        hw_uart_rx_resume();
    }
}

void mp_hal_set_interrupt_char(int c) {
    mp_interrupt_char = c;
    rx_resume();
}

int mp_hal_stdin_rx_chr(void) {
    while (rx_used() == 0) {
        mp_event_wait_indefinite();
    }
    uint8_t c = rx_ring[rx_tail % HAL_RX_RING_SIZE];
    rx_tail = rx_tail + 1;
    rx_resume();
    return c;
}

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    uintptr_t ret = 0;
    if ((poll_flags & MP_STREAM_POLL_RD) && rx_used() != 0) {
        ret |= MP_STREAM_POLL_RD;
    }
    if (poll_flags & MP_STREAM_POLL_WR) {
        ret |= MP_STREAM_POLL_WR;
    }
    return ret;
}

/******************************************************************************/
// Output

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    uint64_t deadline = 0;
    for (size_t i = 0; i < len; ++i) {
        while (!hw_uart_tx_ready()) {
            if (tx_dropping) {
                return len;
            }
            uint64_t now = hw_time();
            if (deadline == 0) {
                deadline = now + TX_TIMEOUT;
            } else if (now >= deadline) {
                tx_dropping = true;
            }
        }
        deadline = 0;
        tx_dropping = false;
        hw_uart_tx(str[i]);
    }
    return len;
}

/******************************************************************************/
// Time

mp_uint_t mp_hal_ticks_ms(void) {
    return hw_time() / (HW_TIME_HZ / 1000);
}

mp_uint_t mp_hal_ticks_us(void) {
    return hw_time() / (HW_TIME_HZ / 1000000);
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return hw_cycles();
}

// The boards have no calendar: time runs from the start of the epoch at reset.
uint64_t mp_hal_time_ns(void) {
    return hw_time() * (1000000000 / HW_TIME_HZ);
}

// Sleeps until something was received, or timeout_ms passed (-1 for no limit). The flag makes
// this return at once when a byte came in after the caller last looked.
void hal_wait_ms(mp_int_t timeout_ms) {
    uint64_t deadline =
        timeout_ms < 0 ? UINT64_MAX : hw_time() + (uint64_t)timeout_ms * (HW_TIME_HZ / 1000);
    uint32_t state = hw_irq_disable();
    if (!event) {
        hw_sleep_until(deadline);
    }
    event = false;
    hw_irq_restore(state);
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t deadline = hw_time() + (uint64_t)ms * (HW_TIME_HZ / 1000);
    mp_event_handle_nowait();
    for (;;) {
        uint64_t now = hw_time();
        if (now >= deadline) {
            return;
        }
        mp_event_wait_ms((deadline - now) / (HW_TIME_HZ / 1000) + 1);
    }
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t deadline = hw_time() + (uint64_t)us * (HW_TIME_HZ / 1000000);
    while (hw_time() < deadline) {
    }
}

/******************************************************************************/
// Faults

void hal_fault(const char *what, uint32_t pc, uint32_t lr, uint32_t cause, uint32_t addr) {
    hw_irq_disable();
    mp_printf(&mp_plat_print, "\nFATAL: %s pc=%08x lr=%08x cause=%08x addr=%08x\n", what,
        (unsigned)pc, (unsigned)lr, (unsigned)cause, (unsigned)addr);
    for (;;) {
        hw_sleep_until(UINT64_MAX);
    }
}
