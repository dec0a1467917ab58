"""Frames of the serial line, as PROTOCOL.md describes them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

START = 0xFE
SYNC = 0xA5
INTERRUPT = 3
BODY_WORDS = 124
OVERHEAD_WORDS = 4
PAYLOAD_WORDS = BODY_WORDS - OVERHEAD_WORDS
HOST_HEAD, BOARD_HEAD = 4, 2
FLAG = bytes([START])


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


def encode(kind: str, number: int, argument: int = 0, payload: bytes = b"") -> bytes:
    """A frame for the board: START is its first byte only, and INTERRUPT none of them.

    Payload: whole little-endian words.
    """
    content = struct.pack("<BBH", ord(kind), number & 0xFF, argument & 0xFFFF) + payload
    size = len(content) // 2 + 2
    if len(content) % 2 or size > BODY_WORDS:
        raise ValueError(f"body of {len(content) / 2 + 2} words, expected at most {BODY_WORDS}")
    frame = bytearray((START, 0, 0, size)) + content + struct.pack("<I", crc32(content))
    for head, value in ((1, INTERRUPT), (2, START)):
        link = 0
        for k in range(len(frame) - 1, HOST_HEAD - 1, -1):
            if frame[k] == value:
                frame[k], link = link, k
        frame[head] = link
    return bytes(frame)


class Decoder:
    """Finds frames in what the board sends.

    damaged: counts stretches of bytes that belong to no frame.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._noise = bytearray()
        self.damaged = 0

    @property
    def waiting(self) -> bool:
        """Whether the beginning of a frame waits for its end."""
        return bool(self._buffer)

    @property
    def rest(self) -> bytes:
        """What came since the last whole frame, 4000 bytes at most: text of the REPL, or a frame
        that is damaged or not complete yet.
        """
        return bytes(self._noise + self._buffer)[-4000:]

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[Reply]:
        """Replies completed by `data`. final: nothing more will come for what is incomplete."""
        buffer = self._buffer
        buffer += data
        at = 0
        while (at := buffer.find(SYNC, at)) >= 0:
            reply = _decode(buffer, at)
            if reply is None:
                at += 1
                continue
            self._drop(at)
            del buffer[: BOARD_HEAD + 2 * (len(reply.payload) + OVERHEAD_WORDS)]
            self._noise.clear()
            at = 0
            yield reply
        self._drop(len(buffer) if final else self._first_open())

    def _drop(self, count: int) -> None:
        if count and not self._noise:
            self.damaged += 1
        self._noise += self._buffer[:count]
        del self._buffer[:count], self._noise[:-4000]

    def _first_open(self) -> int:
        """Index of the first byte that may begin a frame that is not complete yet."""
        buffer, at = self._buffer, 0
        while (at := buffer.find(SYNC, at)) >= 0:
            size = buffer[at + 1] if at + 1 < len(buffer) else OVERHEAD_WORDS
            if OVERHEAD_WORDS <= size <= BODY_WORDS and at + BOARD_HEAD + 2 * size > len(buffer):
                return at
            at += 1
        return len(buffer)


def _decode(data: bytearray, at: int) -> Reply | None:
    if len(data) < at + BOARD_HEAD:
        return None
    size = data[at + 1]
    body = bytes(data[at + BOARD_HEAD : at + BOARD_HEAD + 2 * size])
    if not OVERHEAD_WORDS <= size <= BODY_WORDS or len(body) < 2 * size:
        return None
    (check,) = struct.unpack_from("<I", body, len(body) - 4)
    if crc32(body[:-4] + struct.pack("<H", check >> 30 << 2)) != check & 0x3FFFFFFF:
        return None
    kind, number, argument = struct.unpack_from("<BBH", body)
    words = np.frombuffer(body, "<i2", offset=4)[:-2].copy()
    return Reply(chr(kind), number, argument, words)
