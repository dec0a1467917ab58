// SPDX-License-Identifier: MIT
// Included by extmod/machine_wdt.c. The watchdog goes on through soft resets, as real ones do.

#include "shared/runtime/softtimer.h"

struct _machine_wdt_obj_t {
    mp_obj_base_t base;
};

static machine_wdt_obj_t machine_wdt = {{&machine_wdt_type}};
static soft_timer_entry_t wdt_timer;

static void wdt_expired(soft_timer_entry_t *self) {
    hw_config.reset_cause = HW_RESET_WATCHDOG;
    hw_reset();
}

static machine_wdt_obj_t *mp_machine_wdt_make_new_instance(mp_int_t id, mp_int_t timeout_ms) {
    if (id != 0) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("WDT(%d) doesn't exist"), (int)id);
    }
    if (timeout_ms < 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("WDT timeout too short"));
    }
    if (wdt_timer.c_callback != NULL) {
        soft_timer_remove(&wdt_timer);
    }
    soft_timer_static_init(&wdt_timer, SOFT_TIMER_MODE_ONE_SHOT, timeout_ms, wdt_expired);
    soft_timer_insert(&wdt_timer, timeout_ms);
    return &machine_wdt;
}

static void mp_machine_wdt_feed(machine_wdt_obj_t *self) {
    soft_timer_reinsert(&wdt_timer, wdt_timer.delta_ms);
}
