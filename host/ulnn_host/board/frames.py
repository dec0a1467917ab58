"""Frames of the serial line, as PROTOCOL.md describes them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SYNC = 0xA5
BODY_WORDS = 126
OVERHEAD_WORDS = 4
PREFIX_BYTES = 4
INTERRUPT = 3


@dataclass(frozen=True)
class Reply:
    """A frame from the board: kind, number and argument of PROTOCOL.md; payload int16 words."""

    kind: str
    number: int
    argument: int
    payload: NDArray[np.int16]

    def text(self) -> str:
        """The payload of an error, or of the text region."""
        return self.payload.tobytes().rstrip(b"\0").decode(errors="replace")


def check_words(words: NDArray[np.int16]) -> tuple[int, int]:
    """The two check words (0 .. 65534) of a body."""
    sums = 1 + np.cumsum(words, dtype=np.int64)
    return int(sums[-1]) % 65535, int(sums.sum()) % 65535


def encode(kind: str, number: int, argument: int, payload: bytes = b"") -> bytes:
    """A frame for the board, without any byte 3. Payload: whole little-endian words."""
    head = struct.pack("<BBH", ord(kind), number & 0xFF, argument)
    words = np.frombuffer(head + payload, "<i2")
    if len(words) + 2 > BODY_WORDS:
        raise ValueError(f"body of {len(words) + 2} words, expected at most {BODY_WORDS}")
    body = bytearray(head + payload + struct.pack("<HH", *check_words(words)))
    link = 0
    for k in range(len(body) - 1, -1, -1):
        if body[k] == INTERRUPT:
            body[k], link = link, k + PREFIX_BYTES
    size = len(body) // 2
    return bytes((SYNC, link, size, (link + size) & 0x7F | 0x80)) + body


class Decoder:
    """Finds frames in what the board sends; everything else is kept as `noise`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.noise = bytearray()
        self.damaged = 0

    def _skip(self, count: int) -> None:
        self.noise += self._buffer[:count]
        del self._buffer[:count], self.noise[:-4000]

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[Reply]:
        """Replies completed by `data`. final: nothing more will come for what is incomplete."""
        buffer = self._buffer
        buffer += data
        while buffer:
            start = buffer.find(SYNC)
            if start != 0:
                self._skip(start if start > 0 else len(buffer))
                continue
            size = buffer[2] if len(buffer) > 2 else OVERHEAD_WORDS
            whole = PREFIX_BYTES + 2 * size
            if len(buffer) < whole and not final and size <= BODY_WORDS:
                return
            reply = _decode(bytes(buffer[:whole])) if len(buffer) >= whole else None
            if reply is None:
                self.damaged += len(buffer) > 3 and _prefix_valid(buffer)
                self._skip(1)
            else:
                del buffer[:whole]
                yield reply


def _prefix_valid(frame: bytes | bytearray) -> bool:
    link, size, check = frame[1:4]
    return (
        link == 0
        and OVERHEAD_WORDS <= size <= BODY_WORDS
        and check == ((link + size) & 0x7F | 0x80)
    )


def _decode(frame: bytes) -> Reply | None:
    if not _prefix_valid(frame):
        return None
    words = np.frombuffer(frame, "<i2", offset=PREFIX_BYTES)
    if tuple(words[-2:].view(np.uint16)) != check_words(words[:-2]):
        return None
    kind, number, argument = struct.unpack_from("<BBH", frame, PREFIX_BYTES)
    return Reply(chr(kind), number, argument, words[2:-2].copy())
