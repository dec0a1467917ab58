"""The board's sinks on this PC: firmware/ comes last on the path, so that its `ulnn.py` hides
nothing."""

from __future__ import annotations

import sys

from support.paths import FIRMWARE

if str(FIRMWARE) not in sys.path:
    sys.path.append(str(FIRMWARE))

from ulnn_sinks import base, log, make, ring

__all__ = ["base", "log", "make", "ring"]
