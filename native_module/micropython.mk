# ulnn as a user C module, for ports built by make:
#
#     make -C ports/stm32 BOARD=... USER_C_MODULES=/path/to/ulnn
#
# USER_C_MODULES names the folder above this one. ULNN_CELLS=cfc leaves out what natmods leave out
# with CELLS=cfc.

ULNN_MOD_DIR := $(USERMOD_DIR)

ifeq ($(ULNN_CELLS),cfc)
CFLAGS_USERMOD += -DULNN_CELLS_CFC=1
endif

# With strings for the qstr table.
SRC_USERMOD_C += $(ULNN_MOD_DIR)/bindings/modulnn.c

# Plain C.
SRC_USERMOD_LIB_C += $(addprefix $(ULNN_MOD_DIR)/, \
	core/ulnn_load.c \
	core/ulnn_load_layer.c \
	core/ulnn_load_matrix.c \
	core/ulnn_load_ltc.c \
	core/ulnn_step.c \
	core/ulnn_cells.c \
	core/ulnn_ltc.c \
	core/ulnn_text.c \
	kernels/portable.c \
	)

# Each is empty where it is not wanted.
SRC_USERMOD_LIB_ASM += $(addprefix $(ULNN_MOD_DIR)/kernels/, cortex_m4.S cortex_m7.S rv32imc.S)
