"""A disk for the unix MicroPython, in RAM, and what tests look at on it."""

from __future__ import annotations

from dataclasses import dataclass

from support.pty_board import PtyBoard
from ulnn_host.board.link import Board

# A board's disk: littlefs on a RAM block device, with lib on it and nothing else importable.
DISK = """
import os, sys, vfs
class Ram:
    def __init__(self, n): self.n, self.data = n, bytearray(512 * n)
    def readblocks(self, k, buf, off=0):
        buf[:] = self.data[512 * k + off : 512 * k + off + len(buf)]
    def writeblocks(self, k, buf, off=None):
        if off is None:
            self.data[512 * k : 512 * k + 512] = b"\\xff" * 512
        off = off or 0
        self.data[512 * k + off : 512 * k + off + len(buf)] = buf
    def ioctl(self, op, arg):
        if op == 4: return self.n
        if op == 5: return 512
        return 0
ram = Ram(BLOCKS)
vfs.VfsLfs2.mkfs(ram)
vfs.mount(ram, "/ram")
os.chdir("/ram")
sys.path[:] = ["", ".frozen", "/ram/lib"]
"""


@dataclass
class Disk:
    link: Board
    pty: PtyBoard

    def files(self) -> dict[str, int]:
        """Sizes of all files on the disk."""
        found: dict[str, int] = self.link.eval(
            "(lambda walk: walk(walk, ''))(lambda walk, d: {k: v for e in "
            "os.ilistdir('/ram' + d) for k, v in (walk(walk, d + '/' + e[0]) if e[1] == 0x4000 "
            "else {d + '/' + e[0]: e[3]}).items()})"
        )
        return found


def fill(link: Board, folder: str, left: int) -> None:
    """Fill a board's disk up to `left` bytes."""
    link.exec(
        f"import os\nv = os.statvfs({folder!r})\nn = v[1] * v[4] - {left}\n"
        f"with open({folder!r} + '/fill', 'wb') as f:\n"
        " while n > 0:\n  n -= f.write(bytes(min(n, 1024)))",
        timeout=60,
    )


def forget_modules(there: Disk) -> None:
    """What a soft reset does elsewhere."""
    there.link.exec(
        "import sys\nfor n in list(sys.modules):\n if n.startswith('ulnn'): del sys.modules[n]"
    )


def sha_of_model(there: Disk) -> str:
    return str(there.link.eval("__import__('ulnn').load('/ram/models/m.ulnn').info()['sha256']"))
