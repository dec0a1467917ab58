"""A grid for places whose cells are so many metres wide, in integers of millionths of a degree."""

from ulnn_rules.float64 import nearest

_ONE = 1 << 40
_COS_1 = 1099344166829  # cosine of 1 degree, in _ONE
_NORTH_M = 110574  # metres of a degree of latitude, where it has the fewest
_EAST_M = 111320  # of longitude, at the equator
PLACES = 6  # decimals of a degree


def latitude(n: int, d: int, metres: int) -> int:
    """The middle of the cell of a latitude n / d, in millionths of a degree."""
    step = _step(metres)
    return nearest(n * 1000000, d * step) * step


def longitude(n: int, d: int, metres: int, at: int) -> int:
    """The same of a longitude n / d; at: what `latitude` gave. A cell has the metres where it is
    narrowest, and all meridians are one where it reaches a pole."""
    degree = -(-(abs(at) + _step(metres) // 2) // 1000000)
    if degree >= 90:
        return 0
    before, cosine = _COS_1, _ONE
    for _ in range(degree):
        before, cosine = cosine, (2 * _COS_1 * cosine) // _ONE - before
    step = -(-metres * 1000000 * _ONE // (_EAST_M * cosine))
    if step >= 180000000:
        return 0
    return nearest(n * 1000000, d * step) * step


def _step(metres: int) -> int:
    return -(-metres * 1000000 // _NORTH_M)
