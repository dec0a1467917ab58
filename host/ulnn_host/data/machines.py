"""Machines that run to failure: vibration from a model of the physics, the same for everybody.

Twenty pumps of one kind. Each has its own resonances, noise, speed, loads and pauses, and a
bearing that is healthy until an onset that nobody sees, and then gets worse until it fails. The
sensor takes one second in every half hour. A fault is a train of impulses at the bearing's fault
frequency with slip, weighted by the load zone, each of which rings (McFadden and Smith, "Model for
the vibration produced by a single point defect in a rolling element bearing", Journal of Sound and
Vibration 96, 1984; Randall and Antoni, "Rolling element bearing diagnostics - a tutorial",
Mechanical Systems and Signal Processing 25, 2011). Nothing here was chosen with a detector at
hand.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

Float = NDArray[np.float64]
Kind = Literal["outer", "inner", "ball"]
Split = Literal["development", "final"]

RATE = 12800  # Hz
SAMPLES = RATE  # of a snapshot: one second
EVERY = 1800.0  # seconds from one snapshot to the next
SCALE = 0.0048  # m/s^2 of a count: 16 bits for 16 g
CHANNEL = "acc"
SPEED = 24.5  # Hz of the shaft: a motor of four poles at 50 Hz
BALLS, RATIO = 9, 0.2034  # of a 6205 bearing; ball to pitch diameter
ORDERS: dict[Kind, float] = {  # impulses in a turn of the shaft
    "outer": BALLS / 2 * (1 - RATIO),
    "inner": BALLS / 2 * (1 + RATIO),
    "ball": (1 - RATIO**2) / RATIO,
}
CAGE = (1 - RATIO) / 2  # turns of the cage in a turn of the shaft
LOAD_ZONE = 0.4  # share of the clearance-free load distribution (Stribeck)

COUNT: dict[Split, int] = {"development": 15, "final": 5}
SEEDS: dict[Split, int] = {"development": 1984, "final": 2011}
SHA256: dict[Split, str] = {  # of all snapshots
    "development": "eabeac740f6068a03c260b03c12ba4d5c5496a23d6f5f82750734d96fdb687d6",
    "final": "d53401a4e030b873e7e88bbba8d741e9626d16c91961f25c7b118d3d3d1284a4",
}

_DAY = 86400.0
_HOUR = 3600.0


@dataclass(frozen=True)
class Resonance:
    """How the housing rings. frequency: Hz; damping: share of the critical one."""

    frequency: float
    damping: float

    def ring(self, seconds: Float) -> Float:
        """The answer to an impulse at 0, about 1 at most."""
        w = 2 * np.pi * self.frequency
        later = np.maximum(seconds, 0.0)
        wave = np.exp(-self.damping * w * later) * np.sin(w * np.sqrt(1 - self.damping**2) * later)
        return np.asarray(np.where(seconds > 0, wave, 0.0))

    def gain(self, frequency: NDArray[np.floating[Any]]) -> Float:
        """Of a force of some frequencies; 1 at 0."""
        r = frequency / self.frequency
        return np.asarray(1 / np.hypot(1 - r**2, 2 * self.damping * r))


@dataclass(frozen=True)
class Machine:
    """One machine and its life.

    name, number: of the split; fault: what fails. at: (N,) seconds since the start, of each
    snapshot; life, onset: seconds, the failure and the beginning of the fault. running (N,);
    speed (N,) Hz of the shaft; load (N,), 0 to 1; drift (N,), factor of the noise; severity (N,),
    0 before the onset to about 1 at the end. The rest: amplitudes in m/s^2 or in units of noise.
    """

    split: Split
    number: int
    fault: Kind
    life: float
    onset: float
    at: Float
    running: NDArray[np.bool_]
    speed: Float
    load: Float
    drift: Float
    severity: Float
    bearing: Resonance
    housing: Resonance
    noise: float
    ringing: float
    unbalance: tuple[float, float, float]
    vanes: tuple[int, float]
    knocks: tuple[float, float]
    peak: float
    slip: float

    @property
    def name(self) -> str:
        """Of the machine, in the whole set."""
        return f"{self.split} {self.number + 1}"

    @property
    def healthy(self) -> NDArray[np.bool_]:
        """(N,): snapshots before the onset."""
        return self.at < self.onset

    def __len__(self) -> int:
        return len(self.at)

    def snapshot(self, k: int) -> NDArray[np.int16]:
        """One second of the sensor, (SAMPLES,) counts; always the same."""
        rng = default_rng([SEEDS[self.split], self.number, k])
        x = 0.03 * rng.standard_normal(SAMPLES)  # of the sensor, and of the floor
        if self.running[k]:
            x += self._smooth(rng, k) + self._knocks(rng) + self._fault(rng, k)
        return np.clip(np.rint(x / SCALE), -32768, 32767).astype(np.int16)

    def snapshots(self, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.int16]:
        """(n, SAMPLES) counts of the chosen snapshots, else of all."""
        which = np.arange(len(self)) if chosen is None else np.flatnonzero(chosen)
        return np.stack([self.snapshot(int(k)) for k in which])

    def _smooth(self, rng: Generator, k: int) -> Float:
        """Shaft, vanes and noise, which the housing colours."""
        t = np.arange(SAMPLES) / RATE
        turn = 2 * np.pi * self.speed[k] * t
        blades, flow = self.vanes
        waves = [(n + 1, a) for n, a in enumerate(self.unbalance)]
        waves.append((blades, flow * float(self.load[k])))
        shaft = sum(a * np.sin(n * turn + rng.uniform(0, 2 * np.pi)) for n, a in waves)
        frequency = np.fft.rfftfreq(SAMPLES, 1 / RATE)
        rings = [r.damping * r.gain(frequency) for r in (self.bearing, self.housing)]
        colour = 1 + self.ringing * (rings[0] + rings[1])
        white = np.fft.rfft(rng.standard_normal(SAMPLES))
        level = self.noise * self.drift[k] * (0.6 + 0.4 * self.load[k])
        worn = 1 + self.severity[k] ** 2  # the whole race is rough in the end
        return np.asarray(shaft + level * worn * np.fft.irfft(white * colour, SAMPLES))

    def _knocks(self, rng: Generator) -> Float:
        """What the process does to a healthy machine, too."""
        rate, size = self.knocks
        count = rng.poisson(rate * SAMPLES / RATE)
        at = rng.uniform(0, SAMPLES / RATE, count)
        amplitude = size * self.noise * rng.exponential(1.0, count)
        return _rung(self.housing, at, amplitude)

    def _fault(self, rng: Generator, k: int) -> Float:
        """The impulses of the fault."""
        speed, severity = float(self.speed[k]), float(self.severity[k])
        if severity <= 0:
            return np.zeros(SAMPLES)
        rate = ORDERS[self.fault] * speed
        count = int(1.2 * rate * SAMPLES / RATE) + 2
        gaps = (1 + self.slip * rng.standard_normal(count)) / rate
        at = np.cumsum(gaps) - rng.uniform(0, 1) / rate
        at = at[(at > 0) & (at < SAMPLES / RATE)]
        size = severity * self.peak * self.noise * (0.5 + 0.5 * float(self.load[k]))
        turns = {"outer": 0.0, "inner": speed, "ball": CAGE * speed}[self.fault]
        angle = 2 * np.pi * turns * at + rng.uniform(0, 2 * np.pi) * (turns > 0)
        zone = np.maximum(0.0, 1 - (1 - np.cos(angle)) / (2 * LOAD_ZONE)) ** 1.5
        return _rung(self.bearing, at, size * zone * np.exp(0.1 * rng.standard_normal(len(at))))


def machines(split: Split) -> tuple[Machine, ...]:
    """The machines of a split, in their order; their vibration is made when it is asked for. All
    choices are made on "development"; "final" is looked at once, in the end."""
    kinds = get_args(Kind)
    return tuple(
        _drawn(split, number, kinds[number % len(kinds)]) for number in range(COUNT[split])
    )


def content_hash(split: Split, stride: int = 1) -> str:
    """sha256 of every so many snapshots: of all, SHA256 holds it."""
    found = hashlib.sha256()
    for machine in machines(split):
        for k in range(0, len(machine), stride):
            found.update(machine.snapshot(k).astype("<i2").tobytes())
    return found.hexdigest()


def _drawn(split: Split, number: int, fault: Kind) -> Machine:
    rng = default_rng([SEEDS[split], number])
    life = rng.uniform(7, 12) * _DAY
    onset = rng.uniform(0.45, 0.8) * life
    at = np.arange(0, life, EVERY)
    load = _loads(rng, at)
    speed = SPEED * rng.uniform(0.97, 1.03) * (1 - 0.02 * load)
    speed = speed * (1 + 0.002 * rng.standard_normal(len(at)))
    pause = rng.choice([0.0, 0.0, 6.0, 10.0])  # hours a day
    running = (at / _HOUR + rng.uniform(0, 24)) % 24 >= pause
    day = np.sin(2 * np.pi * at / _DAY + rng.uniform(0, 2 * np.pi))
    drift = np.exp(rng.uniform(0, 0.05) * day + rng.normal(0, 0.1) * at / life)
    return Machine(
        split=split,
        number=number,
        fault=fault,
        life=life,
        onset=onset,
        at=at,
        running=running,
        speed=speed,
        load=load,
        drift=drift,
        severity=_severity(rng, at, onset, life),
        bearing=Resonance(rng.uniform(2200, 4800), rng.uniform(0.03, 0.08)),
        housing=Resonance(rng.uniform(700, 1600), rng.uniform(0.03, 0.1)),
        noise=rng.uniform(0.5, 1.2),
        ringing=rng.uniform(1, 4),
        unbalance=(rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.4), rng.uniform(0.02, 0.2)),
        vanes=(int(rng.integers(5, 8)), rng.uniform(0.1, 0.5)),
        knocks=(rng.uniform(0, 1.5), rng.uniform(2, 6)),
        peak=rng.uniform(10, 30),
        slip=rng.uniform(0.01, 0.02),
    )


def _loads(rng: Generator, at: Float) -> Float:
    """One of some levels, for some hours each."""
    levels = rng.uniform(0.3, 1.0, int(rng.integers(1, 5)))
    stays = rng.exponential(rng.uniform(3, 12) * _HOUR, 1000)
    which = rng.integers(0, len(levels), 1000)
    found = levels[which[np.searchsorted(np.cumsum(stays), at)]]
    return np.asarray(found + 0.02 * rng.standard_normal(len(at)))


def _severity(rng: Generator, at: Float, onset: float, life: float) -> Float:
    """It grows as an exponential, with ups and downs: edges of a spall wear off."""
    growth = rng.uniform(3, 6)
    u = np.clip((at - onset) / (life - onset), 0, 1)
    grown = np.expm1(growth * u) / np.expm1(growth)
    ups = np.zeros(len(at))
    for k in range(1, len(at)):
        ups[k] = 0.95 * ups[k - 1] + 0.06 * rng.standard_normal()
    return np.asarray(grown * np.exp(ups))


def _rung(resonance: Resonance, at: Float, amplitude: Float) -> Float:
    """Impulses at some seconds, each of which rings on."""
    tail = int(6 / (resonance.damping * 2 * np.pi * resonance.frequency) * RATE) + 1
    first = np.ceil(at * RATE).astype(np.int64)
    places = first[:, None] + np.arange(tail)
    waves = amplitude[:, None] * resonance.ring(places / RATE - at[:, None])
    within = places < SAMPLES
    return np.asarray(np.bincount(places[within], waves[within], SAMPLES), np.float64)
