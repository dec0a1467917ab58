"""Steps of a model whose inputs are beats of an ECG (`ulnn_rules.beats`)."""

from array import array

from ulnn_app.raw import counts_of
from ulnn_rules.beats import Beats
from ulnn_sources.base import Clock

try:
    import ulnn
except ImportError:  # a PC that only checks settings
    ulnn = None


class Pulse:
    """A step for each beat; as `front.Samples`.

    Samples that are missing, and faults, are time for the detector. problem: why there is no
    reading, an index of `ulnn_rules.beats.PROBLEMS`; 0 while there is one.
    """

    def __init__(self, source, beats, counts):
        self._source = source
        self._beats = beats
        self._counts = counts
        self.raw = source.raw
        self._sample = array("h", [0]) if counts else source.raw
        self._clock = Clock()
        self.x = beats.x
        self.us = self.gap = self.period = self.usual = 0
        self.count = 1
        self.fresh = False
        self.problem = beats.problem
        self._new = False

    def take(self):
        return self._source.take()

    def lost(self):
        pass  # the time to the next sample says it

    def arrive(self, us):
        gap = self._clock.elapsed(us)
        self.gap = self._source.elapsed or gap
        if self._counts:
            self._counts.convert(self._source.raw, self._sample)
        self._new = True

    def step(self):
        if not self._new:
            return False
        self._new = False
        beats = self._beats
        ready = beats.add(self._sample[0], self.gap)
        self.problem = beats.problem
        if ready:
            self.us = beats.us
            self.fresh = beats.fresh
        return ready


def make(settings, source, content, where="settings", blocks=True):
    """As `front.make`. The source has one channel, or the settings name it."""
    try:
        beats = Beats(content, ulnn)
    except ValueError as e:
        raise ValueError("%s.model: %s" % (where, e)) from None
    scales = array("f", (beats.recipe.scale, beats.recipe.offset))
    return Pulse(source, beats, counts_of(settings, source, scales, where))
