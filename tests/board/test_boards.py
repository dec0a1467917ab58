"""The virtual boards behave like boards: REPL, files, time, interrupts, native modules."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from mpremote.transport import TransportError

from support.board_tools import Repl, build_natmod, mpremote, need_tools
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.virtual import (
    BOARDS,
    VirtualBoard,
    build_firmware,
    parse_address,
    resolve_port,
)
from ulnn_host.board.virtual.kinds import BoardAddress
from ulnn_host.toolchain.bytecode import find_mpy_cross

pytestmark = pytest.mark.board


@pytest.fixture(scope="session", params=sorted(BOARDS))
def board_name(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    need_tools(name)
    return name


@pytest.fixture(scope="session")
def shared_board(board_name: str) -> Iterator[VirtualBoard]:
    with VirtualBoard(board_name) as board:
        yield board


@pytest.fixture
def board(shared_board: VirtualBoard) -> VirtualBoard:
    """A running board of each kind, with an empty disk and nothing imported."""
    with Repl(shared_board.port) as repl:
        repl.exec(
            "import os\n"
            "def clear(d):\n"
            " for e in list(os.ilistdir(d)):\n"
            "  p = d + '/' + e[0]\n"
            "  if e[1] == 0x4000: clear(p); os.rmdir(p)\n"
            "  else: os.remove(p)\n"
            "clear('')"
        )
    return shared_board


def test_identity(board: VirtualBoard) -> None:
    with Repl(board.port) as repl:
        mpy = int(repl.exec("import sys; print(sys.implementation._mpy)"))
        assert repl.exec("print(sys.platform, sys.path)") == "qemu ['', '.frozen', '/lib']\n"
        assert repl.exec("print(2**31 - 1 + 1, 1 << 100 > 0)") == "2147483648 True\n"
    assert (mpy & 0xFF, mpy >> 8 & 3) == (6, 3)
    assert mpy >> 10 & 0x0F == {"cortex-m7": 8, "rv32": 11}[board.kind.name]


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.ticks_cpu(); time.sleep_us(5)",
        "import select, sys; p = select.poll(); p.register(sys.stdin, 1)",
        "import os, io, gc, array, struct, json, errno, random, math, re, asyncio",
        "import binascii; assert binascii.crc32(b'abc') == 0x352441C2",
        "import hashlib; assert hashlib.sha256(b'').digest()[:2] == b'\\xe3\\xb0'",
        "import micropython; micropython.heap_lock(); micropython.heap_unlock()",
        "import machine; machine.freq(); machine.mem32; machine.unique_id()",
        "import os; os.mkdir('d'); open('d/a', 'w').close(); os.rename('d/a', 'd/b');"
        "assert os.listdir('d') == ['b']; os.stat('d/b'); os.remove('d/b'); os.rmdir('d')",
    ],
)
def test_modules(board: VirtualBoard, code: str) -> None:
    with Repl(board.port) as repl:
        assert repl.exec(code) == ""


def test_mpremote(board: VirtualBoard, tmp_path: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text("import os\nprint('hello', len(os.listdir()))\n")
    blob = tmp_path / "blob.bin"
    blob.write_bytes(bytes(range(256)) * 4)
    assert mpremote(board.port, "exec", "print(6 * 7)") == "42\n"
    mpremote(board.port, "fs", "cp", str(blob), ":blob.bin")
    assert "1024 blob.bin" in mpremote(board.port, "fs", "ls")
    assert mpremote(board.port, "run", str(script)) == "hello 1\n"
    back = tmp_path / "back.bin"
    mpremote(board.port, "fs", "cp", ":blob.bin", str(back))
    assert back.read_bytes() == blob.read_bytes()
    mpremote(board.port, "exec", "x = 1")
    assert mpremote(board.port, "resume", "exec", "print(x)") == "1\n"
    mpremote(board.port, "soft-reset")
    mpremote(board.port, "reset")
    assert "1024 blob.bin" in mpremote(board.port, "sleep", "1", "fs", "ls")


@pytest.mark.parametrize("loop", ["while True: pass", "time.sleep(60)", "sys.stdin.read(1)"])
def test_ctrl_c(board: VirtualBoard, loop: str) -> None:
    with Repl(board.port) as repl:
        repl.exec("import sys, time")
        repl.link.exec_raw_no_follow(loop)
        time.sleep(0.3)
        repl.link.serial.write(b"\x03")
        out, error = repl.link.follow(timeout=5)
    assert out == b""
    assert error.endswith(b"KeyboardInterrupt: \r\n")


def test_binary_stdio(board: VirtualBoard) -> None:
    data = os.urandom(20000) + bytes(range(256))
    with Repl(board.port) as repl:
        repl.link.exec_raw_no_follow(
            "import sys, micropython, time\n"
            f"b = bytearray({len(data)})\n"
            "micropython.kbd_intr(-1)\n"
            "sys.stdout.write('!')\n"
            "time.sleep_ms(200)\n"  # more than the receive buffer holds comes in meanwhile
            "sys.stdin.buffer.readinto(b)\n"
            "micropython.kbd_intr(3)\n"
            "sys.stdout.buffer.write(b)\n"
        )
        port: serial.Serial = repl.link.serial
        port.timeout = 30
        assert port.read(1) == b"!"
        port.write(data)
        assert port.read(len(data)) == data
        repl.link.follow(timeout=5)


def test_poll_stdin(board: VirtualBoard) -> None:
    with Repl(board.port) as repl:
        repl.link.exec_raw_no_follow(
            "import sys, select\n"
            "p = select.poll(); p.register(sys.stdin, select.POLLIN)\n"
            "print(p.poll(0))\n"
            "while not p.poll(1000): pass\n"
            "print(sys.stdin.read(1))\n"
        )
        time.sleep(0.2)
        repl.link.serial.write(b"q")
        out, error = repl.link.follow(timeout=5)
    assert (out, error) == (b"[]\r\nq\r\n", b"")


def test_ticks(board: VirtualBoard) -> None:
    with Repl(board.port) as repl:
        out = repl.exec(
            "import time\n"
            "last = time.ticks_us(); steps = 0; back = 0\n"
            "for _ in range(20000):\n"
            " now = time.ticks_us(); d = time.ticks_diff(now, last); last = now\n"
            " back += d < 0; steps += d > 0\n"
            "a = time.ticks_us(); m = time.ticks_ms(); time.sleep_ms(300)\n"
            "print(back, steps > 10, time.ticks_diff(time.ticks_us(), a),"
            " time.ticks_diff(time.ticks_ms(), m))\n"
        )
    back, steps, us, ms = out.split()
    assert (back, steps) == ("0", "True")
    assert 300_000 <= int(us) < 600_000
    assert 299 <= int(ms) < 600


def test_files_survive_resets(board: VirtualBoard) -> None:
    with Repl(board.port) as repl:
        repl.exec("f = open('kept', 'w'); f.write('yes'); f.close()")
    with Repl(board.port) as repl:
        assert repl.exec("print('f' in globals(), open('kept').read())") == "False yes\n"
    board.hard_reset()
    with Repl(board.port) as repl:
        assert repl.exec("print(open('kept').read())") == "yes\n"


def test_boot_and_main_run(board: VirtualBoard) -> None:
    with Repl(board.port) as repl:
        repl.exec("f = open('boot.py', 'w'); f.write('b = 1'); f.close()")
        repl.exec("f = open('main.py', 'w'); f.write('m = 2\\nprint(\"main\")'); f.close()")
    with Repl(board.port) as repl:
        # mpremote's soft reset happens in the raw REPL, where main.py does not run.
        assert repl.exec("print(b, 'm' in globals())") == "1 False\n"
    with serial.Serial(board.port, timeout=5) as port:
        port.write(b"\r\x04")
        assert port.read_until(b"main\r\n").endswith(b"soft reboot\r\nmain\r\n")
        assert port.read_until(b">>> ").endswith(b">>> ")
    with Repl(board.port) as repl:
        repl.exec("import os; os.remove('main.py'); os.remove('boot.py')")


def test_natmod(board: VirtualBoard, tmp_path: Path) -> None:
    archs = ["armv7emsp", "armv7emdp"] if board.kind.name == "cortex-m7" else ["rv32imc"]
    for arch in archs:
        mpy = build_natmod(arch, tmp_path / arch)
        mpremote(board.port, "fs", "mkdir", ":/lib", "+", "fs", "cp", str(mpy), ":/lib/probe.mpy")
        with Repl(board.port) as repl:
            out = repl.exec("import array, probe; print(probe.sum(array.array('h', [7, -9, 5])))")
            assert out == "3\n"
            repl.exec("import os; os.remove('/lib/probe.mpy'); os.rmdir('/lib')")


NATIVE = """
@micropython.native
def total(n):
    s = 0
    for k in range(n):
        s += k
    return s
@micropython.viper
def product(a: int, b: int) -> int:
    return a * b
"""


def test_native_code_of_mpy_cross(board: VirtualBoard, tmp_path: Path) -> None:
    """That of mpy-cross 1.25 for RV32 fills the line with CR LF."""
    (tmp_path / "fast.py").write_text(NATIVE)
    target = tmp_path / "fast.mpy"
    arch = f"-march={board.kind.natmod_arch}"
    mpy_cross = find_mpy_cross("6.3")
    subprocess.run([mpy_cross, arch, tmp_path / "fast.py", "-o", target], check=True)
    mpremote(board.port, "fs", "cp", str(target), ":/fast.mpy")
    with Repl(board.port) as repl:
        assert repl.exec("import fast; print(fast.total(100), fast.product(6, 7))") == "4950 42\n"
        repl.exec("import os; os.remove('/fast.mpy')")


def test_small_disk_and_heap(board_name: str) -> None:
    address = f"virtual:{board_name}?disk=64k&heap=64k&serial=7"
    with resolve_port(address) as port, Repl(port) as repl:
        out = repl.exec(
            "import os, gc, machine\n"
            "s = os.statvfs('/'); print(s[0] * s[2], gc.mem_free() + gc.mem_alloc() < 65536,"
            " machine.unique_id()[4])\n"
        )
        assert out == "65536 True 7\n"
        with pytest.raises(TransportError, match="OSError: 28"):
            repl.exec("f = open('big', 'w')\nfor _ in range(80): f.write('x' * 1024)\nf.close()")


def test_icount_is_repeatable(board_name: str) -> None:
    code = (
        "import time\n"
        "def f():\n"
        " a = time.ticks_cpu()\n"
        " for _ in range(1000): pass\n"
        " return time.ticks_diff(time.ticks_cpu(), a)\n"
        "f(); print(f())"
    )
    seen = []
    for _ in range(3):
        with VirtualBoard(board_name, icount=6) as virtual, Repl(virtual.port) as repl:
            seen.append(int(repl.exec(code)))
    # The Cortex-M7's timer ticks every 40 ns, an instruction takes 64 ns: one tick of rounding.
    assert max(seen) - min(seen) <= 1
    assert min(seen) > 1000


def test_qemu_dies_with_its_parent(board_name: str) -> None:
    code = (
        "import sys, time\n"
        "from ulnn_host.board.virtual import VirtualBoard\n"
        "b = VirtualBoard(sys.argv[1]); b.start(); print(b._process.pid, flush=True)\n"
        "time.sleep(60)"
    )
    for kill in (signal.SIGINT, signal.SIGKILL):
        with subprocess.Popen(
            [sys.executable, "-c", code, board_name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as parent:
            assert parent.stdout is not None
            qemu = Path("/proc") / parent.stdout.readline().strip()
            assert qemu.exists()
            parent.send_signal(kill)
            parent.wait(timeout=10)
        deadline = time.monotonic() + 5
        while qemu.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not qemu.exists()


def test_build_is_cached(board_name: str) -> None:
    first = build_firmware(board_name)
    again = build_firmware(board_name)
    assert not again.rebuilt
    assert again.digest == first.digest
    stamp = json.loads((first.elf.parents[1] / "inputs.json").read_text())
    assert stamp["digest"] == first.digest


def test_frozen_variant_has_the_module(board_name: str) -> None:
    with VirtualBoard(board_name, variant="frozen") as virtual, Repl(virtual.port) as repl:
        assert repl.exec("import ulnn; print(ulnn.load)")
        assert repl.exec("print(hasattr(ulnn, '__file__'))") == "False\n"


def test_boot_failure_says_why() -> None:
    need_tools("rv32")
    with pytest.raises(UlnnError, match="nonsense") as caught:
        VirtualBoard("rv32", qemu_args=["-nonsense"]).start()
    assert "\n" not in str(caught.value)


def test_addresses() -> None:
    assert parse_address("virtual:rv32+frozen?disk=1m&icount=7") == BoardAddress(
        "rv32", "frozen", disk_kib=1024, icount=7
    )
    with resolve_port("/dev/ttyACM0") as port:
        assert port == "/dev/ttyACM0"
    for wrong in ("virtual:z80", "virtual:rv32+odd", "virtual:rv32?disk=9", "virtual:rv32?x=1"):
        with pytest.raises(UlnnError):
            parse_address(wrong)
    for wrong, text in (
        ("icount=99", "icount is 99, expected 0 to 10"),
        ("icount=-1", "icount is -1"),
        ("serial=-1", "serial is -1, expected 0 to 4294967295"),
        ("icount=nan", "'nan' is not a whole number"),
        ("disk=-1k", "'-1k' is no memory size"),
    ):
        with pytest.raises(UlnnError, match=text):
            parse_address(f"virtual:rv32?{wrong}")
    with pytest.raises(UlnnError, match="jobs is 0, expected 1 or more"):
        build_firmware("rv32", jobs=0)
    with pytest.raises(UlnnError, match="16 to 16380"):
        VirtualBoard("rv32", disk_kib=4)
    assert set(BOARDS) == {"cortex-m7", "rv32"}
