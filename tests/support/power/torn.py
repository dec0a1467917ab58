"""A board's disk, under the unix MicroPython, whose power is cut in the middle of a write."""

import gc
import os
import sys

import vfs

BLOCK = 512


class Cut(Exception):
    """The power is gone."""


class Torn:
    """A block device. left: writes until the cut, None for none; writes: how many there were.

    The write under way is done by half. An erase is a write. Afterwards nothing can be written.
    """

    def __init__(self, data):
        self.data, self.left, self.writes, self.dead = data, None, 0, False

    def _write(self, at, buf):
        self.writes += 1
        n = len(buf)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                n //= 2
                self.dead = True
        self.data[at : at + n] = memoryview(buf)[:n]
        if self.dead:
            raise Cut

    # Without power: a number, as the collector closes files when nothing can be allocated.
    def readblocks(self, k, buf, off=0):
        if self.dead:
            return -5
        at = BLOCK * k + off
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, k, buf, off=0):
        if self.dead:
            return -5
        self._write(BLOCK * k + off, buf)

    def ioctl(self, op, arg):
        if self.dead and op in (3, 6):
            return -5
        if op == 4:
            return len(self.data) // BLOCK
        if op == 5:
            return BLOCK
        if op == 6:
            self._write(BLOCK * arg, b"\xff" * BLOCK)
        return 0


def format_disk(kind, blocks):
    """A new disk, as bytes. kind: VfsLfs2 or VfsFat."""
    disk = Torn(bytearray(BLOCK * blocks))
    getattr(vfs, kind).mkfs(disk)
    return disk.data


disk = Torn(b"")


def power_on(kind, data, left=None):
    """Mount a disk at /ram and forget all that was imported, as a start does; the device."""
    global disk
    for name in list(sys.modules):
        if name.startswith("ulnn"):
            del sys.modules[name]
    os.chdir("/")
    try:
        vfs.umount("/ram")
    except OSError:
        pass
    disk.dead = True
    gc.collect()
    disk = Torn(data)
    vfs.mount(getattr(vfs, kind)(disk), "/ram")
    disk.left = left
    os.chdir("/ram")
    sys.path[:] = ["", ".frozen", "/ram/lib"]
    return disk


def starts_with():
    """The versions of what a program gets that uses everything, after the model's self test."""
    import ulnn
    import ulnn_rules
    import ulnn_stream
    from ulnn_rules import scaling

    model = ulnn.load("/ram/models/m.ulnn")
    model.self_test()
    assert scaling.Scaling("/ram/models/m.ulnn").input_size
    sha = model.info()["sha256"][:8]
    return [ulnn.TAG, ulnn_stream.TAG, ulnn_rules.TAG, scaling.TAG, sha]
