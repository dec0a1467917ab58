"""Where things are in the checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
NATIVE = ROOT / "native_module"
SUPPORT = ROOT / "tests" / "support"
ENGINE_API = SUPPORT / "engine_api.py"
