"""PROTOCOL.md: the codec, and the loop under MicroPython behind a line that does damage."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.board_tools import model_file, need_tools
from support.paths import FIRMWARE
from support.pty_board import FAKE_ULNN, PtyBoard, fake_run
from support.unix import needs_micropython, unix
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.deploy import deploy
from ulnn_host.board.frames import BODY_WORDS, Decoder, check_words, encode
from ulnn_host.board.link import Board
from ulnn_host.board.stream import Session, _Request

STREAM = (FIRMWARE / "ulnn_stream.py").read_text()
MODULES = {"ulnn.py": FAKE_ULNN, "ulnn_stream.py": STREAM}


def undo_links(frame: bytes) -> bytes:
    """The board's half of PROTOCOL.md 2.2."""
    data = bytearray(frame)
    link = data[1]
    while link:
        data[link], link = 3, data[link]
    return bytes(data)


payloads = st.integers(0, BODY_WORDS - 4).flatmap(
    lambda words: st.lists(
        st.one_of(st.integers(0, 255), st.just(3)), min_size=2 * words, max_size=2 * words
    )
)


@given(payloads.map(bytes), st.integers(0, 255), st.integers(0, 65535))
def test_host_never_sends_a_3(payload: bytes, number: int, argument: int) -> None:
    frame = encode("S", number, argument, payload)
    assert 3 not in frame
    assert len(frame) == 4 + 2 * frame[2] <= 256
    body = undo_links(frame)[4:]
    assert body[:4] == b"S" + bytes([number]) + argument.to_bytes(2, "little")
    assert body[4:-4] == payload
    words = np.frombuffer(body, "<i2")
    assert tuple(words[-2:].view(np.uint16)) == check_words(words[:-2])


def test_too_large_body_is_refused() -> None:
    with pytest.raises(ValueError, match="body of 127 words, expected at most 126"):
        encode("S", 0, 0, bytes(2 * (BODY_WORDS - 3)))


def from_board(kind: str, number: int, payload: bytes) -> bytes:
    """A board's frame is a host's frame without links."""
    frame = undo_links(encode(kind, number, 7, payload))
    return bytes([frame[0], 0, frame[2], frame[2] & 0x7F | 0x80]) + frame[4:]


@given(st.binary(max_size=40), st.lists(st.binary(max_size=20), max_size=5), st.randoms())
def test_decoder_finds_every_frame_in_noise(
    noise: bytes, payloads: list[bytes], rng: random.Random
) -> None:
    noise = noise.replace(b"\xa5", b"x")
    wire = noise
    for k, payload in enumerate(payloads):
        wire += from_board("s", k, payload + bytes(len(payload) % 2)) + noise
    decoder, found = Decoder(), []
    while wire:
        cut = rng.randint(1, 50)
        found += list(decoder.feed(wire[:cut]))
        wire = wire[cut:]
    assert [r.number for r in found] == list(range(len(payloads)))
    for reply, payload in zip(found, payloads, strict=True):
        assert reply.payload.tobytes()[: len(payload)] == payload
    assert decoder.damaged == 0


def damaged(frame: bytes) -> Iterator[bytes]:
    """The frame with each of its bits changed, those of both check words included."""
    for position in range(len(frame)):
        for bit in range(8):
            copy = bytearray(frame)
            copy[position] ^= 1 << bit
            yield bytes(copy)


def test_decoder_drops_a_frame_with_any_bit_changed() -> None:
    for frame in damaged(from_board("s", 1, bytes(range(30)))):
        decoder = Decoder()
        found = list(decoder.feed(frame))
        found += decoder.feed(from_board("s", 2, b"ok"), final=True)
        assert [r.number for r in found] == [2]


# ---- the loop -----------------------------------------------------------------------------------


def samples(count: int, inputs: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.integers(-32768, 32768, (count, inputs))
    x[::3] = 0x0303  # bytes 3 in a row
    return x, rng.integers(1, 5000, count)


def sample_frame(number: int, count: int) -> bytes:
    """A frame of samples with 6 inputs."""
    x, dt = samples(count, 6, number)
    rows = np.concatenate([dt.astype("<u4").view("<i2").reshape(-1, 2), x], axis=1)
    return encode("S", number, count, rows.astype("<i2").tobytes())


def check_run(session: Session, count: int = 300, outputs: int = 7) -> None:
    x, dt = samples(count, session.info.inputs)
    session.reset()
    trace = session.run(x, dt)
    y, state = fake_run(x.tolist(), dt.tolist(), outputs)
    assert trace.y.tolist() == y
    assert session.state().tolist() == [state] * session.info.state_size
    assert trace.ticks.shape == trace.gc.shape == (count,)


@pytest.fixture
def board(tmp_path: Path):
    (tmp_path / "m.ulnn").write_text("6 7 8")
    with PtyBoard(tmp_path, modules=MODULES) as running:
        yield running


@needs_micropython
@pytest.mark.parametrize("window", [64, 256, 1024])
def test_steps_are_those_of_the_engine(board: PtyBoard, window: int) -> None:
    with Board.open(board.port) as link:
        board.sent.clear()
        with link.stream("m.ulnn", window=window) as session:
            check_run(session)
            assert session.info.facts["kernel"] == "python"
            assert session.stats()["steps"] == 300
            assert session.resent == session.naks == session.damaged == 0
            assert 3 not in board.sent
        assert link.eval("6 * 7") == 42


@needs_micropython
@pytest.mark.parametrize("sizes", ["1 1 1", "120 1 1", "1 120 2", "121 1 1", "400 300 500"])
def test_any_number_of_inputs_and_outputs(board: PtyBoard, sizes: str) -> None:
    (board.folder / "m.ulnn").write_text(sizes)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        check_run(session, 20, int(sizes.split()[1]))


class Disturber:
    """Changes, drops or adds bytes, on average one in `every`, once the loop runs."""

    def __init__(self, every: int, seed: int) -> None:
        self.every, self.rng, self.done, self.active = every, random.Random(seed), 0, False

    def __call__(self, data: bytes) -> bytes:
        if not self.active:
            return data
        out = bytearray()
        for byte in data:
            fate = self.rng.randrange(3 * self.every)
            self.done += fate < 3
            if fate == 0:  # another byte, but not Ctrl-C
                out.append((byte ^ 1 << self.rng.randrange(8)) | 4)
            elif fate == 1:  # an additional one
                out += bytes((byte, 0xA5))
            elif fate != 2:  # else lost
                out.append(byte)
        return bytes(out)


@needs_micropython
@pytest.mark.parametrize("direction", ["to_board", "to_host"])
def test_a_bad_line_costs_time_but_no_sample(
    board: PtyBoard, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "_patience", lambda self, n: 0.3)
    disturber = Disturber(1500, seed=1)
    setattr(board, direction, disturber)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        disturber.active = True
        x, dt = samples(1000, 6)
        trace = session.run(x, dt)
        disturber.active = False
        y, state = fake_run(x.tolist(), dt.tolist(), 7)
        assert trace.y.tolist() == y
        assert session.state().tolist() == [state] * 8
        assert disturber.done > 3
        assert session.resent > 0
        assert session.stats()["steps"] == 1000


@needs_micropython
def test_errors_of_the_engine_arrive(board: PtyBoard) -> None:
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        with pytest.raises(ValueError, match="dts: expected 1 or more ticks, got 0 at step 2"):
            session.run(np.zeros((3, 6)), [1, 1, 0])
        with pytest.raises(ValueError, match=r"x: expected shape \(2, 6\), got \(2, 5\)"):
            session.run(np.zeros((2, 5)), [1, 1])
        with pytest.raises(ValueError, match="x: expected int16 values"):
            session.run(np.full((2, 6), 40000), [1, 1])
        rows = np.zeros((3, 8), np.int16)
        rows[:2, 0] = 1
        with pytest.raises(UlnnError, match=r"dt: expected 1 or more ticks, got 0 \(sample 2"):
            session._one(_Request("S", 3, rows.tobytes()))
        check_run(session)


def ctrl_c_in_the_middle(session: Session) -> None:
    session._port.write(b"\x03")
    check_run(session)


def silence(session: Session) -> None:
    while True:
        session._read(float("inf"))


@needs_micropython
def test_ctrl_c_and_silence_end_the_loop(board: PtyBoard) -> None:
    with Board.open(board.port) as link:
        with (
            pytest.raises(UlnnError, match="the loop on the board ended: KeyboardInterrupt"),
            link.stream("m.ulnn") as session,
        ):
            ctrl_c_in_the_middle(session)
        assert link.eval("1 + 1") == 2
        with (
            pytest.raises(UlnnError, match="the loop on the board ended: it returned"),
            link.stream("m.ulnn", idle_ms=200) as session,
        ):
            silence(session)
        assert link.eval("1 + 1") == 2
        # A frame that breaks off: Ctrl-C, which opening the port sends, still gets through.
        link._transport.exec_raw_no_follow("import ulnn_stream; ulnn_stream.serve('m.ulnn')")
        link._transport.serial.write(b"\xa5\x00\x40")
    with Board.open(board.port) as link:
        assert link.eval("1 + 1") == 2


@needs_micropython
def test_garbage_collections_are_marked(board: PtyBoard) -> None:
    (board.lib / "ulnn.py").write_text(FAKE_ULNN.replace("trash = False", "trash = True"))
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        assert session.info.allocates
        x, dt = samples(300, 6)
        trace = session.run(x, dt)
        assert 0 < trace.gc.sum() < 20
        assert session.stats()["collections"] == trace.gc.sum()


ONE_FRAME_AT_A_TIME = """
import ulnn_stream
from frames import FRAMES
frames = iter(FRAMES)
frame, at, kinds = b"", 0, []
def readinto(buffer, n):
    global at
    part = frame[at : at + n]
    at += len(part)
    if isinstance(buffer, bytearray):
        buffer[: len(part)] = part
    else:
        for k in range(len(part) // 2):
            w = part[2 * k] | part[2 * k + 1] << 8
            buffer[k] = w - ((w & 0x8000) << 1)
    return len(part)
def wait(ms):
    global frame, at
    if at == len(frame) and ms == 30000:
        frame, at = next(frames, b""), 0
    return at < len(frame)
def write(buffer, n):
    kinds.append(chr(buffer[2] & 255))
print(ulnn_stream.serve("m.ulnn", console=(readinto, write, wait)), "".join(kinds))
"""


@needs_micropython
def test_the_board_drops_a_frame_with_any_bit_changed(tmp_path: Path) -> None:
    for name, text in {**MODULES, "m.ulnn": "6 7 8"}.items():
        (tmp_path / name).write_text(text)
    good = sample_frame(0, 1)
    wrong = list(damaged(good))
    frames = [*wrong, good, encode("B", 1, 0)]
    (tmp_path / "frames.py").write_text(f"FRAMES = {frames!r}\n")
    (tmp_path / "run.py").write_text(ONE_FRAME_AT_A_TIME)
    reason, kinds = unix("run.py", cwd=tmp_path, path="").split()
    assert reason == "bye"
    assert kinds == "n" + "n" * len(wrong) + "sb"


HEAP_LOCKED = """
import gc, io, micropython
import ulnn, ulnn_stream
wire = io.BytesIO(open("wire.bin", "rb").read())
total = len(wire.getvalue())
class Out:
    def __init__(self): self.n = 0
    def write(self, buf, n): self.n += n
out = Out()
calls = 0
def wait(ms):
    global calls
    calls += 1
    if calls == 3:
        micropython.heap_lock()
    if calls == LAST:
        micropython.heap_unlock()
    return wire.tell() < total
print(ulnn_stream.serve("m.ulnn", console=(wire.readinto, out.write, wait)), calls, out.n)
"""


@needs_micropython
def test_the_loop_allocates_nothing(tmp_path: Path) -> None:
    """10,000 steps, frames with bytes 3, repeated and skipped numbers: all under heap_lock."""
    for name, text in {**MODULES, "m.ulnn": "6 7 8"}.items():
        (tmp_path / name).write_text(text)
    frames = [encode("H", 0, 0, b"\1\0\0\0"), encode("R", 1, 0)]
    frames += [sample_frame(k, 10) for k in range(2, 1002)]
    frames.insert(500, frames[500])
    frames.insert(600, encode("R", 100, 0))
    last = len(frames)
    frames.append(encode("B", 1002, 0))
    (tmp_path / "wire.bin").write_bytes(b"".join(frames))
    script = HEAP_LOCKED.replace("LAST", str(last))
    (tmp_path / "run.py").write_text(script)
    reason, calls, sent = unix("run.py", cwd=tmp_path, path="").split()
    assert reason == "bye"
    assert int(calls) == len(frames)
    assert int(sent) > 1000 * (12 + 10 * 18)


HEAP_LOCKED_BOARD = """
import gc, io, micropython
import ulnn, ulnn_stream
wire = io.BytesIO(open("/wire.bin", "rb").read())
size = len(wire.getvalue())
class Out:
    def __init__(self): self.n = 0
    def write(self, buf, n): self.n += n
out = Out()
rounds = 0
def wait(ms):
    global rounds
    if wire.tell() == size:
        wire.seek(0)
        rounds += 1
        if rounds == 1:
            micropython.heap_lock()
    if rounds == 5:
        micropython.heap_unlock()
        return False
    return True
reason = ulnn_stream.serve("/models/m.ulnn", console=(wire.readinto, out.write, wait))
print(repr((reason, out.n)))
"""


@pytest.mark.board
@pytest.mark.parametrize("name", ["cortex-m7", "rv32"])
def test_the_loop_allocates_nothing_on_a_board(name: str, tmp_path: Path) -> None:
    """10,240 steps of the native engine and their frames under heap_lock, ints of 31 bits."""
    need_tools(name)
    frames = [sample_frame(k, 10) for k in range(256)]
    with Board.open(f"virtual:{name}") as link:
        assert deploy(link, model_file(tmp_path)).engine == "native"
        link.write_file("/wire.bin", b"".join(frames))
        reason, sent = ast.literal_eval(link.exec(HEAP_LOCKED_BOARD, timeout=120))
    assert reason == "idle"
    assert sent == 12 + 5 * 256 * (4 + 2 * (4 + 10 * (4 + 2)))
