// SPDX-License-Identifier: MIT
#ifndef ULNN_BOARDS_QEMU_MPHALPORT_H
#define ULNN_BOARDS_QEMU_MPHALPORT_H

#include "hw.h"

extern int mp_interrupt_char;

// Of the session that runs: one of HW_RESET_*.
extern uint32_t hal_reset_cause;

void mp_hal_set_interrupt_char(int c);
void hal_wait_ms(mp_int_t timeout_ms);

// The clock of the program: counts since reset, HW_TIME_HZ a second, and microseconds of it.
uint64_t hal_time(void);
uint64_t hal_time_us(void);

#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) hal_wait_ms(TIMEOUT_MS)
#define MICROPY_PY_PENDSV_ENTER uint32_t pendsv_state = hw_irq_disable()
#define MICROPY_PY_PENDSV_EXIT hw_irq_restore(pendsv_state)
#define MICROPY_BEGIN_ATOMIC_SECTION() hw_irq_disable()
#define MICROPY_END_ATOMIC_SECTION(state) hw_irq_restore(state)

#endif // ULNN_BOARDS_QEMU_MPHALPORT_H
