// SPDX-License-Identifier: MIT
#ifndef ULNN_BOARDS_QEMU_MPHALPORT_H
#define ULNN_BOARDS_QEMU_MPHALPORT_H

#include "hw.h"

extern int mp_interrupt_char;

void mp_hal_set_interrupt_char(int c);
void hal_wait_ms(mp_int_t timeout_ms);

#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) hal_wait_ms(TIMEOUT_MS)
#define MICROPY_BEGIN_ATOMIC_SECTION() hw_irq_disable()
#define MICROPY_END_ATOMIC_SECTION(state) hw_irq_restore(state)

#endif // ULNN_BOARDS_QEMU_MPHALPORT_H
