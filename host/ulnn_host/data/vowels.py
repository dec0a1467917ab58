"""JapaneseVowels: who of nine men says "ae", from the package `sktime` (UCR/UEA archive).

Kudo et al., "Multidimensional curve classification using passing-through regions", Pattern
Recognition Letters 20 (1999). 270 utterances to train on, 370 to test on, 12 cepstral coefficients
in 7 to 29 frames. The data stay in that package; nothing is copied.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

from ..base.extras import explained
from .sequences import Sequences

FRAME = 0.0064  # seconds between two frames


@cache
def utterances(split: Literal["train", "test"]) -> Sequences:
    """The utterances of a split; y: the speaker, 0 to 8. Raises UlnnError without the package."""
    with explained("the set JapaneseVowels"):
        from sktime.datasets import load_japanese_vowels
    table, speakers = load_japanese_vowels(split=split)
    curves = [
        np.stack([channel.to_numpy() for channel in row], axis=1) for row in table.to_numpy()
    ]
    length = np.array([len(curve) for curve in curves], np.int64)
    x = np.zeros((len(curves), int(length.max()), 12), np.float32)
    for row, curve in enumerate(curves):
        x[row, : len(curve)] = curve
    return Sequences(
        x=x,
        dt=np.full(x.shape[:2], FRAME, np.float32),
        length=length,
        y=np.array([int(name) - 1 for name in speakers], np.int64),
        labels=tuple(f"speaker {k}" for k in range(1, 10)),
    )
