"""Values that lie far outside all others: a loose wire, a missing value written as a number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .sequences import CHUNK, Sequences

FAR = 50.0  # times the span between the percentiles
FEW = 1e-3  # share of the values: more of them are no outliers
FAR_SENTINEL = 3.0  # the same for a number that often means a missing value
PERCENTILES = (1.0, 99.0)
SENTINELS = np.array(
    [-9999.0, -99999.0, -999.0, -999.9, 9999.0, 99999.0, 65535.0, 32767.0, -32768.0], np.float32
)
SAMPLE = 100_000  # values of a channel, at most, that percentiles are taken of


@dataclass(frozen=True)
class ChannelRange:
    """The values of a channel: all of them from low to high, nearly all from usual_low to
    usual_high. outliers: how many lie far outside, the first at (sequence, step), value.
    """

    name: str
    low: float
    high: float
    mean: float
    usual_low: float
    usual_high: float
    outliers: int = 0
    first: tuple[int, int] = (0, 0)
    value: float = 0.0
    flat: bool = False

    @property
    def outlier(self) -> str:
        """The first outlier, where it is, and where the others lie."""
        sequence, step = self.first
        where = f"sample {step}" if self.flat else f"sequence {sequence}, sample {step}"
        usual = f"{self.usual_low:.4g} to {self.usual_high:.4g}"
        return f"{self.value:g} in {where}, where {usual} is usual"

    @property
    def warning(self) -> str:
        """One line about the outliers of data that are read."""
        count = "1 outlier" if self.outliers == 1 else f"{self.outliers:,} outliers"
        hint = ""
        if np.float32(self.value) in SENTINELS:
            hint = (
                f"; if it means a missing value, missing_values = [{self.value:g}] and "
                'missing = "drop" or "hold"'
            )
        return f"channel {self.name}: {count}, {self.outlier}{hint}"


def ranges(data: Sequences) -> tuple[ChannelRange, ...]:
    """The ranges of the valid steps of each channel."""
    total = int(data.length.sum())
    names = data.channels or tuple(str(k) for k in range(data.x.shape[2]))
    return tuple(_range(data, k, name, total) for k, name in enumerate(names))


def _range(data: Sequences, channel: int, name: str, total: int) -> ChannelRange:
    low, high, summed, sample = np.inf, -np.inf, 0.0, []
    stride = max(1, total // SAMPLE)
    for _, _, part, valid in _parts(data, channel):
        values = part[valid]
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        summed += float(values.sum(dtype=np.float64))
        sample.append(values[::stride].copy())
    usual = np.concatenate(sample)
    plain = usual[~np.isin(usual, SENTINELS)]
    plain = plain if plain.size else usual
    # values of the data, not between two of them: in few samples one is an outlier itself
    usual_low = float(np.percentile(plain, PERCENTILES[0], method="higher"))
    usual_high = float(np.percentile(plain, PERCENTILES[1], method="lower"))
    made = ChannelRange(name, low, high, summed / total, usual_low, usual_high, flat=data.flat)
    span = usual_high - usual_low
    near = FAR_SENTINEL * span
    if low >= usual_low - near and high <= usual_high + near:
        return made
    return _with_outliers(data, channel, made, total)


def _with_outliers(data: Sequences, channel: int, made: ChannelRange, total: int) -> ChannelRange:
    span = made.usual_high - made.usual_low
    count, sentinels, first, value = 0, 0, (0, 0), 0.0
    for row, step, part, valid in _parts(data, channel):
        away = np.maximum(made.usual_low - part, part - made.usual_high)
        known = np.isin(part, SENTINELS) & (away > FAR_SENTINEL * span)
        # in a channel that hardly changes, any change is as far as another
        far = valid & (known | (away > FAR * span if span > 0 else False))
        if far.any() and not count:
            at = np.argwhere(far)[0]
            first, value = (row + int(at[0]), step + int(at[1])), float(part[tuple(at)])
        count += int(far.sum())
        sentinels += int((far & known).sum())
    if count - sentinels > FEW * total + 1:
        return made
    return replace(made, outliers=count, first=first, value=value)


def _parts(
    data: Sequences, channel: int
) -> Iterator[tuple[int, int, NDArray[np.float32], NDArray[np.bool_]]]:
    """(first sequence, first step, values (n, t), which are valid), a part at a time."""
    n, steps = data.dt.shape
    rows, columns = max(1, CHUNK // steps), min(steps, CHUNK)
    for row in range(0, n, rows):
        length = data.length[row : row + rows, None]
        for step in range(0, int(length.max()), columns):
            part = data.x[row : row + rows, step : step + columns, channel]
            yield row, step, part, np.arange(step, step + part.shape[1]) < length
