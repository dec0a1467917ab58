"""What a network is trained towards: classes or values, for a readout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..base.errors import UlnnError
from ..data.sequences import CONSTANT, Sequences
from ..data.targets import CLASSES


@dataclass(frozen=True)
class Target:
    """What the outputs are compared with. size: outputs; weights: of the classes, mean 1 over the
    sequences; mean, std: (size,) of values, in which training is normalised.
    """

    size: int
    classes: bool
    readout: str
    weights: Tensor | None
    mean: Tensor | None = None
    std: Tensor | None = None

    def loss(
        self, y: Tensor, data: Sequences, rows: slice, smoothing: float, weights: Tensor | None
    ) -> Tensor:
        """Cross entropy, or mean squared error in standard deviations, over the valid steps of
        some rows. y: in the unit of the targets.
        """
        y, truth = self.pair(y, data, rows)
        if self.classes:
            return F.cross_entropy(y, truth, weights, label_smoothing=smoothing)
        assert self.std is not None
        return ((y - truth.reshape(y.shape)) / self.std).square().mean()

    def pair(self, y: Tensor, data: Sequences, rows: slice) -> tuple[Tensor, Tensor]:
        """What decides of some rows' outputs, and the targets."""
        assert data.y is not None
        truth = torch.from_numpy(data.y[rows])
        length = torch.from_numpy(data.length[rows])
        mask = torch.from_numpy(data.mask[rows])
        if self.readout == "each":
            return y[mask], truth[mask]
        if self.readout == "last":
            return y[torch.arange(len(y)), length - 1], truth
        return (y * mask[..., None]).sum(1) / length[:, None], truth

    def real(self, y: Tensor) -> Tensor:
        """Outputs of the network in training in the unit of the targets."""
        if self.mean is None or self.std is None:
            return y
        return y * self.std + self.mean

    def in_unit(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a network whose outputs are in the unit of the targets."""
        if self.mean is None or self.std is None:
            return state
        weight, bias = state["fc.weight"], state["fc.bias"]
        changed = {
            "fc.weight": weight * self.std[:, None],
            "fc.bias": bias * self.std + self.mean,
        }
        return state | changed


def target_of(data: Sequences, readout: str) -> Target:
    """What the targets y are, for a readout. Raises UlnnError when they do not fit."""
    y = data.y
    if y is None:
        raise UlnnError(
            'the data have no targets y, so there is nothing to learn: label or target = "next" '
            "says what"
        )
    count, steps = data.dt.shape
    classes = y.dtype.kind in "iu"
    lead = (count, steps) if readout == "each" else (count,)
    if y.shape[: len(lead)] != lead or y.ndim > len(lead) + (not classes):
        tail = "" if classes else ", with or without a last axis of outputs"
        raise UlnnError(f"y has shape {y.shape}, expected {lead} for readout {readout!r}{tail}")
    if data.per_step != (readout == "each"):
        each = "step" if data.per_step else "sequence"
        raise UlnnError(f"y has a target for each {each}, which does not fit readout {readout!r}")
    used = y[data.mask] if readout == "each" else y
    if not classes:
        values = used.reshape(len(used), -1).astype(np.float64)
        std = values.std(0)
        std[std <= CONSTANT * np.abs(values).max(0)] = 1.0
        mean, spread = (torch.tensor(v, dtype=torch.float32) for v in (values.mean(0), std))
        return Target(values.shape[1], False, readout, None, mean, spread)
    if used.min() < 0:
        raise UlnnError(f"y holds label {used.min()}, expected 0 or more")
    size = max(int(used.max()) + 1, len(data.labels))
    if size > CLASSES:
        raise UlnnError(f"y holds label {size - 1}, expected at most {CLASSES} classes")
    found = np.bincount(used.ravel(), minlength=size)
    if np.count_nonzero(found) < 2:
        raise UlnnError("the targets are of one class only, expected two or more to tell apart")
    weights = np.where(found > 0, used.size / (np.maximum(found, 1) * (found > 0).sum()), 0.0)
    return Target(size, True, readout, torch.tensor(weights, dtype=torch.float32))
