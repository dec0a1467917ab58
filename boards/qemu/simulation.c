// SPDX-License-Identifier: MIT
#include <string.h>

#include "py/binary.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "imu.h"
#include "simulation.h"

#define CLOCKS_TO_FREE (9)

// Rows of a recording that repeats. period_us 0: one row a sample of the chip, else a row lasts
// so long, from start_us on. The buffer is a root pointer's.
typedef struct _replay_t {
    uint64_t start_us;
    uint32_t period_us;
} replay_t;

static struct {
    replay_t imu, adc;
    bool silent;      // nothing acknowledges
    bool stuck;       // SDA is held low, until enough clocks came
    bool reg_next;    // the next byte written is a register's number
    uint8_t clocks;   // on SCL since SDA is stuck
    uint32_t low;     // pins that the board pulls low
    uint64_t busy_us; // time of the transfer that began last
} sim;

void simulation_init(void) {
    memset(&sim, 0, sizeof(sim));
    MP_STATE_PORT(simulation_imu) = MP_OBJ_NULL;
    MP_STATE_PORT(simulation_adc) = MP_OBJ_NULL;
}

// Row number `row` of the recording; false where there is none.
static bool replay_row(mp_obj_t data, uint64_t row, size_t row_size, void *to) {
    mp_buffer_info_t bufinfo;
    if (data == MP_OBJ_NULL || !mp_get_buffer(data, &bufinfo, MP_BUFFER_READ) ||
        bufinfo.len < row_size) {
        memset(to, 0, row_size);
        return false;
    }
    row %= bufinfo.len / row_size;
    memcpy(to, (const uint8_t *)bufinfo.buf + row * row_size, row_size);
    return true;
}

static void replay_set(replay_t *replay, mp_obj_t *root, mp_obj_t data, mp_int_t period_us,
    char typecode, size_t row_size) {
    mp_buffer_info_t bufinfo;
    mp_get_buffer_raise(data, &bufinfo, MP_BUFFER_READ);
    bool good = bufinfo.typecode == typecode || bufinfo.typecode == 'B' ||
                bufinfo.typecode == BYTEARRAY_TYPECODE;
    if (!good || bufinfo.len == 0 || bufinfo.len % row_size != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("data of another form"));
    }
    if (period_us < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("period_us below 0"));
    }
    replay->start_us = hal_time_us();
    replay->period_us = period_us;
    *root = data;
}

/******************************************************************************/
// The bus

static void imu_motion(uint64_t us, uint64_t count, int16_t motion[6]) {
    uint64_t row = sim.imu.period_us == 0 ? count : (us - sim.imu.start_us) / sim.imu.period_us;
    replay_row(MP_STATE_PORT(simulation_imu), row, 6 * sizeof(int16_t), motion);
}

int simulation_i2c_begin(uint16_t address, bool read) {
    if (sim.stuck) {
        return -MP_ETIMEDOUT;
    }
    if (sim.silent || address != IMU_ADDRESS || MP_STATE_PORT(simulation_imu) == MP_OBJ_NULL) {
        return -MP_ENODEV;
    }
    sim.busy_us = hal_time_us();
    sim.reg_next = !read;
    imu_run(sim.busy_us);
    return 0;
}

void simulation_i2c_write(uint8_t value) {
    if (sim.reg_next) {
        imu_select(value);
        sim.reg_next = false;
    } else {
        imu_write(sim.busy_us, value);
    }
}

uint8_t simulation_i2c_read(void) {
    return imu_read();
}

/******************************************************************************/
// Pins and converter

bool simulation_pin_level(size_t pin) {
    return !(sim.low & 1u << pin) && !(sim.stuck && pin == SIMULATION_SDA);
}

void simulation_pin_drive(size_t pin, bool level) {
    bool before = simulation_pin_level(pin);
    sim.low = level ? sim.low & ~(1u << pin) : sim.low | 1u << pin;
    if (pin == SIMULATION_SCL && level && !before && sim.stuck) {
        sim.clocks += 1;
        sim.stuck = sim.clocks < CLOCKS_TO_FREE;
    }
}

uint16_t simulation_adc(void) {
    uint16_t value;
    uint64_t row = (hal_time_us() - sim.adc.start_us) / MAX(sim.adc.period_us, 1);
    replay_row(MP_STATE_PORT(simulation_adc), row, sizeof(value), &value);
    return value;
}

/******************************************************************************/
// The module

// imu(data, period_us=0, ppm=0): an MPU-6050 at 0x68 of I2C(0), just powered. data: array('h'),
// rows of six counts of the widest ranges, ax ay az gx gy gz; repeated. period_us: of a row; 0: one
// row for each sample that the chip takes. ppm: by how much longer than nominal its periods are.
static mp_obj_t simulation_imu(size_t n_args, const mp_obj_t *args) {
    mp_int_t ppm = n_args > 2 ? mp_obj_get_int(args[2]) : 0;
    if (ppm < -500000 || ppm > 500000) {
        mp_raise_ValueError(MP_ERROR_TEXT("ppm beyond 500000"));
    }
    replay_set(&sim.imu, &MP_STATE_PORT(simulation_imu), args[0],
        n_args > 1 ? mp_obj_get_int(args[1]) : 0, 'h', 6 * sizeof(int16_t));
    imu_power_on(sim.imu.start_us, ppm, imu_motion);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(simulation_imu_obj, 1, 3, simulation_imu);

// adc(data, period_us): what every ADC reads. data: array('H'); repeated.
static mp_obj_t simulation_adc_data(mp_obj_t data, mp_obj_t period_us) {
    replay_set(&sim.adc, &MP_STATE_PORT(simulation_adc), data, mp_obj_get_int(period_us), 'H',
        sizeof(uint16_t));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(simulation_adc_obj, simulation_adc_data);

// fault(kind): "nak": nothing acknowledges; "stuck": SDA is low until nine clocks came; "overflow":
// the FIFO has just overflowed; "chip": WHO_AM_I is 0x12. "": all is well.
static mp_obj_t simulation_fault(mp_obj_t kind_in) {
    qstr kind = mp_obj_str_get_qstr(kind_in);
    if (kind != MP_QSTR_ && kind != MP_QSTR_nak && kind != MP_QSTR_stuck &&
        kind != MP_QSTR_overflow && kind != MP_QSTR_chip) {
        mp_raise_ValueError(MP_ERROR_TEXT("unknown fault"));
    }
    sim.silent = kind == MP_QSTR_nak;
    sim.stuck = kind == MP_QSTR_stuck;
    sim.clocks = 0;
    imu_set_identity(kind == MP_QSTR_chip ? 0x12 : IMU_ADDRESS);
    if (kind == MP_QSTR_overflow) {
        imu_overflow();
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(simulation_fault_obj, simulation_fault);

static const mp_rom_map_elem_t simulation_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__simulation)},
    {MP_ROM_QSTR(MP_QSTR_imu), MP_ROM_PTR(&simulation_imu_obj)},
    {MP_ROM_QSTR(MP_QSTR_adc), MP_ROM_PTR(&simulation_adc_obj)},
    {MP_ROM_QSTR(MP_QSTR_fault), MP_ROM_PTR(&simulation_fault_obj)},
};
static MP_DEFINE_CONST_DICT(simulation_globals, simulation_globals_table);

const mp_obj_module_t simulation_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&simulation_globals,
};

MP_REGISTER_MODULE(MP_QSTR__simulation, simulation_module);
MP_REGISTER_ROOT_POINTER(mp_obj_t simulation_imu);
MP_REGISTER_ROOT_POINTER(mp_obj_t simulation_adc);
