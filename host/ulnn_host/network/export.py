"""One step of a float network as an ONNX graph: states go in and come out.

Inputs: `x` (N, I) raw (normalisation is in the graph), `dt` (N, 1) in seconds, and one state each
(N, size): `state_{layer}_h` (hidden), `_c` (cell of an LSTM), `_v` (potentials of an LTC).
Outputs: `y` (N, O) and `next_state_...`. All float32; states start at 0.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..base import extras, files
from .float_network import FloatNetwork, mapped
from .layers import Ltc, State

STEPS = 100


@dataclass(frozen=True)
class Exported:
    """What was written. difference: the largest one between onnxruntime and float64 over `STEPS`
    steps of random inputs and dt; None: onnxruntime is not installed."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    size: int
    difference: float | None


class Step(torch.nn.Module):
    """One step of a network in float32."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: FloatNetwork) -> None:
        super().__init__()
        layers = mapped(network.layers, lambda _, value: _tensor(value))
        self.network = dataclasses.replace(network, layers=layers)
        self.register_buffer("mean", _tensor(network.mean))
        self.register_buffer("std", _tensor(network.std))

    def forward(self, x: torch.Tensor, dt: torch.Tensor, *states: torch.Tensor) -> Any:
        """y and the new states, from x (N, I), dt (N, 1) and states (N, size)."""
        left = iter(states)
        before: tuple[State, ...] = tuple(
            tuple(next(left) for _ in layer.state_sizes) for layer in self.network.layers
        )
        ts = self.network.times(dt)
        y, after, _ = self.network.step((x - self.mean) / self.std, before, ts)
        # an output that is a state, too, needs a node of its own
        return (y * 1.0, *(value for state in after for value in state))


def state_names(network: FloatNetwork) -> tuple[str, ...]:
    """Names of the states in the order of the graph's inputs."""
    return tuple(
        f"state_{k}_{letter}"
        for k, layer in enumerate(network.layers)
        for letter in ("v" if isinstance(layer, Ltc) else "hc")[: len(layer.state_sizes)]
    )


def write(network: FloatNetwork, path: Path) -> Exported:
    """Write the graph and check it. Raises UlnnError when onnx is missing."""
    for package in ("onnx", "onnxscript"):
        extras.need(package, "writing ONNX")
    module = Step(network).eval()
    states = state_names(network)
    inputs = ("x", "dt", *states)
    outputs = ("y", *(f"next_{name}" for name in states))
    sizes = [size for layer in network.layers for size in layer.state_sizes]
    # a batch of 2: torch takes 1 for a constant
    example = (torch.zeros(2, network.input_size), torch.ones(2, 1))
    batch = {0: torch.export.Dim("N")}
    with _quiet():
        program = torch.onnx.export(
            module,
            (*example, *(torch.zeros(2, size) for size in sizes)),
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=(batch, batch, (batch,) * len(sizes)),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(
        {"dialect": network.dialect, "meta": json.dumps(network.meta)}
    )
    files.write(path, program.model_proto.SerializeToString())
    return Exported(inputs, outputs, path.stat().st_size, difference(network, path))


def difference(network: FloatNetwork, path: Path, seed: int = 0) -> float | None:
    """Largest difference between the graph under onnxruntime and the network in float64, over
    STEPS steps of random inputs and dt; None: onnxruntime is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    rng = np.random.default_rng(seed)
    x = network.mean + network.std * rng.normal(size=(2, STEPS, network.input_size))
    dt = network.time_scale * rng.uniform(0.1, 2.0, (2, STEPS))
    x, dt = x.astype(np.float32), dt.astype(np.float32)
    session = onnxruntime.InferenceSession(path)
    states: list[NDArray[np.float32]] = [
        np.zeros((2, size), np.float32) for layer in network.layers for size in layer.state_sizes
    ]
    names = state_names(network)
    ys = []
    for t in range(STEPS):
        feed = {"x": x[:, t], "dt": dt[:, t, None], **dict(zip(names, states, strict=True))}
        y, *states = session.run(None, feed)
        ys.append(y)
    return float(np.abs(np.stack(ys, axis=1) - network.run(x, dt).y).max())


def _tensor(value: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(value), dtype=torch.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's notes on missing packages and its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
