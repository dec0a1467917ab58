# Frozen modules of the virtual boards: asyncio, and the project's own ones where they exist.
import os

include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821

firmware = os.path.join(os.getcwd(), "..", "..", "firmware", "manifest.py")
if os.path.exists(firmware):
    include(firmware)  # noqa: F821
