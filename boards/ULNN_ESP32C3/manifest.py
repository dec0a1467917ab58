"""Everything upstream freezes for this port, and our modules."""

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
include("$(BOARD_DIR)/../../firmware/manifest.py")  # noqa: F821
