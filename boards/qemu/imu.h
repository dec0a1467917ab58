// SPDX-License-Identifier: MIT
// A simulated MPU-6050: its register file and FIFO as the datasheets (RM-MPU-6000A-00) have them.
// The low-pass filter does nothing; there is no self-test, no I2C master and no motion detection.
#ifndef ULNN_BOARDS_QEMU_IMU_H
#define ULNN_BOARDS_QEMU_IMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMU_ADDRESS (0x68)

// Acceleration x, y, z and rotation x, y, z in counts of the widest ranges, +-16 g and
// +-2,000 degrees a second, for the sample taken at `us` that has `count` before it.
typedef void (*imu_motion_t)(uint64_t us, uint64_t count, int16_t motion[6]);

// Power-on at time `us`. ppm: by how much longer than the datasheet's the chip's own periods are.
void imu_power_on(uint64_t us, int32_t ppm, imu_motion_t motion);

// Samples up to time `us` are taken.
void imu_run(uint64_t us);

// The register that the next byte goes to or comes from.
void imu_select(uint8_t reg);
void imu_write(uint64_t us, uint8_t value);
uint8_t imu_read(void);

// Faults: what WHO_AM_I reads, 0x68 in a good chip; a FIFO that has just overflowed.
void imu_set_identity(uint8_t value);
void imu_overflow(void);

#endif // ULNN_BOARDS_QEMU_IMU_H
