"""A disk for the unix MicroPython, in RAM."""

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
