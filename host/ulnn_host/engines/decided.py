"""What an integer model decides on data, and how good that is: with `ulnn_rules.decider`, which
decides on boards, too."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.centres import Centres
from ulnn_rules.decider import Decider

from ..data import scores
from ..data.scores import ClassScores, Scores
from ..data.sequences import Sequences
from ..format.model import Decision, Int, ModelFile
from .batch import elapsed, quantise

NONE = -2


def decider(model: ModelFile, centres: Centres | None = None) -> Decider | None:
    """What decides for a model, as adapted to a wearer by `centres`; None where its outputs are
    values, or have several scales, so that their integers cannot be compared. A file without
    DECISION takes whole sequences."""
    rule = model.decision or Decision(model.readout, reset=model.readout != "each")
    scale = {*zip(model.output_scale.tolist(), model.output_offset.tolist(), strict=True)}
    if rule.values or model.output_size < 2 or len(scale) > 1 or min(scale)[0] <= 0:
        return None
    sizes = {"input_size": model.input_size, "output_size": model.output_size}
    known = asdict(rule) | sizes | {"labels": model.labels, "unknown": model.unknown}
    return Decider(SimpleNamespace(**known), None, centres)


def windows(rule: Decision | None, tick_ns: int, data: Sequences) -> Sequences:
    """The data, of which sequences that are longer than a window, and have a target each, are cut
    into windows: a model whose state is reset where a window begins runs on these. What is left
    over at the end of a sequence is left out."""
    if data.y is None or data.per_step or whole(rule, tick_ns, data):
        return data
    rows, starts, size = _cuts(rule, tick_ns, data)
    return data.cut(rows, starts, size)


def whole(rule: Decision | None, tick_ns: int, data: Sequences) -> bool:
    """Whether no sequence is longer than a window after which the state is reset."""
    rows, _, size = _cuts(rule, tick_ns, data)
    return len(rows) == len(data) and bool((size == data.length).all())


def _cuts(rule: Decision | None, tick_ns: int, data: Sequences) -> tuple[Int, Int, Int]:
    """Of each window its sequence, its first step, its steps."""
    if rule is None or not (rule.reset and rule.window):
        return np.arange(len(data)), np.zeros(len(data), np.int64), data.length
    cuts = []
    dt = elapsed(data, tick_ns) if rule.ticks else np.ones(data.dt.shape, np.int64)
    for n, length in enumerate(data.length.tolist()):
        start = passed = 0
        for step, ticks in enumerate(dt[n, :length].tolist(), 1):
            passed += ticks
            if passed >= rule.window:
                cuts.append((n, start, step - start))
                start, passed = step, 0
        if not start:
            cuts.append((n, 0, length))
    rows, starts, size = np.array(cuts, np.int64).T
    return rows, starts, size


def decisions(
    model: ModelFile, y: NDArray[Any], data: Sequences, centres: Centres | None = None
) -> Int:
    """The decisions of integer outputs y (N, T, O), at the steps (N, T) at which they fall; -1:
    unsure; -3: unknown, by the inputs of the data; -2: none falls there.

    A window that a sequence does not fill ends with it. The sequences of one recording follow one
    another, so that votes and thresholds look back to those before.
    """
    found = np.full(data.mask.shape, NONE, np.int64)
    decides = decider(model, centres)
    if decides is None:
        pooled = scores.pool(model.dequantise_output(y), data.length, model.readout).argmax(-1)
        if model.readout == "each":
            return np.where(data.mask, pooled, NONE)
        found[np.arange(len(data)), data.length - 1] = pooled
        return found
    dt = elapsed(data, model.tick_ns)
    x = quantise(model, data).x if model.unknown else None
    for n, length in enumerate(data.length.tolist()):
        follows = n and data.origin is not None and data.origin[n] == data.origin[n - 1]
        if model.readout == "each" or not follows:
            decides.reset()
        decides.start()
        some = False
        for t, row in enumerate(y[n, :length].tolist()):
            if x is not None:
                decides.see(x[n, t].tolist())
            decision = decides.update(row, int(dt[n, t]))
            if decision is not None:
                found[n, t], some = decision, True
        if not some:
            decision = decides.end()
            assert decision is not None  # a sequence has a step
            found[n, length - 1] = decision
    return found


def of_sequences(found: Int) -> Int:
    """The last decision of each sequence, (N,)."""
    last = found.shape[1] - 1 - np.argmax(found[:, ::-1] != NONE, axis=1)
    return np.asarray(found[np.arange(len(found)), last])


def score(model: ModelFile, y: NDArray[Any], data: Sequences) -> Scores:
    """Measures of integer outputs y (N, T, O) against the targets of the data: of the decisions
    that the model's rule makes of them, or of values. Raises UlnnError when they do not fit."""
    if data.y is None or data.y.dtype.kind not in "iu":
        return scores.score(model.dequantise_output(y), data, model.readout)
    return score_classes(model, y, data)


def score_classes(
    model: ModelFile, y: NDArray[Any], data: Sequences, centres: Centres | None = None
) -> ClassScores:
    """As `score`, of decisions: the data have integer labels."""
    found = decisions(model, y, data, centres)
    decided = found if model.readout == "each" else of_sequences(found)
    real = model.dequantise_output(y)
    return scores.score_classes(real, data, model.readout, decided)
