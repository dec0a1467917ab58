"""Virtual boards: MicroPython on a Cortex-M7 and on an RV32 in QEMU, on a serial port.

with VirtualBoard("cortex-m7") as board:
    print(board.port)  # /dev/pts/3; everything that talks to a board can talk to it
"""

from .build import Firmware, build_firmware
from .kinds import BOARDS, BoardAddress, BoardKind, board_kind, parse_address
from .qemu import VirtualBoard, board_at, resolve_port

__all__ = [
    "BOARDS",
    "BoardAddress",
    "BoardKind",
    "Firmware",
    "VirtualBoard",
    "board_at",
    "board_kind",
    "build_firmware",
    "parse_address",
    "resolve_port",
]
