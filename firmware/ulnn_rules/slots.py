"""A small state that survives power cuts: two slots in one file (SPEC.md 2.12). The older one is
written, so that a cut leaves the state before, or the new one.

    s = Slots(b"ULNC", sections.digest("/models/x.ulnn"), 210)
    if s.load("/models/x.centres"):
        ...                                 # take it out of s.content
    s.content[0] = 1
    s.save("/models/x.centres")
"""

from binascii import crc32
from struct import pack_into, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ulnn_rules.sections import Bytes

_VERSION = 2
_HEAD = 44
_SECTOR = 512  # what a FAT disk writes at once: a slot of its own


class Slots:
    """One state of `size` bytes, in a file of twice as much, rounded up to sectors.

    kind: 4 bytes at the start of each slot. owner: 32 bytes that name what the state belongs to,
    such as a model's SHA-256; a file of another owner is refused, and replaced by `save`.
    content: the state, a memoryview to fill before `save`, and filled by `load`.
    """

    def __init__(self, kind: bytes, owner: bytes, size: int) -> None:
        self._kind, self._owner = kind, owner
        used = _HEAD + size + 4
        self._slot = bytearray(used + -used % _SECTOR)
        self.content = memoryview(self._slot)[_HEAD : _HEAD + size]
        self._sequence = 0

    def save(self, path: str) -> None:
        """Write `content` into the older slot of the file, which is made where there is none.
        Raises OSError where the disk refuses."""
        slot = self._slot
        sequence = self._sequence + 1
        pack_into("<4sHHI32s", slot, 0, self._kind, _VERSION, 0, sequence, self._owner)
        pack_into("<I", slot, len(slot) - 4, _checksum(slot))
        place = len(slot) * (sequence & 1)
        try:
            with open(path, "r+b") as f:
                whole = sequence > 0 and f.seek(0, 2) == 2 * len(slot)
                if whole:
                    f.seek(place)
                    f.write(slot)
        except OSError:
            whole = False
        if not whole:
            # The file is not there, is another owner's, or a cut came while it was made.
            with open(path, "wb") as f:
                empty = bytes(len(slot))
                f.write(empty if place else slot)
                f.write(slot if place else empty)
        self._sequence = sequence

    def load(self, path: str) -> bool:
        """Take what was saved last into `content`. False: there is no such file, or no whole slot
        in it. Raises ValueError where it belongs to another owner. Allocates a slot."""
        best = -1
        try:
            with open(path, "rb") as f:
                half = f.seek(0, 2) // 2
                for place in (0, half):
                    f.seek(place)
                    b = f.read(half)
                    sequence = self._sequence_of(b)
                    if sequence > best:
                        best = sequence
                        self._slot[:] = b
        except OSError:
            return False
        self._sequence = max(best, 0)
        return best >= 0

    def _sequence_of(self, b: bytes) -> int:
        """The number of a slot, -1 where it is not whole."""
        if len(b) < _SECTOR or b[:4] != self._kind:
            return -1
        if _checksum(b) != unpack_from("<I", b, len(b) - 4)[0]:
            return -1
        version, _, sequence, owner = unpack_from("<HHI32s", b, 4)
        if version != _VERSION or owner != self._owner or len(b) != len(self._slot):
            self._sequence = -1
            raise ValueError("the file belongs to another model")
        return int(sequence)


def _checksum(slot: "Bytes") -> int:
    return crc32(memoryview(slot)[: len(slot) - 4]) & 0xFFFFFFFF
