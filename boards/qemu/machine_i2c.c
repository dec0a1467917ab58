// SPDX-License-Identifier: MIT
// machine.I2C: one bus, I2C(0), on the pins 0 (SDA) and 1 (SCL), to the simulated devices. A
// transfer takes the time that its bits need.

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/modmachine.h"
#include "simulation.h"

#define DEFAULT_FREQ (400000)
#define DEFAULT_TIMEOUT_US (50000)

typedef struct _machine_i2c_obj_t {
    mp_obj_base_t base;
    uint32_t freq;
    uint32_t timeout_us;
} machine_i2c_obj_t;

static machine_i2c_obj_t i2c0 = {{&machine_i2c_type}, DEFAULT_FREQ, DEFAULT_TIMEOUT_US};

static void machine_i2c_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    machine_i2c_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "I2C(0, scl=%u, sda=%u, freq=%u, timeout=%u)", SIMULATION_SCL, SIMULATION_SDA,
        (unsigned)self->freq, (unsigned)self->timeout_us);
}

static void check_pin(mp_obj_t pin, unsigned int expected) {
    if (pin != mp_const_none && machine_pin_number(pin) != expected) {
        mp_raise_ValueError(MP_ERROR_TEXT("bad SCL or SDA pin"));
    }
}

static mp_obj_t machine_i2c_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *all_args) {
    enum {
        ARG_id,
        ARG_scl,
        ARG_sda,
        ARG_freq,
        ARG_timeout
    };
    static const mp_arg_t allowed_args[] = {
        {MP_QSTR_id, MP_ARG_INT, {.u_int = 0}},
        {MP_QSTR_scl, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_sda, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_freq, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = DEFAULT_FREQ}},
        {MP_QSTR_timeout, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = DEFAULT_TIMEOUT_US}},
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all_kw_array(
        n_args, n_kw, all_args, MP_ARRAY_SIZE(allowed_args), allowed_args, args);
    if (args[ARG_id].u_int != 0) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("I2C(%d) doesn't exist"), (int)args[ARG_id].u_int);
    }
    check_pin(args[ARG_scl].u_obj, SIMULATION_SCL);
    check_pin(args[ARG_sda].u_obj, SIMULATION_SDA);
    i2c0.freq = MAX(args[ARG_freq].u_int, 1);
    i2c0.timeout_us = args[ARG_timeout].u_int;
    return MP_OBJ_FROM_PTR(&i2c0);
}

// Eight bits and the acknowledgement each, the address first; start and stop take one each.
static void bus_time(machine_i2c_obj_t *self, size_t bytes) {
    mp_hal_delay_us((uint64_t)(9 * (1 + bytes) + 2) * 1000000 / self->freq);
}

static int machine_i2c_transfer_single(
    mp_obj_base_t *self_in, uint16_t addr, size_t len, uint8_t *buf, unsigned int flags) {
    machine_i2c_obj_t *self = (machine_i2c_obj_t *)self_in;
    bool read = flags & MP_MACHINE_I2C_FLAG_READ;
    int ret = simulation_i2c_begin(addr, read);
    if (ret != 0) {
        if (ret == -MP_ETIMEDOUT) {
            mp_hal_delay_us(self->timeout_us);
        } else {
            bus_time(self, 0);
        }
        return ret;
    }
    for (size_t i = 0; i < len; ++i) {
        if (read) {
            buf[i] = simulation_i2c_read();
        } else {
            simulation_i2c_write(buf[i]);
        }
    }
    bus_time(self, len);
    return read ? 0 : len;
}

static const mp_machine_i2c_p_t machine_i2c_p = {
    .transfer = mp_machine_i2c_transfer_adaptor,
    .transfer_single = machine_i2c_transfer_single,
};

MP_DEFINE_CONST_OBJ_TYPE(machine_i2c_type, MP_QSTR_I2C, MP_TYPE_FLAG_NONE, make_new,
    machine_i2c_make_new, print, machine_i2c_print, protocol, &machine_i2c_p, locals_dict,
    &mp_machine_i2c_locals_dict);
