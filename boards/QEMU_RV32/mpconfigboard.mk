# QEMU machine virt with one rv32 hart; the natmod architecture (rv32imc) of an ESP32-C3.
CROSS_COMPILE ?= riscv64-unknown-elf-

# GCC 12's multilib table has no entry for "_zicsr", so asking for libgcc with it answers with the
# 64-bit one; ask without.
LIBGCC_FLAGS = -march=rv32imac -mabi=ilp32
CFLAGS_BOARD = -march=$(RV32_ARCH) -mabi=ilp32 -mcmodel=medany -msmall-data-limit=0
RV32_ARCH ?= rv32imac_zicsr
LDSCRIPT = rv32.ld
SRC_BOARD_C = hw_rv32.c
OBJ_BOARD = startup_rv32.o shared/runtime/gchelper_rv32i.o
SRC_LIB_C += $(SRC_LIB_LIBM_C) $(SRC_LIB_LIBM_SQRT_SW_C)

# A bare compiler has no C headers; Debian's come with picolibc. Headers only, nothing is linked.
PICOLIBC_SPECS := $(shell $(CROSS_COMPILE)gcc --print-file-name=picolibc.specs)
ifneq ($(PICOLIBC_SPECS),picolibc.specs)
CFLAGS += --specs=$(PICOLIBC_SPECS)
endif

CFLAGS += -fsingle-precision-constant
AFLAGS += -march=$(RV32_ARCH) -mabi=ilp32
MPY_CROSS_FLAGS += -march=rv32imc
