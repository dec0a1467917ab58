"""An app whose samples, events and faults hold planted identifiers, and all bytes that leave it or
that it stores."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np

from support.app_cases import CHANNELS, UNITS
from support.mask_cases import IDS, NUMBERS, TEXTS, WAVE, found
from support.random_models import Shape, random_model
from ulnn_host.data.feature_tracks import Track
from ulnn_host.data.features import FeatureRecipe
from ulnn_host.format import container
from ulnn_host.format.model import Decision, Names

SAMPLES, EVERY = 400, 25  # of them one is followed by a fault
MOST = 10  # in a block
PRIVATE = "heart"
ENDS = "the loop has ended"

STRICT = {"channels": {name: {"do": "keep"} for name in CHANNELS}}
OPEN = {
    "fields": {
        "device": {"do": "pseudonym"},
        "what": {"do": "keep", "words": ["IR", "TRAP", "unsure", "source: OSError"]},
        "margin": {"do": "clip", "low": -32768, "high": 32767},
        "fault": {"do": "keep", "words": ["OSError: ETIMEDOUT"]},
        "samples": {"do": "keep"},
        "mean": {"do": "clip", "low": -9, "high": 9, "list": 12},
        "t": {"do": "round", "bucket": "1 h", "unit": "ms"},
    },
    "channels": STRICT["channels"],
    "key": {"file": "keeper.json"},
}

RUN = """
import json, os, sys
from array import array
from binascii import hexlify
import ulnn_app
from ulnn_sources.base import Source

TEXTS, NUMBERS, WAVE = {texts!r}, {numbers!r}, {wave!r}

class Odd(Exception):
    def __str__(self):
        raise ValueError(TEXTS[0])
    __repr__ = __str__

class Planted(Source):
    def __init__(self):
        names, units = {names!r}, {units!r}
        super().__init__(names, units, (1 / 4096,) * len(names), (0,) * len(names))
        self.n = self.failed = 0
        self.block = array("h", [0] * ({most} * len(names)))
    def look(self, n):
        if n == {samples}:
            raise StopIteration
        if n % {every} == 0 and n != self.failed:
            self.failed = n
            k = n // {every}
            text = TEXTS[k % len(TEXTS)]
            raise (OSError(5, text), ValueError("at", NUMBERS[k % 4], list(self.block)),
                KeyError(text), Odd(text), OSError("ETIMEDOUT"))[k % 5]
    def put(self, n, to, at):
        for k in range(len(self.raw)):
            to[at + k] = WAVE[(n + k) % len(WAVE)]
    def take(self):
        self.look(self.n)
        self.put(self.n, self.raw, 0)
        self.n += 1
        self.elapsed = 40000
        return True
    def take_block(self):  # after a fault in the middle it gives the same samples again
        for k in range({most}):
            try:
                self.look(self.n + k)
            except StopIteration:
                if not k:
                    raise
                break
            self.put(self.n + k, self.block, k * len(self.raw))
        else:
            k += 1
        self.n += k
        self.elapsed, self.rest = 40000 * k, 40000 * (k - 1)
        return k

def decided(app):
    k = app.samples // 20  # a decision every 20 samples
    text, log = TEXTS[k % len(TEXTS)], app.reports.log
    seen = list(app.source.block if {blocks} else app.source.raw)[:6]
    log.add("note", text)
    log.add("alarm", "at " + text, NUMBERS[k % 4])
    log.add("decision", str(seen), k)
    log.add("summary", figures=(1, 2, 3, 4, 5, 0, seen, (1,) * 6))
    for bad in ((text, text), ("note", Odd(text)), ("note", [text]), ("summary", "", 0, (text,)),
            ("alarm", "", text), ("note", {{text: text}})):
        log.add(*bad)
    raise ValueError(text)

def retry(app):
    app._pause = 0

def walk(folder):
    for name in sorted(os.listdir(folder or ".")):
        path = folder + name
        if name in ("lib", "keeper.json"):
            continue
        try:
            os.listdir(path)
        except OSError:
            yield path
        else:
            for inner in walk(path + "/"):
                yield inner

def show(path):
    print("FILE", path, end=" ")
    with open(path, "rb") as f:
        while data := f.read(512):
            print(str(hexlify(data), "ascii"), end="")
    print()

settings = {settings}
before = set(walk(""))
app = ulnn_app.make(settings, Planted())
assert (app.front.raw is None) == {blocks}, "which samples are taken many at once"
app.on_decision.append(decided)
app.on_poll.append(retry)
app.begin()
turns = 0
while app.state != "ended":
    app.poll()
    for f in app.on_poll:
        app.call(f, "on_poll")
    turns += 1
    assert turns < 10000
app.close()
ulnn_app.status()
ulnn_app.log()
print(ulnn_app.figures(), ulnn_app.faults(), app.policy, app.policy and app.policy.counts)
print("{ends}")
for path in set(walk("")) - before:
    show(path)
with open("centres.bin", "wb") as f:
    f.write(bytes(TEXTS[0], "utf-8"))
stored = set(walk("")) - before
assert set(ulnn_app.forget("centres.bin")) == stored, stored
assert set(walk("")) == before
print(ulnn_app.faults(), ulnn_app.figures()["samples"])
"""


def features_model() -> bytes:
    """One whose steps are features of all the channels."""
    tracks = tuple(Track(name, size=16, moments=("rms",)) for name in CHANNELS)
    recipe = FeatureRecipe(CHANNELS, tracks, 25, 4, (1 / 4096,) * len(CHANNELS))
    made = random_model(1, Shape(inputs=len(CHANNELS), hidden=4, backbone=(), outputs=2))
    pairs = [np.full(len(CHANNELS), v, np.float32) for v in (2.0**-10, 8.0)]
    return container.write(
        replace(
            made, meta={}, golden=None, features=recipe.content, input_scale=pairs[0],
            input_offset=pairs[1], decision=Decision("each"),
            names=Names(recipe.names, ("",) * len(CHANNELS), ("IR", "TRAP")),
        )
    )  # fmt: skip


def script(
    policy: bool, model: str = "m.ulnn", *, private: bool = True, blocks: bool = False
) -> str:
    """The program for a board or a PC, whose files are in the folder where it runs. private:
    whether there is a channel that the policy does not have. blocks: the model has features."""
    settings: dict[str, Any] = {
        "model": model, "source": {"kind": "lines"}, "device": IDS[0], "print": "all",
        "sinks": [{"kind": "serial", "acknowledged": False}, {"kind": "file", "path": "e.jsonl"}],
        "events": {"decisions": "all", "files": 64},
    }  # fmt: skip
    if policy:
        settings["policy"] = "policy.json"
    names, units = CHANNELS, UNITS
    if private:
        names, units = (*CHANNELS, PRIVATE), (*UNITS, "")
    return RUN.format(
        texts=TEXTS, numbers=NUMBERS, wave=WAVE, names=names, units=units, samples=SAMPLES,
        every=EVERY, most=MOST, blocks=blocks, settings=settings, ends=ENDS,
    )  # fmt: skip


def searched(said: str) -> list[str]:
    """What of the planted things left the app, or was stored, from what the script printed."""
    assert ENDS in said, said
    left, _, rest = said.partition(ENDS)
    hits = found(left.encode())
    for path, data in re.findall(r"FILE (\S+) ([0-9a-f]*)", rest):
        hits += [f"{path}: {hit}" for hit in found(bytes.fromhex(data))]
    files = set(re.findall(r"FILE (\S+)", rest))
    assert {"e.jsonl"} < files or hits == [], files
    return hits


def events(said: str) -> list[dict[str, Any]]:
    """What the serial sink printed."""
    return [json.loads(line) for line in said.splitlines() if line.startswith('{"device')]
