"""A grid for places whose cells are so many metres wide, in integers of 0.0001 degrees: seven
digits at most, which a float of 32 bits holds, too."""

from ulnn_rules.float64 import nearest

_ONE = 1 << 40
_COS_1 = 1099344166829  # cosine of 1 degree, in _ONE
_NORTH_M = 110574  # metres of a degree of latitude, where it has the fewest
_EAST_M = 111320  # of longitude, at the equator
PLACES = 4  # decimals of a degree
_UNITS = 10000


def latitude(n: int, d: int, metres: int) -> int:
    """The middle of the cell of a latitude n / d, in units of 0.0001 degrees."""
    return _cell(n, d, _step(metres), 90)


def longitude(n: int, d: int, metres: int, at: int) -> int:
    """The same of a longitude n / d; at: what `latitude` gave. A cell has the metres where it is
    narrowest, and all meridians are one where it reaches a pole."""
    degree = -(-(abs(at) + _step(metres) // 2) // _UNITS)
    if degree >= 90:
        return 0
    before, cosine = _COS_1, _ONE
    for _ in range(degree):
        before, cosine = cosine, (2 * _COS_1 * cosine) // _ONE - before
    step = -(-metres * _UNITS * _ONE // (_EAST_M * cosine))
    if step >= 180 * _UNITS:
        return 0
    return _cell(n, d, step, 180)


def _cell(n: int, d: int, step: int, most: int) -> int:
    k = nearest(n * _UNITS, d * step) * step
    return max(-most * _UNITS, min(most * _UNITS, k))


def _step(metres: int) -> int:
    return -(-metres * _UNITS // _NORTH_M)
