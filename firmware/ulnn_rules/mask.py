"""Masking at ingestion: one policy, on the board and on the PC, before anything is stored, sent or
logged, or goes to the network.

    policy = load("/policy.json")
    policy.filter({"patient": "p-0815", "lat": 48.13715, "note": "called at noon"}, "send")
    # {"patient": "k1-3f9a0c55d2e7b814", "lat": 48.14}
    policy.counts["unknown"]        # fields that the policy does not have; they are dropped

The policy is JSON, described in host/docs/privacy.md. A record that does not fit never raises:
what does not fit is left out and counted, and no count holds a value or a name of a record.
"""

import os
from array import array

from ulnn_rules import mask_actions as actions
from ulnn_rules.budget import BILLION, MILLION, Budget
from ulnn_rules.faults import words
from ulnn_rules.keeper import Keys
from ulnn_rules.keeper import read as read_keys
from ulnn_rules.mask_actions import PURPOSES, REASONS, Action, Refused
from ulnn_rules.mask_channels import Channels
from ulnn_rules.noise import Random
from ulnn_rules.settings import REQUIRED, Key, check
from ulnn_rules.settings import load as read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_TABLE = {
    "fields": Key(dict, {}),
    "channels": Key(dict, {}),
    "key": Key(dict, {}),
    "budget": Key(dict, {}),
}
_KEY = {"file": Key(str, REQUIRED, 1, 255), "id": Key(str, "", 0, 16)}
_BUDGET = {
    "epsilon": Key(float, REQUIRED, 0.000001, 1000000),
    "delta": Key(float, 0, 0, 1),
    "file": Key(str, "", 0, 255),
    "per": Key(str, ""),
    "ahead": Key(int, 16, 1, 1000),
}
_HEX = "0123456789abcdefABCDEF"
_OF_CHANNELS = ("keep", "drop", "round", "clip")
_DEEPEST = 4


class Policy:
    """A policy that was checked.

    given: what the JSON holds. keys: the keeper's, else they are read from the file that the
    policy names. random: as os.urandom, for noise. folder: that of the files which the policy
    names, "" or with a "/" at its end. where: the words with which errors begin.
    counts: of records, of those that are none ("bad"), and of fields that did not leave, by
    reason: unknown, dropped, purpose (not for this one), waveform, text (free text), unfit, spent.
    watch(name, why, value): called for each field of a record, with what may leave of it and "",
    or with the reason and None; for reports on the PC.
    Raises ValueError, one line, for a wrong policy, key or budget.
    """

    def __init__(
        self,
        given: "Any",
        keys: "Keys | None" = None,
        random: "Callable[[int], bytes] | None" = None,
        folder: str = "",
        where: str = "policy",
    ) -> None:
        if isinstance(given, dict):
            _no_secret(given.get("key"), where)
        found = check(given, _TABLE, where)
        self._where, self._folder = where, folder
        self._random = random
        self.keys = keys
        self.budget: "Budget | None" = None
        self.per = ""
        self.watch: "Callable[[str, str, Any], None] | None" = None
        self._source: "Random | None" = None
        if found["key"]:
            chosen = check(found["key"], _KEY, where + ".key")
            if keys is None:
                self.keys = read_keys(self._path(chosen["file"]), chosen["id"])
        if found["budget"]:
            self._set_budget(found["budget"])
        self.fields = {
            name: self._action(found["fields"][name], "%s.fields.%s" % (where, name), name)
            for name in found["fields"]
        }
        self.channel_rules = {
            name: self._channel(found["channels"][name], "%s.channels.%s" % (where, name), name)
            for name in found["channels"]
        }
        if not self.fields and not self.channel_rules:
            raise ValueError("%s: expected fields or channels" % where)
        for name in self.fields:
            at = getattr(self.fields[name], "at", "")
            if at and at not in self.fields:
                raise ValueError("%s.fields.%s.at: no field %r" % (where, name, at))
        self.counts = {"records": 0, "bad": 0}
        for reason in REASONS:
            self.counts[reason] = 0

    def __repr__(self) -> str:
        return "<Policy: %d fields, %d channels>" % (len(self.fields), len(self.channel_rules))

    def _path(self, name: str) -> str:
        return self._folder + name if name[0] != "/" else name

    def _set_budget(self, given: "Any") -> None:
        where = self._where + ".budget"
        budget = check(given, _BUDGET, where)
        self.per = budget["per"]
        if self.per and self.keys is None:
            raise ValueError("%s.per: needs the keeper's key: policy.key is missing" % where)
        path = self._path(budget["file"]) if budget["file"] else ""
        epsilon, delta = round(budget["epsilon"] * MILLION), round(budget["delta"] * BILLION)
        self.budget = Budget(epsilon, delta, path, budget["ahead"])

    def _action(self, given: "Any", where: str, name: str) -> Action:
        do = given.get("do") if isinstance(given, dict) else None
        if do == "keep":
            return actions.Keep(given, where)
        if do == "drop":
            return actions.Drop(given, where)
        if do == "round":
            return actions.Round(given, where)
        if do == "clip":
            return actions.Clip(given, where)
        if do == "pseudonym":
            if self.keys is None:
                raise ValueError("%s: a pseudonym needs the keeper's key: key is missing" % where)
            return actions.Pseudonym(given, where, name, self.keys)
        if do == "noise":
            if self.budget is None:
                raise ValueError("%s: noise needs a budget: budget is missing" % where)
            if self._source is None:
                read = self._random or getattr(os, "urandom", None)
                if read is None:
                    raise ValueError(
                        "%s: noise needs os.urandom, which is not on this board" % where
                    )
                self._source = Random(read)
            return actions.Noise(given, where, self._source, self._spend)
        raise ValueError(
            "%s.do: expected one of keep, drop, pseudonym, round, clip, noise" % where
        )

    def _channel(self, given: "Any", where: str, name: str) -> Action:
        """A channel is a waveform: for the network alone, unless the policy says more."""
        if isinstance(given, dict):
            if given.get("do") not in _OF_CHANNELS:
                raise ValueError("%s.do: expected one of %s" % (where, ", ".join(_OF_CHANNELS)))
            if name in self.fields:
                raise ValueError("%s: is a field, too" % where)
            if "for" not in given:
                given = dict(given)
                given["for"] = ["network"]
        made = self._action(given, where, name)
        if getattr(made, "way", "step") != "step":
            raise ValueError("%s: a channel is rounded to a step" % where)
        return made

    def _spend(self, epsilon: int, delta: int, record: "dict[str, Any]") -> bool:
        who = ""
        if self.per:
            assert self.keys is not None
            who = self.keys.pseudonym("budget", actions._text(record.get(self.per)), 16)
        assert self.budget is not None
        return self.budget.take(epsilon, delta, who)

    def rule(self, name: str, purpose: str) -> Action:
        """What is done to a field or channel. Raises Refused where nothing of it may leave."""
        channel = name not in self.fields
        if not channel:
            found = self.fields[name]
        elif name in self.channel_rules:
            found = self.channel_rules[name]
        else:
            raise Refused("unknown")
        if type(found) is actions.Drop:
            raise Refused("dropped")
        if purpose not in found.purposes:
            raise Refused("waveform" if channel else "purpose")
        return found

    def is_channel(self, name: str) -> bool:
        """Whether the policy takes a name for a channel of samples."""
        return name in self.channel_rules

    def value(self, name: str, value: "Any", purpose: str, record: "dict[str, Any]") -> "Any":
        """What may leave of one field. Raises Refused."""
        rule = self.rule(name, purpose)
        if value is None:
            return None
        if isinstance(value, (list, tuple, array)):
            if len(value) > rule.many and not self.is_channel(name):
                raise Refused("waveform")
            return [rule.mask(v, record) for v in value]
        return rule.mask(value, record)

    def filter(self, record: "Any", purpose: str) -> "dict[str, Any]":
        """What may leave of a record, as a new dict; {} where it is nothing. Never raises, but
        for a purpose that is none of PURPOSES.

        record: a dict of numbers, texts, true, false, None (which stays), lists of those, and
        dicts, whose fields have names as "gps.lat" in a policy. Filter the original once for each
        purpose: a second pass over what was masked masks it again, and noise costs each time.
        """
        if purpose not in PURPOSES:
            raise ValueError("purpose: expected one of %s" % ", ".join(PURPOSES))
        self.counts["records"] += 1
        if isinstance(record, dict):
            try:
                return self._filter(record, purpose, "", record, 1)
            except Exception:  # whatever it was, the loop goes on without the record
                pass
        self.counts["bad"] += 1
        return {}

    def _filter(
        self, part: "Any", purpose: str, prefix: str, record: "dict[str, Any]", depth: int
    ) -> "dict[str, Any]":
        left = {}
        for key in part:
            why, masked = "", None
            try:
                if type(key) is not str:
                    raise Refused("unknown")
                value = part[key]
                if isinstance(value, dict):
                    if depth == _DEEPEST:
                        raise Refused("unfit")
                    found = self._filter(value, purpose, prefix + key + ".", record, depth + 1)
                    if found:
                        left[key] = found
                    continue
                masked = left[key] = self.value(prefix + key, value, purpose, record)
            except Refused as refused:
                why = refused.why
            except Exception:  # whatever it was, the loop goes on without the field
                why = "unfit"
            if why:
                self.counts[why] += 1
            if self.watch is not None:
                self.watch(prefix + str(key), why, masked)
        return left

    def error(self, error: "Any", *purposes: str) -> str:
        """What may leave of an exception for all of the purposes: its type and text, where the
        rule of the field "fault" lets it, else its type. Never raises."""
        left: "Any" = type(error).__name__
        text = words(error)
        for purpose in purposes:
            left = self.filter({"fault": text}, purpose).get("fault")
            if type(left) is not str:
                return type(error).__name__
        return str(left)

    def channels(
        self,
        names: "Sequence[str]",
        purpose: str,
        scale: "Sequence[float]" = (),
        offset: "Sequence[float]" = (),
    ) -> Channels:
        """What may leave of samples, array('h') with these channels; value = raw * scale +
        offset, in the unit of the policy. Counts the channels that may not."""
        chosen, rules = [], []
        for k in range(len(names)):
            try:
                rules.append(self.rule(names[k], purpose))
                chosen.append(k)
            except Refused as refused:
                self.counts[refused.why] += 1
        return Channels(names, chosen, rules, scale, offset)


def load(
    path: str,
    keys: "Keys | None" = None,
    random: "Callable[[int], bytes] | None" = None,
) -> Policy:
    """The policy in a file; files that it names are beside it. Raises ValueError, one line."""
    return Policy(read_json(path), keys, random, path[: path.rfind("/") + 1], path)


def _no_secret(given: "Any", where: str) -> None:
    """A key in a policy is refused, in words that do not show it."""
    texts = list(given.values()) if isinstance(given, dict) else [given]
    if isinstance(given, (dict, type(None))) and not any(_may_be_key(text) for text in texts):
        return
    raise ValueError(
        "%s.key: expected the keeper's file and the id of a key; a key itself is kept out of a "
        "policy" % where
    )


def _may_be_key(text: "Any") -> bool:
    return type(text) is str and len(text) >= 32 and all(c in _HEX for c in text)
