"""Tensors by name: each is taken once and checked, what stays behind is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..base.errors import UlnnError
from ..network.layers import Array, Linear

FLOATS = ("float16", "bfloat16", "float32", "float64")
LARGEST = 1e6  # of a weight: training has diverged, or the numbers are none
# of averaged models; no weights
COUNTERS = ("n_averaged", "initted", "step", "num_updates")


class StateDict:
    """Arrays by name. `name` is the file's, for errors."""

    def __init__(self, weights: Mapping[str, Array], name: str) -> None:
        self.name = name
        self._left = {k: np.asarray(v, np.float64) for k, v in weights.items()}

    def __contains__(self, key: object) -> bool:
        return key in self._left

    @property
    def keys(self) -> tuple[str, ...]:
        """Names not taken yet."""
        return tuple(self._left)

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of a tensor that is still there."""
        return self._left[key].shape

    def take(self, key: str, *shape: int | None) -> Array:
        """The tensor, where None in `shape` is any size. Raises UlnnError."""
        if key not in self._left:
            raise UlnnError(
                f"{self.name}: tensor {key} is missing; found {some(self._left)}; "
                "expected all tensors of the layer"
            )
        value = self._left.pop(key)
        if shape and not _fits(value.shape, shape):
            wanted = ", ".join("n" if n is None else str(n) for n in shape)
            raise UlnnError(
                f"{self.name}: {key} has shape {value.shape}, "
                f"expected ({wanted}{',' * (len(shape) == 1)})"
            )
        check_values(f"{self.name}: {key}", value)
        return value

    def optional(self, key: str, size: int, default: float) -> Array:
        """The vector (size,), all `default` where there is none."""
        return self.take(key, size) if key in self else np.full(size, default)

    def linear(
        self, key: str, rows: int | None = None, columns: int | None = None, bias: bool = True
    ) -> Linear:
        """`key`.weight (rows, columns) and .bias; without `bias` it may be missing, which is 0."""
        weight = self.take(f"{key}.weight", rows, columns)
        if bias or f"{key}.bias" in self:
            return Linear(weight, self.take(f"{key}.bias", len(weight)))
        return Linear(weight, np.zeros(len(weight)))


def check_type(key: str, dtype: str, axes: int) -> None:
    """Refuse numbers that are no weights: whole ones (quantised, their scale is lost), complex
    ones. Masks and counters may be whole. Raises UlnnError."""
    whole = dtype.startswith(("int", "uint", "bool"))
    if dtype in FLOATS or (whole and (key.endswith("mask") or not axes)):
        return  # a counter that is not known is an unknown tensor
    why = " (quantised? then its scale is missing)" if whole else ""
    raise UlnnError(f"{key} holds {dtype}{why}, expected one of {', '.join(FLOATS)}")


def check_values(key: str, value: Array) -> None:
    """Refuse weights that no training wants. Raises UlnnError."""
    if not np.isfinite(value).all():
        raise UlnnError(f"{key} holds values that are not finite; the training has diverged")
    largest = float(np.abs(value).max(initial=0.0))
    if largest > LARGEST:
        raise UlnnError(
            f"{key} holds {largest:.3g}, expected at most {LARGEST:g}; the training has diverged, "
            "or the file is damaged"
        )


def some(keys: Iterable[str]) -> str:
    """A few names, for errors."""
    names = sorted(keys)
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "") or "nothing"


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        n > 0 and w in (None, n) for n, w in zip(shape, wanted, strict=True)
    )
