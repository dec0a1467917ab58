"""Beats of an ECG: of generated patients, and of one person, whose beats have labels by clustering
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

import record_208
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import ecg
from ulnn_host.data.sequences import Sequences

from .claim import Source

RATE, SECONDS = 100.0, 90.0
BEFORE, AFTER = 25, 40  # samples around R
DRAWS, LEFT_OUT = 3, 12
SOURCES = (
    Source("patients with an ECG, generated", "none needed"),
    Source("five minutes of record 208 of the MIT-BIH Arrhythmia Database, from SciPy 1.11.4",
           "BSD"),
)  # fmt: skip
CLUSTERS = """Of record 208 of MIT-BIH, as it can be had in a package, there are no labels by
cardiologists. Here the beats fall into two clusters by their shape (2-means); the larger is taken
for normal and the other for ventricular. No cluster is atrial: such a decision is wrong, or, as
the larger cluster may hold atrial beats, the same as normal. **Labels by clustering give no
verdict**: what agrees with them has learnt the clusters, and whether these are kinds of heartbeats
nobody has looked at. The networks are those of the generated patients, and what they decide here
is in no other figure of this page."""
MISSING = """Record 208 of MIT-BIH could not be fetched, so its table is not here."""


@cache
def beats(number: int) -> Sequences:
    """A patient's beats: 0.7 s around R, and the time since the R before."""
    return _beats(ecg.patient(number, SECONDS, RATE))


@cache
def person() -> tuple[Sequences | None, str]:
    """(The beats of MIT-BIH 208, what is to be said of their labels), or without network (None,
    why)."""
    try:
        signal = record_208.signal(RATE)
    except UlnnError as error:
        return None, f"{MISSING} ({error})"
    r = record_208.reference(signal, RATE)
    unnamed = np.full(len(r), ecg.NORMAL)
    made = _beats(ecg.Patient(208, RATE, signal.astype(np.float32), r, unnamed))
    other = record_208.kinds(made.x[..., 0].astype(np.float64)) == 1
    named = replace(made, y=np.where(other, ecg.VENTRICULAR, ecg.NORMAL))
    return named, " ".join(CLUSTERS.split())


def together(numbers: Sequence[int]) -> Sequences:
    """The beats of some patients; group: the patient."""
    parts = [beats(k) for k in numbers]
    return Sequences(
        np.concatenate([p.x for p in parts]),
        np.concatenate([p.dt for p in parts]),
        np.concatenate([np.asarray(p.y) for p in parts]),
        group=np.repeat(np.arange(len(parts)), [len(p) for p in parts]),
        groups=tuple(f"patient {k}" for k in numbers),
        labels=ecg.CLASSES,
    )


def drawn() -> list[tuple[list[int], list[int]]]:
    """(Patients to train on, others), a few times."""
    orders = [np.random.default_rng(k).permutation(ecg.PATIENTS).tolist() for k in range(DRAWS)]
    return [(sorted(o[LEFT_OUT:]), sorted(o[:LEFT_OUT])) for o in orders]


def _beats(one: ecg.Patient) -> Sequences:
    chosen = np.flatnonzero(one.seen)[1:]
    at = one.r[chosen]
    shape = one.signal[at[:, None] + np.arange(-BEFORE, AFTER)]
    shape = shape - shape.mean(1, keepdims=True)
    since = np.diff(one.r)[chosen - 1] / RATE
    usual = np.median(since)
    rr = np.repeat((since / usual)[:, None], BEFORE + AFTER, 1)
    x = np.stack([shape / (np.abs(shape).max(1).mean() + 1e-6), rr], -1).astype(np.float32)
    return Sequences(
        x, np.full(x.shape[:2], 1 / RATE, np.float32), one.classes[chosen], labels=ecg.CLASSES
    )
