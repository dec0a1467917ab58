"""A source for tests, and the modules of a board that records: the n-th sample is n + 100 * k in
channel k, at a steady rate by the board's clock, as from a sensor with a deep FIFO.
"""

from __future__ import annotations

from support.paths import FIRMWARE

NAMES = ("ax", "ay", "az", "gx", "gy", "gz")
UNITS = ("g", "g", "g", "deg/s", "deg/s", "deg/s")
SCALE = (0.001, 0.001, 0.001, 0.5, 0.5, 0.5)

# rate: Hz. samples: after which it ends, 0: never. refuse: it does not start. fail: the sample at
# which its bus fails once; silent: it always fails. depth: of the FIFO; what does not fit is
# lost, and counted.
WAVE = f"""
from time import ticks_add, ticks_diff, ticks_us
from ulnn_rules.settings import Key, check
from ulnn_sources.base import Source
TABLE = {{"rate": Key(int, 200, 1, 100000), "samples": Key(int, 0), "refuse": Key(bool, False),
    "fail": Key(int, 0), "depth": Key(int, 1000), "silent": Key(bool, False)}}
class Sensor(Source):
    def __init__(self, settings, where):
        self.set = check(settings, TABLE, where)
        Source.__init__(self, {NAMES!r}, {UNITS!r}, {SCALE!r}, (0, 0, 0, 0, 0, 1.0))
        self.n = self.failed = 0
        self.period = 1000000 // self.set["rate"]
    def start(self):
        if self.set["refuse"]:
            raise OSError("no wave at address 0x68")
        self.next, self.first = ticks_us(), True
        self.dropped = 0
    def take(self):
        late = ticks_diff(ticks_us(), self.next)
        if late < 0:
            return False
        if self.set["silent"]:
            raise OSError("no answer")
        self.n += 1
        if self.n == self.set["fail"]:
            raise OSError("the wave broke")
        if self.n == self.set["samples"] + 1 > 1:
            raise StopIteration
        skip = max(0, late // self.period - self.set["depth"])
        self.n += skip
        self.dropped += skip
        self.next = ticks_add(self.next, self.period * (1 + skip))
        self.elapsed = 0 if self.first else self.period * (1 + skip)
        self.first = False
        for k in range(6):
            self.raw[k] = self.n % 10000 + 100 * k
        return True
    def stop(self):
        print("stopped")
"""


def modules() -> dict[str, str]:
    """By name: our modules for a board, with the kind `wave`."""
    paths = [FIRMWARE / f"{name}.py" for name in ("ulnn_stream", "ulnn_record", "ulnn_live")]
    for package in ("ulnn_sources", "ulnn_rules", "ulnn_app"):
        paths += (FIRMWARE / package).glob("*.py")
    found = {str(path.relative_to(FIRMWARE)): path.read_text() for path in paths}
    found["ulnn_sources/__init__.py"] += '\nKINDS["wave"] = "wave"\n'
    found["ulnn_sources/wave.py"] = WAVE
    return found
