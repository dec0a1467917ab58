"""A causal convolution over time, with the elapsed time as a channel.

Source: Bai, Kolter, Koltun, "An empirical evaluation of generic convolutional and recurrent
networks for sequence modeling" (arXiv 1803.01271): causal, dilated, with residuals; here one
convolution a block, and no normalisation.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from ..windowed import Windowed
from .cell import Ask, Cell


class Cnn(Windowed):
    """Layer k sees `taps` values of the one below that lie 2^k samples apart:

        y_0 = relu(conv_0([x; ts]));  y_k = y_(k-1) + relu(conv_k(y_(k-1)))

    so an output depends on 1 + (taps - 1) (2^layers - 1) samples. What was before the first sample
    counts as zeros.
    """

    def __init__(self, inputs: int, units: int, proj_size: int, layers: int, taps: int) -> None:
        super().__init__(inputs, units, proj_size, 1 + (taps - 1) * (2**layers - 1))
        widths = [inputs + 1, *[units] * (layers - 1)]
        self.convs = nn.ModuleList(
            nn.Conv1d(width, units, taps, dilation=2**k) for k, width in enumerate(widths)
        )

    def window(self, x: Tensor, ts: Tensor, there: Tensor) -> Tensor:
        """As the base says."""
        y = torch.cat([x, ts], 2).transpose(1, 2)
        for k, conv in enumerate(self.convs):
            new = F.relu(conv(y))
            y = y[..., y.shape[2] - new.shape[2] :] + new if k else new
        return y.transpose(1, 2)


class CnnCell(Cell):
    """`hidden` channels in each layer."""

    name = "cnn"
    keys = ("hidden", "layers", "taps", "use_dt")

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return Cnn(inputs, model.hidden, outputs, model.layers, model.taps)

    def words(self, model: ModelRecipe) -> str:
        """With the samples that a convolution sees."""
        return f"{super().words(model)}, {model.taps} taps"

    def search(self, ask: Ask, model: ModelRecipe, own: ModelRecipe) -> ModelRecipe:
        """With one to five layers."""
        model = super().search(ask, model, own)
        return replace(model, layers=ask.whole("layers", 1, 5, own.layers))


CELL = CnnCell()
