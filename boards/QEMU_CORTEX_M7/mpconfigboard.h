// SPDX-License-Identifier: MIT
#define MICROPY_HW_BOARD_NAME "QEMU_CORTEX_M7"
#define MICROPY_HW_MCU_NAME "mps2-an500"

// The same choice as NUCLEO_H743ZI.
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_DOUBLE)

#define MICROPY_EMIT_THUMB (1)
#define MICROPY_EMIT_INLINE_THUMB (1)
#define MICROPY_MAKE_POINTER_CALLABLE(p) ((void *)((mp_uint_t)(p) | 1))

// Counts per second of hw_time(): the CMSDK timer runs on the 25 MHz system clock.
#define HW_TIME_HZ (25000000)
#define HW_CPU_HZ (25000000)
