// SPDX-License-Identifier: MIT
#include "boards/ESP32_GENERIC_S3/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "ULNN_ESP32S3 (ESP32_GENERIC_S3)"
