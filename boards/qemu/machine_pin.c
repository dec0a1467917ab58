// SPDX-License-Identifier: MIT
// machine.Pin: lines with pull-ups, two of which are those of I2C(0). No interrupts.

#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/modmachine.h"
#include "simulation.h"

enum {
    MODE_IN,
    MODE_OUT,
    MODE_OPEN_DRAIN
};

typedef struct _machine_pin_obj_t {
    mp_obj_base_t base;
    uint8_t number;
} machine_pin_obj_t;

// clang-format off
#define PIN(n) {{&machine_pin_type}, n}
#define FOUR_PINS(n) PIN(n), PIN(n + 1), PIN(n + 2), PIN(n + 3)
static const machine_pin_obj_t pins[SIMULATION_PINS] = {
    FOUR_PINS(0), FOUR_PINS(4), FOUR_PINS(8), FOUR_PINS(12),
    FOUR_PINS(16), FOUR_PINS(20), FOUR_PINS(24), FOUR_PINS(28),
};
// clang-format on

static const machine_pin_obj_t *find_pin(mp_obj_t pin_in) {
    if (mp_obj_is_type(pin_in, &machine_pin_type)) {
        return MP_OBJ_TO_PTR(pin_in);
    }
    mp_int_t number = mp_obj_get_int(pin_in);
    if (number < 0 || number >= SIMULATION_PINS) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid pin"));
    }
    return &pins[number];
}

unsigned int machine_pin_number(mp_obj_t pin_in) {
    return find_pin(pin_in)->number;
}

static void machine_pin_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    machine_pin_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "Pin(%u)", self->number);
}

static void init_helper(
    const machine_pin_obj_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum {
        ARG_mode,
        ARG_pull,
        ARG_value
    };
    static const mp_arg_t allowed_args[] = {
        {MP_QSTR_mode, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_pull, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_value, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, args);
    if (args[ARG_mode].u_obj != mp_const_none && mp_obj_get_int(args[ARG_mode].u_obj) == MODE_IN) {
        simulation_pin_drive(self->number, true);
    } else if (args[ARG_value].u_obj != mp_const_none) {
        simulation_pin_drive(self->number, mp_obj_is_true(args[ARG_value].u_obj));
    }
}

static mp_obj_t machine_pin_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 3, true);
    const machine_pin_obj_t *self = find_pin(args[0]);
    mp_map_t kw_args;
    mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
    init_helper(self, n_args - 1, args + 1, &kw_args);
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t machine_pin_call(
    mp_obj_t self_in, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    machine_pin_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    if (n_args == 0) {
        return MP_OBJ_NEW_SMALL_INT(simulation_pin_level(self->number));
    }
    simulation_pin_drive(self->number, mp_obj_is_true(args[0]));
    return mp_const_none;
}

static mp_obj_t machine_pin_init(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    init_helper(MP_OBJ_TO_PTR(args[0]), n_args - 1, args + 1, kw_args);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(machine_pin_init_obj, 1, machine_pin_init);

static mp_obj_t machine_pin_value(size_t n_args, const mp_obj_t *args) {
    return machine_pin_call(args[0], n_args - 1, 0, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(machine_pin_value_obj, 1, 2, machine_pin_value);

static const mp_rom_map_elem_t machine_pin_locals_dict_table[] = {
    {MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&machine_pin_init_obj)},
    {MP_ROM_QSTR(MP_QSTR_value), MP_ROM_PTR(&machine_pin_value_obj)},
    {MP_ROM_QSTR(MP_QSTR_IN), MP_ROM_INT(MODE_IN)},
    {MP_ROM_QSTR(MP_QSTR_OUT), MP_ROM_INT(MODE_OUT)},
    {MP_ROM_QSTR(MP_QSTR_OPEN_DRAIN), MP_ROM_INT(MODE_OPEN_DRAIN)},
    {MP_ROM_QSTR(MP_QSTR_PULL_UP), MP_ROM_INT(1)},
};
static MP_DEFINE_CONST_DICT(machine_pin_locals_dict, machine_pin_locals_dict_table);

MP_DEFINE_CONST_OBJ_TYPE(machine_pin_type, MP_QSTR_Pin, MP_TYPE_FLAG_NONE, make_new,
    machine_pin_make_new, print, machine_pin_print, call, machine_pin_call, locals_dict,
    &machine_pin_locals_dict);
