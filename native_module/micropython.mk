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

# The engine. Each piece of assembly is empty where it is not wanted.
ULNN_SOURCES := $(shell cat $(ULNN_MOD_DIR)/sources.txt)
SRC_USERMOD_LIB_C += $(addprefix $(ULNN_MOD_DIR)/, $(filter %.c, $(ULNN_SOURCES)))
SRC_USERMOD_LIB_ASM += $(addprefix $(ULNN_MOD_DIR)/, $(filter %.S, $(ULNN_SOURCES)))
