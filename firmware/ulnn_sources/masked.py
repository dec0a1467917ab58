"""A source as a policy lets it be seen: other channels are not there."""

from array import array


class Masked:
    """The samples of a source, masked for one purpose of `ulnn_rules.mask`; as `base.Source`.

    source, policy: what is masked, and by what. withheld: names of the channels that are not let
    through; names may be (). Nothing is allocated by `take` that the source does not allocate.
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
        self.elapsed = 0

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
        self.elapsed = self.source.elapsed

    def stop(self):
        self.source.stop()
