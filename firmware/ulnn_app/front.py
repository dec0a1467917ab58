"""What is between a source's samples and the steps of a model: `Samples` here, and modules of
their own for models whose files say that their inputs are made of many samples."""

from array import array

from ulnn_app.settings import fit
from ulnn_rules import sections
from ulnn_sources.base import Clock

# Sections of a model's file, and the module whose `make` knows what they ask for.
MODULES = {0x8006: "frames", 0x8007: "beats"}


class Samples:
    """A step for each sample.

    x: inputs of the step, array('h'), always the same object. us: microseconds since the step
    before. fresh: whether the step does not go on from one before: the first one of all, and the
    first after a fault. count: samples that `take` took. gap: microseconds from the sample before
    to the first of them, 0 for the first of all. period: from one of them to the next, 0 where
    there is one. usual: microseconds of a step where nothing is missing, 0 where that is not
    known. problem: not 0 while the samples are none to decide on. raw: counts of the last sample,
    None where samples are taken many at once.

        if front.take():  # as `Source.take`
            front.arrive(ticks_us())
            while front.step():
                model.step(front.x, y, ticks(front.us))
    """

    problem = 0

    def __init__(self, source, counts):
        self._source = source
        self._counts = counts
        self._clock = Clock()
        self.raw = source.raw
        self.x = array("h", [0] * len(counts.order))
        self.us = self.gap = self.period = self.usual = 0
        self.count = 1
        self.fresh = False
        self._lost = True
        self._new = False

    def take(self):
        """Whether the source has given samples. Raises what the source raises."""
        return self._source.take()

    def lost(self):
        """There was a fault: what comes does not go on from what was before."""
        self._lost = True

    def arrive(self, us):
        """Begin with what was taken. us: ticks now."""
        # By our own clock over a fault, after which the source knows no sample before.
        gap = self._clock.elapsed(us)
        self.gap = self._source.elapsed or gap
        self._new = self.gap > 0  # the first sample of all sets the clock

    def step(self):
        """Whether there is a step to make: `x`, `us` and `fresh` are those of it."""
        if not self._new:
            return False
        self._new = False
        self.us = self.gap
        self.fresh = self._lost
        self._lost = False
        self._counts.convert(self._source.raw, self.x)
        return True


def make(settings, source, content, meaning, scaling, where="settings", blocks=True):
    """What is between a source and a model, by checked settings.

    content: the model's file, a path or its bytes; meaning, scaling: `Meaning` and `Scaling` of
    it. blocks: whether samples may be taken many at once, where the source can give them so.
    Raises ValueError where channels, units or ranges do not fit; its text begins with `where`.
    """
    for kind in sections.read(content, MODULES)[2]:
        name = MODULES[kind]
        module = getattr(__import__("ulnn_app." + name), name)
        return module.make(settings, source, content, where, blocks)
    return Samples(source, fit(settings, source, meaning, scaling, where))
