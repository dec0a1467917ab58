// SPDX-License-Identifier: MIT
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/softtimer.h"

// After this long without the host taking a byte, output is dropped, as USB serial ports do, so
// that a board nobody listens to keeps running.
#define TX_TIMEOUT (HW_TIME_HZ / 2)

int mp_interrupt_char = -1;
uint32_t hal_reset_cause;

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

// hw_time() and all that was skipped. Where the settings ask for skip_sleep, a sleep with a
// deadline takes no time: the clock jumps, to the next timer at most. What a program computes
// takes its time, and so does waiting for input without a deadline.
static uint64_t skipped;
static uint64_t alarm_time = UINT64_MAX;

uint64_t hal_time(void) {
    uint32_t state = hw_irq_disable();
    uint64_t time = hw_time() + skipped;
    hw_irq_restore(state);
    return time;
}

uint64_t hal_time_us(void) {
    return hal_time() / (HW_TIME_HZ / 1000000);
}

mp_uint_t mp_hal_ticks_ms(void) {
    return hal_time() / (HW_TIME_HZ / 1000);
}

mp_uint_t mp_hal_ticks_us(void) {
    return hal_time_us();
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return hw_cycles();
}

// The boards have no calendar: time runs from the start of the epoch at reset.
uint64_t mp_hal_time_ns(void) {
    return hal_time() * (1000000000 / HW_TIME_HZ);
}

// With interrupts disabled: runs the soft timers that are due, and asks for the next interrupt.
static void alarm_run(void) {
    if (hal_time() >= alarm_time) {
        alarm_time = UINT64_MAX;
        event = true;
        soft_timer_handler();
    }
    hw_timer_at(alarm_time == UINT64_MAX ? UINT64_MAX : alarm_time - skipped);
}

void hal_timer(void) {
    alarm_run();
}

uint32_t soft_timer_get_ms(void) {
    return mp_hal_ticks_ms();
}

void soft_timer_schedule_at_ms(uint32_t ticks_ms) {
    uint32_t state = hw_irq_disable();
    uint64_t now_ms = hal_time() / (HW_TIME_HZ / 1000);
    alarm_time = (now_ms + soft_timer_ticks_diff(ticks_ms, now_ms)) * (HW_TIME_HZ / 1000);
    hw_timer_at(alarm_time - skipped);
    hw_irq_restore(state);
}

// With interrupts disabled.
static void skip_to(uint64_t deadline) {
    uint64_t now = hal_time();
    uint64_t until = MIN(deadline, alarm_time);
    skipped += until > now ? until - now : 0;
    alarm_run();
}

// Sleeps until something was received, a timer ran or the deadline (UINT64_MAX: none) has come.
// The flag makes this return at once when one of these came after the caller last looked.
static void wait_until(uint64_t deadline) {
    uint32_t state = hw_irq_disable();
    if (event) {
    } else if (hw_config.skip_sleep && deadline != UINT64_MAX) {
        skip_to(deadline);
    } else if (hal_time() < deadline) {
        uint64_t until = MIN(deadline, alarm_time);
        hw_timer_at(until == UINT64_MAX ? UINT64_MAX : until - skipped);
        hw_sleep();
    }
    event = false;
    hw_irq_restore(state);
}

void hal_wait_ms(mp_int_t timeout_ms) {
    wait_until(
        timeout_ms < 0 ? UINT64_MAX : hal_time() + (uint64_t)timeout_ms * (HW_TIME_HZ / 1000));
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t deadline = hal_time() + (uint64_t)ms * (HW_TIME_HZ / 1000);
    mp_event_handle_nowait();
    while (hal_time() < deadline) {
        wait_until(deadline);
        mp_event_handle_nowait();
    }
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t deadline = hal_time() + (uint64_t)us * (HW_TIME_HZ / 1000000);
    while (hal_time() < deadline) {
        if (hw_config.skip_sleep) {
            uint32_t state = hw_irq_disable();
            skip_to(deadline);
            hw_irq_restore(state);
        }
    }
}

/******************************************************************************/
// Faults

void hal_fault(const char *what, uint32_t pc, uint32_t lr, uint32_t cause, uint32_t addr) {
    hw_irq_disable();
    mp_printf(&mp_plat_print, "\nFATAL: %s pc=%08x lr=%08x cause=%08x addr=%08x\n", what,
        (unsigned)pc, (unsigned)lr, (unsigned)cause, (unsigned)addr);
    for (;;) {
        hw_sleep();
    }
}
