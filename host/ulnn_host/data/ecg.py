"""Generated patients: an ECG of one lead whose beats are known by construction.

Each beat is a sum of Gaussian waves around its R, as in ECGSYN (McSharry, Clifford, Tarassenko,
Smith, "A dynamical model for generating synthetic electrocardiogram signals", IEEE Transactions on
Biomedical Engineering 50 (2003)); each patient has waves, rates and premature beats of their own.
What is atrial or ventricular here follows textbooks and no recording: whoever does well on these
patients has not shown to do well on people.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from .sequences import Sequences

CLASSES = ("normal", "atrial", "ventricular")
NORMAL, ATRIAL, VENTRICULAR = range(3)
PATIENTS = 40
RATE = 250.0
SECONDS = 120.0
RAIL = 3.2  # mV: where a lead that is off lies

Float = NDArray[np.float64]
Waves = NDArray[np.float64]  # rows of seconds after R, mV, width in seconds


@dataclass(frozen=True)
class Noise:
    """What lies over the heart's signal.

    muscle  mV, standard deviation of white noise
    wander  mV, amplitude of a slow baseline of 0.1 to 0.45 Hz
    mains   mV, amplitude
    hum     Hz, of the mains
    off     how often a minute the lead is off, for 2 to 5 s
    """

    muscle: float = 0.03
    wander: float = 0.15
    mains: float = 0.05
    hum: float = 50.0
    off: float = 0.0


@dataclass(frozen=True)
class Patient:
    """One recording and all that is known about it.

    signal: mV, (T,) at `rate` samples a second; r: the sample of each R, ascending; classes: of
    each beat, an index of CLASSES; off: (first, end) samples in which the lead is off.
    """

    number: int
    rate: float
    signal: NDArray[np.float32]
    r: NDArray[np.int64]
    classes: NDArray[np.int64]
    off: tuple[tuple[int, int], ...] = ()

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(beats,): those whose R and 0.4 s around it lie in the recording with the lead on."""
        margin = round(0.4 * self.rate)
        found = (self.r >= margin) & (self.r < len(self.signal) - margin)
        for first, end in self.off:
            found &= (self.r < first - margin) | (self.r >= end + margin)
        return found


@dataclass
class _Heart:
    """What makes one patient another one than the next, drawn once."""

    rng: np.random.Generator
    rate: float = field(init=False)  # beats a second
    fibrillates: bool = field(init=False)
    premature: tuple[float, float] = field(init=False)  # shares: atrial, ventricular
    gain: float = field(init=False)
    waves: dict[int, Waves] = field(init=False)

    def __post_init__(self) -> None:
        rng = self.rng
        self.rate = rng.uniform(52, 98) / 60
        self.fibrillates = rng.random() < 0.2
        atrial = 0.0 if self.fibrillates else rng.uniform(0.03, 0.12)
        self.premature = atrial, rng.uniform(0.04, 0.18)
        self.gain = math.exp(rng.uniform(math.log(0.5), math.log(1.8)))
        self.waves = {NORMAL: self._normal(), VENTRICULAR: self._ventricular()}
        self.waves[ATRIAL] = self._atrial(self.waves[NORMAL])

    def _vary(self, waves: Iterable[tuple[float, float, float]], share: float) -> Waves:
        """Waves that are `share` (standard deviation) larger, wider, nearer than these."""
        found = np.array(list(waves))
        return found * np.exp(share * self.rng.standard_normal(found.shape))

    def _normal(self) -> Waves:
        """P, Q, R, S, T of McSharry's table for 60 beats a minute, R being 1 mV."""
        rng = self.rng
        s = rng.uniform(0.1, 0.9)  # from qR to rS
        return self._vary(
            (
                (-0.167, rng.uniform(0.08, 0.22), 0.025),
                (-0.035, -0.15 * (1 - s), 0.010),
                (0.0, 1.0, 0.013),
                (0.035, -0.8 * s, 0.013),
                (0.27, rng.uniform(0.12, 0.4) * rng.choice((1, 1, 1, -1)), 0.055),
            ),
            0.15,
        )

    def _atrial(self, normal: Waves) -> Waves:
        """Without P where the atria fibrillate; else with one of another shape, and earlier."""
        found = normal.copy()
        if self.fibrillates:
            return found[1:]
        found[0, 1] *= self.rng.choice((-0.8, -0.4, 0.5))
        found[0, 0] *= self.rng.uniform(0.65, 0.85)
        return found

    def _ventricular(self) -> Waves:
        """No P, wide, and a T against it."""
        rng = self.rng
        up = rng.choice((1.0, 1.0, -1.0)) * rng.uniform(0.8, 1.6)
        return self._vary(
            (
                (-0.045, up * rng.uniform(0.1, 0.5), 0.030),
                (0.012, up, 0.034),
                (0.085, -up * rng.uniform(0.1, 0.6), 0.034),
                (0.30, -up * rng.uniform(0.2, 0.45), 0.075),
            ),
            0.12,
        )

    def beats(self, seconds: float) -> tuple[Float, NDArray[np.int64]]:
        """Times of R, in seconds, and classes."""
        rng = self.rng
        slow, fast = rng.uniform(0.01, 0.03, 2)
        phase = rng.uniform(0, 2 * math.pi, 2)
        at, pause = rng.uniform(0.2, 0.9), 0.0
        times, classes = [], []
        kind = ATRIAL if self.fibrillates else NORMAL
        while at < seconds:
            times.append(at)
            classes.append(kind)
            usual = 1 / self.rate
            if self.fibrillates:
                usual = max(0.33, usual * math.exp(0.2 * rng.standard_normal()))
            else:  # Mayer waves and breathing
                usual *= 1 + slow * math.sin(0.2 * math.pi * at + phase[0])
                usual *= 1 + fast * math.sin(0.5 * math.pi * at + phase[1])
                usual *= 1 + 0.01 * rng.standard_normal()
            kind = ATRIAL if self.fibrillates else NORMAL
            chance = rng.random()
            early = max(0.32, usual * rng.uniform(0.55, 0.8))
            if pause:
                step, pause = pause, 0.0
            elif chance < self.premature[1]:
                kind, step = VENTRICULAR, early
                pause = 2 * usual - early  # compensatory: the sinus node goes on
            elif chance < sum(self.premature):
                kind, step = ATRIAL, early
                pause = usual * rng.uniform(1.0, 1.15)  # which an atrial beat sets back
            else:
                step = usual
            at += step
        return np.array(times), np.array(classes, np.int64)

    def signal(self, times: Float, classes: NDArray[np.int64], t: Float) -> Float:
        """mV at the times t."""
        rng = self.rng
        found = np.zeros(len(t))
        before = np.diff(times, prepend=times[0] - 1 / self.rate)
        for at, kind, rr in zip(times, classes, before, strict=True):
            first, last = np.searchsorted(t, (at - 0.5, at + 0.8))
            near = t[first:last] - at
            size = 1 + 0.04 * rng.standard_normal()
            stretch = math.sqrt(min(max(rr, 0.4), 1.2))  # Bazett
            for after, high, width in self.waves[int(kind)]:
                far = abs(after) > 0.1
                place, wide = (after * stretch, width * stretch) if far else (after, width)
                found[first:last] += size * high * np.exp(-(((near - place) / wide) ** 2) / 2)
        if self.fibrillates:
            turn = 2 * math.pi * np.cumsum(rng.normal(6.0, 0.5, len(t))) * (t[1] - t[0])
            found += rng.uniform(0.03, 0.08) * np.sin(turn)
        return self.gain * found


def patient(
    number: int,
    seconds: float = SECONDS,
    rate: float = RATE,
    noise: Noise | None = None,
    seed: int = 1,
) -> Patient:
    """Patient `number` of those of a seed, always the same one. rate: samples a second; noise:
    Noise() without. Raises UlnnError below 1 s or 50 samples a second."""
    if not (seconds >= 1 and rate >= 50):
        raise UlnnError(
            f"{seconds:g} s at {rate:g} samples a second: expected 1 s and 50, or more"
        )
    noise = noise or Noise()
    heart, over = (np.random.default_rng((seed, number, part)) for part in range(2))
    body = _Heart(heart)
    times, classes = body.beats(seconds)
    t = np.arange(round(seconds * rate)) / rate
    x = body.signal(times, classes, t)
    r = np.rint(times * rate).astype(np.int64)
    kept = r < len(t)
    for _ in range(3):
        turn = 2 * math.pi * over.uniform(0.1, 0.45) * t + over.uniform(0, 2 * math.pi)
        x += noise.wander / 2 * np.sin(turn)
    x += noise.mains * np.sin(2 * math.pi * noise.hum * t + over.uniform(0, 2 * math.pi))
    x += noise.muscle * over.standard_normal(len(t))
    off: list[tuple[int, int]] = []
    for at in np.sort(over.uniform(0, seconds, over.poisson(noise.off * seconds / 60))):
        first = int(at * rate)
        end = min(len(t), first + round(over.uniform(2, 5) * rate))
        level = over.choice((RAIL, -RAIL, 0.0))
        if off and first < off[-1][1] + rate:
            continue
        x[first:end] = level
        off.append((first, end))
    signal = np.clip(x, -RAIL, RAIL).astype(np.float32)
    return Patient(number, rate, signal, r[kept], classes[kept], tuple(off))


def sequences(patients: Iterable[Patient]) -> Sequences:
    """Their recordings: x in mV, channel "ecg"; group: the patient; y: for each sample the class
    of the beat that is nearest, so that a beat that a detector finds has the class at its R."""
    found = list(patients)
    longest = max(len(one.signal) for one in found)
    x = np.zeros((len(found), longest, 1), np.float32)
    y = np.zeros((len(found), longest), np.int64)
    dt = np.ones((len(found), longest), np.float32)
    for row, one in enumerate(found):
        x[row, : len(one.signal), 0] = one.signal
        y[row, : len(one.signal)] = one.classes[nearest(one.r, np.arange(len(one.signal)))]
        dt[row] = 1 / one.rate
    numbers = [one.number for one in found]
    return Sequences(
        x=x,
        dt=dt,
        y=y,
        length=np.array([len(one.signal) for one in found], np.int64),
        group=np.arange(len(found)),
        groups=tuple(f"patient {number}" for number in numbers),
        labels=CLASSES,
        channels=("ecg",),
        per="step",
    )


def nearest(r: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of the samples `at`, which of the ascending `r` (one or more) is nearest."""
    after = np.clip(np.searchsorted(r, at), 1, max(1, len(r) - 1))
    if len(r) == 1:
        return np.zeros(len(at), np.int64)
    return np.where(at - r[after - 1] <= r[after] - at, after - 1, after)
