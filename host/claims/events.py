"""The claim that 90 % less data leave a device that decides by itself."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import bench_events
from ulnn_host.experiments.intervals import Bootstrap, Interval, Tallies, Tally

from . import wrist
from .claim import FULL, Chart, Claim, Dot, Findings, Run, Source, Table
from .verdict import ENOUGH

CLAIMED = 90.0  # percent
MINUTES = 4.0
SHORT = 3  # epochs of a quick run
POLICY = "changes"
SINGLE, GATHERED = "one in a message", "gathered"
SOURCE = Source("a machine's vibration and an ECG, generated (bench_events.py)", "none needed")


def measured(run: Run, name: str, seed: int, folder: Path) -> dict[str, bench_events.Result]:
    """A stream, played with each policy by a network of a seed."""
    stream = bench_events.STREAMS[name]
    stream = replace(stream, keys=dict(stream.keys) | {"seed": seed})
    path = folder / f"{name}.ulnn"
    bench_events.fitted(stream, None if run.plan == FULL else SHORT).save(path)
    recording = stream.recording(int(60 * MINUTES))
    found = {}
    for policy in bench_events.POLICIES:
        log, gathered, seen = bench_events.play(path, recording, policy, folder)
        missed = log["missed"] + log["dropped"]
        marks = bench_events.judged(seen, recording, stream.within)
        raw, events, single = (log[key] for key in ("raw_bytes", "events", "single_bytes"))
        found[policy] = bench_events.Result(
            name, policy, raw, events, single, gathered, missed, *marks
        )
    return found


def less(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Interval:
    """The mean of (seeds, streams)."""
    tallies = [[Tally((float(v),), (1.0,)) for v in row] for row in values]
    seeds, streams = values.shape
    return Bootstrap(streams, seeds).mean(Tallies("mean", tallies))


def test(run: Run) -> Findings:
    """Train and play each stream with each seed."""
    found: list[dict[str, dict[str, bench_events.Result]]] = []
    for seed in range(1, run.plan.seeds + 1):
        found.append({})
        for name in bench_events.STREAMS:
            run.report(f"events: {name}, seed {seed} of {run.plan.seeds}")
            with tempfile.TemporaryDirectory() as folder:
                found[-1][name] = measured(run, name, seed, Path(folder))
    rows, dots, losses = [], [], []
    totals = {}
    for policy, words in bench_events.POLICIES.items():
        for how in (SINGLE, GATHERED):
            shares = np.array(
                [[_less(by_name[name][policy], how) for name in by_name] for by_name in found]
            )
            totals[policy, how] = less(shares)
            for k, name in enumerate(bench_events.STREAMS):
                each = [by_name[name][policy] for by_name in found]
                one = less(shares[:, k : k + 1])
                share = f"{one.value:.1f} % ({one.low:.1f} to {one.high:.1f})"
                unseen = sum(r.unseen for r in each) / max(1, sum(r.changes for r in each))
                lost = sum(r.missed for r in each)
                false = sum(r.false for r in each) / len(each)
                marks = f"{lost}", f"{100 * unseen:.0f} %", f"{false:.0f}"
                rows.append((name, f"{words}, {how}", share, *marks))
                dots.append(Dot.of(name, f"{words}, {how}", one))
                if one.high < ENOUGH * CLAIMED:
                    losses.append(f"{name}, {words}, {how}: {one.value:.0f} % less than raw")
    head = ("stream", "what leaves", "less than raw (95 %)", "events lost",
            "changes not named in time", "false events")  # fmt: skip
    return Findings(
        measured=totals[POLICY, SINGLE],
        seeds=run.plan.seeds,
        clusters=f"{len(bench_events.STREAMS)} streams, then seeds",
        tables=(Table(f"{MINUTES:g} minutes of each stream", head, tuple(rows)),),
        chart=Chart("Bytes that leave, less than raw samples", "%", tuple(dots), CLAIMED),
        losses=tuple(losses),
        notes=(
            "What is saved is a matter of how often something happens, and not of the network: "
            "any network that decides does it. The verdict is about bytes alone: what was not "
            "named in time is beside them. Headers of the network's messages are not counted.",
        ),
    )


def _less(result: bench_events.Result, how: str) -> float:
    size = result.single if how == SINGLE else result.gathered
    return 100 * (1 - size / result.raw)


CLAIM = Claim(
    name="events",
    title="Less data",
    says="A device that decides by itself sends 90 % less data.",
    effect="fewer bytes, where every change of the decision leaves in a message of its own",
    claimed=CLAIMED,
    unit="%",
    how=f"""Three streams (a watch, a machine's vibration, an ECG), each played for {MINUTES:g}
minutes by the app with a small CfC, as [events.md](docs/events.md) describes; raw are the int16
values that the sensor took. A change is named in time where the last event within some seconds
after it has its class; an event is false where its class was not true in the seconds before. Three
streams are few: the interval is too narrow, and says nothing about other streams.""",
    sources=(wrist.SOURCE, SOURCE),
    test=test,
    modules=(bench_events,),
)
