"""From outputs to decisions or values, and how good they are: the same for float, reference and
board outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.decider import UNKNOWN, UNSURE

from ..base.errors import UlnnError
from .measures import Decisions, Errors
from .sequences import Sequences

TRAINED = ("last", "mean", "each")
READOUTS = (*TRAINED, "vote")

Made = TypeVar("Made")


@dataclass(frozen=True)
class ClassScores(Decisions):
    """Measures of decisions against labels.

    labels: names of the classes, () where not known. by_recording: share of recordings decided
    right by the sum of their windows' outputs (None where windows have no origin). by_group: the
    same of each group (a person, a machine), where the data have them. unsure: how often there was
    no decision, None for a rule that always decides; unknown: how often the inputs were nothing
    that the model knows, None for never; all other measures are without these.
    """

    labels: tuple[str, ...] = ()
    by_recording: float | None = None
    by_group: Mapping[str, Decisions] = field(default_factory=dict)
    unsure: int | None = None
    unknown: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each class, its number where it has none."""
        return class_names(self.labels, len(self.confusion))

    def figures(self) -> dict[str, float]:
        """The measures of all classes together, by name."""
        found = super().figures()
        if self.unsure is not None or self.unknown is not None:
            found["decided"] = self.decided
        if self.unknown is not None:
            found["unknown"] = self.unknown / self._asked
        if self.by_recording is not None:
            found["recordings right"] = self.by_recording
        return found

    @property
    def decided(self) -> float:
        """Share of the decisions that are not "unsure" or "unknown"."""
        return self.count / self._asked

    @property
    def _asked(self) -> int:
        return self.count + (self.unsure or 0) + (self.unknown or 0)

    def to_dict(self, *, named: bool = False) -> dict[str, Any]:
        """For JSON and TOML. named: groups by name, which may be a person's; else by number."""
        rows = zip(self.names, self.precision, self.recall, self.f1, self.support, strict=True)
        content = _overall(self) | {
            "confusion": self.confusion,
            "classes": [
                {"label": name, "precision": float(p), "recall": float(r), "f1": float(f),
                 "support": int(n)}
                for name, p, r, f, n in rows
            ],
        }  # fmt: skip
        if self.by_recording is not None:
            content["by_recording"] = self.by_recording
        for key in ("unsure", "unknown"):
            if getattr(self, key) is not None:
                content |= {key: getattr(self, key), "decided": self.decided}
        return content | _groups(self.by_group, named)


@dataclass(frozen=True)
class ValueScores(Errors):
    """Measures of values against targets; by_group: the same of each group."""

    by_group: Mapping[str, Errors] = field(default_factory=dict)

    def to_dict(self, *, named: bool = False) -> dict[str, Any]:
        """For JSON and TOML. r2 is left out where it is not defined. named: as for classes."""
        rows = zip(self.rmse, self.mae, self.r2, strict=True)
        outputs = [_defined({"rmse": a, "mae": b, "r2": c}) for a, b, c in rows]
        return _overall(self) | {"outputs": outputs} | _groups(self.by_group, named)


Scores = ClassScores | ValueScores


def class_names(labels: Sequence[str], count: int) -> tuple[str, ...]:
    """A name for each of the classes, its number where they have none."""
    return tuple(labels) if len(labels) == count else tuple(str(k) for k in range(count))


def score(y: NDArray[Any], data: Sequences, readout: str) -> Scores:
    """Measures of outputs y (N, T, O) against the targets of the data: of decisions where they are
    integers, of values where they are floats. Raises UlnnError when they do not fit.
    """
    if data.y is None:
        raise UlnnError("the data have no targets y, so there is nothing to measure")
    if data.y.dtype.kind in "iu":
        return score_classes(y, data, readout)
    return _score_values(y, data, readout)


def score_classes(
    y: NDArray[Any], data: Sequences, readout: str, decided: NDArray[np.int64] | None = None
) -> ClassScores:
    """Measures of the decisions of outputs y (N, T, O) against integer labels. The first of equal
    outputs wins, as in `ulnn_rules.readout.argmax`. Raises UlnnError when they do not fit.

    decided: the decisions, (N, T) of readout "each", else (N,), -1: unsure, -3: unknown; without
    them each sequence decides for itself.
    """
    if data.y is None or data.y.dtype.kind not in "iu":
        raise UlnnError("the data have no integer labels y, so there is no accuracy")
    values = pool(y, data.length, readout)
    wanted = data.mask.shape if readout == "each" else (len(data),)
    if data.y.shape != wanted:
        raise UlnnError(f"y has shape {data.y.shape}, expected {wanted} for readout {readout!r}")
    if y.shape[-1] == 1:
        raise UlnnError(
            'y holds labels, the network has one output, a value: target = "value" reads values'
        )
    truth, group = data.y, _group(data, readout)
    decided = values.argmax(-1) if decided is None else decided
    if readout == "each":
        truth, decided = truth[data.mask], decided[data.mask]
    classes = y.shape[-1]
    if truth.min() < 0 or truth.max() >= classes:
        wrong = truth.min() if truth.min() < 0 else truth.max()
        raise UlnnError(
            f"y holds label {wrong}, expected 0 to {classes - 1}, as the network has {classes} "
            "outputs"
        )
    by_recording = None
    if data.origin is not None and readout != "each":
        right = [
            values[data.origin == k].sum(0).argmax() == data.y[data.origin == k][0]
            for k in np.unique(data.origin)
        ]
        by_recording = float(np.mean(right))
    sure = decided >= 0

    def measured(at: Any) -> Decisions:
        return Decisions.of(truth[at & sure], decided[at & sure], classes)

    return ClassScores(
        measured(sure).confusion,
        data.labels,
        by_recording,
        _by_group(data, group, measured),
        int((decided == UNSURE).sum()) or None,
        int((decided == UNKNOWN).sum()) or None,
    )


def _score_values(y: NDArray[Any], data: Sequences, readout: str) -> ValueScores:
    assert data.y is not None
    values = pool(y, data.length, readout)
    lead, outputs = values.shape[:-1], values.shape[-1]
    wanted = (lead, (*lead, outputs)) if outputs == 1 else ((*lead, outputs),)
    if data.y.shape not in wanted:
        raise UlnnError(
            f"y has shape {data.y.shape}, expected {(*lead, outputs)} for readout {readout!r}, as "
            f"the network has {outputs} outputs"
        )
    truth, group = data.y.reshape(values.shape), _group(data, readout)
    if readout == "each":
        truth, values = truth[data.mask], values[data.mask]
    whole = Errors.of(truth, values)
    parts = _by_group(data, group, lambda at: Errors.of(truth[at], values[at]))
    return ValueScores(whole.count, whole.rmse, whole.mae, whole.r2, parts)


def pool(y: NDArray[Any], length: NDArray[Any], readout: str) -> NDArray[Any]:
    """What decides: (N, T, O) outputs to (N, O), of "vote" how many steps each output won; "each"
    stays as it is."""
    if readout == "each":
        return y
    if readout == "last":
        return np.asarray(y[np.arange(len(y)), length - 1])
    if readout not in READOUTS:
        raise UlnnError(f"readout {readout!r} not known, expected one of {', '.join(READOUTS)}")
    valid = (np.arange(y.shape[1]) < length[:, None])[..., None]
    if readout == "vote":
        return np.asarray(((y.argmax(-1)[..., None] == np.arange(y.shape[-1])) & valid).sum(1))
    total = np.where(valid, y, 0).sum(1, dtype=np.float64)
    return np.asarray(total / length[:, None])


def _group(data: Sequences, readout: str) -> NDArray[np.int64] | None:
    """The group of each decision or value."""
    if data.group is None or readout != "each":
        return data.group
    return np.repeat(data.group, data.length)


def _by_group(
    data: Sequences, group: NDArray[np.int64] | None, made: Callable[[Any], Made]
) -> dict[str, Made]:
    """What is made of the decisions of each group, by its name."""
    if group is None:
        return {}
    codes = np.unique(group)
    names = [data.groups[k] if data.groups else str(k) for k in codes]
    return {name: made(group == k) for name, k in zip(names, codes, strict=True)}


KEYS = {
    "accuracy": "accuracy", "balanced accuracy": "balanced", "macro F1": "macro_f1",
    "RMSE": "rmse", "MAE": "mae", "R2": "r2",
}  # fmt: skip


def _overall(measures: Decisions | Errors) -> dict[str, Any]:
    figures = {KEYS[k]: v for k, v in measures.figures().items() if k in KEYS}
    return {"count": measures.count} | _defined(figures)


def group_names(groups: Mapping[str, Any], named: bool) -> dict[str, str]:
    """What each group is called; without names by its number, in the order of the data."""
    return {name: name if named else str(k) for k, name in enumerate(groups)}


def _groups(groups: Mapping[str, Decisions | Errors], named: bool) -> dict[str, Any]:
    called = group_names(groups, named)
    found = {called[name]: _overall(measures) for name, measures in groups.items()}
    return {"by_group": found} if found else {}


def _defined(figures: Mapping[str, float]) -> dict[str, float]:
    """Those that are numbers."""
    return {key: value for key, value in figures.items() if not math.isnan(value)}
