"""Beats as SPEC.md 2.14 and 3.12 say, written from them alone: slow, and with every sample kept.
The level comes from the native `ulnn.bands`, which tests of its own hold to 3.11."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field

import ulnn


def log2(n: int) -> int:
    """L of 3.11."""
    if n == 0:
        return 0
    p = n.bit_length() - 1
    m = n * 2**14 // 2**p
    for _ in range(8):
        m = m * m >> 14
        p *= 2
        if m >= 32768:
            m >>= 1
            p += 1
    return p


@dataclass
class Beat:
    """at: samples from the first one to R, with those that are missing."""

    at: int
    us: int
    fresh: bool
    values: list[int]


@dataclass
class SpecBeats:
    """All that 3.12 has a name for."""

    section: bytes
    found: list[Beat] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        fields = struct.unpack_from("<IBBBBHHhhHH", self.section)
        self.rate, self.hop, self.step, self.before, self.after, self.delay = fields[:6]
        self.extras, self.low, self.high, self.flat, self.noisy = fields[6:]
        words = self.section[32:]
        self.bands = ulnn.bands(array("h", words))
        self.period = (16 * 10**9 + self.rate // 2) // self.rate
        self.carry = self.now = self.last_r = self.mean = self.ms = self.size = 0
        self.first = True
        self.fresh = True

    def n(self, ms: int) -> int:
        return int((self.rate * (ms // 20) + 25000) // 50000)

    # ---- time ----

    def add(self, v: int, us: int) -> None:
        if self.first:
            self.first, n, self.u = False, 1, v
            self.begin(v)
        elif us < 2**24:
            w = 16 * us + self.carry
            n = (w + (self.period >> 1)) // self.period
            self.carry = w - n * self.period
        else:
            n, self.carry = us // (self.period >> 4), 0
        if n > self.n(60) + 1:
            self.now += n - 1
            self.begin(v)
            n = 1
        for k in range(1, n):
            self.take(self.u + ((v - self.u) * k + (n >> 1)) // n)
        if n:
            self.take(v)
            self.u = v
        self.problems.append(self.problem)

    def begin(self, v: int) -> None:
        self.bands.reset()
        self.samples: list[int] = []  # since then
        self.part: list[int] = []
        self.bottom = self.top = v
        self.still = self.railed = 0
        self.off = False
        self.learn(self.now)

    def learn(self, t: int) -> None:
        self.start = self.at = self.peak_at = t
        self.learning, self.levels = True, []  # type: ignore[var-annotated]
        self.signal = self.peak = self.missed = self.last = self.rhythm = self.missed_at = 0
        self.problem = "starting"
        self.interrupt()

    def interrupt(self) -> None:
        self.fresh = True
        self.mean = self.ms = 0

    def take(self, v: int) -> None:
        self.now += 1
        self.samples.append(v)
        self.part.append(v)
        if len(self.part) < self.hop:
            return
        part, self.part = self.part, []
        for v in part:
            self.bottom, self.top = min(v, self.bottom), max(v, self.top)
            if self.top - self.bottom > self.flat:
                self.bottom = self.top = v
                self.still = 0
            else:
                self.still += 1
            self.railed = 0 if self.low < v < self.high else self.railed + 1
        if self.still >= self.n(1000) or self.railed >= self.n(100):
            self.off, self.problem = True, "lead off"
        elif self.off:
            if self.railed == 0:
                self.begin(v)
        else:
            self.bands.feed(array("h", part), 0, len(part))
            level = array("h", [0])
            self.bands.read(level)
            self.level(level[0], self.now)

    # ---- levels ----

    def level(self, level: int, t: int) -> None:
        found = self.judged(level, t)
        if self.learning:
            self.problem = "starting"
        elif self.signal - (self.rest >> 8) < self.noisy:
            self.problem = "noisy"
        else:
            self.problem = ""
            if found and not self.describe(t):
                self.interrupt()
            return
        self.interrupt()

    def judged(self, level: int, t: int) -> bool:
        if self.learning:
            if t - self.start >= self.n(500):
                self.levels.append(level)
            if t - self.start >= self.n(2500):
                self.signal = max(self.levels)
                self.rest = sum(self.levels) // len(self.levels) * 2**8
                self.noise = (self.rest >> 8) + 256
                self.at = self.peak_at = t
                self.learning = False
            return False
        self.rest += (level * 2**8 - self.rest) >> 8
        if level > self.peak:
            self.peak, self.peak_at = level, t
        elif t - self.peak_at >= self.n(200):
            p, a = self.peak, self.peak_at
            self.peak, self.peak_at = level, t
            if p >= self.threshold and not (a - self.at < self.n(360) and p < self.last - 512):
                self.beat(p, a, 3)
                return True
            self.noise += (p - self.noise) >> 3
            if p > self.missed:
                self.missed, self.missed_at = p, a
        if t - self.at >= self.n(3000):
            self.learn(t)
        elif self.missed > 0 and self.rhythm > 0 and (t - self.at) * 10 > self.rhythm:
            p, self.missed = self.missed, 0
            if p >= self.threshold - 256:
                self.beat(p, self.missed_at, 2)
                return True
        return False

    @property
    def threshold(self) -> int:
        return self.signal - min(768, 3 * (self.signal - self.noise) >> 3)

    def beat(self, p: int, a: int, s: int) -> None:
        self.signal += (p - self.signal) >> s
        if self.last > 0:
            d = 16 * (a - self.at)
            self.rhythm = self.rhythm + ((d - self.rhythm) >> 3) if self.rhythm else d
        self.last, self.at, self.missed = p, a, 0

    # ---- what describes a beat ----

    def x(self, k: int) -> int:
        return self.samples[-k]

    def w(self, k: int) -> int:
        return sum(self.x(j) for j in range(k - self.step + 1, k + 1))

    def describe(self, t: int) -> bool:
        step, before, after = self.step, self.before, self.after
        a, h, m = t - self.at + self.delay, step >> 1, self.n(60)
        room = 64
        while room < self.n(2000):
            room *= 2
        if a + m + h + 1 + (before + 1) * step > min(room, len(self.samples)):
            return False
        whole = sum(self.x(k) for k in range(a - m + h - step + 1, a + m + h + 1))
        mean = whole // (2 * m + step) * step
        r = max(range(a - m, a + m + 1), key=lambda k: (abs(self.w(k + h) - mean), -k))
        places = [r + h + (before - i) * step for i in range(before + 1 + after)]
        for place in places:
            for k in range(place - step + 1, place + 1):
                if not self.low < self.x(k) < self.high:
                    return False
        s = [self.w(place) for place in places]
        d = [v * len(s) - sum(s) for v in s]
        most, e = max(map(abs, d)), 0
        while most >> e >= 65536:
            e += 1
        values = [(v >> e) * 8192 // (most >> e) if most else 0 for v in d]
        at = self.now - r
        samples = at - self.last_r
        far = samples >= self.n(8000)
        us = 8000000 if far else min(8000000, max(1, samples * self.period >> 4))
        ms = max(1, us // 1000)
        rhythm, to_mean, to_last = 2551, 0, 0
        if not self.fresh:
            rhythm = log2(ms)
            to_mean = rhythm + 1024 - log2(self.mean) if self.mean else 0
            self.mean = self.mean + ((16 * ms - self.mean) >> 3) if self.mean else 16 * ms
            to_last = rhythm - log2(self.ms) if self.ms else 0
            self.ms = ms
        g = log2(max(s) - min(s))
        size = g - (self.size >> 4) if self.size else 0
        self.size = self.size + ((16 * g - self.size) >> 3) if self.size else 16 * g
        for bit, value in enumerate((rhythm, to_mean, to_last, size)):
            if self.extras >> bit & 1:
                values.append(value)
        self.found.append(Beat(at, us, self.fresh, values))
        self.fresh = False
        self.last_r = at
        return True
