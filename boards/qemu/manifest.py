"""Frozen modules of the virtual boards: asyncio, and the project's own ones where they exist."""

from pathlib import Path

include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821

firmware = Path("../../firmware/manifest.py").resolve()
if firmware.exists():
    include(str(firmware))  # noqa: F821
