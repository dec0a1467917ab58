"""Steps of a model whose inputs are features of frames of samples (`ulnn_rules.features`)."""

from array import array

from ulnn_app.raw import counts_of
from ulnn_rules import float64
from ulnn_rules.features import Features
from ulnn_sources.base import MOST_US, Clock

try:
    import ulnn
except ImportError:  # a PC that only checks settings
    ulnn = None

_LATE = 4  # samples in a row that came late: the source is a slower one


class Frames:
    """A step at the end of each hop; as `front.Samples`.

    In a frame no sample is missing. So a step gets the time of a hop as the recipe has it, the
    same as in training. Where a sample came late by half a period, or there was a fault, frames
    begin again, and the next step gets all the time since the one before. `arrive` and `step`
    raise ValueError for a source that has not the rate of the features.
    """

    problem = 0

    def __init__(self, source, features, counts, blocks):
        self._source = source
        self._features = features
        self._counts = counts
        recipe = features.recipe
        rate, hop = recipe.rate, recipe.hop
        self._period = max(1, 1000000000 // rate)
        self._late = 1500000000 // rate + 1
        # Microseconds of a hop: within an eighth, and what clocks and rounding make of few samples
        us = float64.nearest(hop * 1000000000, rate)
        self._off = (us >> 3) + (self._period >> 1) + hop
        self.usual = us
        self._clock = Clock()
        self.x = features.x
        self._take_block = getattr(source, "take_block", None) if blocks and not counts else None
        self.raw = source.raw
        if self._take_block:
            self.raw = None
            self._block = source.block
        else:
            self._block = array("h", [0] * recipe.channels) if counts else source.raw
        self.us = self.gap = self.period = 0
        self.count = 1
        self.fresh = False
        self._lost = True  # since the last step
        self._first = True  # there was none yet
        self._time = self._hop = 0  # since the last step, and of this hop
        self._next = self._rest = self._late_ones = 0

    def take(self):
        if not self._take_block:
            return self._source.take()
        self.count = self._take_block()
        return self.count > 0

    def lost(self):
        self._features.reset()
        self._hop = 0
        self._lost = True

    def arrive(self, us):
        source, count = self._source, self.count
        gap = self._clock.elapsed(us)
        self._rest = self._next = self.period = 0
        if self._take_block and count > 1:
            self._rest = source.rest
            self.period = source.rest // (count - 1)
        if self._counts:
            self._counts.convert(source.raw, self._block)
        if source.elapsed:
            gap = source.elapsed - self._rest
        self.gap = gap
        self._late_ones += 1
        if gap >= self._late:
            self.lost()
        else:
            self._late_ones = 0
        self._time = min(MOST_US, self._time + gap)
        # What is before the first sample is nothing of the hop.
        self._hop += gap if 0 < gap < self._late else self._period
        if self._late_ones == _LATE or self.period >= self._late:
            self._late_ones = 0
            self._next = count
            self._refuse(self.period or gap)

    def step(self):
        features, count = self._features, self.count
        while self._next < count:
            first = self._next
            end = self._next = features.add(self._block, first, count)
            us = self._rest if end == count else (end - max(1, first)) * self.period
            self._rest -= us
            self._time = min(MOST_US, self._time + us)
            self._hop += us
            if features.ended and self._end():
                return True
        return False

    def _end(self):
        """A hop is over: whether there is a step."""
        hop = self._hop
        self._hop = 0
        if abs(hop - self.usual) > self._off:
            self.lost()
            self._refuse(hop // self._features.recipe.hop)
        if self._features.ready:
            self.fresh = self._lost
            self.us = self._time if self.fresh and not self._first else self.usual
            self._first = self._lost = False
            self._time = 0
            return True
        return False

    def _refuse(self, period):
        text = "the source has a sample every %d us, the model's features need one every %d us"
        raise ValueError(text % (period, self._period))


def make(settings, source, content, where="settings", blocks=True):
    """As `front.make`. The source's channels are those of the raw samples."""
    try:
        features = Features(content, ulnn)
    except ValueError as e:
        raise ValueError("%s.model: %s" % (where, e)) from None
    counts = counts_of(settings, source, features.recipe.scales, where)
    return Frames(source, features, counts, blocks)
