"""A source as a policy lets it be seen: other channels are not there."""

from array import array


class Masked:
    """The samples of a source, masked for one purpose of `ulnn_rules.mask`; as `base.Source`.

    source, policy: what is masked, and by what. withheld: names of the channels that are not let
    through; names may be (). Nothing is allocated by `take` that the source does not allocate.
    It has `take_block` where the source has it. The source's own block is what comes out of it
    where no channel is withheld, and at no cost where every count is let through as it is.
    """

    def __init__(self, source, policy, purpose):
        self.source = source
        self.policy = policy
        self._masks = policy.channels(source.names, purpose, source.scale, source.offset)
        self.names = self._masks.names
        chosen = [k for k, name in enumerate(source.names) if name in self.names]
        self.withheld = [name for name in source.names if name not in self.names]
        self.units, self.scale, self.offset = (
            tuple([values[k] for k in chosen])
            for values in (source.units, source.scale, source.offset)
        )
        self.raw = array("h", [0] * len(chosen))
        take_block = getattr(source, "take_block", None)
        if take_block:
            self.block = source.block
            if self.withheld:
                room = len(source.block) // len(source.names)
                self.block = array("h", [0] * (room * len(chosen)))
            self.take_block = take_block if self._masks.untouched else self._take_block

    @property
    def elapsed(self):
        return self.source.elapsed

    @property
    def rest(self):
        return self.source.rest

    @property
    def dropped(self):
        return self.source.dropped

    @property
    def waits(self):
        return self.source.waits

    def start(self):
        self.source.start()

    def take(self):
        if not self.source.take():
            return False
        self.copy()
        return True

    def copy(self):
        """Mask the sample that the source has given last."""
        self._masks.apply(self.source.raw, self.raw)

    def _take_block(self):
        count = self.source.take_block()
        self._masks.apply(self.source.block, self.block, count)
        return count

    def stop(self):
        self.source.stop()
