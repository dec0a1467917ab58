// SPDX-License-Identifier: MIT
#include "boards/NUCLEO_H743ZI/board_init.c"
