// SPDX-License-Identifier: MIT
// Configuration shared by the virtual boards; the board's own part is mpconfigboard.h.

#include <stdint.h>
#include <alloca.h>

#include "mpconfigboard.h"

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#define MICROPY_ENABLE_GC (1)
#define MICROPY_STACK_CHECK (1)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_PERSISTENT_CODE_LOAD (1)
#define MICROPY_WARNINGS (1)
#define MICROPY_PY_SYS_PLATFORM "qemu"
#define HAL_RX_RING_SIZE (4096)
#define MICROPY_REPL_STDIN_BUFFER_MAX (HAL_RX_RING_SIZE / 4)

#define MICROPY_VFS (1)
#define MICROPY_READER_VFS (1)
#define MICROPY_ENABLE_SCHEDULER (1)
#define MICROPY_KBD_EXCEPTION (1)

#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_INCLUDEFILE "time_port.c"
#define MICROPY_PY_MACHINE (1)
#define MICROPY_PY_MACHINE_INCLUDEFILE "machine_port.c"
#define MICROPY_PY_MACHINE_RESET (1)
#define MICROPY_PY_MACHINE_BARE_METAL_FUNCS (1)
#define MICROPY_PY_MACHINE_DISABLE_IRQ_ENABLE_IRQ (1)
#define MICROPY_PY_MACHINE_I2C (1)
#define MICROPY_PY_MACHINE_ADC (1)
#define MICROPY_PY_MACHINE_ADC_INCLUDEFILE "adc_port.c"
#define MICROPY_PY_MACHINE_WDT (1)
#define MICROPY_PY_MACHINE_WDT_INCLUDEFILE "wdt_port.c"
#define MICROPY_PY_MACHINE_TIMER (1)

#define MICROPY_PY_FRAMEBUF (0)
#define MICROPY_PY_CRYPTOLIB (0)
#define MICROPY_PY_WEBSOCKET (0)
#define MICROPY_PY_BTREE (0)
#define MICROPY_PY_ONEWIRE (0)

#define MP_SSIZE_MAX (0x7fffffff)
#if ULNN_PORT_DEFINES_INT
#define UINT_FMT "%lu"
#define INT_FMT "%ld"
typedef int32_t mp_int_t;
typedef uint32_t mp_uint_t;
#endif
typedef long mp_off_t;

#define MP_NEED_LOG2 (1)
#define MP_STATE_PORT MP_STATE_VM
