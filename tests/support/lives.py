"""Small lives of machines: features as they are computed, without raw samples."""

import numpy as np

from ulnn_host.data.lives import DAY, Lives, State
from ulnn_host.data.sequences import Sequences

CHANNELS = ("acc rms", "acc kurtosis", "acc envelope 80 Hz", "acc envelope 120 Hz")
STEPS = 25


def lives(machines=4, days=10.0, onset=6.0, grows=3.0, channel=1, seed=0):
    """Machines whose `channel` grows after the onset, every hour a recording; they stand still at
    night, when the level is low."""
    rng = np.random.default_rng(seed)
    count = int(days * 24)
    at = np.tile(np.arange(count) * DAY / 24, machines)
    x = np.cumsum(rng.normal(0, 0.1, (len(at), STEPS, 4)), 1) * 0.3 + rng.normal(0, 0.2, (4,))
    x += rng.normal(0, 0.3, x.shape)
    worse = np.maximum(0.0, at / DAY - onset) / (days - onset)
    x[..., channel] += grows * worse[:, None] ** 2
    night = (at / DAY % 1) < 0.2
    x[..., 0] += np.where(night, 0.0, 12.0)[:, None]
    data = Sequences(
        np.round(x * 256) / 256, 0.02, channels=CHANNELS,
        group=np.repeat(np.arange(machines), count),
        groups=tuple(f"pump {k + 1}" for k in range(machines)),
    )  # fmt: skip
    state = State("acc rms", 6.0)
    return Lives(
        data, at, np.full(machines, onset * DAY), np.full(machines, days * DAY), state.holds(data),
        state,
    )  # fmt: skip
