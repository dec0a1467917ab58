"""A policy on data that are read for a network: channels rounded and clipped, names of people
replaced, and what may not go to the network not read at all.

The time is only used for the elapsed times, which are all of it that a network sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.mask import Policy
from ulnn_rules.mask_actions import Action, Clip, Keep, Noise, Refused, Round

from ..base.errors import UlnnError
from . import clocks, targets
from .columns import Column
from .dialect import is_number
from .options import DataOptions
from .sequences import Sequences

FOR = "network"
UNKNOWN = "..."  # in place of a column's example in errors


def hidden(
    columns: Sequence[Column], policy: Policy | None, options: DataOptions
) -> tuple[Column, ...]:
    """The columns of a table, those that are not to be read marked, and no example of any."""
    if policy is None:
        return tuple(columns)
    names = [column.name for column in columns]
    times = {column.index for column in clocks.time_columns(names)}
    used = {key.strip().casefold() for key in (options.label, options.group, options.time) if key}
    made = []
    for k, column in enumerate(columns):
        seen = k in times or column.name.strip().casefold() in used
        kind = column.kind if seen or _numeric(policy, column.name.strip()) else "hidden"
        made.append(replace(column, kind=kind, example=UNKNOWN))
    return tuple(made)


def _numeric(policy: Policy, name: str) -> Action | None:
    """The rule of a channel; None where it has none that makes numbers of numbers."""
    try:
        rule = policy.rule(name, FOR)
    except Refused:
        return None
    step = isinstance(rule, Round) and rule.way == "step"
    words = isinstance(rule, Keep) and (rule.words or rule.set["text"])
    return (
        rule if step or isinstance(rule, Clip) or (isinstance(rule, Keep) and not words) else None
    )


def masked(data: Sequences, policy: Policy, options: DataOptions) -> Sequences:
    """Sequences as a policy lets them to a network. Raises UlnnError where nothing is left, and
    where labels or groups may not go there.
    """
    names = data.channels or tuple(str(k) for k in range(data.x.shape[2]))
    rules = {k: rule for k, name in enumerate(names) if (rule := _numeric(policy, name))}
    refused = [name for k, name in enumerate(names) if k not in rules]
    if refused and (options.channels or not rules):
        raise UlnnError(f"mask: the policy keeps channel {refused[0]} from the network")
    x = np.ascontiguousarray(data.x[..., list(rules)])
    for place, rule in enumerate(rules.values()):
        for part, mask in zip(x, data.mask, strict=True):
            part[mask, place] = numbers(rule, part[mask, place])
    channels = tuple(data.channels[k] for k in rules) if data.channels else ()
    data = replace(data, x=x, channels=channels)
    if data.y is not None:
        data = _targets(data, policy, _field(options.label, "label"))
    if data.group is not None:
        codes, group = np.unique(data.group, return_inverse=True)
        words = tuple(data.groups[k] if data.groups else str(k) for k in map(int, codes))
        made, place_of = _words(policy, _field(options.group, "group"), words)
        data = replace(data, groups=made, group=place_of[group])
    return data


def _field(said: str, key: str) -> str:
    """The policy's name for labels or groups: that of their column; else "label", "group"."""
    return key if "{}" in said or not said else said.strip()


def _targets(data: Sequences, policy: Policy, name: str) -> Sequences:
    assert data.y is not None
    if data.y.dtype.kind == "f":
        rule = _numeric(policy, name)
        if rule is None:
            raise UlnnError(f"mask: the policy keeps {name} from the network")
        y = np.where(np.isfinite(data.y), data.y, np.float32(0)).astype(np.float32)
        return replace(data, y=numbers(rule, y.ravel()).reshape(y.shape))
    if data.y.size and data.y.min() < 0:
        raise UlnnError(f"mask: y holds label {data.y.min()}, expected 0 or more")
    words = data.labels or tuple(str(k) for k in range(int(data.y.max(initial=0)) + 1))
    made, place_of = _words(policy, name, words)
    if not data.labels and made == words:
        return data  # numbers, as they were
    return replace(data, labels=made, y=place_of[data.y])


def _words(
    policy: Policy, name: str, words: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Masked words in order, and the place of each word among them. Raises UlnnError."""
    try:
        rule = policy.rule(name, FOR)
    except Refused as refused:
        why = "does not know it" if refused.why == "unknown" else "keeps it from the network"
        raise UlnnError(f"mask: field {name}: the policy {why}") from None
    if isinstance(rule, Noise):
        raise UlnnError(f"mask: field {name}: noise is for `ulnn mask`, which pays for it once")
    made = []
    for word in words:
        try:
            plain = isinstance(rule, Keep) and not rule.words and is_number(word)
            made.append(word if plain else str(policy.value(name, word, FOR, {})))
        except Refused:
            made.append("")
    lost = made.count("")
    if lost:
        raise UlnnError(
            f"mask: field {name}: {lost} of {len(words)} words do not fit the policy: leave such "
            "recordings out, or name their words in it"
        )
    names = targets.ordered(made)
    return names, np.array([names.index(word) for word in made], np.int64)


def numbers(rule: Action, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) values as `Action.mask` makes each of them, bit for bit."""
    if not isinstance(rule, Round | Clip) or not values.size:
        return values
    made = values.astype(np.float64)
    if rule.step:
        scaled = made * 10.0**rule.places / rule.step
        k = np.rint(scaled)
        # what is so near a tie that rounding errors may decide
        near = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) <= 1e-12 * np.abs(scaled) + 1e-12
        made = k * rule.step / 10.0**rule.places
        near |= np.abs(k * rule.step) >= 2.0**53
    else:
        near = np.zeros(len(made), bool)
    if isinstance(rule, Clip):
        low, high = (n / 10**of for n, of in (rule.low, rule.high))
        made = np.clip(made, low, high)
    for at in map(int, np.flatnonzero(near)):
        made[at] = _exact(rule, float(values[at]))
    with np.errstate(over="ignore"):
        return made.astype(np.float32)


def _exact(rule: Action, value: float) -> Any:
    try:
        return rule.mask(value, {})
    except Refused:
        return value
