// SPDX-License-Identifier: MIT
#include "py/builtin.h"
#include "py/cstack.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "shared/readline/readline.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"
#include "shared/runtime/softtimer.h"
#include "disk.h"
#include "simulation.h"

#define HEAP_DEFAULT_KIB (256)
#define HEAP_MIN_KIB (16)

static size_t heap_size(void) {
    size_t max = &_heap_max - &_heap_start;
    size_t size = (hw_config.heap_kib ? hw_config.heap_kib : HEAP_DEFAULT_KIB) * 1024;
    return MIN(max, MAX(size, HEAP_MIN_KIB * 1024));
}

static void run_session(void) {
    mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR__slash_lib));
    readline_init0();
    disk_mount();

    int ret = pyexec_file_if_exists("boot.py");
    if (ret & PYEXEC_FORCED_EXIT) {
        return;
    }
    if (pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        ret = pyexec_file_if_exists("main.py");
        if (ret & PYEXEC_FORCED_EXIT) {
            return;
        }
    }
    do {
        ret = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
    } while (ret == 0);
}

int main(void) {
    mp_cstack_init_with_top(&_estack, &_estack - &_stack_bottom);
    hw_init();
    hal_reset_cause = hw_config.reset_cause;
    hw_config.reset_cause = HW_RESET_POWER_ON;
    for (;;) {
        gc_init(&_heap_start, &_heap_start + heap_size());
        mp_init();
        simulation_init();
        run_session();
        mp_printf(&mp_plat_print, "MPY: soft reboot\n");
        soft_timer_deinit();
        gc_sweep_all();
        mp_deinit();
        hal_reset_cause = HW_RESET_SOFT;
        // Ctrl-C was off for the prompt; boot.py and main.py arm it again.
        mp_hal_set_interrupt_char(-1);
    }
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    soft_timer_gc_mark_all();
    gc_collect_end();
}

void nlr_jump_fail(void *val) {
    hal_fault("uncaught exception", (uintptr_t)val, 0, 0, 0);
}
