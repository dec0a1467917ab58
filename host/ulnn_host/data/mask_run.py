"""One pass of a policy over a file: columns of values, counts, examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ulnn_rules.mask import Policy
from ulnn_rules.mask_actions import Action, Keep, Noise, Refused, Round

from .mask_groups import Grouping

EXAMPLES = 3
DISTINCT = 1000  # values of a field that are told apart for the report
_CACHED = 1 << 14
_UNKNOWN = 1000  # names that are kept for the person who asked


@dataclass
class FieldCount:
    """A field of the policy. does: what the policy does, in words. left: values that leave;
    refused: those that do not, by reason (ulnn_rules.mask_actions.REASONS). distinct: values that
    leave, at most 1,000; examples: some of them."""

    name: str
    does: str
    left: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    distinct: int = 0
    examples: list[str] = field(default_factory=list)


class Run:
    """Counts what a policy lets through. progress: called with bytes that were read."""

    def __init__(
        self,
        policy: Policy,
        purpose: str,
        groups: Grouping | None,
        progress: Callable[[int], None],
    ) -> None:
        self.policy, self.purpose, self.groups = policy, purpose, groups
        self.progress = progress
        self.records = self.bad = 0
        self.fields: dict[str, FieldCount] = {}
        self.unknown: Counter[str] = Counter()
        self._seen: dict[str, set[int]] = {}
        self._cache: dict[str, dict[Any, tuple[Any, str]]] = {}
        policy.watch = self.watch

    def watch(self, name: str, why: str, value: Any) -> None:
        """A field of a record, as `Policy.watch`."""
        if why == "unknown":
            self.unknown[name if name in self.unknown or len(self.unknown) < _UNKNOWN else ""] += 1
        else:
            self._count(name, why, value)

    def rule(self, name: str, values: int) -> Action | None:
        """What is done to a column; None where nothing of it leaves, which is counted."""
        try:
            return self.policy.rule(name, self.purpose)
        except Refused as refused:
            if refused.why == "unknown":
                self.unknown[name] += values
            else:
                self.refuse(name, refused.why, values)
            return None

    def refuse(self, name: str, why: str, values: int) -> None:
        """Count values that do not leave."""
        found = self._field(name).refused
        found[why] = found.get(why, 0) + values

    def passed(self, name: str, count: int, some: Sequence[Any]) -> None:
        """Count values that leave as they are. some: different ones among them."""
        self._field(name).left += count - len(some)
        for value in some:
            self._count(name, "", value)

    def column(
        self,
        name: str,
        rule: Action,
        values: Sequence[Any],
        others: Mapping[str, Sequence[Any]],
        number: Callable[[Any], bool] = lambda value: False,
    ) -> list[Any]:
        """What leaves of a column, None where nothing does. others: columns that a rule may look
        at; number: whether a text is a number that may be kept as it is written."""
        kept = isinstance(rule, Keep) and not rule.words
        beside = {other: others[other] for other in self._beside(rule) if other in others}
        cache = self._cache.setdefault(name, {})
        if len(cache) > _CACHED:
            cache.clear()
        whys: Counter[str] = Counter()
        left: list[Any] = []
        for k, value in enumerate(values):
            if value is None:
                left.append(None)
                continue
            record = {other: column[k] for other, column in beside.items()}
            key: Any = None
            done = None
            if not isinstance(rule, Noise) and isinstance(value, str | int | float):
                key = (type(value), value, *record.values())
                done = cache.get(key)
            if done is None:
                done = self._one(name, value, kept and number(value), record)
                if key:
                    cache[key] = done
                self._show(name, *done)
            whys[done[1]] += 1
            left.append(done[0])
        self._field(name).left += whys.pop("", 0)
        for why, count in whys.items():
            self.refuse(name, why, count)
        return left

    def _beside(self, rule: Action) -> tuple[str, ...]:
        if isinstance(rule, Noise):
            return (self.policy.per,)
        return (rule.at,) if isinstance(rule, Round) else ()

    def _one(
        self, name: str, value: Any, as_written: bool, record: dict[str, Any]
    ) -> tuple[Any, str]:
        if as_written:
            return value, ""
        try:
            return self.policy.value(name, value, self.purpose, record), ""
        except Refused as refused:
            return None, refused.why
        except (ValueError, TypeError, OverflowError, OSError):
            return None, "unfit"

    def others(self) -> tuple[str, ...]:
        """Columns that rules look at beside their own."""
        ats = [getattr(rule, "at", "") for rule in self.policy.fields.values()]
        return tuple(dict.fromkeys(name for name in (*ats, self.policy.per) if name))

    def _field(self, name: str) -> FieldCount:
        if name not in self.fields:
            self.fields[name] = FieldCount(name, does(self.policy, name))
        return self.fields[name]

    def _count(self, name: str, why: str, value: Any) -> None:
        if why:
            self.refuse(name, why, 1)
        else:
            self._field(name).left += 1
            self._show(name, value)

    def _show(self, name: str, value: Any, why: str = "") -> None:
        """A value that leaves, for the report."""
        seen = self._seen.setdefault(name, set())
        if why or len(seen) >= DISTINCT:
            return
        seen.add(hash(str(value)))
        found = self._field(name)
        if len(seen) > found.distinct:
            found.distinct = len(seen)
            if len(found.examples) < EXAMPLES:
                found.examples.append(str(value)[:40])


def does(policy: Policy, name: str) -> str:
    """What a policy does to a field or channel, in words."""
    rule = policy.fields.get(name) or policy.channel_rules[name]
    given = rule.set
    do = str(given["do"])
    if do == "pseudonym":
        return f"pseudonym, {given['length']} digits"
    if do == "clip":
        step = f", to {given['step']:g}" if given["step"] else ""
        return f"clip to {given['low']:g} .. {given['high']:g}{step}"
    if do == "round":
        if given["bucket"]:
            return f"round to {given['bucket']}"
        return (
            f"round to {given['metres']} m" if given["metres"] else f"round to {given['step']:g}"
        )
    if do == "noise":
        return f"noise, {given['kind']}, epsilon {given['epsilon']:g}"
    if do == "keep" and given["words"]:
        return f"keep {len(given['words'])} words"
    return "keep, free text, too" if do == "keep" and given["text"] else do
