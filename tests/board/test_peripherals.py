"""What the virtual boards have for drivers: I2C, pins, ADC, timers, a watchdog, a clock that may
jump."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from mpremote.transport import TransportError

from support.board_tools import Repl, jumping_board
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.virtual import BOARDS, VirtualBoard, parse_address

pytestmark = pytest.mark.board


@pytest.fixture(scope="module", params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> Iterator[VirtualBoard]:
    with jumping_board(str(request.param)) as running:
        yield running


def test_the_clock_jumps_over_sleeps(board: VirtualBoard) -> None:
    with Repl(board.port) as repl:
        begin = time.monotonic()
        out = repl.exec(
            "import time, asyncio\n"
            "async def main():\n"
            "  for _ in range(1000): await asyncio.sleep_ms(50)\n"
            "us, ms = time.ticks_us(), time.ticks_ms()\n"
            "time.sleep(20); time.sleep_us(500000); asyncio.run(main())\n"
            "print(time.ticks_diff(time.ticks_us(), us), time.ticks_diff(time.ticks_ms(), ms))"
        )
        wall = time.monotonic() - begin
    us, ms = map(int, out.split())
    assert 70_500_000 <= us < 71_500_000
    assert abs(us / 1000 - ms) < 2
    assert wall < 7


def test_timers(board: VirtualBoard) -> None:
    with Repl(board.port) as repl:
        out = repl.exec(
            "import gc, time\n"
            "from machine import Timer\n"
            "seen = []\n"
            "t = Timer(period=20, callback=lambda t: seen.append(time.ticks_ms()))\n"
            "once = Timer(mode=Timer.ONE_SHOT, period=50, callback=lambda t: seen.append(-1))\n"
            "begin = time.ticks_ms()\n"
            "time.sleep_ms(510)\n"
            "t.deinit()\n"
            "gc.collect()\n"
            "time.sleep_ms(100)\n"
            "print(seen.count(-1), len(seen), seen[-1] - begin)"
        )
        once, both, last = map(int, out.split())
        # It ends with the session.
        repl.exec("t = Timer(period=1, callback=lambda t: print('late'))")
    assert (once, both) == (1, 26)
    assert 498 <= last <= 505
    with Repl(board.port) as repl:
        assert repl.exec("import time; time.sleep_ms(50)") == ""


def test_watchdog_and_causes_of_resets(board: VirtualBoard) -> None:
    code = "import machine; print(machine.reset_cause() == machine.%s)"
    with Repl(board.port) as repl:
        assert repl.exec(code % "SOFT_RESET") == "True\n"
        out = repl.exec(
            "import time\n"
            "w = machine.WDT(timeout=600)\n"
            "for _ in range(20): time.sleep_ms(400); w.feed()\n"
            "print('fed')"
        )
        assert out == "fed\n"
        for endless in ("while True: pass", "while True: time.sleep(1)", "input()"):
            repl.link.exec_raw_no_follow(f"w = machine.WDT(timeout=400)\n{endless}")
            assert b"MicroPython" in repl.link.serial.read_until(b">>> ")
            repl.link.enter_raw_repl(soft_reset=False)
            assert repl.exec(code % "WDT_RESET") == "True\n"
            repl.exec("import time")
        for cause, reset in (
            ("HARD_RESET", "machine.reset()"),
            ("DEEPSLEEP_RESET", "machine.deepsleep(2000)"),
        ):
            repl.link.exec_raw_no_follow(reset)
            assert b"MicroPython" in repl.link.serial.read_until(b">>> ")
            repl.link.enter_raw_repl(soft_reset=False)
            assert repl.exec(code % cause) == "True\n"
    board.hard_reset()
    with Repl(board.port, soft_reset=False) as repl:
        assert repl.exec(code % "PWRON_RESET") == "True\n"
        with pytest.raises(TransportError, match="WDT timeout too short"):
            repl.exec("machine.WDT(timeout=0)")


def test_the_bus_and_its_faults(board: VirtualBoard) -> None:
    with Repl(board.port) as repl:
        repl.exec(
            "import time, _simulation\n"
            "from machine import I2C, Pin\n"
            "from array import array\n"
            "i2c = I2C(0, scl=Pin(1), sda=Pin(0), freq=100000)\n"
            "def read(reg, n=1):\n"
            "  t = time.ticks_us()\n"
            "  try: what = i2c.readfrom_mem(0x68, reg, n)\n"
            "  except OSError as e: what = e.errno\n"
            "  return what, time.ticks_diff(time.ticks_us(), t)\n"
        )
        assert repl.exec("print(i2c.scan())") == "[]\n"
        repl.exec("_simulation.imu(array('h', [1, -2, 3, -4, 5, 20000]))")
        assert repl.exec("print(i2c.scan(), read(0x75)[0])") == "[104] b'h'\n"
        # 104 bytes of nine bits each at 100 kHz.
        assert 9360 <= int(repl.exec("print(read(0, 100)[1])")) < 12000
        # Asleep until it is woken; counts of the range; limited, not wrapped.
        assert repl.exec("print(read(0x3b, 6)[0] == bytes(6))") == "True\n"
        repl.exec(
            "i2c.writeto_mem(0x68, 0x6b, b'\\x01')\n"
            "i2c.writeto_mem(0x68, 0x1c, b'\\x08'); i2c.writeto_mem(0x68, 0x1b, b'\\x10')\n"
            "time.sleep_ms(10)"
        )
        out = repl.exec("import struct; print(struct.unpack('>7h', read(0x3b, 14)[0]))")
        assert out == "(4, -8, 12, 0, -8, 10, 32767)\n"
        assert repl.exec("_simulation.fault('nak'); print(read(0x75)[0])") == "19\n"
        repl.exec("_simulation.fault('stuck')")
        errno, us = repl.exec("print(*read(0x75))").split()
        assert int(errno) in (110, 116)
        assert int(us) >= 50000
        # Nine clocks free the line, eight do not.
        repl.exec(
            "scl, sda = Pin(1, Pin.OPEN_DRAIN, value=1), Pin(0, Pin.OPEN_DRAIN, value=1)\n"
            "def clock(n):\n"
            "  for _ in range(n): scl(0); scl(1)\n"
        )
        assert repl.exec("clock(8); print(sda()); clock(1); print(sda())") == "0\n1\n"
        assert repl.exec("print(read(0x75)[0])") == "b'h'\n"
        assert repl.exec("_simulation.fault('chip'); print(read(0x75)[0])") == "b'\\x12'\n"
        for wrong, text in (
            ("_simulation.fault('x')", "unknown fault"),
            ("_simulation.imu(array('h', [1]))", "data of another form"),
            ("_simulation.imu(array('i', [1] * 6))", "data of another form"),
            ("_simulation.adc(array('H', []), 1)", "data of another form"),
            ("_simulation.adc(array('H', [1]), -1)", "period_us below 0"),
            ("I2C(1)", "I2C.1. doesn't exist"),
            ("I2C(0, scl=Pin(4))", "bad SCL or SDA pin"),
            ("Pin(99)", "invalid pin"),
        ):
            with pytest.raises(TransportError, match=text):
                repl.exec(wrong)


def test_the_converter_replays_in_time(board: VirtualBoard) -> None:
    with Repl(board.port) as repl:
        out = repl.exec(
            "import time, _simulation\n"
            "from machine import ADC, Pin\n"
            "from array import array\n"
            "a = ADC(Pin(26))\n"
            "print(a.read_u16())\n"
            "_simulation.adc(array('H', range(100, 1100)), 10000)\n"
            "first = a.read_u16(); time.sleep_ms(500); later = a.read_u16()\n"
            "time.sleep(10); print(first, later, a.read_u16())"
        )
    assert out == "0\n100 150 150\n"


def test_the_address_of_a_board_with_a_jumping_clock() -> None:
    assert parse_address("virtual:rv32?sleep=skip").skip_sleep
    assert not parse_address("virtual:rv32").skip_sleep
    with pytest.raises(UlnnError, match="sleep is 'off', expected skip"):
        parse_address("virtual:rv32?sleep=off")
