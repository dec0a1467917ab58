// SPDX-License-Identifier: MIT
#include "boards/NUCLEO_H743ZI2/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "ULNN_STM32H7 (NUCLEO_H743ZI2)"
