"""Small policies for tests, and wrong ones."""

from __future__ import annotations

import os
from typing import Any

from ulnn_rules.keeper import Key, Keys
from ulnn_rules.mask import Policy

NOBODY = Keys({"k1": Key(bytes(32))}, "k1")
NOISE = {"do": "noise", "low": 0, "high": 9, "epsilon": 0.5}


def policy(fields: dict[str, Any], **more: Any) -> Policy:
    """A policy of fields, with a key and a random source."""
    return Policy({"fields": fields, **more}, NOBODY, os.urandom)


def one(rule: dict[str, Any], value: Any, **more: Any) -> Any:
    """What leaves of a value; `...` where nothing does."""
    return policy({"v": rule}, **more).filter({"v": value}, "send").get("v", ...)


# what a policy holds, and what is said of it
WRONG: list[tuple[Any, str]] = [
    ([], "policy: expected an object, got []"),
    ({}, "policy: expected fields or channels"),
    ({"field": {}}, "policy: 'field' is not a key of it; it has budget, channels, fields, key"),
    (
        {"fields": {"v": "drop"}},
        "policy.fields.v.do: expected one of keep, drop, pseudonym, round, clip, noise",
    ),
    (
        {"fields": {"v": {"do": "hash"}}},
        "policy.fields.v.do: expected one of keep, drop, pseudonym, round, clip, noise",
    ),
    (
        {"fields": {"v": {"do": "drop", "step": 1}}},
        "policy.fields.v: 'step' is not a key of it; it has do, for, list",
    ),
    (
        {"fields": {"v": {"do": "keep", "for": ["sale"]}}},
        "policy.fields.v.for: expected some of store, send, log, network",
    ),
    (
        {"fields": {"v": {"do": "keep", "words": ["a"], "text": True}}},
        "policy.fields.v: expected words or text, not both",
    ),
    (
        {"fields": {"v": {"do": "pseudonym"}}},
        "policy.fields.v: a pseudonym needs the keeper's key: key is missing",
    ),
    (
        {"fields": {"v": {"do": "round"}}},
        "policy.fields.v: expected one of step, metres and bucket",
    ),
    (
        {"fields": {"v": {"do": "round", "step": 1, "bucket": "1 d"}}},
        "policy.fields.v: expected one of step, metres and bucket",
    ),
    (
        {"fields": {"v": {"do": "round", "bucket": "1 week"}}},
        "policy.fields.v.bucket: expected month, year, or a number of s, min, h or d, "
        "got '1 week'",
    ),
    (
        {"fields": {"v": {"do": "round", "step": 0.0000000015}}},
        "policy.fields.v.step: expected a number with at most 9 decimals",
    ),
    (
        {"fields": {"v": {"do": "round", "metres": 5}}},
        "policy.fields.v.metres: expected a whole number from 20 to 1000000, got 5",
    ),
    (
        {"fields": {"v": {"do": "round", "metres": 50, "at": "lat"}}},
        "policy.fields.v.at: no field 'lat'",
    ),
    (
        {"fields": {"v": {"do": "round", "step": 5, "at": "lat"}}},
        "policy.fields.v.at: the latitude's field goes with metres",
    ),
    (
        {"fields": {"v": {"do": "clip", "low": 1}}},
        "policy.fields.v.high is missing: expected a number from -1000000000 to 1000000000",
    ),
    (
        {"fields": {"v": {"do": "clip", "low": 1, "high": 1}}},
        "policy.fields.v: expected low below high",
    ),
    ({"fields": {"v": NOISE}}, "policy.fields.v: noise needs a budget: budget is missing"),
    (
        {"fields": {"v": NOISE | {"step": 2}}, "budget": {"epsilon": 1}},
        "policy.fields.v: expected 1 to 1000000 steps from low to high",
    ),
    (
        {"fields": {"v": NOISE | {"delta": 1e-5}}, "budget": {"epsilon": 1}},
        "policy.fields.v.delta: goes with the kind gaussian",
    ),
    (
        {"fields": {"v": NOISE | {"kind": "gaussian"}}, "budget": {"epsilon": 1}},
        "policy.fields.v.delta: expected 1e-3, 1e-4 ... or 1e-9",
    ),
    (
        {"fields": {"v": NOISE}, "budget": {"epsilon": 1, "per": "who"}},
        "policy.budget.per: needs the keeper's key: policy.key is missing",
    ),
    (
        {"channels": {"ax": {"do": "noise"}}},
        "policy.channels.ax.do: expected one of keep, drop, round, clip",
    ),
    (
        {"channels": {"ax": {"do": "round", "bucket": "1 d"}}},
        "policy.channels.ax: a channel is rounded to a step",
    ),
    (
        {"fields": {"ax": {"do": "drop"}}, "channels": {"ax": {"do": "keep"}}},
        "policy.channels.ax: is a field, too",
    ),
    (
        {"fields": {"v": {"do": "drop"}}, "key": {"file": "nowhere.json"}},
        "keeper's file nowhere.json: no such file",
    ),
]  # fmt: skip
