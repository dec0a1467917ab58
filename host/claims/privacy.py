"""The claim that masking keeps a person's data on the device."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner

from ulnn_host.base.errors import UlnnError
from ulnn_host.board import board_code
from ulnn_host.board.takes import take_bytes
from ulnn_host.cli.main import app
from ulnn_host.data.logs import read_data
from ulnn_host.data.options import DataOptions
from ulnn_host.experiments.intervals import Interval

from .claim import Chart, Claim, Dot, Findings, Run, Source, Table

PEOPLE, STEPS = 8, 60
ROW = 3  # samples in a row that count as found
WHATS = ("still", "walking")
POLICY = {
    "fields": {
        "patient": {"do": "pseudonym"},
        "name": {"do": "drop"},
        "what": {"do": "keep", "words": list(WHATS)},
        "born": {"do": "round", "bucket": "year"},
        "lat": {"do": "round", "metres": 1000},
        "lon": {"do": "round", "metres": 1000, "at": "lat"},
        "time_ms": {"do": "keep"},
    },
    "channels": {"ax": {"do": "keep"}, "ay": {"do": "keep"}},
    "key": {"file": "keeper.json"},
}
HEAD = "time_ms,ax,ay,what,patient,name,born,lat,lon,note"
IN_APP = {
    "fields": {
        "device": {"do": "pseudonym"},
        "what": {"do": "keep", "words": list(WHATS)},
        "margin": {"do": "clip", "low": -32768, "high": 32767},
        "samples": {"do": "keep"},
        "t": {"do": "round", "bucket": "1 h", "unit": "ms"},
    },
    "channels": POLICY["channels"],
    "key": POLICY["key"],
}


@dataclass(frozen=True)
class Planted:
    """What is in the data of one run. words: identifiers; waves: (STEPS, 2) samples each."""

    words: tuple[str, ...]
    waves: tuple[NDArray[np.float64], ...]

    @property
    def count(self) -> int:
        """Identifiers and waveforms."""
        return len(self.words) + len(self.waves)

    def found(self, content: bytes) -> set[int]:
        """Which of them are in some bytes, words first."""
        hits = [word.encode() in content for word in self.words]
        hits += [_has(wave, content) for wave in self.waves]
        return {k for k, hit in enumerate(hits) if hit}


def _has(wave: NDArray[np.float64], content: bytes) -> bool:
    """Whether samples in a row are there, as floats or as texts."""
    for kind in ("<f4", "<f8"):
        for row in (*wave.T, wave.reshape(-1)):
            packed = np.ascontiguousarray(row.astype(kind)).tobytes()
            size = np.dtype(kind).itemsize
            starts = range(0, len(packed) - ROW * size + 1, size)
            if any(packed[at : at + ROW * size] in content for at in starts):
                return True
    return any(f"{a},{b}".encode() in content for a, b in wave)


def plant(folder: Path, seed: int) -> tuple[Path, Planted]:
    """A folder of recordings of people whose names are in file names, columns and texts."""
    rng = np.random.default_rng(seed)
    data = folder / f"ward-{rng.integers(10**6, 10**7)}"
    data.mkdir()
    words, waves = [data.name], []
    for person in range(PEOPLE):
        name, number = (f"{what}{rng.integers(10**8, 10**9)}" for what in ("anna-", "pat-"))
        born = f"19{rng.integers(30, 99)}-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}"
        place = [f"{v:.6f}" for v in rng.uniform((47, 8), (54, 14))]
        note = f"call her son at {rng.integers(10**9, 10**10)}"
        wave = np.round(np.cumsum(rng.normal(0, 0.3, (STEPS, 2)), 0) + person % 2, 5)
        lines = [HEAD] + [
            f"{20 * k},{a},{b},{WHATS[person % 2]},{number},{name},{born},{','.join(place)},{note}"
            for k, (a, b) in enumerate(wave)
        ]
        (data / f"{name}_{person}.csv").write_text("\n".join(lines) + "\n")
        words += [name, number, born, *place, note]
        waves.append(wave)
    return data, Planted(tuple(words), tuple(waves))


def app_leaves(model: Path, data: Path, policy: Path, words: tuple[str, ...]) -> dict[str, bytes]:
    """What the app of a board prints, sends and stores, run here with a model: of a replayed
    recording, with an identifier as the device's name and others in faults."""
    policy.write_text(json.dumps(IN_APP))
    folder = policy.parent / "board"
    folder.mkdir()
    take = policy.parent / f"{words[1]}.take"
    recording = read_data(str(data), DataOptions(channels=("ax", "ay"), per="sequence"))
    take.write_bytes(take_bytes(recording))
    settings = {
        "model": str(model), "device": words[2], "policy": str(policy), "print": "all",
        "source": {"kind": "replay", "file": str(take), "pace": "fast"},
        "sinks": [
            {"kind": "file", "path": str(folder / "events.jsonl")},
            {"kind": "serial", "acknowledged": False},
        ],
        "events": {"folder": str(folder / "log"), "decisions": "all"},
    }  # fmt: skip
    printed = io.StringIO()
    with (
        Path(os.devnull).open() as silent,  # nobody types
        mock.patch.object(sys, "stdin", silent),
        contextlib.redirect_stdout(printed),
        contextlib.chdir(policy.parent),
    ):
        board_code.module("ulnn_app.loop")
        running = board_code.package("ulnn_app")
        app = running.make(settings)
        faults = iter(words * 100)

        def fault(app: object) -> None:
            raise ValueError(next(faults))

        app.on_decision.append(fault)
        app.begin()
        while app.state != "ended":
            app.poll()
        app.close()
        running.status()
        running.log()
        print(running.figures(), running.faults())
    stored = b"".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())
    return {"what the app prints and sends": printed.getvalue().encode(),
            "what the app stores": stored}  # fmt: skip


def leaves(folder: Path, seed: int) -> tuple[Planted, dict[str, bytes], bytes]:
    """(What was planted, what the commands leave and print, the data themselves)."""
    data, planted = plant(folder, seed)
    out = folder / "out"
    out.mkdir()
    policy = folder / "policy.json"
    policy.write_text(json.dumps(POLICY))
    ulnn = _Commands()
    ulnn("new-key", folder / "keeper.json")
    texts = {"mask --check": "", "mask": ""}
    for number, table in enumerate(sorted(data.iterdir())):
        texts["mask --check"] += ulnn("mask", "--check", policy, table)
        texts["mask"] += ulnn("mask", policy, table, "-o", out / f"masked_{number}.csv")
    keys: dict[str, str | list[str]] = {
        "source": str(data),
        "label": "what",
        "group": "patient",
        "per": "sequence",
    }
    keys |= {"channels": ["ax", "ay"], "mask": str(policy)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    recipe = folder / f"{planted.words[1]}.toml"
    recipe.write_text(
        "seed = 1\n[data]\n" + "\n".join(lines) + "\n[model]\nhidden = 6\nbackbone_units = 6\n"
        'readout = "mean"\n[training]\nepochs = 3\nbatch = 4\n'
    )
    texts["train"] = ulnn("train", recipe, "-o", out / "net.safetensors")
    line: list[str | Path] = [
        "convert",
        out / "net.safetensors",
        "--calib",
        data,
        "--label",
        "what",
    ]
    line += ["--group", "patient", "--per", "sequence", "--channels", "ax,ay", "--mask", policy]
    line += ["-o", out / "net.ulnn"]
    texts["convert"] = ulnn(*line, "--report", out / "report.svg")
    texts["convert --json"] = ulnn(*line, "--json")
    texts["info"] = ulnn("info", out / "net.ulnn")
    files: dict[str, bytes] = {}
    for path in sorted(out.iterdir()):
        name = "masked tables" if path.suffix == ".csv" else path.name
        files[name] = files.get(name, b"") + path.read_bytes()
    printed = {f"what {name} prints": text.encode() for name, text in texts.items()}
    board = app_leaves(out / "net.ulnn", data, folder / "app.json", planted.words)
    raw = b"".join(p.read_bytes() + str(p).encode() for p in sorted(data.iterdir()))
    return planted, files | printed | board, raw


class _Commands:
    """`ulnn`, in this process."""

    def __call__(self, *words: str | Path) -> str:
        with contextlib.redirect_stderr(io.StringIO()):
            done = CliRunner().invoke(app, [str(word) for word in words])
        if done.exit_code:
            raise UlnnError(f"ulnn {words[0]}: {done.output.strip().splitlines()[-1]}")
        return done.output


def test(run: Run) -> Findings:
    """Plant, run the commands, search."""
    searched: dict[str, int] = {}
    hits: dict[str, int] = {}
    control = count = lost = 0
    for seed in range(1, run.plan.seeds + 1):
        run.report(f"privacy: seed {seed} of {run.plan.seeds}")
        with tempfile.TemporaryDirectory() as folder:
            planted, left, raw = leaves(Path(folder), seed)
        control += len(planted.found(raw))
        count += planted.count
        found = {name: planted.found(content) for name, content in left.items()}
        lost += len(set().union(*found.values()))
        for name, these in found.items():
            searched[name] = searched.get(name, 0) + planted.count
            hits[name] = hits.get(name, 0) + len(these)
    rows = [(name, f"{searched[name]:,}", f"{hits[name]}") for name in searched]
    rows.append(("the data themselves (so the search works)", f"{count:,}", f"{control}"))
    measured = kept(lost, count)
    dots = [Dot("kept", "", measured.value, measured.low, measured.high)]
    return Findings(
        measured=measured,
        seeds=run.plan.seeds,
        clusters="none: with 0 found of n planted, at most 3 of n would be (rule of three)",
        tables=(Table("Planted and found", ("where", "searched for", "found"), tuple(rows)),),
        chart=Chart("Planted things that did not leave", "%", tuple(dots), 100.0),
        losses=(),
        notes=(
            "A waveform that is kept identifies a person, and a network remembers what it was "
            "trained on: [privacy.md](docs/privacy.md) says what masking does not give. "
            "The app runs on this PC here; tests/firmware/test_app_planted.py searches what it "
            "leaves on boards, and what `ulnn record` and `ulnn live` receive.",
        ),
    )


def kept(found: int, searched: int) -> Interval:
    """Percent that was not found, with the interval of a share: for none by the rule of three,
    else by Wilson's formula."""
    if not found:
        return Interval(100.0, 100 * (1 - 3 / searched), 100.0)
    share, z = found / searched, 1.96
    middle = (share + z**2 / (2 * searched)) / (1 + z**2 / searched)
    half = z * np.sqrt(share * (1 - share) / searched + z**2 / (4 * searched**2))
    half /= 1 + z**2 / searched
    return Interval(100 * (1 - share), 100 * (1 - middle - half), 100 * (1 - middle + half))


CLAIM = Claim(
    name="privacy",
    title="Privacy by masking",
    says="Personal data are masked on the device and never leave it.",
    effect="planted identifiers and waveforms that were found nowhere in what leaves",
    claimed=100.0,
    unit="%",
    how=f"""{PEOPLE} people are made up, whose names, numbers, dates of birth, places and notes are
in names of files and folders, in columns and in texts, with recordings of their own. A policy
masks them; the data are masked, checked, trained on and converted. The app of a board replays the
recordings with the model; the device's name and its faults hold identifiers. Every byte that these
write, print or send is searched for every one of them, and for the recordings' samples.""",
    sources=(Source("made up", "none needed"),),
    test=test,
)
