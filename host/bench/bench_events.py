"""Bytes and missed events of three example streams, beside raw streaming: a watch, a machine's
vibration, an ECG. Writes host/docs/events.md. `make bench-events`, or:
python host/bench/bench_events.py --stream ecg --minutes 2 --output events.md
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import numpy as np
import typer
from numpy.typing import NDArray

from ulnn_host import api
from ulnn_host.base import console, files
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paragraphs import wrapped
from ulnn_host.base.paths import project_root
from ulnn_host.board import board_code
from ulnn_host.board.takes import take_bytes
from ulnn_host.data import watch
from ulnn_host.data.sequences import Sequences
from ulnn_host.model import Model
from ulnn_host.train import recipe, train

TARGET = "host/docs/events.md"
MINUTES = 10.0
GATHER_S, BATCH = 60, 1024  # events wait for others so long, for a message of so many bytes
UTC_MS = 1_795_678_901_234  # of the device's clock, at the start
WORTH = 0.9
POLICIES = {"changes": "changes of the decision", "all": "every decision"}
BURST, BURST_RATE = 128, 1000  # a burst a second
ECG_RATE, BEATS = 100, ("normal", "early")
# Waves of a beat: seconds from its peak, mV, width in seconds.
NORMAL = ((-0.16, 0.12, 0.025), (0.0, 1.0, 0.014), (0.25, 0.3, 0.05))
WIDE = ((0.0, 1.2, 0.045), (0.3, -0.4, 0.06))
Seen = list[tuple[float, str]]
base: Any = board_code.module("ulnn_sinks.base")


@dataclass(frozen=True)
class Stream:
    """A stream. recording: makes so many seconds of it, one sequence, of whose samples y has what
    is true; windows: to train on, None: what the recipe `watch` has; within: seconds after a
    change of what is true in which an event should name it."""

    what: str
    within: float
    keys: Mapping[str, Any]
    recording: Callable[[int], Sequences]
    windows: Callable[[], Sequences] | None = None


@dataclass(frozen=True)
class Result:
    """A stream with a policy. raw: bytes of the samples; events: with summaries; single, gathered:
    bytes of messages with one event, and with all of GATHER_S; missed: events that were not
    written or were overwritten; changes: of what is true; unseen: those that no event named in
    time; false: events that name what was not true."""

    stream: str
    policy: str
    raw: int
    events: int
    single: int
    gathered: int
    missed: int
    changes: int
    unseen: int
    false: int


def gestures(seconds: int) -> Sequences:
    """The recordings of people never seen, one after the other."""
    whole, count = watch.recordings("unseen"), int(seconds * watch.RATE)
    x, y = whole.x[whole.mask][:count], np.repeat(np.asarray(whole.y), whole.length)[:count]
    dt = np.full(len(x), 1 / watch.RATE)
    return Sequences(x, dt, y=y, per="step", labels=whole.labels, channels=watch.CHANNELS)


def bursts(seed: int, seconds: int, low: int, high: int) -> Sequences:
    """A machine at 25 turns a second, a burst each second. Its bearing is healthy, then has a
    fault, impulses that ring, in turn, each for `low` to `high` seconds."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(low, high, seconds // low + 1)
    fault = np.repeat(np.arange(len(lengths)) % 2, lengths)[:seconds]
    t = np.arange(BURST) / BURST_RATE
    turn = 2 * np.pi * 25 * rng.uniform(0.97, 1.03, (seconds, 1)) * t
    phase = rng.uniform(0, 2 * np.pi, (2, seconds, 1))
    x = 0.5 * np.sin(turn + phase[0]) + 0.2 * np.sin(2 * turn + phase[1])
    x += rng.normal(0, 0.25, x.shape)
    period = rng.uniform(0.017, 0.021, (seconds, 1))
    since = np.mod(t + rng.uniform(0, 1, (seconds, 1)) * period, period)
    ring = np.exp(-since / 0.004) * np.sin(2 * np.pi * 310 * since)
    x += fault[:, None] * rng.uniform(0.8, 2.0, (seconds, 1)) * ring
    dt = np.full(x.shape, 1 / BURST_RATE)
    dt[:, 0] = 1 - (BURST - 1) / BURST_RATE
    return Sequences(x[..., None], dt, y=fault, labels=("healthy", "fault"), channels=("a",))


def vibration(seconds: int) -> Sequences:
    """Twenty seconds to a minute healthy, then as long with a fault."""
    made = bursts(2, seconds, 20, 60)
    x, y = made.x.reshape(-1, 1), np.repeat(np.asarray(made.y), BURST)
    return replace(made, x=x, dt=made.dt.ravel(), y=y, per="step", length=np.zeros(0, np.int64))


def heart(seed: int, seconds: int, early: float) -> tuple[NDArray[Any], ...]:
    """An ECG: (T,) mV; (T,) 1 in beats that are early and wide, a share `early` of all; when
    these peak, in seconds."""
    rng = np.random.default_rng(seed)
    t = np.arange(seconds * ECG_RATE) / ECG_RATE
    x = 0.1 * np.sin(2 * np.pi * 0.25 * t) + rng.normal(0, 0.03, len(t))
    truth, peaks, at = np.zeros(len(t), np.int64), [], 0.5
    while at < seconds - 0.5:
        rest = 0.8 + 0.05 * np.sin(2 * np.pi * 0.2 * at) + rng.normal(0, 0.02)
        waves: Sequence[tuple[float, float, float]] = NORMAL
        after = rest
        if rng.random() < early and at > 2:
            waves, after, at = WIDE, 1.4 * rest, at - 0.4 * rest
            peaks.append(at)
            truth[int((at - 0.15) * ECG_RATE) : int((at + 0.45) * ECG_RATE)] = 1
        near = slice(max(0, int((at - 0.4) * ECG_RATE)), int((at + 0.6) * ECG_RATE))
        size = rng.uniform(0.9, 1.1)
        for middle, height, width in waves:
            x[near] += size * height * np.exp(-(((t[near] - at - middle) / width) ** 2) / 2)
        at += after
    return x, truth, np.array(peaks)


def ecg(seconds: int) -> Sequences:
    """One beat of 25 is early and wide."""
    x, truth, _ = heart(2, seconds, 0.04)
    dt = np.full(len(x), 1 / ECG_RATE)
    return Sequences(x[:, None], dt, y=truth, per="step", labels=BEATS, channels=("ecg",))


def ecg_windows() -> Sequences:
    """Windows of a second, many with an early beat; none where one is cut at an edge."""
    seconds, edge = 1200, 0.08
    x, _, peaks = heart(1, seconds, 0.3)
    found, cut = np.zeros(seconds, np.int64), np.zeros(seconds, bool)
    found[peaks.astype(int)] = 1
    crossing = np.rint(peaks[np.abs(peaks - np.rint(peaks)) < edge]).astype(int)
    cut[crossing] = cut[crossing - 1] = True
    x = x.reshape(seconds, ECG_RATE, 1)[~cut]
    dt = np.full(x.shape[:2], 1 / ECG_RATE)
    return Sequences(x, dt, y=found[~cut], labels=BEATS, channels=("ecg",))


SMALL = {
    "hidden": 16, "backbone_units": 16, "readout": "mean", "valid_fraction": 0.2,
    "batch": 32, "learning_rate": 0.01, "epochs": 15, "seed": 1,
}  # fmt: skip
STREAMS = {
    "watch": Stream(
        "a smartwatch at 25 Hz, six channels: seven exercises of people never seen in training, "
        "recordings of half a minute, one after the other; a decision every 4 s",
        12.0, {"hidden": 16, "backbone_units": 24, "epochs": 25}, gestures,
    ),
    "vibration": Stream(
        "a machine, generated: 128 samples at 1 kHz each second; a fault of its bearing comes and "
        "goes, 20 to 60 s each; a decision every second",
        3.0, SMALL, vibration, lambda: bursts(1, 800, 1, 3),
    ),
    "ecg": Stream(
        "an ECG at 100 Hz, generated: one beat of 25 is early and wide; a decision every second",
        3.0, SMALL, ecg, ecg_windows,
    ),
}  # fmt: skip


class Gathered(base.Sink):  # type: ignore[misc]
    """A sink that sends as MQTT's does, to a receiver that acknowledges at once; bytes: sent."""

    def __init__(self, log: Any) -> None:
        super().__init__("gathered", {}, log)
        self.bytes = 0
        self.delivery = base.Delivery(self, BATCH, 10000, gather_ms=1000 * GATHER_S)

    def poll(self) -> None:
        """Send the lines that are complete."""
        if self.delivery.build():
            self.bytes += len(self.delivery.lines)
            self.delivery.acknowledge(self.log.ring.log, *self.delivery.last)


def fitted(stream: Stream, epochs: int | None) -> Model:
    """A small model of a stream, in int8."""
    keys = dict(stream.keys) | ({"epochs": epochs} if epochs else {})
    data = stream.windows() if stream.windows else None
    plan = recipe.with_keys({"data": {"source": ""}}, keys)
    if data is None:
        plan = recipe.read_recipe(recipe.RECIPES / "watch.toml", keys)
    trained = train.train(plan, data, quiet=True)
    data = data or replace(watch.windows("train", drop=0.0), channels=watch.CHANNELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the channels are taken from the data
        return api.convert(trained, data)


def play(model: Path, recording: Sequences, policy: str, folder: Path) -> tuple[Any, int, Seen]:
    """Run the app over a recording, in the recording's time. (Figures of its log, with
    `single_bytes`; bytes that were sent gathered; when which decision became an event.)"""
    take, lines = folder / "stream.take", folder / f"{policy}.jsonl"
    take.write_bytes(take_bytes(recording))
    settings = {
        "model": str(model), "print": "nothing", "device": "device-1",
        "source": {"kind": "replay", "file": str(take), "pace": "fast"},
        "sinks": [{"kind": "file", "path": str(lines), "limit": 1 << 30}],
        "events": {"folder": str(folder / policy), "decisions": policy},
    }  # fmt: skip
    us, seen = 0, Seen()

    def timed() -> bool:
        nonlocal us
        taken = bool(take_one())
        us += app.source.elapsed if taken else 0
        return taken

    def added(kind: str, *rest: Any, **named: Any) -> bool:
        kept = bool(add(kind, *rest, **named))
        if kept and kind == "decision":
            seen.append((us / 1e6, rest[0]))
        return kept

    with ExitStack() as stack:
        for name in ("ulnn_app.loop", "ulnn_sinks.log", "ulnn_sinks.base"):
            ticks = mock.patch.object(board_code.module(name), "ticks_ms")
            stack.enter_context(ticks).side_effect = lambda: us // 1000 & 0x1FFFFFFF
        utc = mock.patch("ulnn_sinks.log.utc_ms")
        stack.enter_context(utc).side_effect = lambda: UTC_MS + us // 1000
        app = board_code.package("ulnn_app").make(settings)
        log, take_one = app.reports.log, app.source.take
        log.add, add = added, log.add
        gathered = Gathered(log)
        log.sinks.append(gathered)
        app.source.take = timed
        app.begin()
        while app.state != "ended":
            app.poll()
            for each in app.on_poll:
                each(app)
        app.close()
        for _ in range(2000):  # seconds, until all has been sent
            us += 1_000_000
            log.poll()
        figures = log.status()
    if any(wrong := (app.faults.total, log.faults, figures["waiting"])):
        raise UlnnError(f"{model.stem}: faults, faults of sinks, events not sent: {wrong}, not 0")
    return figures | {"single_bytes": lines.stat().st_size}, gathered.bytes, seen


def judged(seen: Seen, recording: Sequences, within: float) -> tuple[int, int, int]:
    """(Changes of what is true; those that were not named within so many seconds, by an event
    after the change, or by the last before it where none follows in time; events that name what
    was not true in as many seconds before them.)"""
    time, truth = np.cumsum(recording.dt[0].astype(np.float64)), np.asarray(recording.y)[0]
    starts = [k for k in np.flatnonzero(np.diff(truth)) + 1 if time[k] + within <= time[-1]]
    unseen = false = 0
    for k in starts:
        before = [what for at, what in seen if at <= time[k]][-1:]
        after = [what for at, what in seen if time[k] < at <= time[k] + within]
        unseen += recording.labels[truth[k]] not in (after or before)
    for at, what in seen:
        first, end = np.searchsorted(time, [at - within, at + 1e-4])
        false += what not in {recording.labels[c] for c in np.unique(truth[first:end])}
    return len(starts), unseen, false


def measure(name: str, folder: Path, minutes: float, epochs: int | None = None) -> list[Result]:
    """Train a model of a stream, and play so many minutes of it with each policy."""
    stream, path = STREAMS[name], folder / f"{name}.ulnn"
    folder.mkdir(exist_ok=True)
    fitted(stream, epochs).save(path)
    recording = stream.recording(int(60 * minutes))
    results = []
    for policy in POLICIES:
        log, gathered, seen = play(path, recording, policy, folder)
        raw, events, single = [log[key] for key in ("raw_bytes", "events", "single_bytes")]
        missed, marks = log["missed"] + log["dropped"], judged(seen, recording, stream.within)
        results.append(Result(name, policy, raw, events, single, gathered, missed, *marks))
    return results


HEAD = "# Events beside raw streaming\n\nWritten by `make bench-events`; do not edit."
METHOD = f"""A small CfC was trained for each stream in less than a minute and converted to int8.
The app ([app.md](../../firmware/docs/app.md)) played {{minutes:g}} minutes that training did not
see, on a PC, in the recording's time, with its log on disk. *Bytes* of samples are the int16
values that the sensor took. Those of events are their lines ([fleet.md](fleet.md)), summaries of
the inputs among them: each in a message of its own, or gathered for up to {GATHER_S} s in messages
of up to 1 KB. Headers of the network are not counted.

*Missed events* could not be written, or were overwritten before they were sent. *Missed changes*
are changes of what is true that no event named in time, by when it was made: gathering comes on
top. *False events* name what was not true in as many seconds before them. These two are a matter
of the model; the watch's is smaller than the demo's."""


def page(found: Mapping[str, Sequence[Result]], minutes: float) -> str:
    """The document."""
    streams = "\n".join(f"* {name}: {STREAMS[name].what}" for name in found)
    names = ["stream", "what leaves", "events", "bytes", "less than raw", "missed events"]
    lines, below = [[*names, "missed changes", "false events"], ["---"] * 8], []
    for name, results in found.items():
        lines.append([name, "samples", "", f"{results[0].raw:,}", "", "", "", ""])
        for r in results:
            unseen = f"{r.unseen} of {r.changes} in {STREAMS[name].within:g} s"
            for how, size in (("one in a message", r.single), ("gathered", r.gathered)):
                what, less = f"{POLICIES[r.policy]}, {how}", 1 - size / r.raw
                shown = [f"{r.events}", f"{size:,}", f"{100 * less:.0f} %", f"{r.missed}"]
                lines.append([name, what, *shown, unseen, f"{r.false}"])
                below += [f"* {name}: {what}"] if less < WORTH else []
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    verdict = f"Not {100 * WORTH:.0f} % less than raw:\n\n" + "\n".join(below or ["* none"])
    return "\n\n".join([HEAD, streams, table, verdict, METHOD.format(minutes=minutes)]) + "\n"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    stream: Annotated[list[str] | None, typer.Option(help="one of the streams; else all")] = None,
    minutes: Annotated[float, typer.Option(min=1, help="of each stream")] = MINUTES,
    epochs: Annotated[int | None, typer.Option(help="fewer, for a quick look")] = None,
    output: Annotated[Path | None, typer.Option(help="document to write")] = None,
) -> None:
    """Measure what leaves of three streams, and what is missed; about a minute."""
    wanted = stream or list(STREAMS)
    if unknown := [name for name in wanted if name not in STREAMS]:
        raise UlnnError(f"--stream {unknown[0]}: expected one of {', '.join(STREAMS)}")
    target = output or project_root() / TARGET
    files.check_output(target)
    with tempfile.TemporaryDirectory() as folder:
        found = {name: measure(name, Path(folder) / name, minutes, epochs) for name in wanted}
    files.write(target, wrapped(page(found, minutes)))
    typer.echo(f"wrote {target}", err=True)


if __name__ == "__main__":
    console.run(app, "bench_events")
