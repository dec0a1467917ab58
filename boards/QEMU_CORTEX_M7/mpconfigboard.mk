# QEMU machine mps2-an500 with a Cortex-M7 and its double-precision FPU, as on an STM32H7.
CROSS_COMPILE ?= arm-none-eabi-

CFLAGS_BOARD = -mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard
LIBGCC_FLAGS = $(CFLAGS_BOARD)
LDSCRIPT = cortex_m7.ld
SRC_BOARD_C = hw_cortex_m7.c
OBJ_BOARD = shared/runtime/gchelper_thumb2.o
SRC_LIB_C += $(SRC_LIB_LIBM_DBL_C) $(SRC_LIB_LIBM_DBL_SQRT_HW_C)

AFLAGS += -mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard
MPY_CROSS_FLAGS += -march=armv7emdp
