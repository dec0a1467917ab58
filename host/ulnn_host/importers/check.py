"""An import proves itself: its outputs against those of the original model.

The pairs come from the original, in the units of the data (before mean, std and time_scale of
`NAME.toml`): `x` (T, I) or (N, T, I), `dt` (T,) or (N, T) seconds, and `y`, the outputs for every
step, or for the last step alone, as a model without return_sequences gives them. Every sequence
starts from a zero state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import archives
from ..base.errors import UlnnError
from ..network.float_network import FloatNetwork, mapped
from ..network.layers import Array, CfC, Ltc, sigmoid
from . import suspects
from .checkpoint import Loaded

# float32 of another library adds up in another order: this many of its roundings
ROUNDINGS = 100
# what rounding does to our own network, times this, as another order of sums may do more
SPREAD = 30
SHOWN = 50  # steps after the first difference on which explanations are tried
LATE = 500  # a missing function shows before this step; each explanation costs a rollout


@dataclass(frozen=True)
class Pairs:
    """What went into the original and came out, for N sequences of up to T steps.

    x: (N, T, I); dt: (N, T) seconds; length: (N,) valid steps; y: (N, T, O), or (N, O) of the last
    valid step alone.
    """

    x: Array
    dt: Array
    length: NDArray[np.int64]
    y: NDArray[Any]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(N, T): which steps have an output."""
        steps = np.arange(self.x.shape[1])
        inside = steps < self.length[:, None]
        return inside & (steps == self.length[:, None] - 1) if self.y.ndim == 2 else inside


@dataclass(frozen=True)
class Agreement:
    """How far an import is from its original. max_error, rms_error: over `steps` outputs; largest:
    of the absolute outputs; allowed: by rounding; note: "" or what the pairs do not show."""

    steps: int
    max_error: float
    rms_error: float
    largest: float
    allowed: float
    note: str = ""

    def __str__(self) -> str:
        return (
            f"against the original over {self.steps} steps: max error {self.max_error:.2g} of "
            f"outputs up to {self.largest:.3g}, rms {self.rms_error:.2g}{self.note}"
        )


def read_pairs(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file of pairs (.npz). Raises UlnnError with its name."""
    if not path.exists():
        raise UlnnError(f"{path}: no such file; expected an .npz with x, dt, y of the original")
    try:
        archives.check_size(path)
        return archives.read_npz(path)
    except Exception as error:  # numpy and zipfile raise anything for damaged files
        raise UlnnError(f"{path.name}: not a readable .npz file ({error})") from error


def pairs_of(arrays: Mapping[str, NDArray[Any]], network: FloatNetwork) -> Pairs:
    """The pairs x, dt, y (and length, where sequences are padded) for a network. Raises
    UlnnError."""
    for key in ("x", "dt", "y"):
        if key not in arrays:
            found = ", ".join(sorted(arrays)) or "nothing"
            raise UlnnError(f"{key} is missing, found {found}; expected x, dt, y of the original")
        if np.asarray(arrays[key]).dtype.kind not in "fiu":
            raise UlnnError(f"{key} holds {np.asarray(arrays[key]).dtype}, expected numbers")
    x, dt, y = (np.asarray(arrays[key]) for key in ("x", "dt", "y"))
    if x.ndim == 2:
        x, dt, y = x[None], dt[None], y[None]
    if x.ndim != 3 or 0 in x.shape or x.shape[2] != network.input_size:
        raise UlnnError(
            f"x has shape {x.shape}, expected (N, steps, {network.input_size}), the inputs of "
            "the network"
        )
    count, steps, _ = x.shape
    if dt.shape != (count, steps):
        raise UlnnError(f"dt has shape {dt.shape}, expected {(count, steps)} to match x")
    outputs = network.output_size
    if outputs == 1 and y.shape == (count, steps):
        y = y[..., None]
    if y.shape not in ((count, steps, outputs), (count, outputs)):
        raise UlnnError(
            f"y has shape {y.shape}, expected {(count, steps, outputs)}, or {(count, outputs)} of "
            "the last steps: the original has other steps or outputs than the import"
        )
    length = np.atleast_1d(arrays.get("length", np.full(count, steps))).astype(np.int64)
    if length.shape != (count,) or length.min() < 1 or length.max() > steps:
        raise UlnnError(f"length: expected {count} numbers from 1 to {steps}")
    inside = np.arange(steps) < length[:, None]
    pairs = Pairs(
        np.where(inside[..., None], x, 0.0), np.where(inside, dt, 1.0).astype(float), length, y
    )
    shown = y[pairs.valid] if y.ndim == 3 else y
    if not (np.isfinite(pairs.x).all() and np.isfinite(shown).all() and (pairs.dt > 0).all()):
        raise UlnnError("x, dt and y: expected finite numbers, and dt above 0")
    if not np.ptp(shown.astype(float), axis=0).any():
        raise UlnnError("y is the same at every step and proves nothing; expected other inputs x")
    return pairs


def check(loaded: Loaded, arrays: Mapping[str, NDArray[Any]]) -> Agreement:
    """The error of an import against outputs of the original, by `x`, `dt`, `y` as above.

    Raises UlnnError when it is more than rounding: where it starts, and what would explain it.
    """
    pairs = pairs_of(arrays, loaded.network)
    done, error, allowed = _measured(loaded.network, loaded.end, pairs)
    above: NDArray[np.bool_] = np.any(error > allowed, axis=-1)
    if not above.any():
        return done
    sequence, step = first(above)
    some = _cut(pairs, step + SHOWN)
    late = step > LATE
    why = suspects.UNKNOWN if late else suspects.explain(loaded, lambda s: _fits(s, some))
    raise UlnnError(
        f"the import differs from the original from step {step}{_of(sequence, pairs)} on, "
        f"max error {done.max_error:.3g} of outputs up to {done.largest:.3g}: {why}"
    )


def check_network(network: FloatNetwork, x: Any, dt: Any, y: Any) -> Agreement:
    """`check` for a network that was not read from a checkpoint. Raises UlnnError."""
    arrays = {"x": np.asarray(x), "dt": np.asarray(dt), "y": np.asarray(y)}
    return check(Loaded(network), arrays)


def check_file(loaded: Loaded, path: Path) -> Agreement:
    """`check` for a file of pairs. Raises UlnnError with its name."""
    arrays = read_pairs(path)
    try:
        return check(loaded, arrays)
    except UlnnError as error:
        raise UlnnError(f"{path.name}: {error}") from error


def first(wrong: NDArray[np.bool_]) -> tuple[int, int]:
    """(sequence, step) of the first wrong step (N, T): the earliest step of all sequences."""
    step = int(np.argmax(wrong.any(0)))
    return int(np.argmax(wrong[:, step])), step


def _of(sequence: int, pairs: Pairs) -> str:
    return f" of sequence {sequence}" if len(pairs.x) > 1 else ""


def _cut(pairs: Pairs, steps: int) -> Pairs:
    """Enough of the pairs to try explanations on."""
    few = Pairs(pairs.x[:4], pairs.dt[:4], pairs.length[:4], pairs.y[:4])
    if few.y.ndim == 2:
        return few
    length = np.minimum(few.length, steps)
    return Pairs(few.x[:, :steps], few.dt[:, :steps], length, few.y[:, :steps])


def _fits(suspect: suspects.Suspect, pairs: Pairs) -> bool:
    if suspect.without_times:
        pairs = replace(pairs, dt=np.ones_like(pairs.dt))
    _, error, allowed = _measured(suspect.network, suspect.end, pairs)
    return bool((error <= allowed).all())


def _measured(network: FloatNetwork, end: str, pairs: Pairs) -> tuple[Agreement, Array, Array]:
    """(the errors in short, the errors (N, T, O), what rounding may cause (1, T, 1))."""
    with np.errstate(all="ignore"):
        ours = finished(network.run(pairs.x, pairs.dt, pairs.length).y, end)
        single = finished(_single(network, pairs), end)
    valid = pairs.valid[..., None]
    theirs = pairs.y.astype(np.float64)
    theirs = np.where(valid, theirs if theirs.ndim == 3 else theirs[:, None], 0.0)
    ours, single = np.where(valid, ours, 0.0), np.where(valid, single, 0.0)
    own = np.abs(ours - single).max(axis=(0, 2))
    largest = float(np.abs(theirs).max())
    epsilon = float(np.finfo(np.float32).eps)
    allowed = SPREAD * np.maximum.accumulate(own) + ROUNDINGS * epsilon * largest
    error = np.nan_to_num(np.abs(ours - theirs), nan=np.inf)
    used = error[np.broadcast_to(valid, error.shape)]
    times = pairs.dt[np.arange(pairs.dt.shape[1]) < pairs.length[:, None]]
    timed = any(isinstance(v, (CfC, Ltc)) or getattr(v, "dt_input", 0) for v in network.layers)
    note = f"; dt is always {times[0]:.3g} s, so other times are not shown"
    done = Agreement(
        int(pairs.valid.sum()), float(used.max()), float(np.sqrt(np.square(used).mean())),
        largest, float(allowed.max()), note if timed and not np.ptp(times) else "",
    )  # fmt: skip
    return done, error, allowed[None, :, None]


def _single(network: FloatNetwork, pairs: Pairs) -> Array:
    """The same in float32: what rounding does to this network."""
    layers = mapped(network.layers, lambda name, array: array.astype(np.float32))
    x = ((pairs.x - network.mean) / network.std).astype(np.float32)
    ts = network.times(pairs.dt).astype(np.float32)
    states = network.zero_state(x[:, 0])
    rows = []
    for t in range(x.shape[1]):
        v, after = x[:, t], []
        for layer, state in zip(layers, states, strict=True):
            v, state, _ = layer.step(v, state, ts[:, t, None])
            after.append(state)
        states = tuple(after)
        rows.append(v.astype(np.float64))
    return np.stack(rows, axis=1)


def finished(y: Array, end: str) -> Array:
    """Outputs (..., O) with the function at the end that the import leaves out."""
    if end == "sigmoid":
        return np.asarray(sigmoid(y))
    if end in ("softmax", "log_softmax"):
        shifted = y - y.max(-1, keepdims=True)
        log = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        return np.asarray(log if end == "log_softmax" else np.exp(log))
    return y
