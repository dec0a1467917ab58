"""Alarms of ulnn_rules: scores and thresholds are what the documents say, false alarms are as many
as were asked for, all engines have the same bits, and a power cut leaves the state before or
after."""

from __future__ import annotations

import math
from array import array
from binascii import crc32
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import alarm_cases as cases
from support.board_tools import USUAL, port_fixture, run_mounted
from support.paths import FIRMWARE, SUPPORT
from support.power_cuts import FILESYSTEMS
from support.unix import needs_micropython, unix
from ulnn_rules import threshold
from ulnn_rules.alarm import HISTORY, Alarm
from ulnn_rules.novelty import Input, Prediction
from ulnn_rules.scaling import Scaling
from ulnn_rules.watch import Between, Watch

VALUE = st.integers(-32768, 32767)
ROW = st.lists(VALUE, min_size=cases.INPUTS, max_size=cases.INPUTS)

# ---- scores -------------------------------------------------------------------------------------


def test_a_score_is_the_energy_of_the_error_over_the_usual_one() -> None:
    life = cases.life(1, 400, bad=1)
    score, pairs = Prediction(Scaling(cases.MODEL)), Scaling(cases.MODEL)
    n = cases.INPUTS
    (a, b), (c, d) = (
        np.array([pair(k) for k in range(n)], np.float64).T
        for pair in (pairs.output_pair, pairs.input_pair)
    )
    error = np.abs(life.x - np.clip(np.rint((life.y * a + b - d) / c), -32768, 32767))
    for k in range(300):
        score.learn(array("h", life.x[k].tolist()), array("h", life.y[k].tolist()))
    score.settle()
    usual = np.rint(error[:300].mean(0))
    usual = np.maximum(usual, max(16, usual.sum() // 12))
    assert np.abs(np.array(score.usual) - usual).max() <= 1
    energy = (np.minimum(error / usual, 128) ** 2).mean(1)
    found = [
        score.of(array("h", x), array("h", y))
        for x, y in zip(life.x.tolist(), life.y.tolist(), strict=True)
    ]
    large = energy > 0.1
    assert np.abs(np.array(found) - 256 * np.log2(np.maximum(energy, 1e-4)))[large].max() < 8


@given(st.lists(st.tuples(ROW, ROW), max_size=20), ROW, ROW)
def test_any_values_have_a_score(learnt: list[tuple[list[int], list[int]]], x: list[int],
                                 y: list[int]) -> None:  # fmt: skip
    score = Prediction(Scaling(cases.MODEL))
    for before, after in learnt:
        score.learn(before, array("h", after))
    score.settle()
    assert -6000 < score.of(x, array("h", y)) < 6000
    assert Input(1).of(x, y) == x[1]


def test_many_steps_fade() -> None:
    score = Prediction(Scaling(cases.MODEL))
    y = array("h", bytes(2 * cases.INPUTS))
    for _ in range(20_000):
        score.learn([32767] * cases.INPUTS, y)
    assert max(score._sums) < 2**29
    before = list(score.usual)
    score.settle()
    assert min(score.usual) > 20_000 > before[0]


# ---- thresholds ---------------------------------------------------------------------------------


def by_the_book(values: list[int], seconds: int, false_alarms: int) -> float:
    """The formula, in floats."""
    n = len(values)
    k = n // 4
    q = sorted(values)[n - k - 1]
    over = sorted(values)[n - k :]
    most = 6 * max(1, over[k - (k + 1) // 2] - q)
    e = sum(min(most, v - q) for v in over) / k
    expected = false_alarms * max(1, seconds) / 1000 / 86400
    ln = max(0.0, math.log(k / expected))
    return min(32767.0, q + max(1.0, e * (ln + ln**2 / (2 * k) + ln**3 / (6 * k**2))))


@settings(max_examples=100)
@given(
    st.lists(st.integers(-3000, 9000), min_size=96, max_size=112),
    st.integers(0, 2**30), st.integers(1, 1_000_000),
)  # fmt: skip
def test_a_threshold_is_what_the_formula_says(
    values: list[int], seconds: int, false_alarms: int
) -> None:
    high, half = threshold.level(sorted(values), len(values), seconds, false_alarms)
    want = by_the_book(values, seconds, false_alarms)
    assert abs(high - want) <= 2 + 0.004 * abs(want - min(values))
    assert min(values) <= half <= high


def run(alarm: Alarm, scores: list[int], ms: int) -> list[tuple[int, str]]:
    """(number of the look, event) of all events."""
    found = []
    for k, score in enumerate(scores):
        alarm.look(score, ms)
        if alarm.event:
            found.append((k, alarm.event))
    return found


def simulated(kind: str, rng: np.random.Generator, looks: int) -> list[int]:
    """Scores of a healthy machine."""
    if kind == "even":
        s = rng.normal(0, 100, looks)
    elif kind == "energy":
        s = 256 * np.log2(rng.chisquare(6, looks) / 6)
    else:  # slow, with a memory of 20 looks
        noise = rng.normal(0, 31, looks).tolist()
        s, v = np.empty(looks), 0.0
        for k, each in enumerate(noise):
            s[k] = v = 0.95 * v + each
    return np.clip(np.rint(s), -32768, 32767).astype(int).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["even", "energy", "slow"])
@pytest.mark.parametrize(
    ("learn_s", "a_day", "days", "look_s"), [(21_600, 10, 4, 10), (259_200, 0.2, 300, 1800)]
)
def test_false_alarms_are_as_many_as_were_asked_for(
    kind: str, learn_s: int, a_day: float, days: int, look_s: int
) -> None:
    """In the mean over machines; one machine has up to some three times as many."""
    found, time = [], 0.0
    for seed in range(12):
        looks = (days * 86400 + learn_s) // look_s
        scores = simulated(kind, np.random.default_rng(seed), looks)
        events = run(Alarm(learn_s, round(a_day * 1000)), scores, 1000 * look_s)
        assert events[0][1] == "learnt"
        time += (looks - events[0][0]) * look_s / 86400
        found.append(sum(event == "raised" for _, event in events))
    assert 0.25 * a_day < sum(found) / time < 1.25 * a_day


def learnt(seed: int = 3, **keys: object) -> tuple[Alarm, list[int]]:
    """An alarm that has just learnt, and healthy scores."""
    alarm = Alarm(1280, 1000, **keys)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 100, 4000).astype(int).tolist()
    events = run(alarm, scores[:1120], 1143)
    assert events == [(1119, "learnt")]
    return alarm, scores[1120:]


def test_knocks_while_it_learns_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    scores = rng.normal(0, 100, 1120).astype(int)
    levels = []
    for knocks in (0, 3):
        alarm = Alarm(1280, 1000, smooth=1)
        knocked = scores.copy()
        knocked[300 + 100 * np.arange(knocks)] = 20_000
        run(alarm, knocked.tolist(), 1143)
        assert alarm.state == "watching"
        levels.append(alarm.level)
    assert levels[0] < levels[1] < 2 * levels[0]


@pytest.mark.parametrize("rule", ["ewma", "cusum"])
def test_an_alarm_begins_and_ends(rule: str) -> None:
    alarm, healthy = learnt(rule=rule)
    assert run(alarm, healthy[:500], 1000) == []
    bad = [score + 150 for score in healthy[500:600]]
    ((first, event),) = run(alarm, bad, 1000)
    assert event == "raised"
    assert 1 <= first < 60
    assert (alarm.state, alarm.on, alarm.alarms) == ("raised", True, 1)
    assert alarm.acknowledge()
    assert not alarm.acknowledge()
    assert alarm.state == "acknowledged"
    events = run(alarm, healthy[600:1400], 1000)
    assert [event for _, event in events] == ["cleared"]
    ((start, seconds, utc, lasted, highest, level, seen),) = alarm.history()
    assert (start, utc, seen) == (0, 0, True)
    assert seconds == pytest.approx(alarm.seconds - 900 + first, abs=3)
    assert lasted == pytest.approx(99 - first + events[0][0], abs=3)
    assert highest > level == alarm.level


def test_a_shift_that_a_mean_hides_adds_up() -> None:
    """What CUSUM is for: a little for long."""
    when = {}
    for rule in ("ewma", "cusum"):
        alarm, healthy = learnt(rule=rule)
        events = run(alarm, [score + 90 for score in healthy], 1000)
        when[rule] = events[0][0] if events else 10**6
    assert when["cusum"] < when["ewma"]


def test_a_snoozed_alarm_is_quiet_and_comes_again() -> None:
    alarm, _ = learnt()
    assert run(alarm, [900] * 20, 1000)[0][1] == "raised"
    assert alarm.snooze(60)
    assert alarm.state == "snoozed"
    events = run(alarm, [900] * 100, 1000)
    assert [event for _, event in events] == ["raised"]
    assert 60 <= events[0][0] <= 61
    assert alarm.alarms == 2


def test_after_a_repair_it_learns_again() -> None:
    alarm, healthy = learnt()
    run(alarm, [900] * 20, 1000)
    alarm.relearn()
    assert (alarm.state, alarm.snooze(60), alarm.acknowledge()) == ("learning", False, False)
    events = run(alarm, [score + 900 for score in healthy[:1300]], 1143)
    assert [event for _, event in events] == ["learnt"]
    assert alarm.level > 900
    assert len(alarm.history()) == 1
    alarm.forget()
    assert (alarm.history(), alarm.state) == ([], "learning")


def test_the_last_alarms_are_kept() -> None:
    alarm, _ = learnt()
    for _ in range(HISTORY + 3):
        run(alarm, [900] * 20 + [0] * 100, 1000)
    assert alarm.alarms == HISTORY + 3
    times = [entry[1] for entry in alarm.history()]
    assert len(times) == HISTORY
    assert np.diff(times).tolist() == [120] * (HISTORY - 1)


@given(st.lists(st.tuples(VALUE, st.integers(1, 2000)), max_size=600), st.booleans())
def test_any_scores_give_events_in_their_order(looks: list[tuple[int, int]], cusum: bool) -> None:
    alarm = Alarm(128, 10**6, False, "cusum" if cusum else "ewma", 3, 1, 2)
    events = []
    for score, ms in looks:
        new = alarm.look(score, ms)
        assert new or not alarm.event
        assert -32768 <= alarm.value <= 32767
        events += [alarm.event] if alarm.event else []
    assert events[:1] in ([], ["learnt"])
    assert events[1::2] == ["raised"] * len(events[1::2])
    assert events[2::2] == ["cleared"] * len(events[2::2])


def test_what_was_saved_comes_back() -> None:
    life = cases.life(2, 3_000)
    w, saved = cases.watch(0), bytearray(cases.watch(0).size)
    kept = 0
    for k in range(len(life.x)):
        row = array("h", life.x[k].tolist()), array("h", life.y[k].tolist())
        if not w.step(*row, int(life.us[k]), bool(life.fresh[k])):
            continue
        w.pack(saved)
        again = cases.watch(0)
        again.unpack(saved)
        if again.alarm.threshold.state == "usual":
            assert again.alarm.threshold.blocks == 0
            continue
        kept += 1
        assert again.alarm.state == w.alarm.state
        assert again.alarm.history() == w.alarm.history()
        assert (again.alarm.level, again.alarm.start) == (w.alarm.level, 1)
        both = bytearray(saved), bytearray(saved)
        again.alarm.start = 0
        again.pack(both[1])
        assert both[0] == both[1]
    assert kept > 100
    assert w.alarm.alarms >= 1


# ---- steps --------------------------------------------------------------------------------------


def test_a_look_is_complete_or_does_not_count() -> None:
    seen = []
    alarm = Alarm(128, 1000)
    alarm.look = lambda score, ms: seen.append((score, ms))  # type: ignore[method-assign, assignment, func-returns-value]
    w = Watch(Input(0), alarm, 3, when=(Between(1, 5, 9),), settle_ms=1000)
    script = [  # value, condition, milliseconds, fresh
        (1, 5, 500, True), (2, 5, 500, False), (3, 9, 500, False),  # it settles
        (10, 7, 400, False), (20, 7, 400, False), (31, 7, 400, False),  # a look
        (40, 7, 400, False), (50, 4, 400, False),  # it stops
        (60, 6, 600, False), (70, 6, 600, False), (80, 6, 300, False), (90, 6, 300, True),
        (100, 6, 300, False), (101, 6, 400, False),  # a look after a gap
    ]  # fmt: skip
    for value, condition, ms, fresh in script:
        w.step([value, condition, 0], [], ms * 1000, fresh)
    assert seen == [(20, 1200), (97, 700)]
    assert w.allowed
    w.step([0, 0, 0], [], 1000, False)
    assert not w.allowed


def test_a_condition_on_another_channel() -> None:
    w = Watch(Input(0), Alarm(128, 1000), 1, when=(Between(2, high=-5, raw=True),))
    w.step([0, 0, 0], [], 1000, False, [0, 0, -5])
    assert w.allowed
    w.step([0, 0, 0], [], 1000, False, [0, 0, -4])
    assert not w.allowed


def test_what_predicts_nothing_is_refused() -> None:
    scaling = Scaling(cases.MODEL)
    scaling.output_size = 2
    with pytest.raises(ValueError, match="3 inputs and 2 outputs: it does not predict its next"):
        Prediction(scaling)


# ---- the same bits everywhere -------------------------------------------------------------------

SCRIPT = """
from array import array
from binascii import crc32
from struct import unpack
from micropython import heap_lock, heap_unlock
from ulnn_rules.alarm import Alarm
from ulnn_rules.novelty import Input, Prediction
from ulnn_rules.scaling import Scaling
from ulnn_rules.watch import Between, Watch
f = open("cases.bin", "rb")
steps, size = unpack("<II", f.read(8))
MODEL = f.read(size)
x, y = array("h", [0] * 3), array("h", [0] * 3)
new = False
n = k = 0
for case in range(len(WATCHES)):
    xs, ys = array("h", f.read(6 * steps)), array("h", f.read(6 * steps))
    us, flags = array("i", f.read(4 * steps)), f.read(steps)
    w = Watch(*eval(WATCHES[case]))
    a = w.alarm
    b = bytearray(w.size)
    sums = 0
    for n in range(steps):
        for k in range(3):
            x[k] = xs[3 * n + k]
            y[k] = ys[3 * n + k]
        if flags[n] & 2:
            new = w.step(x, y, us[n], flags[n] & 1 == 1)
            w.pack(b)
            sums = crc32(b, sums)
            if a.event:
                print(n, a.event, a.value, sums)
        else:
            heap_lock()
            new = w.step(x, y, us[n], flags[n] & 1 == 1)
            heap_unlock()
        if new != (flags[n] & 2 == 2):
            print("step", n, "is", new)
    print(a.state, a.seconds, a.value, a.level, sums, a.history())
    xs = ys = us = flags = None
"""


def prepare(folder: Path, steps: int) -> str:
    """The script and its cases; returns what it has to print."""
    content = np.array([steps, len(cases.MODEL)], "<u4").tobytes() + cases.MODEL
    lines = []
    for number in range(len(cases.WATCHES)):
        life, w = cases.life(7 + number, steps), cases.watch(number)
        flags = bytearray(life.fresh.astype(np.uint8).tobytes())
        b, sums = bytearray(w.size), 0
        for k in range(steps):
            row = array("h", life.x[k].tolist()), array("h", life.y[k].tolist())
            if not w.step(*row, int(life.us[k]), bool(life.fresh[k])):
                continue
            flags[k] |= 2
            w.pack(b)
            sums = crc32(b, sums)
            if w.alarm.event:
                lines.append(f"{k} {w.alarm.event} {w.alarm.value} {sums}")
        content += life.x.astype("<i2").tobytes() + life.y.astype("<i2").tobytes()
        content += life.us.astype("<i4").tobytes() + bytes(flags)
        a = w.alarm
        lines.append(f"{a.state} {a.seconds} {a.value} {a.level} {sums} {a.history()}")
    (folder / "cases.bin").write_bytes(content)
    (folder / "run.py").write_text(f"WATCHES = {cases.WATCHES!r}\n" + SCRIPT)
    return "\n".join(lines) + "\n"


@needs_micropython
def test_on_unix_micropython(tmp_path: Path) -> None:
    want = prepare(tmp_path, 3_000)
    assert want.count(" raised ") >= 3
    assert want.count(" cleared ") >= 3
    assert unix("run.py", cwd=tmp_path, heap="256k", path=FIRMWARE) == want


port = port_fixture(*USUAL)


@pytest.mark.board
def test_on_boards(port: str, tmp_path: Path) -> None:
    """With the package that is frozen in the firmware."""
    want = prepare(tmp_path, 2_600)
    assert run_mounted(port, tmp_path) == want


# ---- power cuts ---------------------------------------------------------------------------------

CUTS = """
import sys
sys.path.insert(0, SUPPORT)
import torn
from array import array
from ulnn_rules.alarm import Alarm
from ulnn_rules.novelty import Prediction
from ulnn_rules.scaling import Scaling
from ulnn_rules.slots import Slots
from ulnn_rules.watch import Watch

def made():
    w = Watch(*eval(WATCHES[0]))
    return w, Slots(b"ULNA", bytes(32), w.size)

def live(w, s, first, last):
    # From step `first` on; every state that is saved, and the steps.
    state, x, y = first, array("h", bytes(6)), array("h", bytes(6))
    for n in range(first, last):
        for k in range(3):
            state = (state * 1103 + 12345) & 0xFFFFF
            y[k] = (state >> 4) - 32768
            x[k] = max(-32768, min(32767, y[k] + (state & 63) * (9 if n % 5000 > 4500 else 1)))
        if w.step(x, y, 100000, False):
            w.pack(s.content)
            held.append(bytes(s.content))
            s.save("/ram/alarm.state")

random = 7
for kind in KINDS:
    image = bytes(torn.format_disk(kind, 256))
    torn.power_on(kind, bytearray(image))
    first = 0
    last_held = None
    for start in range(STARTS):
        # A start, some time of work, and a cut at a random write.
        random = (random * 1103515245 + 12345) & 0x3FFFFFFF
        cut_at = random // 1000 % 90
        torn.power_on(kind, bytearray(image), cut_at)
        w, s = made()
        held = [last_held]
        there = s.load("/ram/alarm.state")
        assert there == (last_held is not None), (kind, start)
        if there:
            assert bytes(s.content) == last_held, (kind, start)
            w.unpack(s.content)
        try:
            live(w, s, first, first + 3000)
        except (torn.Cut, OSError):
            pass
        first += 3000
        image = bytes(torn.disk.data)
        torn.power_on(kind, bytearray(image))
        _, s = made()
        now = bytes(s.content) if s.load("/ram/alarm.state") else None
        assert now in held[-2:], (kind, start, len(held))
        last_held = now
        image = bytes(torn.disk.data)
    print(kind, w.alarm.state)
"""


@needs_micropython
@pytest.mark.slow
def test_a_power_cut_leaves_the_state_before_or_after(tmp_path: Path, full: bool) -> None:
    starts = 30 if full else 5
    head = (
        f"SUPPORT = {str(SUPPORT / 'power')!r}\nKINDS = {FILESYSTEMS!r}\n"
        f"MODEL = {cases.MODEL!r}\nWATCHES = {cases.WATCHES!r}\nSTARTS = {starts}\n"
    )
    (tmp_path / "cuts.py").write_text(head + CUTS)
    printed = unix("cuts.py", cwd=tmp_path, path=FIRMWARE).splitlines()
    assert len([line for line in printed if line.startswith("Vfs")]) == len(FILESYSTEMS)
