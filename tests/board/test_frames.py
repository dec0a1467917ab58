"""The codec of PROTOCOL.md: its vectors, and whatever damage does to a frame."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import protocol_vectors
from support.paths import ROOT
from ulnn_host.board.frames import BODY_WORDS, START, Decoder, encode

VECTORS = json.loads(protocol_vectors.FILE.read_text())


def test_vectors_are_what_the_script_writes(tmp_path: Path) -> None:
    written = protocol_vectors.FILE.read_text()
    protocol_vectors.FILE = tmp_path / "again.json"
    protocol_vectors.main()
    assert protocol_vectors.FILE.read_text() == written


def test_frames_in_the_document_are_vectors() -> None:
    """Frames in PROTOCOL.md, which may go over several lines of a block, are in the vectors."""
    text = (ROOT / "PROTOCOL.md").read_text()
    byte = r"[0-9a-f]{2}\b"
    frames = re.findall(rf"^    .*?\b((?:fe|a5)(?:\s+{byte}){{7,}})", text, re.M)
    assert len(frames) >= 12
    known = protocol_vectors.FILE.read_text()
    for frame in frames:
        assert re.sub(r"\s", "", frame) in known, frame
    assert max(len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize("vector", VECTORS["host_frames"], ids=lambda v: v["kind"])
def test_frames_of_the_host(vector: dict[str, str]) -> None:
    content = bytes.fromhex(vector["payload"])
    frame = encode(vector["kind"], int(vector["number"]), int(vector["argument"]), content)
    assert frame.hex() == vector["frame"]


@pytest.mark.parametrize("vector", VECTORS["board_frames"], ids=lambda v: v["frame"][-2:])
def test_frames_of_the_board(vector: dict[str, str]) -> None:
    (reply,) = Decoder().feed(bytes.fromhex(vector["frame"]))
    assert (reply.kind, reply.number, reply.argument) == (
        *(vector["kind"], vector["number"], vector["argument"]),
    )
    assert reply.payload.tobytes().hex() == vector["payload"]


def undo_links(frame: bytes) -> bytes:
    """The board's half of PROTOCOL.md 2.2."""
    data = bytearray(frame)
    for head, value in ((1, 3), (2, START)):
        link = data[head]
        while link:
            data[link], link = value, data[link]
    return bytes(data)


def many(*bytes_that_matter: int) -> st.SearchStrategy[bytes]:
    byte = st.one_of(st.integers(0, 255), *(st.just(v) for v in bytes_that_matter))
    return st.integers(0, BODY_WORDS - 4).flatmap(
        lambda words: st.lists(byte, min_size=2 * words, max_size=2 * words).map(bytes)
    )


@given(many(3, START), st.integers(0, 255), st.integers(0, 65535))
def test_no_byte_3_and_one_start_byte(payload: bytes, number: int, argument: int) -> None:
    frame = encode("S", number, argument, payload)
    assert 3 not in frame
    assert frame.index(START) == frame.rindex(START) == 0
    assert len(frame) == 4 + 2 * frame[3] <= 252
    body = undo_links(frame)[4:]
    assert body[:4] == b"S" + bytes([number]) + argument.to_bytes(2, "little")
    assert body[4:-4] == payload


def test_too_large_body_is_refused() -> None:
    with pytest.raises(ValueError, match=r"body of 125\.0 words, expected at most 124"):
        encode("S", 0, 0, bytes(2 * (BODY_WORDS - 3)))


@given(st.binary(max_size=40), st.lists(many(0xA5), max_size=5), st.randoms())
def test_decoder_finds_every_frame_in_noise(
    noise: bytes, payloads: list[bytes], rng: random.Random
) -> None:
    wire = noise
    for k, payload in enumerate(payloads):
        wire += protocol_vectors.board("s", k, 7, payload) + noise
    decoder, found = Decoder(), []
    while wire:
        cut = rng.randint(1, 50)
        found += list(decoder.feed(wire[:cut]))
        wire = wire[cut:]
    assert [r.number for r in found] == list(range(len(payloads)))
    for reply, payload in zip(found, payloads, strict=True):
        assert reply.payload.tobytes() == payload
    assert decoder.damaged <= len(payloads) + 1


def damaged(frame: bytes) -> Iterator[bytes]:
    """The frame with each of its bits changed, and with each of its bytes lost or doubled."""
    for position in range(len(frame)):
        for bit in range(8):
            copy = bytearray(frame)
            copy[position] ^= 1 << bit
            yield bytes(copy)
        yield frame[:position] + frame[position + 1 :]
        if frame[position : position + 1] != frame[position + 1 : position + 2]:
            yield frame[:position] + frame[position : position + 1] + frame[position:]


def test_decoder_drops_a_damaged_frame_and_finds_the_next() -> None:
    frame = protocol_vectors.board("s", 1, 0, bytes(range(30)))
    after = protocol_vectors.board("s", 2, 0, b"ok")
    for wire in damaged(frame):
        decoder = Decoder()
        found = list(decoder.feed(wire + after))
        assert [r.number for r in found][-1] == 2
        if len(found) == 2:  # a byte added before or behind it
            assert found[0].payload.tobytes() == bytes(range(30))
            assert wire in (frame[:1] + frame, frame + frame[-1:])


@pytest.mark.parametrize("size", range(256))
def test_a_stray_start_does_not_hold_back_what_follows(size: int) -> None:
    frame = protocol_vectors.board("s", 7, 0, b"okay")
    decoder = Decoder()
    (reply,) = decoder.feed(bytes([0xA5, size]) + frame)
    assert (reply.number, decoder.waiting) == (7, False)
