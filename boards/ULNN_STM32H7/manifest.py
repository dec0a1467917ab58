"""Everything upstream freezes for this board, and our modules."""

include("$(PORT_DIR)/boards/NUCLEO_H743ZI/manifest.py")  # noqa: F821
include("$(BOARD_DIR)/../../firmware/manifest.py")  # noqa: F821
