// SPDX-License-Identifier: MIT
// What the board's pins, bus and converter see: the module _simulation, and who asks it.
#ifndef ULNN_BOARDS_QEMU_SIMULATION_H
#define ULNN_BOARDS_QEMU_SIMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "py/obj.h"

// Numbers as on a Raspberry Pi Pico: I2C(0) is on the pins 0 and 1, converters on 26 to 28.
#define SIMULATION_SDA (0)
#define SIMULATION_SCL (1)
#define SIMULATION_PINS (32)

// Nothing is connected, nothing is wrong. At the start of each session.
void simulation_init(void);

// The bus: 0, or -MP_ENODEV where nothing answers, -MP_ETIMEDOUT where a line is held low.
int simulation_i2c_begin(uint16_t address, bool read);
void simulation_i2c_write(uint8_t value);
uint8_t simulation_i2c_read(void);

// The number of a pin, given as one or as a machine.Pin. Raises ValueError. In machine_pin.c.
unsigned int machine_pin_number(mp_obj_t pin);

// Pins: what the board drives, and the level that results with all that hangs on the line.
void simulation_pin_drive(size_t pin, bool level);
bool simulation_pin_level(size_t pin);

// The converter's input now, 0 to 65535.
uint16_t simulation_adc(void);

#endif // ULNN_BOARDS_QEMU_SIMULATION_H
