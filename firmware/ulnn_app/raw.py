"""From the counts of a source to the raw samples that a recipe in a model's file expects."""

from array import array

from ulnn_app.settings import withheld
from ulnn_rules import channels
from ulnn_rules.counts import Counts


class _Raw:
    """The counts that a recipe of features expects, as `Scaling` has the inputs of a model."""

    def __init__(self, scales):
        self._scales = scales
        self.input_size = len(scales) // 2

    def input_pair(self, k):
        return self._scales[2 * k], self._scales[2 * k + 1]


def counts_of(settings, source, scales, where="settings"):
    """The `Counts` from a source to the raw samples of a recipe: array('f') of scale and offset
    of each channel. None where they are the source's, as they are.

    Raises ValueError where channels or ranges do not fit. A recipe has no units.
    """
    try:
        raw = _Raw(scales)
        order = channels.order(source.names, settings["channels"], raw.input_size)
        given = array("f")
        for k in order:
            given.extend(array("f", (source.scale[k], source.offset[k])))
        if order == list(range(len(source.names))) and list(given) == list(scales):
            return None
        return Counts(raw, array("f", source.scale), array("f", source.offset), order)
    except ValueError as e:
        raise ValueError("%s: %s%s" % (where, e, withheld(source))) from None
