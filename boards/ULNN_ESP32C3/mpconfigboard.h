// SPDX-License-Identifier: MIT
#include "boards/ESP32_GENERIC_C3/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "ULNN_ESP32C3 (ESP32_GENERIC_C3)"
