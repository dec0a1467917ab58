// SPDX-License-Identifier: MIT
#include <string.h>

#include "imu.h"

#define FIFO_SIZE (1024)

#define REG_SMPLRT_DIV (0x19)
#define REG_CONFIG (0x1a)
#define REG_GYRO_CONFIG (0x1b)
#define REG_ACCEL_CONFIG (0x1c)
#define REG_FIFO_EN (0x23)
#define REG_INT_ENABLE (0x38)
#define REG_INT_STATUS (0x3a)
#define REG_ACCEL_XOUT_H (0x3b)
#define REG_USER_CTRL (0x6a)
#define REG_PWR_MGMT_1 (0x6b)
#define REG_FIFO_COUNT_H (0x72)
#define REG_FIFO_COUNT_L (0x73)
#define REG_FIFO_R_W (0x74)
#define REG_WHO_AM_I (0x75)
#define REG_COUNT (0x76)

#define FIFO_EN_ACCEL (0x08)
#define FIFO_EN_GYRO_X (0x40)
#define INT_OVERFLOW (0x10)
#define INT_DATA_READY (0x01)
#define USER_FIFO_EN (0x40)
#define USER_FIFO_RESET (0x04)
#define USER_SELF_CLEARING (0x0f)
#define PWR_RESET (0x80)
#define PWR_SLEEP (0x40)

static struct {
    uint8_t regs[REG_COUNT];
    uint8_t selected;
    uint8_t identity;
    uint8_t fifo[FIFO_SIZE];
    uint32_t fifo_start, fifo_used;
    int32_t ppm;
    uint64_t next_ns, count;
    imu_motion_t motion;
} imu;

static uint64_t period_ns(void) {
    uint8_t filter = imu.regs[REG_CONFIG] & 7;
    int64_t tick_ns = filter == 0 || filter == 7 ? 125000 : 1000000;
    int64_t ns = tick_ns * (1 + imu.regs[REG_SMPLRT_DIV]);
    return ns + ns * imu.ppm / 1000000;
}

static void reset(void) {
    memset(imu.regs, 0, sizeof(imu.regs));
    imu.regs[REG_PWR_MGMT_1] = PWR_SLEEP;
    imu.regs[REG_WHO_AM_I] = imu.identity;
    imu.fifo_used = 0;
}

void imu_power_on(uint64_t us, int32_t ppm, imu_motion_t motion) {
    imu.identity = IMU_ADDRESS;
    imu.ppm = ppm;
    imu.motion = motion;
    imu.count = 0;
    imu.next_ns = us * 1000;
    reset();
}

/******************************************************************************/
// Sampling

// A full FIFO loses its oldest bytes, and 1,024 is no multiple of a sample's bytes.
static void fifo_put(const uint8_t *from, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        imu.fifo[(imu.fifo_start + imu.fifo_used) % FIFO_SIZE] = from[i];
        if (imu.fifo_used < FIFO_SIZE) {
            ++imu.fifo_used;
        } else {
            imu.fifo_start = (imu.fifo_start + 1) % FIFO_SIZE;
            imu.regs[REG_INT_STATUS] |= imu.regs[REG_INT_ENABLE] & INT_OVERFLOW;
        }
    }
}

static void put_axis(uint8_t *reg, int16_t widest, uint8_t config) {
    int32_t value = (int32_t)widest * (1 << (3 - (config >> 3 & 3)));
    value = value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value;
    reg[0] = value >> 8;
    reg[1] = value;
}

static void sample(uint64_t us) {
    int16_t motion[6];
    imu.motion(us, imu.count++, motion);
    uint8_t *accel = &imu.regs[REG_ACCEL_XOUT_H];
    uint8_t *gyro = accel + 8;
    for (size_t k = 0; k < 3; ++k) {
        put_axis(accel + 2 * k, motion[k], imu.regs[REG_ACCEL_CONFIG]);
        put_axis(gyro + 2 * k, motion[3 + k], imu.regs[REG_GYRO_CONFIG]);
    }
    imu.regs[REG_INT_STATUS] |= INT_DATA_READY;
    if (!(imu.regs[REG_USER_CTRL] & USER_FIFO_EN)) {
        return;
    }
    if (imu.regs[REG_FIFO_EN] & FIFO_EN_ACCEL) {
        fifo_put(accel, 6);
    }
    for (size_t k = 0; k < 3; ++k) {
        if (imu.regs[REG_FIFO_EN] & FIFO_EN_GYRO_X >> k) {
            fifo_put(gyro + 2 * k, 2);
        }
    }
}

void imu_run(uint64_t us) {
    uint64_t period = period_ns();
    bool sleeping = imu.regs[REG_PWR_MGMT_1] & PWR_SLEEP;
    if (sleeping && imu.next_ns <= us * 1000) {
        imu.next_ns = us * 1000;
        return;
    }
    for (; imu.next_ns <= us * 1000; imu.next_ns += period) {
        sample(imu.next_ns / 1000);
    }
}

/******************************************************************************/
// Registers

void imu_select(uint8_t reg) {
    imu.selected = reg;
}

static void advance(void) {
    if (imu.selected != REG_FIFO_R_W) {
        imu.selected = (imu.selected + 1) % REG_COUNT;
    }
}

void imu_write(uint64_t us, uint8_t value) {
    switch (imu.selected) {
        case REG_PWR_MGMT_1:
            if (value & PWR_RESET) {
                reset();
                break;
            }
            imu.regs[REG_PWR_MGMT_1] = value;
            break;
        case REG_USER_CTRL:
            // A running FIFO is not reset.
            if ((value & USER_FIFO_RESET) && !(value & USER_FIFO_EN)) {
                imu.fifo_used = 0;
            }
            imu.regs[REG_USER_CTRL] = value & ~USER_SELF_CLEARING;
            break;
        case REG_SMPLRT_DIV:
        case REG_CONFIG:
            imu.regs[imu.selected] = value;
            imu.next_ns = us * 1000 + period_ns();
            break;
        case REG_GYRO_CONFIG:
        case REG_ACCEL_CONFIG:
        case REG_FIFO_EN:
        case REG_INT_ENABLE:
            imu.regs[imu.selected] = value;
            break;
        default:
            // Read-only, or of a part that is not simulated.
            break;
    }
    advance();
}

uint8_t imu_read(void) {
    uint8_t reg = imu.selected;
    advance();
    uint8_t value = imu.regs[reg];
    if (reg == REG_FIFO_COUNT_H) {
        // The high byte latches the low one.
        imu.regs[REG_FIFO_COUNT_L] = imu.fifo_used;
        value = imu.fifo_used >> 8;
    } else if (reg == REG_INT_STATUS) {
        imu.regs[REG_INT_STATUS] = 0;
    } else if (reg == REG_FIFO_R_W && imu.fifo_used > 0) {
        value = imu.regs[REG_FIFO_R_W] = imu.fifo[imu.fifo_start];
        imu.fifo_start = (imu.fifo_start + 1) % FIFO_SIZE;
        --imu.fifo_used;
    }
    return value;
}

void imu_set_identity(uint8_t value) {
    imu.identity = value;
    imu.regs[REG_WHO_AM_I] = value;
}

void imu_overflow(void) {
    static const uint8_t nothing[FIFO_SIZE + 1];
    fifo_put(nothing, sizeof(nothing));
}
