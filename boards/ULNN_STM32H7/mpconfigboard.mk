# NUCLEO_H743ZI2 with the ulnn C module and our Python modules built in.
FROZEN_MANIFEST ?= $(BOARD_DIR)/manifest.py
USER_C_MODULES ?= $(abspath $(BOARD_DIR)/../..)

include boards/NUCLEO_H743ZI2/mpconfigboard.mk

# The port wants pins.csv in the board's folder; upstream's is fetched there (and git ignores it).
$(BOARD_DIR)/pins.csv: boards/NUCLEO_H743ZI2/pins.csv
	$(Q)$(CP) $< $@
