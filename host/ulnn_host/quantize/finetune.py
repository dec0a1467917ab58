"""Quantisation-aware training: a short fine-tune in which the forward pass is the integer engine.

Each step is made twice: by the reference engine on the integers of the model that the weights of
this moment convert to, and by the float cells. Values are those of the engine, to the last bit;
gradients are those of the float cells at these values (straight-through estimator, Bengio et al.
2013). What is trained and what `build` writes at the end is one and the same.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..base.errors import UlnnError
from ..base.progress import track
from ..base.toml_tables import check, number, positive
from ..data.sequences import Sequences
from ..engines.batch import quantise
from ..engines.reference import Reference
from ..format.model import ModelFile
from ..network.float_network import FloatNetwork, arrays, replaced
from ..network.layers import Ltc
from ..train.target import target_of
from ..train.train import THREADS, settings
from .calibration import Calibration, FloatRollout, calibrate
from .golden import with_golden
from .options import Options
from .quantize import build, build_with_meaning
from .rounding import Signal
from .unknown import with_unknown

# (outputs (N, T, O), the sequences they belong to) -> loss
Loss = Callable[[Tensor, Sequences], Tensor]


@dataclass(frozen=True)
class Plan:
    """How to fine-tune: Adam with a cosine schedule; average: decay of the running mean of the
    weights, which is the result. Raises UlnnError for a number that cannot be meant."""

    epochs: int = number(10, 0)
    batch: int = number(64, 1)
    learning_rate: float = number(1e-4, 1e-7, 10.0)
    clip: float = positive(1.0)
    average: float = number(0.95, 0.0, 0.9999)
    seed: int = number(0, 0)

    def __post_init__(self) -> None:
        check(self)


class IntegerNetwork(nn.Module):
    """A calibrated network whose outputs are those of its integer model, and whose gradients are
    those of its float cells.

    forward(data) gives real outputs (N, T, O) as float64; behind the valid steps they mean
    nothing. Weights that are exactly 0 stay so.
    """

    def __init__(self, calibration: Calibration, options: Options) -> None:
        super().__init__()
        network = calibration.rollout.network
        self._network, self._calibration = network, calibration
        self.options = dataclasses.replace(options, compensate=False)
        self.names = [name for name, _ in arrays(network.layers)]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.from_numpy(np.array(value, np.float64)))
            for _, value in arrays(network.layers)
        )
        self._present = [(weight != 0) | (weight.dim() < 2) for weight in self.weights]
        self._positive = _positive(network)

    def network(self) -> FloatNetwork:
        """The float network of the present weights."""
        values = {
            n: w.detach().numpy().copy() for n, w in zip(self.names, self.weights, strict=True)
        }
        return dataclasses.replace(self._network, layers=replaced(self._network.layers, values))

    def model(self) -> ModelFile:
        """The integer model of the present weights, without golden vectors."""
        return build(self.network(), self._calibration, self.options)

    def forward(self, data: Sequences) -> Tensor:
        """Outputs of the integer engine in real units."""
        model, layers = build_with_meaning(self.network(), self._calibration, self.options)
        batch = quantise(model, data)
        engine = Reference(model, lanes=len(data))
        values = dict(zip(self.names, self.weights, strict=True))
        cells = replaced(self._network.layers, values)
        inputs = _real(batch.x, self._calibration.inputs_of(self._network))
        spans = np.minimum(batch.dt, model.dt_max) * (model.tick_ns / 1e9)
        ts = torch.from_numpy(spans / self._network.time_scale)
        states = self._network.zero_state(inputs[:, 0])
        outputs = []
        for t in range(batch.dt.shape[1]):
            y = inputs[:, t]
            after = engine.step_layers(batch.x[:, t], batch.dt[:, t])
            new = []
            for cell, state, meaning, (out, parts) in zip(
                cells, states, layers, after, strict=True
            ):
                y, state, _ = cell.step(y, state, ts[:, t, None])
                state = tuple(
                    _through(part, _real(value, signal))
                    for part, value, signal in zip(state, parts, meaning.states, strict=True)
                )
                y = _through(y, _real(out, meaning.output))
                new.append(state)
            states = tuple(new)
            outputs.append(y)
        return torch.stack(outputs, dim=1)

    @torch.no_grad()
    def keep_valid(self) -> None:
        """Put weights that left their range back: absent ones to 0, LTC conductances above 0."""
        for name, weight, present in zip(self.names, self.weights, self._present, strict=True):
            weight.mul_(present)
            if name in self._positive:
                torch.where(present, weight.clamp_min(1e-6), weight, out=weight)


def finetune(
    rollout: FloatRollout,
    options: Options,
    plan: Plan | None = None,
    *,
    loss: Loss | None = None,
    epoch: Callable[[], Sequences] | None = None,
    quiet: bool = False,
) -> tuple[FloatNetwork, ModelFile]:
    """Fine-tune for integers. Returns the float network and its integer model.

    Its data are the calibration, and what is trained on unless `epoch` gives the sequences of each
    epoch afresh. loss: of outputs and sequences; None: mean squared distance to the outputs of the
    float network as it was, which needs no labels. Raises UlnnError when it diverges.
    """
    plan = plan or Plan()
    net = IntegerNetwork(calibrate(rollout, options), options)
    mean = [weight.detach().clone() for weight in net.weights]
    optimiser = torch.optim.Adam(net.parameters(), plan.learning_rate)
    rng = np.random.default_rng(plan.seed)
    updates = 0
    measure = loss or _distance
    with settings(THREADS), torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        for number in track(range(plan.epochs), "fine-tuning", quiet=quiet):
            sequences = epoch() if epoch is not None else rollout.data
            if loss is None:
                sequences = dataclasses.replace(sequences, y=rollout.on(sequences).y, per="step")
            count = math.ceil(len(sequences) / plan.batch)
            for k, rows in enumerate(np.array_split(rng.permutation(len(sequences)), count)):
                done = (number + k / count) / plan.epochs
                optimiser.param_groups[0]["lr"] = (
                    plan.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
                )
                part = sequences.take(rows)
                value = measure(net(part), part)
                if not torch.isfinite(value):
                    raise UlnnError(
                        f"fine-tuning diverged in epoch {number + 1}: lower the learning rate "
                        f"({plan.learning_rate:g})"
                    )
                optimiser.zero_grad()
                value.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(net.parameters(), plan.clip)
                optimiser.step()
                net.keep_valid()
                updates += 1
                decay = min(plan.average, updates / (updates + 9))
                for slow, weight in zip(mean, net.weights, strict=True):
                    slow.lerp_(weight.detach(), 1 - decay)
    with torch.no_grad():
        for weight, slow in zip(net.weights, mean, strict=True):
            weight.copy_(slow)
    net.keep_valid()
    model = with_unknown(net.model(), rollout.data, options.unknown)
    return net.network(), with_golden(model, options.room)


def task_loss(data: Sequences, readout: str, smoothing: float = 0.0) -> Loss:
    """Cross entropy (class labels) or mean squared error, as in training; classes weigh the same.

    data: all that is trained on. Raises UlnnError without targets.
    """
    target = target_of(data, readout)

    def loss(y: Tensor, part: Sequences) -> Tensor:
        return target.loss(y.float(), part, slice(None), smoothing, target.weights)

    return loss


def _distance(y: Tensor, data: Sequences) -> Tensor:
    """Mean squared distance of the valid outputs to the targets, one vector a step."""
    mask = torch.from_numpy(data.mask)
    return (y[mask] - torch.from_numpy(data.y)[mask]).square().mean()


def _through(carrier: Tensor, value: Tensor) -> Tensor:
    """The value, with the gradient of the carrier (straight-through)."""
    # carrier + (value - carrier) is the value but for rounding, which must not be
    return _StraightThrough.apply(carrier, value)  # type: ignore[no-any-return, no-untyped-call]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, carrier: Tensor, value: Tensor) -> Tensor:
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def _real(values: Any, signal: Signal) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float64) * signal.unit + signal.offset)


def _positive(network: FloatNetwork) -> set[str]:
    """Names of the arrays that must not fall below 0."""
    names = set()
    for k, layer in enumerate(network.layers):
        if isinstance(layer, Ltc):
            names |= {f"{k}.gleak", f"{k}.cm", f"{k}.sensory.w", f"{k}.internal.w"}
    return names
