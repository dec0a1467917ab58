"""Sections of a model file (SPEC.md 2.1, 2.2) for rules that need more than the engine takes."""

from struct import unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container

    Bytes = bytes | bytearray | memoryview

_NONE = "not a ulnn file: it does not start with ULNN"


def read(source: "str | Bytes", kinds: "Container[int]") -> "tuple[int, int, dict[int, Bytes]]":
    """input_size, output_size, and the sections of these types with index 0, by type.

    source: a path (str), or a buffer of bytes, of which the sections are views. Raises ValueError
    for what is no model file, and for a section that does not lie in it; the engine checks all the
    rest.
    """
    if isinstance(source, str):
        with open(source, "rb") as f:
            size = f.seek(0, 2)

            def part(offset: int, size: int) -> bytes:
                f.seek(offset)
                return f.read(size)

            return _read(part, size, kinds)
    m = memoryview(source)
    return _read(lambda offset, size: m[offset : offset + size], len(m), kinds)


def digest(source: "str | Bytes") -> bytes:
    """The SHA-256 in a model file's header, 32 bytes: what names this model. Raises ValueError for
    what is no model file."""
    if isinstance(source, str):
        with open(source, "rb") as f:
            head = f.read(48)
    else:
        head = bytes(memoryview(source)[:48])
    if len(head) < 48 or head[:4] != b"ULNN":
        raise ValueError(_NONE)
    return head[16:48]


def _read(
    part: "Callable[[int, int], Bytes]", file_size: int, kinds: "Container[int]"
) -> "tuple[int, int, dict[int, Bytes]]":
    head = part(0, 64)
    if len(head) < 64 or unpack_from("<4s", head, 0)[0] != b"ULNN":
        raise ValueError(_NONE)
    count, inputs, outputs = unpack_from("<HHH", head, 54)
    table = part(64, min(16 * count, file_size))
    found = {}
    for k in range(len(table) >> 4):
        kind, index, offset, size = unpack_from("<HHII", table, 16 * k)
        if index == 0 and kind in kinds:
            if offset + size > file_size:
                raise ValueError("section %d: does not fit in the file" % k)
            found[kind] = part(offset, size)
    return inputs, outputs, found
