"""From outputs to classes and accuracy, the same for float, reference and board outputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from .sequences import Sequences

READOUTS = ("last", "mean", "each")


@dataclass(frozen=True)
class Scores:
    """Shares from 0 to 1 over `count` decisions.

    balanced: mean over the classes of the share found. by_recording: share of recordings decided
    right by the sum of their windows' outputs (None where windows have no origin). confusion: rows
    true, columns decided.
    """

    count: int
    accuracy: float
    balanced: float
    by_recording: float | None
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON and TOML."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def pool(y: NDArray[Any], length: NDArray[Any], readout: str) -> NDArray[Any]:
    """What decides: (N, T, O) outputs to (N, O) for "last" and "mean"; "each" stays as it is."""
    if readout == "each":
        return y
    if readout == "last":
        return np.asarray(y[np.arange(len(y)), length - 1])
    if readout != "mean":
        raise UlnnError(f"readout {readout!r} not known, expected one of {', '.join(READOUTS)}")
    valid = np.arange(y.shape[1]) < length[:, None]
    total = np.where(valid[..., None], y, 0).sum(1, dtype=np.float64)
    return np.asarray(total / length[:, None])


def score(y: NDArray[Any], data: Sequences, readout: str) -> Scores:
    """Scores of outputs y (N, T, O) against integer labels. The first of equal outputs wins, as in
    `ulnn_rules.readout.argmax`. Raises UlnnError when labels and readout do not fit.
    """
    if data.y is None or data.y.dtype.kind not in "iu":
        raise UlnnError("the data have no integer labels y, so there is no accuracy")
    values = pool(y, data.length, readout)
    wanted = data.mask.shape if readout == "each" else (len(data),)
    if data.y.shape != wanted:
        raise UlnnError(f"y has shape {data.y.shape}, expected {wanted} for readout {readout!r}")
    truth = data.y
    decided = values.argmax(-1)
    if readout == "each":
        truth, decided = truth[data.mask], decided[data.mask]
    classes = y.shape[-1]
    if truth.min() < 0 or truth.max() >= classes:
        wrong = truth.min() if truth.min() < 0 else truth.max()
        raise UlnnError(
            f"y holds label {wrong}, expected 0 to {classes - 1}, as the network has {classes} "
            "outputs"
        )
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, decided), 1)
    found = np.diag(confusion)
    present = confusion.sum(1) > 0
    by_recording = None
    if data.origin is not None and readout != "each":
        right = [
            values[data.origin == k].sum(0).argmax() == data.y[data.origin == k][0]
            for k in np.unique(data.origin)
        ]
        by_recording = float(np.mean(right))
    return Scores(
        count=len(truth),
        accuracy=float(found.sum() / len(truth)),
        balanced=float((found[present] / confusion.sum(1)[present]).mean()),
        by_recording=by_recording,
        confusion=tuple(tuple(int(v) for v in row) for row in confusion),
    )
