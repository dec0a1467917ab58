"""From a model's outputs to a decision. Integers in and out; nothing is allocated."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def argmax(y: "Sequence[int]") -> int:
    """Index of the largest of `y` (one or more), the first of equals."""
    best = 0
    for k in range(1, len(y)):
        if y[k] > y[best]:
            best = k
    return best


def margin(y: "Sequence[int]") -> int:
    """The largest of `y` (two or more) less the second largest: 0 to 65535 output units.

    It means something where all outputs have one scale and one offset (`Scaling.logit_scale` is
    not 0). Then d = margin(y) * logit_scale is the difference of the two logits, and
    1 / (1 + exp(-d)) the probability of the winner against the runner-up: the winner's softmax
    probability is at most that, and of n outputs at least 1 / (1 + (n - 1) * exp(-d)).
    """
    first = max(y[0], y[1])
    second = min(y[0], y[1])
    for k in range(2, len(y)):
        v = y[k]
        if v > first:
            second = first
            first = v
        elif v > second:
            second = v
    return first - second
