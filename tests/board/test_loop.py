"""firmware/ulnn_stream.py without a host: the vectors of PROTOCOL.md, and no allocation."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from support import protocol_vectors, wave_source
from support.board_tools import model_file, need_tools
from support.paths import FIRMWARE
from support.pty_board import FAKE_MODULES, write_modules
from support.unix import needs_micropython, unix
from ulnn_host.board.deploy import deploy
from ulnn_host.board.frames import FLAG, encode
from ulnn_host.board.link import Board
from ulnn_host.toolchain.bytecode import find_mpy_cross

VECTORS = json.loads(protocol_vectors.FILE.read_text())

# The source of the vectors.
SOURCE = """
from ulnn_sources.base import Source
class Source(Source):
    def __init__(self, samples, waits):
        super().__init__(("a", "b"), ("", ""), (1.0, 1.0), (0.0, 0.0))
        self.samples, self.waits, self.k = samples, waits, 0
    def take(self):
        if self.k == self.samples:
            raise StopIteration
        self.k += 1
        self.raw[0], self.raw[1], self.elapsed = self.k, -self.k, 5000 * self.k
        return True
"""

# Prints, for each turn, what the loop sent in answer; in the end why the loop returned.
TALK = """
import io, json, ulnn, ulnn_stream
from binascii import hexlify, unhexlify
ulnn_stream._diff = lambda a, b: 0
ulnn_stream._clock = lambda: (lambda: 0, 1000000)
with open("turns.json") as f:
    dialogs = json.load(f)
for dialog in dialogs:
    turns = dialog["steps"]
    said, wire, left = [], io.BytesIO(b""), list(turns)
    out = bytearray()
    def write(buf, n):
        out.extend(bytes(memoryview(buf))[:n])
    quiet = [False]
    def poll(ms):
        global wire
        while not wire.read(1):
            done = len(turns) - len(left)
            if done > len(said):
                if turns[done - 1]["pause"] and not quiet[0] and ms == 20:
                    quiet[0] = True
                    return ()
                quiet[0] = False
                said.append(hexlify(out).decode())
                out[:] = b""
            if not left:
                return ()
            wire = io.BytesIO(unhexlify(left.pop(0)["to_board"]))
        wire.seek(wire.tell() - 1)
        return (1,)
    def write_part(buf, at, n):
        out.extend(bytes(memoryview(buf))[at : at + n])
    read = lambda b, n: wire.readinto(b, n)
    if "ring" in dialog:
        import source, ulnn_record
        s = ulnn_record.Recorder(source.Source(dialog["samples"], dialog["waits"]), {},
            ulnn_record.make_ring(8 * dialog["ring"]), ulnn_record.NoModel(2),
            (read, write_part, poll), 512, 4)
    else:
        s = ulnn_stream.Stream(ulnn.load("m.ulnn"), (read, write, poll), 512, 4)
    why = s.loop(1000)
    if out:  # after a goodbye nobody asks for more
        said.append(hexlify(out).decode())
    print(json.dumps([said, why]))
"""


def talk(folder: Path, dialogs: list[dict]) -> list[tuple[list[str], str]]:
    """For each dialog what came back in each turn (the first begins with the ready frame)."""
    files = FAKE_MODULES | wave_source.modules() | {"source.py": SOURCE, "m.ulnn": "2 3 2"}
    write_modules(folder, files)
    (folder / "turns.json").write_text(json.dumps(dialogs))
    (folder / "run.py").write_text(TALK)
    out = unix("run.py", cwd=folder, heap="2M")
    return [tuple(json.loads(line)) for line in out.splitlines()]


READY = protocol_vectors.board("n", 0, 0).hex()


def without_text_length(frame: str) -> str:
    """The answer to HELLO says how long the board's text is, which is not for a vector."""
    data = bytes.fromhex(frame)
    if data[2:3] != b"h":
        return frame
    payload = data[6:-4]
    return protocol_vectors.board(
        "h", data[3], data[4] | data[5] << 8, payload[:22] + b"\0\0" + payload[24:]
    ).hex()


@needs_micropython
def test_dialogs(tmp_path: Path) -> None:
    dialogs = VECTORS["dialogs"] + VECTORS["sources"]
    for dialog, (said, why) in zip(dialogs, talk(tmp_path, dialogs), strict=True):
        assert len(said) == len(dialog["steps"])
        assert said[0].startswith(READY)
        said[0] = said[0].removeprefix(READY)
        for k, (step, got) in enumerate(zip(dialog["steps"], said, strict=False)):
            wanted = without_text_length(step["to_host"])
            assert without_text_length(got) == wanted, (dialog["name"], k)
        last_is_bye = dialog["steps"][-1]["to_host"][4:6] == b"b".hex()
        assert why == ("bye" if last_is_bye else "idle")


@needs_micropython
def test_damaged_frames_are_not_carried_out(tmp_path: Path) -> None:
    vectors = VECTORS["damaged_frames"]
    reset = protocol_vectors.host("R", 0).hex()
    probe = protocol_vectors.host("R", 9).hex()
    dialogs = [
        {
            "steps": [
                {"to_board": reset, "pause": False},
                {"to_board": v["wire"], "pause": True},
                {"to_board": probe, "pause": False},
            ]
        }
        for v in vectors
    ]
    for vector, (said, _) in zip(vectors, talk(tmp_path, dialogs), strict=True):
        damage = bytes.fromhex(said[1])
        if vector.get("then"):
            assert damage[2:3] in (b"n", b""), vector["what"]
        else:
            assert damage[:6] == b"\xa5\x04n\0\1\0", vector["what"]
            assert damage.count(b"\xa5\x04n") == 1, vector["what"]


@needs_micropython
def test_a_frame_that_is_cut_off_and_noise_do_not_keep_the_loop(tmp_path: Path) -> None:
    """Half a frame is given up after the gap, and the loop ends when no whole frame comes."""
    half = protocol_vectors.host("R", 1)[:7].hex()
    ((said, why),) = talk(tmp_path, [{"steps": [{"to_board": half, "pause": True}]}])
    assert said == [READY + protocol_vectors.board("n", 0, 0).hex()]
    assert why == "idle"


NOISY = """
import time, ulnn, ulnn_stream
end = time.ticks_add(time.ticks_ms(), 5000)
byte = bytearray(1)
def poll(ms):
    time.sleep_ms(min(ms, 10))
    return (1,)
def readinto(buf, n):
    buf[0] = 0x55
    return 1
sent = 0
def write(buf, n):
    global sent
    sent += 1
start = time.ticks_ms()
print(ulnn_stream.serve("m.ulnn", 300, console=(readinto, write, poll)))
print(time.ticks_diff(time.ticks_ms(), start) < 2000, sent)
"""


@needs_micropython
def test_noise_does_not_keep_an_abandoned_loop(tmp_path: Path) -> None:
    write_modules(tmp_path, {**FAKE_MODULES, "m.ulnn": "2 3 2", "run.py": NOISY})
    assert unix("run.py", cwd=tmp_path, heap="2M") == "idle\nTrue 2\n"


CIRCUITPYTHON = """
import sys, ulnn, ulnn_stream
class Stdin:
    pass
class Stdio:
    stdin = Stdin()
    implementation, maxsize, platform = sys.implementation, sys.maxsize, "RP2040"
ulnn_stream.sys = Stdio
try:
    ulnn_stream.serve("m.ulnn", 300)
except OSError as e:
    print(e)
class Uart:
    out = bytearray()
    at = 0
    @property
    def in_waiting(self):
        return len(wire) - self.at
    def readinto(self, buf):
        n = min(len(buf), self.in_waiting)
        buf[:n] = wire[self.at : self.at + n]
        self.at += n
        return n
    def write(self, buf):
        self.out.extend(buf)
wire = bytes.fromhex("WIRE")
uart = Uart()
print(ulnn_stream.serve("m.ulnn", 300, console=uart))
print(bytes(uart.out).hex())
class UsbCdc:
    console = Uart()
sys.modules["usb_cdc"] = UsbCdc
print(ulnn_stream.serve("m.ulnn", 300), bytes(UsbCdc.console.out) == bytes(uart.out))
"""


@needs_micropython
def test_ports_of_circuitpython(tmp_path: Path) -> None:
    """A console without bytes is refused in one line; a UART and usb_cdc work."""
    said = protocol_vectors.host("R", 0) + protocol_vectors.host("B", 1)
    script = CIRCUITPYTHON.replace("WIRE", said.hex())
    write_modules(tmp_path, {**FAKE_MODULES, "m.ulnn": "2 3 2", "run.py": script})
    refused, why, sent, again = unix("run.py", cwd=tmp_path, heap="2M").splitlines()
    assert refused == (
        "the console of this board carries text only (CircuitPython without native USB): give "
        "serve a UART"
    )
    assert why == "bye"
    answers = protocol_vectors.board("r", 0, 0) + protocol_vectors.board("b", 1, 0)
    assert sent == READY + answers.hex()
    assert again == "bye True"


@needs_micropython
def test_offers_that_make_no_sense(tmp_path: Path) -> None:
    write_modules(tmp_path, {**FAKE_MODULES, "m.ulnn": "2 3 2"})
    (tmp_path / "run.py").write_text(
        "import ulnn_stream\n"
        "for w, s in (100000, 4), (63, 4), (256, 3), (256, 32):\n"
        " try:\n  ulnn_stream.serve('m.ulnn', 1, w, s)\n except ValueError as e:\n  print(e)\n"
    )
    said = unix("run.py", cwd=tmp_path, heap="2M").splitlines()
    assert said[0] == "window 100000, slots 4: expected 64 to 4096, and 1 to 16"
    assert len(said) == 4


# ---- memory -------------------------------------------------------------------------------------


def sample_frame(number: int, count: int) -> bytes:
    """A frame of samples with 6 inputs, each form of dt in turn, bytes 3 and FE among them."""
    rng = np.random.default_rng(number)
    x = rng.integers(-32768, 32768, (count, 6))
    x[::3] = 0x03FE
    dt = rng.integers(1, 5000, count)
    form = number % 3
    tail = (
        dt[:1].astype("<u4").tobytes(),
        b"\1\0" + dt.astype("<u2").tobytes(),
        dt.astype("<u4").tobytes(),
    )[form]
    return encode("S", number, count + 256 * form, x.astype("<i2").tobytes() + tail)


def wire(count: int) -> bytes:
    """256 frames of samples, of which some are sent twice, skipped, asked for, or damaged."""
    parts = []
    for k in range(256):
        frame = sample_frame(k, count)
        parts.append(frame)
        if k % 50 == 7:
            parts += [frame, encode("A", k), encode("R", k + 100)]
        if k % 50 == 9:
            broken = bytearray(sample_frame(k + 1, count))
            broken[30] ^= 1
            parts += [bytes(broken), broken[:20] + FLAG, b"\x55" * 5]
    return b"".join(parts)


HEAP_LOCKED = """
import io, micropython
import ulnn, ulnn_stream
data = open("WIRE", "rb").read()
size = len(data)
wire = io.BytesIO(data)
class Out:
    def __init__(self): self.n = 0
    def write(self, buf, n): self.n += n
out = Out()
rounds = 0
YES, NO = (1,), ()
def poll(ms):
    global rounds
    if wire.tell() == size:
        wire.seek(0)
        rounds += 1
        if rounds == 1:
            micropython.heap_lock()
    if rounds == ROUNDS:
        micropython.heap_unlock()
        return NO
    return YES
stream = ulnn_stream.Stream(ulnn.load("MODEL"), (wire.readinto, out.write, poll), 512, 4)
why = stream.loop(600000)
print(repr((why, out.n, stream.steps, stream.damaged)))
"""


def locked(path: str, model: str, rounds: int) -> str:
    return HEAP_LOCKED.replace("WIRE", path).replace("MODEL", model).replace("ROUNDS", str(rounds))


@needs_micropython
def test_the_loop_allocates_nothing(tmp_path: Path) -> None:
    """10,240 steps and more, frames repeated, skipped and damaged: all under heap_lock."""
    write_modules(tmp_path, {**FAKE_MODULES, "m.ulnn": "6 7 8"})
    (tmp_path / "wire.bin").write_bytes(wire(10))
    (tmp_path / "run.py").write_text(locked("wire.bin", "m.ulnn", 5))
    why, sent, steps, damaged = ast.literal_eval(unix("run.py", cwd=tmp_path, heap="2M"))
    assert why == "idle"
    assert steps == 5 * 2560
    assert damaged == 5 * 3 * 5
    assert sent > 5 * 256 * (10 + 10 * 16)


@pytest.mark.board
@pytest.mark.parametrize(("name", "kib"), [("cortex-m7", 64), ("rv32", 68)])
def test_fits_a_small_heap(name: str, kib: int, tmp_path: Path) -> None:
    """With the native engine and its model in RAM, too, and the loop not frozen. RV32 code is
    larger: the native module takes 28 KB there."""
    need_tools(name)
    bytecode = tmp_path / "ulnn_stream.mpy"
    mpy_cross = find_mpy_cross("6.3")
    subprocess.run([mpy_cross, FIRMWARE / "ulnn_stream.py", "-o", bytecode], check=True)
    with Board.open(f"virtual:{name}?heap={kib}k") as link:
        assert deploy(link, model_file(tmp_path)).engine == "native"
        link.write_file("/lib/ulnn_stream.mpy", bytecode.read_bytes())
        link.soft_reset()
        link.exec("import sys, ulnn_rules.ticks\nsys.path.remove('.frozen')")
        with link.stream("/models/m.ulnn") as session:
            session.run(np.zeros((200, 6)), np.full(200, 1000))
            counts = session.stats()
    assert counts["steps"] == 200
    assert counts["mem_alloc"] + counts["mem_free"] <= kib * 1024


@pytest.mark.board
@pytest.mark.parametrize("name", ["cortex-m7", "rv32"])
def test_the_loop_allocates_nothing_on_a_board(name: str, tmp_path: Path) -> None:
    """3,840 steps of the native engine and their frames under heap_lock, ints of 31 bits."""
    need_tools(name)
    with Board.open(f"virtual:{name}") as link:
        assert deploy(link, model_file(tmp_path)).engine == "native"
        link.write_file("/wire.bin", wire(3))
        said = link.exec(locked("/wire.bin", "/models/m.ulnn", 5), timeout=120)
        why, _, steps, damaged = ast.literal_eval(said)
    assert (why, steps, damaged) == ("idle", 5 * 256 * 3, 5 * 3 * 5)
