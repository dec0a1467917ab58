// SPDX-License-Identifier: MIT
#define MICROPY_HW_BOARD_NAME "QEMU_RV32"
#define MICROPY_HW_MCU_NAME "rv32imac"

#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)

#define MICROPY_EMIT_RV32 (1)
#define MICROPY_EMIT_INLINE_RV32 (1)

// Counts per second of hw_time(): mtime of the virt machine.
#define HW_TIME_HZ (10000000)
#define HW_CPU_HZ (10000000)
