"""Policies, records with planted identifiers, and the search for these in what leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

SECRET = "5ec2e7" * 8
KEYS = {"now": "k1", "keys": {"k1": SECRET, "k0": "0a" * 16}}

NAMES = ("Anneliese Muster", "j.doe@example.org", "Weiß, Örjan")
PLACES = ("Hauptstraße 17", "48.1371537 11.5754492")
IDS = ("pat-004711-x", "DE89370400440532013000")
DATES = ("1965-03-17", "2026-11-25T07:41:09+01:00", "17.03.1965")
TEXTS = (*NAMES, *PLACES, *IDS, *DATES)
NUMBERS = (4711081517, 1717151696, 48.1371537, 11.5754492)
WAVE = tuple((1103515245 * k * k + 12345 * k) % 3989 - 1900 for k in range(1, 33))
RUN = 3  # samples in a row that count as found

WORDS = ["still", "walking"]
FIELDS = ("who", "device", "name", "born", "time", "lat", "lon", "age", "temp", "pulse", "mean")
# where a text that is allowed stands, and where any number may leave as it is
FREE, FREE_NUMBER = "note", "score"
DOMAINS = st.sampled_from(["", "x"])
_PURPOSES = ["store", "send", "log", "network"]


def _some(draw: st.DrawFn) -> dict[str, Any]:
    return (
        {"for": draw(st.lists(st.sampled_from(_PURPOSES), unique=True))}
        if draw(st.booleans())
        else {}
    )


@st.composite
def rules(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A rule that a planted value must not get through."""
    ways: list[dict[str, Any]] = [
        {"do": "drop"},
        {"do": "keep", "words": WORDS},
        {"do": "clip", "low": -9, "high": 9, "list": draw(st.integers(1, 6))},
        {"do": "pseudonym", "length": draw(st.integers(8, 64)), "domain": draw(DOMAINS)},
        {"do": "round", "step": draw(st.sampled_from([50, 1000]))},
        {"do": "round", "bucket": draw(st.sampled_from(["year", "month"])), "unit": "ms"},
        {"do": "clip", "low": -3, "high": 250, "step": draw(st.sampled_from([0.5, 1, 10]))},
        {"do": "noise", "low": 40, "high": 180, "epsilon": draw(st.sampled_from([0.1, 1, 10]))},
        {"do": "noise", "kind": "gaussian", "low": 0, "high": 100, "step": 0.5,
         "epsilon": 0.5, "delta": 1e-5},
    ]  # fmt: skip
    if name == "lat":
        ways = [{"do": "round", "metres": draw(st.sampled_from([500, 5000, 200000]))}]
    elif name == "lon":
        ways = [{"do": "round", "metres": draw(st.sampled_from([500, 5000])), "at": "lat"}]
    return draw(st.sampled_from(ways)) | _some(draw)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """A policy that allows free text in one field alone, and no waveform but to the network."""
    names = [n for n in FIELDS if draw(st.booleans())] or ["who"]
    fields = {name: draw(rules(name)) for name in names}
    if "lon" in fields:
        fields.setdefault("lat", {"do": "round", "metres": 5000})
    fields[FREE] = {"do": "keep", "text": True}
    fields[FREE_NUMBER] = {"do": "keep"}
    fields["place.alt"] = {"do": "round", "step": 50}
    channels: dict[str, Any] = {"ax": {"do": "keep"}, "ay": {"do": "round", "step": 256}}
    if draw(st.booleans()):
        channels["ay"]["for"] = _PURPOSES
    per = draw(st.sampled_from(["", "who"]))
    budget = {"epsilon": draw(st.sampled_from([0.5, 1000])), "delta": 0.01, "per": per}
    return {
        "fields": fields,
        "channels": channels,
        "key": {"file": "keeper.json"},
        "budget": budget | {"file": "spent.json"},
    }


PLANTED = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.just(list(WAVE)),
    st.sampled_from(TEXTS).map(lambda text: [text, text]),
    st.sampled_from(TEXTS).map(lambda text: {"deep": {"er": text}}),
    st.sampled_from(TEXTS).map(lambda text: {text: 1}),
    st.sampled_from(NUMBERS).map(str),
)
BENIGN = st.one_of(
    st.none(), st.booleans(), st.integers(-300, 300), st.sampled_from([36.5, -0.25, 1e300, -1e-3]),
    st.sampled_from([*WORDS, "", "x", "1", "-12.5", "nan", "1e999", "2024-02-30", "\x00", "é"]),
    st.just([]), st.lists(st.integers(-9, 9), max_size=4), st.just({}), st.just({"alt": 519.25}),
)  # fmt: skip
HOSTILE = st.one_of(st.none(), st.just([1, 2]), st.just("text"), st.just(7), st.just({}))


@st.composite
def records(draw: st.DrawFn) -> Any:
    """A record with planted values in any field, known or not, and some that are none."""
    if draw(st.integers(0, 9)) == 0:
        return draw(HOSTILE)
    names = st.sampled_from([*FIELDS, "ax", "ay", "az", "place", "else", *TEXTS[:4]])
    record: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 8))):
        record[draw(names)] = draw(PLANTED if draw(st.booleans()) else BENIGN)
    if draw(st.booleans()):
        record[FREE] = "called, no answer"
        record[FREE_NUMBER] = draw(st.integers(0, 99))
    return record


def cases(count: int = 6) -> st.SearchStrategy[tuple[dict[str, Any], list[Any]]]:
    """A policy and records."""
    return st.tuples(policies(), st.lists(records(), min_size=1, max_size=count))


def found(content: bytes, *, network: bool = False) -> list[str]:
    """What of the planted things is in some bytes. network: which may see samples."""
    hits = [text for text in TEXTS for form in _forms(text) if form in content]
    digits = [str(n) if isinstance(n, int) else str(n)[:7] for n in NUMBERS]
    hits += [text for text in digits if text.encode() in content and not network]
    hits += [word for word in (SECRET, "0a" * 16) if _secret(word, content)]
    if not network:
        for k in range(len(WAVE) - RUN + 1):
            run = WAVE[k : k + RUN]
            texts = [", ".join(map(str, run)).encode(), ",".join(map(str, run)).encode()]
            packed = b"".join(v.to_bytes(2, "little", signed=True) for v in run)
            hits += [f"waveform at {k}" for form in (*texts, packed) if form in content]
    return hits


def _forms(text: str) -> list[bytes]:
    return [
        text.encode(),
        json.dumps(text)[1:-1].encode(),
        text.encode().hex().encode(),
        text.encode("utf-16-le"),
    ]


def _secret(word: str, content: bytes) -> bool:
    return word.encode() in content.lower() or bytes.fromhex(word) in content


# `random(n)`: random bytes, the same on every platform; they begin again where state[0] is 12345.
RANDOM = """
state = [12345]
def random(n):
    made = bytearray(n)
    for i in range(n):
        state[0] = state[0] * 1103515245 + 12345 & 0x7FFFFFFF
        made[i] = state[0] >> 16 & 255
    return bytes(made)
"""


def repeatable() -> Callable[[int], bytes]:
    """That source on this PC, from its beginning."""
    scope: dict[str, Any] = {}
    exec(RANDOM, scope)
    made: Callable[[int], bytes] = scope["random"]
    return made
