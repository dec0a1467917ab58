// SPDX-License-Identifier: MIT
// Included by extmod/machine_adc.c. Every channel reads the same simulated input.

#include "simulation.h"

#define MICROPY_PY_MACHINE_ADC_CLASS_CONSTANTS

struct _machine_adc_obj_t {
    mp_obj_base_t base;
    uint8_t pin;
};

static void mp_machine_adc_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    machine_adc_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "ADC(%u)", self->pin);
}

static mp_obj_t mp_machine_adc_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    machine_adc_obj_t *self = mp_obj_malloc(machine_adc_obj_t, type);
    self->pin = machine_pin_number(args[0]);
    return MP_OBJ_FROM_PTR(self);
}

static mp_int_t mp_machine_adc_read_u16(machine_adc_obj_t *self) {
    return simulation_adc();
}
