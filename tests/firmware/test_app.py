"""The app's parts on a PC: settings, faults and pauses, figures; and the whole of it under unix
MicroPython."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from support import app_cases as cases
from support.paths import FIRMWARE
from support.unix import needs_micropython, unix
from ulnn_host.board import board_code
from ulnn_host.board.takes import take_bytes
from ulnn_rules.mask import Policy

app_module = board_code.package("ulnn_app")
loop = board_code.module("ulnn_app.loop")
chip = board_code.module("ulnn_app.chip")
measures = board_code.module("ulnn_app.measures")
words = board_code.module("ulnn_app.words")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return cases.replay_settings(tmp_path)


# ---- settings -----------------------------------------------------------------------------------


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda s: s.pop(key)


def changed(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda s: s.update(values)


def source(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda s: s["source"].update(values)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (without("model"), "{}.model is missing: expected a text of length of at least 1"),
        (without("source"), "{}.source.kind: expected one of "),
        (
            changed(modle=1),
            "{}: 'modle' is not a key of it; it has adapt, alarm, channels, device",
        ),
        (changed(poll_ms=0), "{}.poll_ms: expected a whole number from 1 to 60000, got 0"),
        (changed(sleep="deep"), "{}.sleep: expected one of none, light, got 'deep'"),
        (changed(channels=["ax", 3]), "{}.channels[1]: expected a text"),
        (changed(channels=["ax", "up"]), "{}: 2 channels are named, the model has 6 inputs"),
        (changed(channels=["up"] * 6), "{}: no channel up: the source has ax, ay, az, wx"),
        (changed(model="none.ulnn"), "{}.model: no file none.ulnn"),
        (changed(watchdog_ms=500), "watchdog_ms: this board has no machine.WDT; set 0"),
        (source(kind="imu"), "{}.source.kind: expected one of "),
        (source(pace="slow"), "{}.source.pace: expected one of real, fast, got 'slow'"),
        (source(drop=1.5), "{}.source.drop: expected a number from 0 to 0.99, got 1.5"),
        (source(file="none.take"), "{}.source.file: no file none.take"),
        (source(file=__file__), "is not a .take file of version 1"),
    ],
)
def test_a_mistake_is_one_line_before_anything_starts(
    settings: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], None], text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    change(settings)
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings))
    with pytest.raises(ValueError) as error:  # noqa: PT011 - its text follows
        app_module.make(str(path))
    assert text.format(path) in str(error.value)
    app_module.run(str(path))
    assert capsys.readouterr().out == f"ulnn_app: {error.value}\n"


def test_files_that_are_no_settings(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    with pytest.raises(ValueError, match=r"s.json: no such file"):
        app_module.make(str(path))
    path.write_text('{"model": }')
    with pytest.raises(ValueError, match=r"s.json: not JSON: "):
        app_module.make(str(path))
    path.write_text("[1]")
    with pytest.raises(ValueError, match=r"s.json: expected an object, got \[1\]"):
        app_module.make(str(path))


def test_units_have_to_agree(settings: dict[str, Any], tmp_path: Path) -> None:
    take = tmp_path / "other.take"
    units = ("m/s^2",) * 3 + ("rad/s",) * 3
    take.write_bytes(take_bytes(cases.recording(60), units=units))
    settings["source"]["file"] = str(take)
    with pytest.raises(ValueError, match=r"channel ax is in m/s.2, the model takes g: set units"):
        app_module.make(settings)
    app = app_module.make(settings | {"units": "convert"})
    plain = app_module.make(settings | {"units": "ignore"})
    x, y = app.front.x, plain.front.x
    for made in (app, plain):
        made.front._counts.convert([1000] * 6, made.front.x)
    assert x[0] == pytest.approx(y[0] / 9.80665, abs=1)
    assert x[3] == y[3]


# ---- the loop -----------------------------------------------------------------------------------


class Sensor:
    """A source that does what a list says: a number is a sample after so many microseconds."""

    names, units = cases.CHANNELS, cases.UNITS
    scale, offset = (1 / 4096,) * 6, (0.0,) * 6

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.raw = [0] * 6
        self.elapsed = self.dropped = self.started = self.stopped = 0
        self.refuses = 0

    def start(self) -> None:
        self.started += 1
        self.dropped = 0
        if self.refuses:
            self.refuses -= 1
            raise OSError("no answer")

    def take(self) -> bool:
        if not self.script:
            return False
        event = self.script.pop(0)
        if isinstance(event, BaseException):
            raise event
        self.elapsed = event
        return True

    def stop(self) -> None:
        self.stopped += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time stands still unless a test moves it."""
    now = SimpleNamespace(ms=1000)
    base = board_code.module("ulnn_sources.base")
    for module in (base, loop):
        monkeypatch.setattr(module, "ticks_ms", lambda: now.ms)
    monkeypatch.setattr(loop, "ticks_us", lambda: now.ms * 1000)
    return now


def running(settings: dict[str, Any], sensor: Sensor) -> Any:
    app = app_module.make(settings, sensor)
    app.begin()
    return app


def test_faults_are_counted_and_waited_for(
    settings: dict[str, Any], clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    sensor = Sensor(0, 20_000, OSError(5, "EIO"), 0, 20_000)
    app = running(settings, sensor)
    assert app.poll() == 2
    assert (app.state, app.faults.total) == ("waiting", 1)
    sensor.refuses = 3
    pauses = []
    while app.state == "waiting":
        before = clock.ms
        while app.poll() == 0 and sensor.started == 1 + len(pauses):
            clock.ms += 10
        pauses.append(clock.ms - before)
    assert pauses == [100, 200, 400, 800]
    assert app.samples == 4
    # Over the fault the time is that of the app's clock: 1.5 s, which the model does not know.
    assert app.pace.longest == 1_500_000
    assert app.clamped == 1
    assert (app.faults.total, sensor.started) == (4, 5)
    app_module.log()
    said = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in said] == [
        "0 s source: OSError: [Errno 5] EIO",
        "0 s source: OSError: no answer (3 times)",
    ]


def test_pauses_end_at_ten_seconds(settings: dict[str, Any], clock: SimpleNamespace) -> None:
    sensor = Sensor()
    sensor.refuses = 1000
    app = running(settings, sensor)
    for _ in range(100_000 // 50):
        app.poll()
        clock.ms += 50
    assert sensor.started == pytest.approx(8 + 87_000 / 10_000, abs=2)


def test_errors_of_hooks_and_steps_stop_nothing(
    settings: dict[str, Any], clock: SimpleNamespace
) -> None:
    sensor = Sensor(*[20_000] * 41)
    app = running(settings, sensor)
    seen = []
    app.on_decision += [lambda app: 1 // 0, lambda app: seen.append(app.decider.label)]
    while app.poll():
        pass
    assert len(seen) == 2
    assert [entry[1:] for entry in app_module.faults()] == [
        (2, "on_decision: ZeroDivisionError: integer division or modulo by zero")
    ]
    assert sensor.started == 1
    app.decider.step = lambda x, dt: 1 // 0
    sensor.script = [20_000]
    assert app.poll() == 1
    assert app_module.faults()[-1][2].startswith("step: ZeroDivisionError")


def test_an_interrupt_is_not_a_fault(settings: dict[str, Any]) -> None:
    app = running(settings, Sensor(20_000, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        app.poll()
    assert app.faults.total == 0


def test_lost_samples_are_counted_over_restarts(
    settings: dict[str, Any], clock: SimpleNamespace
) -> None:
    sensor = Sensor(20_000, OSError("bus"), 20_000)
    app = running(settings, sensor)
    sensor.take, kept = (lambda: False), sensor.take  # type: ignore[method-assign]
    app.poll()
    sensor.take = kept  # type: ignore[method-assign]
    sensor.dropped = 5
    app.poll()
    assert app_module.figures()["dropped"] == 5
    clock.ms += 100
    app.poll()
    sensor.dropped = 2
    assert app_module.figures()["dropped"] == 7


def test_in_an_asyncio_program_of_ones_own(settings: dict[str, Any]) -> None:
    async def program() -> tuple[Any, int]:
        app, turns = app_module.start(settings), 0
        app.on_poll.append(lambda app: app.samples > 500 and app_module.stop())
        while not app.task.done():
            await asyncio.sleep(0)
            turns += 1
        await app.task
        return app, turns

    app, turns = asyncio.run(program())
    assert 500 < app.samples <= 508
    assert app.state == "ended"
    assert turns > 50


def test_decisions_are_those_of_a_pc(settings: dict[str, Any]) -> None:
    made = []
    app_module.run(
        settings, None, lambda app: made.append((app.decider.decision, app.decider.margin))
    )
    want, _ = cases.replayed(settings)
    assert made == want.decisions
    assert len(set(made)) > 10


@needs_micropython
def test_on_unix_micropython(settings: dict[str, Any], tmp_path: Path) -> None:
    """With the engine in Python; and nothing is allocated once it runs."""
    (tmp_path / "s.json").write_text(json.dumps(settings))
    (tmp_path / "run.py").write_text(
        "import gc, ulnn_app\nmade, memory = [None] * 60, [0] * 60\nn = 0\n"
        "def note(app):\n global n\n made[n] = app.decider.decision\n memory[n] = gc.mem_alloc()\n"
        " n += 1\n"
        "ulnn_app.run('s.json', None, note)\n"
        "print(made[:n], len(set(memory[2:n])))\n"
    )
    want, count = cases.replayed(settings)
    said = unix("run.py", cwd=tmp_path, path=f"{FIRMWARE}:.frozen").splitlines()
    assert said == [
        f"ulnn_app: ended after {count} samples",
        f"{[decision for decision, _ in want.decisions]} 1",
    ]


# ---- figures ------------------------------------------------------------------------------------


def test_shares_of_times() -> None:
    rng = np.random.default_rng(2)
    for scale in (3, 40, 900, 20_000, 5_000_000):
        spread = measures.Spread()
        times = np.clip(rng.gamma(2, scale, 2000), 0, 2**30 - 1).astype(int)
        for us in times.tolist():
            spread.add(us)
        for percent in (1, 50, 95, 100):
            true = np.sort(times)[(2000 * percent + 99) // 100 - 1]
            assert true <= spread.below(percent) <= true * 1.125 + 1
        assert spread.most == spread.below(100) == times.max()
    assert measures.Spread().below(50) == 0
    spread.add(2**30 - 1)
    assert spread.below(100) == 2**30 - 1


@pytest.mark.parametrize("period", [500, 5_000, 20_000, 1_000_000, 60_000_000])
def test_the_usual_time_between_samples(period: int) -> None:
    rng = np.random.default_rng(4)
    pace = measures.Pace()
    for _ in range(2000):
        missing = rng.geometric(0.7)
        pace.add(int(period * missing * rng.uniform(0.98, 1.02)))
    assert pace.usual == pytest.approx(period, rel=0.021)
    assert pace.near > pace.others
    for _ in range(400):
        pace.add(3 * period if period < 10**7 else period)
    assert pace.usual == pytest.approx(3 * period if period < 10**7 else period, rel=0.021)


def test_the_log_has_room_for_the_last_ones() -> None:
    faults = measures.Faults(size=4, width=20)
    assert faults.entries() == []
    for k in range(6):
        assert faults.add(k, f"fault {k}")
        assert not faults.add(k + 10, f"fault {k}")
    assert faults.add(7, "ü" * 40)
    assert faults.entries() == [(3, 2, "fault 3"), (4, 2, "fault 4"), (5, 2, "fault 5"),
                                (7, 1, "ü" * 10)]  # fmt: skip
    assert faults.total == 13


def test_sampling_in_words() -> None:
    figures = {
        "period_us": 20_000,
        "near": 9,
        "others": 1,
        "shortest_us": 10,
        "longest_us": 25_000,
    }
    assert words.sampling(figures) == "50 Hz"
    assert words.sampling(figures | {"longest_us": 2_100_000}) == "50 Hz, gaps to 2.1 s"
    assert words.sampling(figures | {"period_us": 960_000_000, "longest_us": 960_000_000}) == (
        "a sample every 16 min"
    )
    assert words.sampling(figures | {"near": 1, "others": 9}) == "irregular, 10 us to 25 ms"
    assert words.sampling(figures | {"period_us": 0}) == "no two samples yet"


# ---- the chip -----------------------------------------------------------------------------------


def test_the_watchdog_is_fed_while_samples_flow(
    settings: dict[str, Any], clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed, timers = [], []

    class Timer:
        def __init__(self, number: int) -> None:
            if number < 0:
                raise ValueError("no such timer")

        def init(self, period: int, callback: Callable[[Any], None]) -> None:
            timers.append((period, callback))

    machine = SimpleNamespace(
        WDT=lambda timeout: SimpleNamespace(feed=lambda: fed.append(clock.ms)), Timer=Timer
    )
    monkeypatch.setattr(chip, "machine", machine)
    sensor = Sensor(20_000, 20_000)
    app = running(settings | {"watchdog_ms": 2000}, sensor)
    app.poll()
    clock.ms += 50
    app.poll()
    assert fed == [1000]
    app.close()  # a person wants the prompt: a timer feeds it from now on
    ((period, callback),) = timers
    assert period == 500
    callback(None)
    assert len(fed) == 3


@pytest.mark.parametrize("goes_on", [True, False])
def test_light_sleep_needs_a_clock_that_goes_on(
    settings: dict[str, Any], goes_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SimpleNamespace(us=0)

    def sleep(ms: int) -> None:
        now.us += 1000 * ms if goes_on else 0

    monkeypatch.setattr(chip, "machine", SimpleNamespace(lightsleep=sleep))
    monkeypatch.setattr(
        chip, "time",
        SimpleNamespace(ticks_us=lambda: now.us, ticks_diff=lambda a, b: a - b),
    )  # fmt: skip
    app = app_module.make(settings | {"sleep": "light"})
    if goes_on:
        app.begin()
        return
    with pytest.raises(ValueError, match="ticks_us stops in light sleep here"):
        app.begin()


def test_a_source_starts_whatever_the_ticks_are(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CircuitPython's begin a minute before they wrap."""
    monkeypatch.setattr(loop, "ticks_ms", lambda: (1 << 29) - 60000)
    app = app_module.make(settings)
    app.begin()
    app.poll()
    assert app.starts == 1
    assert app.samples > 0
    app.close()


def test_faults_name_the_function_that_failed(settings: dict[str, Any]) -> None:
    def fails(app: Any) -> None:
        raise ValueError("no")

    app = app_module.make(settings)
    app.on_poll.append(fails)
    app.begin()
    asyncio.run(app.main())
    assert app.faults.entries()[-1][2] == "on_poll: ValueError: no"


def test_a_fault_leaves_by_the_line_as_the_policy_lets_it(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose text may be logged."""
    monkeypatch.syspath_prepend(FIRMWARE)
    app = importlib.import_module("ulnn_live")._App(settings, None)
    rule = {"do": "keep", "text": True, "for": ["log"]}
    app.policy = Policy({"fields": {"fault": rule}})
    app.fault("source", OSError("anna is asleep"))
    assert app.faults.entries()[-1][2] == "source: OSError"
    app.close()
