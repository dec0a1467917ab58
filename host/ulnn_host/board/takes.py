"""Recordings as .take files, which a board replays (firmware/docs/app.md): counts and times."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import UlnnError
from ..data.sequences import Sequences

MAGIC = b"ULNNTAKE"
VERSION = 1
MOST_US = (1 << 30) - 1
CHANNELS_MAX = 255


def take_bytes(
    data: Sequences,
    *,
    scale: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    units: tuple[str, ...] = (),
) -> bytes:
    """All sequences of `data`, one after the other, as the content of a .take file.

    scale, offset: (I,), what a count means in each channel, as of the sensor that was recorded;
    without a scale, that with which the largest value is 32767. units: of the channels. Raises
    UlnnError where values or times do not fit.
    """
    valid = data.mask
    x, dt = data.x[valid].astype(np.float64), data.dt[valid]
    channels = x.shape[1]
    if channels > CHANNELS_MAX:
        raise UlnnError(f"{channels} channels, a .take file holds {CHANNELS_MAX} at most")
    low = np.broadcast_to(np.asarray(0.0 if offset is None else offset, np.float32), channels)
    if scale is None:
        most = np.abs(x - low).max(0)
        scale = np.where(most > 0, most / 32767, 1)
    wide = np.broadcast_to(np.asarray(scale, np.float32), channels)
    if not (np.isfinite(wide).all() and np.isfinite(low).all() and (wide != 0).all()):
        raise UlnnError("a scale of a .take file is 0 or not finite")
    counts = np.rint((x - low) / wide)
    if np.abs(counts + 0.5).max() > 32768:
        raise UlnnError("values are out of the range that the scale of a .take file has")
    names = data.channels or ("",) * channels
    texts = "\n".join((*names, *(units or ("",) * channels))).encode()
    rows = np.zeros(len(x), [("us", "<u4"), ("raw", "<i2", (channels,))])
    rows["us"] = np.clip(np.rint(dt.astype(np.float64) * 1e6), 1, MOST_US)
    rows["raw"] = counts
    head = struct.pack("<8sBBH", MAGIC, VERSION, channels, len(texts))
    return b"".join(
        (head, np.stack([wide, low], 1).astype("<f4").tobytes(), texts, rows.tobytes())
    )
