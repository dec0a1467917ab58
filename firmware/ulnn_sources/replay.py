"""A recording on the board's disk as a source: a .take file (firmware/docs/app.md), which
`ulnn deploy --app` makes of a CSV or Parquet file.

    {"kind": "replay", "file": "/walk.take", "pace": "real", "repeat": 1, "drop": 0, "seed": 1}
"""

from array import array
from struct import unpack_from

from ulnn_rules.settings import Key, check
from ulnn_rules.ticks import ticks_diff, ticks_us
from ulnn_sources.base import MOST_US, Source

TABLE = {
    "file": Key(str, low=1),
    "pace": Key(str, "real", choices=("real", "fast")),
    "repeat": Key(int, 1, 0, 1000000),
    "drop": Key(float, 0.0, 0, 0.99),
    "seed": Key(int, 1, 0, 65535),
}
MAGIC = b"ULNNTAKE"
_LATE_US = 1000000
_ROWS = 64  # int16 of rows that are read at once


def read_head(f):
    """(names, units, scale, offset, where the rows begin) of an open .take file.

    Raises ValueError for what is no such file."""
    head = f.read(12)
    if len(head) < 12 or head[:8] != MAGIC or head[8] != 1 or not head[9]:
        raise ValueError("not a .take file of version 1")
    n, size = head[9], head[10] | head[11] << 8
    pairs = f.read(8 * n)
    texts = f.read(size)
    if len(pairs) < 8 * n or len(texts) < size:
        raise ValueError("a .take file that is cut short")
    values = list(unpack_from("<%df" % (2 * n), pairs, 0))
    names = str(texts, "utf-8").split("\n")
    if len(names) != 2 * n:
        raise ValueError("a .take file with %d names, expected %d" % (len(names), 2 * n))
    at = 12 + 8 * n + size
    return tuple(names[:n]), tuple(names[n:]), tuple(values[::2]), tuple(values[1::2]), at


class Sensor(Source):
    """The rows of a file, as they were in time ("real") or as fast as they are taken ("fast").

    repeat: how many times the file is played, 0: without end. drop, seed: the share of its samples
    that is left out, always the same ones; `dropped` counts them. After a fault it goes on where
    it was; after `stop` it begins again. A file may know the time before its first sample.
    """

    def __init__(self, settings, where="source"):
        s = check(settings, TABLE, where)
        self.path = s["file"]
        try:
            with open(self.path, "rb") as f:
                names, units, scale, offset, self._at = read_head(f)
                if f.seek(0, 2) < self._at + 4 + 2 * len(names):
                    raise ValueError("a .take file without samples")
        except OSError:
            raise ValueError("%s.file: no file %s" % (where, self.path)) from None
        except ValueError as e:
            raise ValueError("%s.file: %s is %s" % (where, self.path, e)) from None
        Source.__init__(self, names, units, scale, offset)
        self.rest = 0
        self._fast = self.waits = s["pace"] == "fast"
        self._repeat = s["repeat"]
        self._drop = int(s["drop"] * 32768)
        self._seed = s["seed"]
        n = len(names)
        self._words = n + 2  # of a row
        self._rows = array("h", [0] * (max(1, _ROWS // self._words) * self._words))
        self._row = array("h", self.raw)
        self.block = array("h", [0] * (len(self._rows) // self._words * n))
        self._file = None

    def start(self):
        self.dropped = 0
        if self._file:
            return
        self._file = open(self.path, "rb")
        self._file.seek(self._at)
        self._left = self._repeat
        self._random = self._seed
        self._ready = self._rewound = False
        self._usual = self._ahead = self._wait = self._end = self._next_row = 0
        self._even = 0  # from sample to sample where none is missing
        self._us = ticks_us()

    def take(self):
        if not self._is_due():
            return False
        self._copy(self.raw, 0)
        self.elapsed = self._ahead
        self._ready = False
        return True

    def take_block(self):
        n = rest = first = 0
        channels = len(self.raw)
        even = self._even
        while (n + 1) * channels <= len(self.block):
            try:
                if not self._is_due():
                    break
            except StopIteration:
                if n:  # it comes again
                    break
                raise
            us = self._ahead
            if not n:
                first = us
                even = min(even, us) if even and us else even or us
            elif even and 2 * us >= 3 * even:  # samples are missing
                break
            else:
                rest += us
                even = us
            self._copy(self.block, n * channels)
            self._ready = False
            n += 1
        self._even = even
        self.elapsed = first + rest if first else 0
        self.rest = rest
        return n

    def _is_due(self):
        """Whether the next sample, which is read where it was not, may be taken."""
        if not self._file:
            raise OSError("the replay was not started")
        if not self._ready:
            self._next()
        if self._fast:
            return True
        us = ticks_us()
        self._wait -= ticks_diff(us, self._us)
        self._us = us
        return self._wait <= 0

    def _copy(self, to, at):
        row = self._row
        for k in range(len(row)):
            to[at + k] = row[k]

    def _next(self):
        """Read on to the next sample that is not left out."""
        elapsed = 0
        rows = self._rows
        while True:
            if self._next_row == self._end:
                self._next_row = 0
                self._end = self._file.readinto(rows) // (2 * self._words) * self._words
                if not self._end:
                    self._rewind()
                    continue
            at = self._next_row
            self._next_row = at + self._words
            us = (rows[at] & 0xFFFF) | (rows[at + 1] & 0xFFFF) << 16
            for k in range(len(self._row)):
                self._row[k] = rows[at + 2 + k]
            if self._rewound and not us:
                us = self._usual
            self._rewound = False
            self._usual = us
            elapsed = MOST_US if us > MOST_US - elapsed else elapsed + us
            if not self._drop or not self._left_out():
                break
            self.dropped += 1
        self._ahead = elapsed
        self._ready = True
        if self._wait < -_LATE_US:  # nobody asked for long: it goes on from now
            self._wait = 0
        self._wait += elapsed

    def _rewind(self):
        if self._left == 1:
            raise StopIteration
        if self._left:
            self._left -= 1
        self._file.seek(self._at)
        self._rewound = True

    def _left_out(self):
        self._random = (self._random * 1101 + 12345) & 0x7FFFF
        return self._random >> 4 < self._drop

    def stop(self):
        if self._file:
            self._file.close()
            self._file = None
