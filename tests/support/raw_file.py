"""Taking `.ulnn` files apart and putting them together again, from SPEC.md alone, for tests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

TIME, INPUT, OUTPUT, TABLE, LAYER, GOLDEN, META = 1, 2, 3, 4, 5, 6, 0x8001
NAMES, DECISION, CENTRES, FEATURES, BEATS = 0x8003, 0x8004, 0x8005, 0x8006, 0x8007
UNKNOWN = 0x8008


def text_of(read: Callable[[], object]) -> str:
    """What a reader says that refuses, else "ok"."""
    try:
        read()
    except ValueError as error:
        return str(error)
    return "ok"


@dataclass(frozen=True)
class Section:
    type: int
    index: int
    data: bytes

    def patched(self, offset: int, code: str, *values: int) -> Section:
        data = bytearray(self.data)
        struct.pack_into("<" + code, data, offset, *values)
        return replace(self, data=bytes(data))


@dataclass(frozen=True)
class File:
    """The header from byte 48 on, and the sections, of a `.ulnn` file."""

    model_version: int
    dialect: int
    input_size: int
    output_size: int
    sections: tuple[Section, ...]
    offsets: tuple[int, ...] = field(default=(), compare=False)

    @classmethod
    def read(cls, data: bytes) -> File:
        version, dialect, count, inputs, outputs, _ = struct.unpack_from("<IHHHHI", data, 48)
        sections = []
        offsets = []
        for k in range(count):
            kind, index, offset, size, _ = struct.unpack_from("<HHIII", data, 64 + 16 * k)
            sections.append(Section(kind, index, data[offset : offset + size]))
            offsets.append(offset)
        return cls(version, dialect, inputs, outputs, tuple(sections), tuple(offsets))

    def write(self) -> bytes:
        """The file; sections stand one after the other, whatever their types."""
        count = len(self.sections)
        table = b""
        body = b""
        start = 64 + 16 * count
        for s in self.sections:
            body += bytes(-len(body) % 16)
            table += struct.pack("<HHIII", s.type, s.index, start + len(body), len(s.data), 0)
            body += s.data
        head = struct.pack("<4sBBHII32x", b"ULNN", 1, 0, 0, start + len(body), 0)
        head += struct.pack(
            "<IHHHHI",
            self.model_version,
            self.dialect,
            count,
            self.input_size,
            self.output_size,
            0,
        )
        return with_crc(head + table + body)

    def find(self, kind: int, index: int = 0) -> int:
        """Position of a section in the table."""
        return next(k for k, s in enumerate(self.sections) if (s.type, s.index) == (kind, index))

    def swap(self, k: int, *sections: Section) -> File:
        """With other sections in the place of section k."""
        return replace(self, sections=self.sections[:k] + sections + self.sections[k + 1 :])


def with_crc(data: bytes) -> bytes:
    """The file with size and CRC32 as they should be."""
    data = data[:8] + struct.pack("<I", len(data)) + data[12:]
    return data[:12] + struct.pack("<I", zlib.crc32(data[16:])) + data[16:]


def patch(data: bytes, offset: int, code: str, *values: int) -> bytes:
    """The file with a field of header or section table changed, and its CRC32 right."""
    changed = bytearray(data)
    struct.pack_into("<" + code, changed, offset, *values)
    return with_crc(bytes(changed))


@dataclass(frozen=True)
class Stream:
    """Where things are in the stream of one matrix, within its section.

    listed: of a sparse matrix, the number of columns of each group; () for a dense one. The
    columns of a row are then counted along its group's list.
    """

    offset: int
    rows: int
    columns: int
    bits: int
    listed: tuple[int, ...] = ()

    def columns_of(self, row: int) -> int:
        """Columns of a row, without filling."""
        return self.listed[row // 4] if self.listed else self.columns

    @property
    def entries(self) -> int:
        """Where the byte offsets of a sparse matrix begin."""
        return self.offset + 2 * len(self.listed)

    @property
    def list_end(self) -> int:
        """Where they end, without the filling of the list."""
        return self.entries + 8 * sum(-(-n // 4) for n in self.listed)

    def _record(self, group: int) -> int:
        """Where the record of a group begins; of the one behind the last, the end."""
        start = self.offset + -(-(self.list_end - self.offset) // 16) * 16
        return start + sum(self._size(g) for g in range(group))

    def _size(self, group: int) -> int:
        return 32 + 16 * -(-self.columns_of(4 * group) // 4) * self.bits // 8

    @property
    def end(self) -> int:
        return self._record(-(-self.rows // 4))

    def bias(self, row: int) -> int:
        return self._record(row // 4) + 4 * (row % 4)

    def multiplier(self, row: int) -> int:
        return self.bias(row) + self._size(row // 4) - 16

    def weight(self, row: int, column: int) -> int:
        size = self.bits // 8
        block = self._record(row // 4) + 16 + column // 4 * 16 * size
        r, c = row % 4, column % 4
        place = 4 * r + (0, 2, 1, 3)[c] if size == 1 else 2 * r + 8 * (c // 2) + c % 2
        return block + place * size


def streams(layer: Section) -> list[Stream]:
    """The matrices of a LAYER section."""
    (count,) = struct.unpack_from("<H", layer.data, 8)
    found = []
    for j in range(count):
        at = 16 + 16 * j
        bits, sparse = layer.data[at], layer.data[at + 5]
        rows, columns = struct.unpack_from("<HH", layer.data, at + 6)
        (offset,) = struct.unpack_from("<I", layer.data, at + 12)
        code = f"<{-(-rows // 4)}H"
        listed = struct.unpack_from(code, layer.data, offset) if sparse else ()
        found.append(Stream(offset, rows, columns, bits, listed))
    return found
