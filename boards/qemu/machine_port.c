// SPDX-License-Identifier: MIT
// Included by extmod/modmachine.c.

#include "py/mphal.h"

#define MICROPY_PY_MACHINE_EXTRA_GLOBALS                                         \
    {MP_ROM_QSTR(MP_QSTR_Pin), MP_ROM_PTR(&machine_pin_type)},                   \
        {MP_ROM_QSTR(MP_QSTR_Timer), MP_ROM_PTR(&machine_timer_type)},           \
        {MP_ROM_QSTR(MP_QSTR_PWRON_RESET), MP_ROM_INT(HW_RESET_POWER_ON)},       \
        {MP_ROM_QSTR(MP_QSTR_HARD_RESET), MP_ROM_INT(HW_RESET_HARD)},            \
        {MP_ROM_QSTR(MP_QSTR_WDT_RESET), MP_ROM_INT(HW_RESET_WATCHDOG)},         \
        {MP_ROM_QSTR(MP_QSTR_DEEPSLEEP_RESET), MP_ROM_INT(HW_RESET_DEEP_SLEEP)}, \
        {MP_ROM_QSTR(MP_QSTR_SOFT_RESET), MP_ROM_INT(HW_RESET_SOFT)},

static void mp_machine_idle(void) {
    mp_event_wait_ms(1);
}

static void mp_machine_reset(void) {
    hw_config.reset_cause = HW_RESET_HARD;
    hw_reset();
}

static mp_int_t mp_machine_reset_cause(void) {
    return hal_reset_cause;
}

static mp_obj_t mp_machine_unique_id(void) {
    uint32_t id[2] = {0x4e4e4c55, hw_config.serial_number};
    return mp_obj_new_bytes((const byte *)id, sizeof(id));
}

static mp_obj_t mp_machine_get_freq(void) {
    return mp_obj_new_int(HW_CPU_HZ);
}

static void mp_machine_set_freq(size_t n_args, const mp_obj_t *args) {
    mp_raise_NotImplementedError(MP_ERROR_TEXT("the frequency is fixed"));
}

static void mp_machine_lightsleep(size_t n_args, const mp_obj_t *args) {
    if (n_args == 0) {
        hal_wait_ms(-1);
    } else {
        mp_hal_delay_ms(mp_obj_get_int(args[0]));
    }
}

static void mp_machine_deepsleep(size_t n_args, const mp_obj_t *args) {
    mp_machine_lightsleep(n_args, args);
    hw_config.reset_cause = HW_RESET_DEEP_SLEEP;
    hw_reset();
}
