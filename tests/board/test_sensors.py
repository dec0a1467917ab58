"""The drivers of sensors on the virtual boards, as they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from support.board_tools import Repl, jumping_board
from support.sensors import TAKING, put_sources
from ulnn_host.board.virtual import BOARDS, VirtualBoard

pytestmark = pytest.mark.board

Sample = tuple[int, list[int]]


@pytest.fixture(scope="module", params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> Iterator[VirtualBoard]:
    with jumping_board(str(request.param)) as running:
        put_sources(running.port)
        yield running


@pytest.fixture
def repl(board: VirtualBoard) -> Iterator[Repl]:
    with Repl(board.port) as running:
        running.exec(TAKING)
        yield running


def collect(repl: Repl, n: int, nap: int = 4) -> tuple[list[Sample], int]:
    """Samples of the source `s`, after those that wait, and how long they took."""
    return ast.literal_eval(repl.exec(f"idle(s); print(collect(s, {n}, {nap}))"))  # type: ignore[no-any-return]


def between(got: list[Sample]) -> int:
    """Microseconds from the first to the last of these."""
    return sum(elapsed for elapsed, _ in got[1:])


def imu(repl: Repl, settings: str, *, ppm: int = 0) -> None:
    """A started source of an MPU-6050 whose samples are counted in ax and, up to 7, in gz."""
    repl.exec(
        "rows = array('h', [0] * 12000)\n"
        "for k in range(2000):\n"
        "  rows[6 * k], rows[6 * k + 1], rows[6 * k + 5] = k, -k, k & 7\n"
        f"_simulation.imu(rows, 0, {ppm})\n"
        f"s = ulnn_sources.make({{'kind': 'mpu', 'scl': 1, 'sda': 0, {settings}}})\n"
        "s.start()"
    )


def test_mpu_gives_every_sample_in_time(repl: Repl) -> None:
    imu(repl, "'rate': 200, 'range_g': 16, 'range_dps': 2000", ppm=-20000)
    collect(repl, 200)
    got, us = collect(repl, 600)
    rows = [raw[0] for _, raw in got]
    assert rows == list(range(rows[0], rows[0] + 600))
    assert all(raw == [k, -k, 0, 0, 0, k & 7] for _, raw in got for k in (raw[0],))
    # The chip is 2 % fast; the sum of all times is the board's, and each is near its own.
    total = between(got)
    assert total == pytest.approx(599 * 4900, abs=3 * 4900)
    assert total == pytest.approx(us, abs=3 * 4900)
    assert all(0.5 * 4900 < elapsed < 1.5 * 4900 for elapsed, _ in got[1:])
    # Slow takers get the same, in bursts.
    got, _ = collect(repl, 300, nap=120)
    rows = [raw[0] for _, raw in got]
    assert rows == list(range(rows[0], rows[0] + 300))
    assert between(got) == pytest.approx(299 * 4900, abs=3 * 4900)
    out = repl.exec(
        "idle(s); collect(s, 9); n = s.dropped\n"
        "collect(s, 300); print(s.dropped - n, allocates(s, 200), allocates(s, 200, 100))"
    )
    assert out == "0 0 0\n"


def test_mpu_ranges_and_channels(repl: Repl) -> None:
    imu(repl, "'rate': 100, 'channels': 'accel'")
    got, _ = collect(repl, 50)
    assert [raw[0] - got[0][1][0] for _, raw in got] == [4 * k for k in range(50)]
    out = repl.exec("print(s.names, s.units, s.scale[0] == 4 / 32768)")
    assert out == "('ax', 'ay', 'az') ('g', 'g', 'g') True\n"
    imu(repl, "'rate': 100, 'channels': 'gyro', 'range_dps': 250")
    got, _ = collect(repl, 20)
    assert {raw[2] for _, raw in got} == {8 * k for k in range(8)}
    out = repl.exec("print(s.names, s.units[2], s.scale[2] == 250 / 32768)")
    assert out == "('gx', 'gy', 'gz') deg/s True\n"


def test_mpu_overflow_is_a_gap(repl: Repl) -> None:
    imu(repl, "'rate': 100, 'range_g': 16")
    out = repl.exec(
        "before = collect(s, 50)[0]; time.sleep(3); after = collect(s, 50)[0]\n"
        "print(before + after)"
    )
    got: list[Sample] = ast.literal_eval(out)
    rows = [raw[0] for _, raw in got]
    lost = rows[50] - rows[49] - 1
    assert lost == pytest.approx(300, abs=5)
    assert rows[50:] == list(range(rows[50], rows[50] + 50))
    assert int(repl.exec("print(s.dropped)")) == pytest.approx(lost, abs=1)
    assert got[50][0] == pytest.approx((lost + 1) * 10000, abs=10000)
    out = repl.exec(
        "idle(s); n = s.dropped; _simulation.fault('overflow')\n"
        "print(collect(s, 50)[0], s.dropped - n)"
    )
    assert int(out.split()[-1]) <= 3


def test_mpu_faults_are_said_and_overcome(repl: Repl) -> None:
    imu(repl, "'rate': 100, 'range_g': 16")
    collect(repl, 5)
    taking, starting = "print(fails(lambda: collect(s, 5)))", "print(fails(s.start))"
    silent = (
        "MPU at 0x68: no answer on I2C(0) ([Errno 19] ENODEV): check its wiring, power and "
        "address\n"
    )
    held = "MPU at 0x68: I2C(0) timed out, a line is held low or has no pull-up"
    another = (
        "MPU at 0x68: WHO_AM_I is 0x12, expected 0x68 (MPU-6050), 0x70 (MPU-6500), 0x71 "
        "(MPU-9250): this is another chip\n"
    )
    repl.exec("_simulation.fault('nak')")
    assert repl.exec(taking) == silent
    assert repl.exec(starting) == silent
    repl.exec("_simulation.fault('')")
    assert repl.exec(starting + ";" + taking) == "None\nNone\n"
    repl.exec("_simulation.fault('stuck')")
    assert repl.exec(taking) == held + "\n"
    assert repl.exec(starting + ";" + taking) == "None\nNone\n"  # it clocks the line free
    repl.exec("_simulation.fault('chip')")
    assert repl.exec(starting) == another
    repl.exec("_simulation.fault('')")
    assert repl.exec(starting + ";" + taking) == "None\nNone\n"
    repl.exec("from machine import I2C; I2C(0).writeto_mem(0x68, 0x6b, b'\\x40')")  # asleep
    dip = "MPU at 0x68: it answers, but gives no samples: did its power dip?\n"
    assert repl.exec("print(fails(lambda: collect(s, 200)))") == dip
    assert repl.exec(starting + ";" + taking) == "None\nNone\n"
    repl.exec("s.stop()")
    assert repl.exec(taking) == "MPU at 0x68: not started\n"
    # Without the pins nobody can clock.
    repl.exec("s = ulnn_sources.make({'kind': 'mpu'}); s.start(); _simulation.fault('stuck')")
    said = held + ": with scl and sda in the settings it can be freed\n"
    assert repl.exec(taking) == said
    assert repl.exec(starting) == said


def adc(repl: Repl, settings: str, period_us: int) -> None:
    """A started source of pin 26, whose input is 0, 64, 128 ... 63936 and so on from 0."""
    repl.exec(
        f"_simulation.adc(array('H', range(0, 64000, 64)), {period_us})\n"
        f"s = ulnn_sources.make({{'kind': 'adc', 'pins': [26], {settings}}})\n"
        "s.start()"
    )


@pytest.mark.parametrize("by", ["poll", "timer"])
def test_adc(repl: Repl, by: str) -> None:
    adc(repl, f"'rate': 50, 'by': '{by}', 'reference': 3.0, 'unit': 'g', 'per_volt': 2", 20000)
    got, us = collect(repl, 200)
    assert between(got) == pytest.approx(us, abs=40000)
    rows = [(raw[0] + 32768) // 64 for _, raw in got]
    # What was read belongs to the time that is said.
    at = -got[0][0]
    for (elapsed, _), row in zip(got, rows, strict=True):
        at += elapsed
        assert abs(row - rows[0] - at / 20000) <= 1.5
    out = repl.exec("print(s.names, s.units, s.scale[0] * 65536, s.offset[0])").split(") ")
    assert out[0] == "('a0',"
    assert float(out[2].split()[0]) == pytest.approx(6.0)
    assert repl.exec("print(allocates(s, 100))") == "0\n"
    # Nobody took for a second: lost, or waiting in the ring.
    out = repl.exec(
        "idle(s); before = s.dropped; time.sleep(1); got, us = collect(s, 100)\n"
        "print(sum([g[0] for g in got]), us, s.dropped - before)"
    )
    total, took, dropped = map(int, out.split())
    assert total == pytest.approx(took + 1e6, abs=60000)
    assert dropped == pytest.approx(50 if by == "poll" else 18, abs=3)
    repl.exec("s.stop()")
    assert "not started" in repl.exec("print(fails(lambda: collect(s, 1)))")


def test_adc_bursts(repl: Repl) -> None:
    def burst(n: int) -> tuple[list[Sample], int]:
        return ast.literal_eval(repl.exec(f"print(collect(s, {n}))"))  # type: ignore[no-any-return]

    adc(repl, "'rate': 2000, 'by': 'burst', 'size': 256", 500)
    got, _ = burst(256)
    assert [elapsed for elapsed, _ in got][1:] == pytest.approx([500] * 255, abs=25)
    rows = [(raw[0] + 32768) // 64 for _, raw in got]
    assert [(b - rows[0]) % 1000 for b in rows] == pytest.approx(list(range(256)), abs=8)
    repl.exec("time.sleep_ms(300)")
    got, _ = burst(2)
    assert got[0][0] >= 300000
    assert repl.exec("print(allocates(s, 600))") == "0\n"
    repl.exec("s = ulnn_sources.make({'kind': 'adc', 'pins': [26], 'rate': 50000, 'by': 'burst'})")
    said = repl.exec(
        "def slow(b, rate): time.sleep_ms(10)\n"
        "from ulnn_sources.burst import Burst; Burst._loop = lambda self, b, r: slow(b, r)\n"
        "print(fails(s.start))"
    )
    assert said.startswith("ADC on 26: this board takes 2")
    assert said.endswith(" samples a second in bursts, expected rate 50000\n")
    repl.exec("s = ulnn_sources.make({'kind': 'adc', 'pins': [99]})")
    assert repl.exec("print(fails(s.start))") == "ADC on 99: invalid pin\n"
