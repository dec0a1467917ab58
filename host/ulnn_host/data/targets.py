"""What the targets of sequences are: classes, values, or the next sample."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from ..base.errors import UlnnError, UlnnWarning
from .options import DataOptions
from .sequences import Sequences

CLASSES = 1024  # outputs that a network can have


def ordered(words: Collection[str]) -> tuple[str, ...]:
    """Words in the order of their codes: whole numbers by size, then the others. Raises UlnnError
    for control characters.
    """
    strange = next((word for word in words if not word.isprintable()), None)
    if strange is not None:
        raise UlnnError(f"the word {strange!r} holds control characters")

    def key(word: str) -> tuple[bool, int, str]:
        whole = re.fullmatch(r"[+-]?\d{1,18}", word, re.ASCII) is not None
        return not whole, int(word) if whole else 0, word

    return tuple(sorted(set(words), key=key))


def class_names(words: Collection[str]) -> tuple[str, ...]:
    """The names of classes, in the order of their codes. Raises UlnnError for what is none."""
    names = ordered(words)
    for name in names:
        if re.fullmatch(r"-\d+", name, re.ASCII):
            raise UlnnError(f"label {name}: {_UNLABELLED}")
        if re.fullmatch(r"[+-]?(\d+[.,]\d*|[.,]\d+)(e[+-]?\d+)?", name, re.ASCII | re.IGNORECASE):
            raise UlnnError(
                f'label {name} is no class: target = "value" reads values; classes are words or '
                "whole numbers"
            )
    if len(names) > CLASSES:
        raise UlnnError(f"{len(names):,} different labels: {_TOO_MANY}")
    return names


_UNLABELLED = "a class is 0 or more; leave samples without a label out"
_TOO_MANY = (
    f'at most {CLASSES:,} classes are possible, numbered from 0 without gaps; target = "value" '
    "reads values"
)


def settle(data: Sequences, options: DataOptions) -> Sequences:
    """The data with the targets that are said. Raises UlnnError where they do not fit, or fit
    more than one reading.
    """
    if options.target == "next":
        return next_sample(data)
    y = data.y
    if y is None:
        return data
    if options.per:
        data = replace(data, per=options.per)
    floats = y.dtype.kind == "f"
    if options.target == "value" and not floats:
        return replace(data, y=y.astype(np.float32), labels=())
    padded = y.shape[:2] == data.dt.shape and data.length.min() < data.dt.shape[1]
    used = y[data.mask] if padded else y
    if floats:
        whole = y.ndim < 3 and bool((used == np.rint(used)).all())
        if options.target == "class":
            if not whole:
                raise UlnnError("y holds values that are no classes: classes are whole numbers")
            data = replace(data, y=y.astype(np.int64))
            used = used.astype(np.int64)
        elif options.target != "value" and whole and _looks_like_steps(data):
            found = len(np.unique(used))
            if 2 <= found <= CLASSES:
                raise UlnnError(
                    f"y holds {found} different whole numbers of a float type: say target = "
                    '"class" or target = "value"'
                )
        if options.target != "class":
            return data
    low, high = int(used.min()), int(used.max())
    if low < 0:
        raise UlnnError(f"y holds label {low}: {_UNLABELLED}")
    if high >= CLASSES:
        raise UlnnError(f"y holds label {high}: {_TOO_MANY}")
    if data.labels and high >= len(data.labels):
        raise UlnnError(f"y holds label {high}, but labels has {len(data.labels)} names")
    return data


def doubt(data: Sequences) -> str:
    """What makes targets doubtful that nobody has named: one line, empty where nothing does."""
    y = data.y
    if y is None:
        return ""
    used = y[data.mask] if data.per_step else y
    if y.dtype.kind != "f":
        missing = np.setdiff1d(np.arange(int(used.max()) + 1), used)
        if not missing.size or data.labels:
            return ""
        return (
            f"no label is {missing[0]}, though labels reach {used.max()}: classes are numbered "
            "from 0 without gaps, and each number is an output"
        )
    if not (used == np.rint(used)).all() or len(found := np.unique(used)) > CLASSES:
        return ""
    if used.ndim > 1 and used.shape[-1] > 1:
        if found.tolist() != [0, 1] or not (used.sum(-1) == 1).all():
            return ""
        return (
            "y looks one-hot, but is of a float type and read as values: classes are y.argmax(-1)"
        )
    return (
        f"y holds {len(found)} different whole numbers of a float type, read as values: classes "
        "are of an integer type"
    )


def _looks_like_steps(data: Sequences) -> bool:
    """Has y the shape that classes have?"""
    assert data.y is not None
    return data.y.ndim == 1 or data.y.shape == data.dt.shape


def next_sample(data: Sequences) -> Sequences:
    """The data with the next sample as the target of each step; each sequence is a step shorter.
    Raises UlnnError when no sequence has two steps.
    """
    long = data.length > 1
    if not long.any():
        raise UlnnError("no sequence has two steps, so there is no next sample")
    flat = data.flat
    if not long.all():
        data = data.take(long)
    steps = int(data.length.max())
    return replace(
        data,
        x=data.x[:, : steps - 1],
        dt=data.dt[:, : steps - 1],
        length=data.length - 1,
        y=data.x[:, 1:steps].copy(),
        labels=(),
        per="step",
        flat=flat,
    )


def aligned(data: Sequences, labels: Sequence[str]) -> Sequences:
    """The data with classes numbered as in `labels`, the names that a network knows.

    Where the network has no names, a label that is a number is its own class; where the data have
    none, they are the network's. Raises UlnnError for a label that is not known.
    """
    y = data.y
    if y is None or y.dtype.kind not in "iu" or tuple(labels) == data.labels:
        return data
    if not data.labels:
        return replace(data, labels=tuple(labels))
    used = np.unique(y[data.mask] if data.per_step else y)
    if not labels:
        if not all(name.isdecimal() for name in data.labels):
            names = ", ".join(f"{name} is {k}" for k, name in enumerate(data.labels[:12]))
            warnings.warn(
                f"the network has no names of classes, so it is not certain that {names}",
                UlnnWarning,
                stacklevel=3,
            )
            return data
        known = {name: int(name) for name in data.labels}
    else:
        known = {name: k for k, name in enumerate(labels)}
    strange = [data.labels[k] for k in used if data.labels[k] not in known]
    if strange:
        raise UlnnError(
            f"label {strange[0]!r} is not known, expected one of {', '.join(labels[:12])}"
        )
    code = np.array([known.get(name, 0) for name in data.labels], np.int64)
    y = code[np.clip(y, 0, len(code) - 1)]
    return replace(data, y=y, labels=tuple(labels))
