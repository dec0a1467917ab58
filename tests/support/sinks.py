"""The board's sinks on this PC."""

from __future__ import annotations

from ulnn_host.board import board_code

make = board_code.package("ulnn_sinks").make
base, log, ring = (board_code.module(f"ulnn_sinks.{name}") for name in ("base", "log", "ring"))
