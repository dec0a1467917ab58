"""LSTM and GRU over sequences: torch.nn.LSTM and GRU with a dense head, with dt as an input or
without."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ..base.errors import UlnnError
from .rollout import Rollout

Kind = Literal["lstm", "gru"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Recurrent(Rollout):
    """`rnn` (torch.nn.LSTM or GRU) and `fc`. With dt_input the elapsed time is one more input of
    the first layer, the last of its columns.

    State: hidden states layer by layer, then (LSTM) cell states.
    """

    def __init__(
        self,
        kind: Kind,
        input_size: int,
        units: int,
        proj_size: int | None = None,
        dt_input: bool = False,
        layers: int = 1,
    ) -> None:
        super().__init__(units, proj_size)
        if kind not in KINDS:
            raise UlnnError(f"cell {kind!r} not known, expected one of {', '.join(KINDS)}")
        sizes = {"input size": input_size, "hidden size": units, "layers": layers}
        for name, size in sizes.items():
            if size < 1:
                raise UlnnError(f"{name} {size}, expected 1 or more")
        module = nn.LSTM if kind == "lstm" else nn.GRU
        self.rnn = module(input_size + dt_input, units, layers)
        self.input_size, self.dt_input, self.layers = input_size, dt_input, layers
        self.state_size = units * layers * (2 if kind == "lstm" else 1)

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """What the head sees (T, B, H) and the last states (1, B, S)."""
        x = x.transpose(0, 1)
        if self.dt_input:
            x = torch.cat([x, ts], 2)
        parts = h.view(len(h), -1, self.layers, self.rnn.hidden_size).permute(1, 2, 0, 3)
        start = tuple(part.contiguous() for part in parts)
        if isinstance(self.rnn, nn.LSTM):
            outputs, (hidden, cell) = self.rnn(x, (start[0], start[1]))
            every = torch.stack([hidden, cell])
        else:
            outputs, hidden = self.rnn(x, start[0])
            every = hidden[None]
        return outputs, every.permute(2, 0, 1, 3).reshape(1, len(h), -1)
