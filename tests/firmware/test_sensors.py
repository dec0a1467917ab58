"""Sources of samples on a PC: their settings, and what only other ports have."""

from __future__ import annotations

import errno
import importlib
import re
import sys
from array import array
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, ClassVar

import pytest

from support.ticks import Ticks, installed
from ulnn_host.board import board_code
from ulnn_rules.mask import Policy


@pytest.fixture(autouse=True)
def ticks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ticks]:
    with installed(monkeypatch, step=20) as found:
        yield found


def make(**settings: Any) -> Any:
    return importlib.import_module("ulnn_sources").make(settings, "source")


def allowed(source: Any, **rule: Any) -> Any:
    """A source as a policy with a rule for its channel lets the network see it."""
    policy = Policy({"channels": {source.names[0]: rule}})
    return board_code.module("ulnn_sources.masked").Masked(source, policy, "network")


@pytest.fixture
def provide(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A module of the port, with these things in it."""

    def found(name: str, **things: Any) -> None:
        module = ModuleType(name)
        vars(module).update(things)
        monkeypatch.setitem(sys.modules, name, module)

    return found


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "gps"}, "source.kind: expected one of "),
        ({"kind": "mpu", "rate": 300}, "source.rate: expected 1000 divided by a whole number, "
         "such as 333 or 250, got 300"),
        ({"kind": "mpu", "rate": 2000}, "source.rate: expected a whole number from 4 to 1000"),
        ({"kind": "mpu", "range_g": 3}, "source.range_g: expected one of 2, 4, 8, 16, got 3"),
        ({"kind": "mpu", "scl": -1}, 'source.scl: expected a pin, such as 4 or "PB8", got -1'),
        ({"kind": "mpu", "sda": ""}, "source.sda: expected a pin"),
        ({"kind": "mpu", "adress": 104}, "source: 'adress' is not a key of it"),
        ({"kind": "lsm", "rate": 100}, "source.rate: expected one of 12.5, 26, 52, 104"),
        ({"kind": "adc"}, "source.pins is missing: expected a list"),
        ({"kind": "adc", "pins": [1.5]}, "source.pins[0]: expected a pin"),
        ({"kind": "adc", "pins": [1, 2], "names": ["x"]},
         "source.names: expected a name for each of 2 pins, got 1"),
        ({"kind": "adc", "pins": [1], "names": [7]}, "source.names[0]: expected a text"),
        ({"kind": "adc", "pins": [1], "by": "timer", "rate": 2000},
         'source.rate: expected at most 1000 with "timer", got 2000'),
        ({"kind": "adc", "pins": [1, 2], "by": "burst"}, 'source: "burst" takes one pin'),
        ({"kind": "adc", "pins": [1], "by": "burst", "size": 1000}, "at most two seconds"),
    ],
)  # fmt: skip
def test_settings(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make(**settings)


def test_rates_and_filters_of_the_mpu() -> None:
    for rate, divider in ((1000, 1), (333, 3), (200, 5), (50, 20), (4, 250)):
        assert make(kind="mpu", rate=rate)._divider == divider
    # The widest filter below half the rate, unless the settings say which.
    for rate, low_pass, code in ((1000, 0, 1), (200, 0, 2), (50, 0, 4), (5, 0, 6), (200, 21, 4)):
        assert make(kind="mpu", rate=rate, low_pass=low_pass)._filter == code


class Registers:
    """An I2C bus with one chip on it, as a dict of registers."""

    def __init__(self, address: int, registers: dict[int, int]) -> None:
        self.address = address
        self.registers = registers
        self.error: int | None = None
        self.written: list[tuple[int, int]] = []

    def __call__(self, *_: Any, **__: Any) -> Registers:
        return self

    def readfrom_mem_into(self, address: int, register: int, into: bytearray) -> None:
        if self.error or address != self.address:
            raise OSError(self.error or errno.ENODEV, "no")
        for k in range(len(into)):
            into[k] = self.registers.get(register + k, 0)

    def readfrom_mem(self, address: int, register: int, n: int) -> bytes:
        found = bytearray(n)
        self.readfrom_mem_into(address, register, found)
        return bytes(found)

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        if self.error or address != self.address:
            raise OSError(self.error or errno.ENODEV, "no")
        self.registers[register] = data[0]
        self.written.append((register, data[0]))


class Driver:
    """What `lsm.py` uses of micropython-lib's LSM6DSOX."""

    def __init__(
        self,
        bus: Registers,
        cs: None = None,
        address: int = 0x6A,
        gyro_odr: float = 104,
        accel_odr: float = 104,
        gyro_scale: int = 2000,
        accel_scale: int = 4,
        ucf: None = None,
    ) -> None:
        if bus.readfrom_mem(address, 0x0F, 1)[0] != 108:
            raise OSError(f"No LSM6DS device was found at address {address:#x}")
        bus.writeto_mem(address, 0x12, bytes([0x04]))
        self.given = (gyro_odr, accel_odr, gyro_scale, accel_scale)
        drivers.append(self)


drivers: list[Driver] = []


def test_lsm6dsox(provide: Callable[..., None], ticks: Ticks) -> None:
    chip = Registers(0x6A, {0x0F: 108})
    provide("machine", I2C=chip)
    s = make(kind="lsm", rate=833, range_g=8, range_dps=2000)
    with pytest.raises(OSError, match="its driver is not on this board: mpremote mip install"):
        s.start()
    provide("lsm6dsox", LSM6DSOX=Driver)
    s.start()
    assert drivers.pop().given == (888, 888, 2000, 8)
    assert chip.written[-1] == (0x12, 0x44)
    assert s.scale == pytest.approx((8 / 32768,) * 3 + (0.07,) * 3)
    chip.registers[0x1E] = 0
    assert not s.take()
    for k, value in enumerate((-2, 300, -30000, 1, 32767, -32768)):  # gx ... gz, ax ... az
        chip.registers[0x22 + 2 * k] = value & 255
        chip.registers[0x23 + 2 * k] = value >> 8 & 255
    chip.registers[0x1E] = 0x03
    ticks.sleep_ms(3)
    assert s.take()
    assert list(s.raw) == [1, 32767, -32768, -2, 300, -30000]
    assert s.elapsed == 0
    assert not s.take()  # too early to ask
    ticks.sleep_ms(12)
    assert s.take()
    assert s.elapsed == pytest.approx(12000, abs=1300)
    assert s.dropped in (8, 9)
    chip.registers[0x1E] = 0
    for _ in range(80):
        ticks.sleep_ms(1)
        assert not s.take()
    ticks.sleep_ms(50)
    with pytest.raises(OSError, match="it answers, but gives no samples"):
        s.take()
    chip.error = errno.ENODEV
    for f in (s.take, s.start):
        ticks.sleep_ms(3)
        with pytest.raises(OSError, match=r"LSM6DSOX at 0x6a: no answer on I2C\(0\)"):
            f()
    chip.error = None
    chip.registers[0x0F] = 1
    with pytest.raises(OSError, match=r"^LSM6DSOX at 0x6a: No LSM6DS device was found"):
        s.start()
    s.stop()
    with pytest.raises(OSError, match="not started"):
        s.take()


def test_mpu_6500_has_a_second_filter(provide: Callable[..., None]) -> None:
    for chip, writes in ((0x68, False), (0x70, True), (0x71, True)):
        registers = Registers(0x69, {0x75: chip})
        provide("machine", I2C=registers)
        make(kind="mpu", address=0x69, rate=100).start()
        assert ((0x1D, 3) in registers.written) == writes
        assert (0x19, 9) in registers.written
    with pytest.raises(OSError, match="MPU at 0x68: no answer"):
        make(kind="mpu").start()


class Line:
    """A pin of a bus whose SDA is low until `clocks` pulses came on SCL."""

    OPEN_DRAIN = 3
    clocks = 0
    made: list[Any] = []  # noqa: RUF012

    def __init__(self, name: Any, mode: int | None = None, value: int | None = None) -> None:
        self.name = name
        self.level = 1
        Line.made.append(name)

    def value(self, level: int | None = None) -> int:
        if level is None:
            return int(self.level and not Line.clocks)
        if self.name == "PB8" and level > self.level:
            Line.clocks = max(Line.clocks - 1, 0)
        self.level = level
        return level


def test_pins_as_ports_take_them(provide: Callable[..., None]) -> None:
    chip = Registers(0x68, {0x75: 0x68})
    calls = []

    def stm32(number: int, *, freq: int, scl: Any = None, sda: Any = None) -> Registers:
        calls.append(freq)
        if scl or sda:
            raise ValueError("explicit choice of scl/sda is not implemented")
        return chip

    def mimxrt(number: int, *, freq: int) -> Registers:
        return chip

    def rp2(number: int, *, freq: int, scl: Any = None, sda: Any = None) -> Registers:
        raise ValueError("bad SCL pin")

    s = make(kind="mpu", i2c=1, scl="PB8", sda="PB9", freq=100000)
    with pytest.raises(OSError, match="this board has neither machine nor busio and board"):
        s.start()
    for port in (stm32, mimxrt):
        provide("machine", I2C=port, Pin=Line)
        s.start()
    assert calls == [100000, 100000]
    assert set(Line.made) == {"PB8", "PB9"}
    provide("machine", I2C=rp2, Pin=Line)
    with pytest.raises(OSError, match=r"MPU at 0x68: I2C\(1\) with scl PB8, sda PB9: bad SCL pin"):
        s.start()
    provide("machine", I2C=chip, Pin=Line)
    Line.clocks = 9
    s.start()
    assert Line.clocks == 0
    Line.clocks = 10**6
    with pytest.raises(OSError, match="is held low, and nine clocks did not free it"):
        s.start()
    Line.clocks = 0


def test_a_microphone_on_i2s(provide: Callable[..., None], ticks: Ticks) -> None:
    class I2S:
        """A converter whose k-th sample is k."""

        RX, MONO = 1, 2
        made: ClassVar[dict[str, Any]] = {}
        open = 0

        def __init__(self, number: int, **keys: Any) -> None:
            I2S.made = keys | {"number": number}
            I2S.open += 1
            self.start, self.taken = ticks.now, 0

        def readinto(self, buffer: array[int]) -> int:
            n = len(buffer)
            there = int(ticks.now - self.start) // 100
            self.taken = max(self.taken, there - 4 * n)  # the ring is overwritten
            ticks.now = max(ticks.now, self.start + 100 * (self.taken + n))
            for k in range(n):
                buffer[k] = self.taken + k
            self.taken += n
            return 2 * n

        def deinit(self) -> None:
            I2S.open -= 1

    provide("machine", I2S=I2S, Pin=lambda pin: f"pin {pin}")
    with pytest.raises(ValueError, match=r"source\.sd is missing: expected a pin"):
        make(kind="i2s", sck=10, ws=11)
    s = make(kind="i2s", i2s=1, sck=10, ws=11, sd=12, rate=10000, size=100, unit="Pa", full=2.0)
    with pytest.raises(OSError, match=r"I2S\(1\): not started"):
        s.take()
    for _ in range(2):
        s.start()
    assert I2S.open == 1
    assert I2S.made == {
        "number": 1, "sck": "pin 10", "ws": "pin 11", "sd": "pin 12", "mode": 1, "bits": 16,
        "format": 2, "rate": 10000, "ibuf": 800,
    }  # fmt: skip
    assert s.scale == pytest.approx((2 / 32767,))
    counts, times = [], []
    for _ in range(1000):
        assert s.take()
        counts.append(s.raw[0])
        times.append(s.elapsed)
    assert counts == list(range(1000))
    assert times[0] == 0
    assert sum(times) == pytest.approx(99_900, abs=200)
    assert min(times[1:]) >= 90
    ticks.sleep_ms(100)  # 1,000 samples, of which the newest 100 are taken
    assert s.dropped == 0
    assert s.take()
    assert s.dropped == pytest.approx(900, abs=5)
    assert s.raw[0] == pytest.approx(1900, abs=5)
    assert s.elapsed == pytest.approx(90_100, abs=500)
    s.start()
    assert (s.take_block(), s.elapsed, list(s.block)) == (100, 0, list(range(100)))
    assert s.rest == pytest.approx(9_900, abs=100)
    assert (s.take_block(), s.block[0], s.block[99]) == (100, 100, 199)
    assert s.elapsed - s.rest == pytest.approx(100, abs=10)
    quiet = allowed(s, do="clip", low=0, high=250.5 * 2 / 32767)
    assert (quiet.take_block(), list(quiet.block)) == (100, [*range(200, 250), *[250] * 50])
    s.stop()
    assert I2S.open == 0
    provide("machine", I2S=lambda *a, **k: 1 / 0)
    del sys.modules["machine"].I2S  # type: ignore[attr-defined]
    with pytest.raises(OSError, match=r"^I2S\(1\): "):
        s.start()


class Busio:
    """CircuitPython's I2C, with a chip on it."""

    users = 0

    def __init__(self, scl: str, sda: str, frequency: int) -> None:
        assert (scl, sda, frequency) == ("GP5 itself", "GP4 itself", 400000)
        if Busio.users:
            raise ValueError("GP5 in use")
        Busio.users += 1
        self.locked = False
        self.chip = Registers(0x68, {0x75: 0x68})

    def try_lock(self) -> bool:
        self.locked = True
        return True

    def unlock(self) -> None:
        self.locked = False

    def deinit(self) -> None:
        assert not self.locked
        Busio.users -= 1

    def writeto(self, address: int, data: bytes) -> None:
        assert self.locked
        self.chip.writeto_mem(address, data[0], data[1:])

    def writeto_then_readfrom(self, address: int, out: bytearray, into: bytearray) -> None:
        assert self.locked
        self.chip.readfrom_mem_into(address, out[0], into)


def test_buses_and_pins_of_circuitpython(provide: Callable[..., None], ticks: Ticks) -> None:
    provide("busio", I2C=Busio)
    provide("board", GP5="GP5 itself", GP4="GP4 itself")
    s = make(kind="mpu", scl="GP5", sda="GP4", rate=200)
    for _ in range(2):  # also after a fault
        s.start()
        assert s._bus.i2c._i2c.chip.registers[0x19] == 4  # 1000 / 200 - 1
    ticks.sleep_ms(20)
    assert not s.take()
    other = make(kind="mpu", scl="GP5", sda="GP4")
    with pytest.raises(OSError, match="MPU at 0x68: scl GP5, sda GP4: GP5 in use"):
        other.start()
    s.stop()
    assert Busio.users == 0
    nowhere = make(kind="mpu", scl="GP50", sda="GP4")
    with pytest.raises(OSError, match=r"board\.GP50: this board has no such pin"):
        nowhere.start()

    class AnalogIn:
        open = 0

        def __init__(self, pin: str) -> None:
            assert pin == "A0 itself"
            AnalogIn.open += 1
            self.value = 40000

        def deinit(self) -> None:
            AnalogIn.open -= 1

    provide("analogio", AnalogIn=AnalogIn)
    provide("board", A0="A0 itself")
    a = make(kind="adc", pins=["A0"], rate=100)
    for _ in range(2):
        a.start()
        assert AnalogIn.open == 1
    ticks.sleep_ms(20)
    assert a.take()
    assert list(a.raw) == [40000 - 32768]
    a.stop()
    assert AnalogIn.open == 0


def test_bursts_of_a_pyboard(provide: Callable[..., None], ticks: Ticks) -> None:
    class ADC:
        """The pyboard's; its counts have 12 bits."""

        def __init__(self, pin: str) -> None:
            assert pin == "X1"

        def read_timed(self, buffer: array[int], rate: int) -> None:
            for k in range(len(buffer)):
                buffer[k] = (0, 2048, 4095)[k % 3]
            ticks.sleep_ms(1000 * len(buffer) // rate)

    class Plain:
        def __init__(self, pin: str) -> None:
            self.read_u16 = lambda: 0

    provide("pyb", ADC=ADC)
    provide("machine", ADC=Plain)
    s = make(kind="adc", pins=["X1"], rate=8000, by="burst", size=512)
    s.start()
    got = []
    for _ in range(512):
        assert s.take()
        got.append((s.elapsed, s.raw[0]))
    assert [raw for _, raw in got[:3]] == [-32768, 8, 32767]
    assert {elapsed for elapsed, _ in got[1:]} == {125}
    assert s.offset == pytest.approx((1.65,))
    ticks.sleep_ms(10)  # between bursts
    assert s.take_block() == 512
    assert s.block.tolist() == [raw for _, raw in got]
    assert s.rest == 511 * 125
    assert s.elapsed - s.rest == pytest.approx(10_125, abs=100)
    coarse = allowed(s, do="round", step=0.1)  # 1,986 counts
    before = s.block.tolist()
    assert coarse.take_block() == 512
    assert (coarse.elapsed, coarse.rest) == (s.elapsed, s.rest)
    assert coarse.block.tolist() == [(raw + 993) // 1986 * 1986 for raw in before]
    s.stop()
    for take in (s.take, s.take_block):
        with pytest.raises(OSError, match="ADC on X1: not started"):
            take()
