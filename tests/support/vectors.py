"""The test vectors of native_module/vectors/ (its README.md says what is in them)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ulnn_host.base.paths import project_root
from ulnn_host.engines.reference import Reference
from ulnn_host.format.model import Int, ModelFile

FOLDER = project_root() / "native_module" / "vectors"
BROKEN = FOLDER / "broken.json"
BROKEN_MEANING = FOLDER / "broken_meaning.json"
BANDS = FOLDER / "bands.json"


@dataclass(frozen=True)
class Trace:
    """What there is after every step: y (T, O), state (T, S), clamped (T,)."""

    y: Int
    state: Int
    clamped: Int

    @staticmethod
    def of(steps: Sequence[tuple[Sequence[int], Sequence[int], int]]) -> Trace:
        """From (y, state, clamped) of each step."""
        return Trace(*(np.array(column, np.int64) for column in zip(*steps, strict=True)))

    def differs(self, other: Trace) -> str:
        """What differs first, and where; "" when nothing does."""
        for name in ("y", "state", "clamped"):
            mine, others = getattr(self, name), getattr(other, name)
            if mine.shape != others.shape:
                return f"{name}: {mine.shape} and {others.shape}"
            if (mine != others).any():
                return f"{name} at {np.argwhere(mine != others)[0]}"
        return ""


@dataclass(frozen=True)
class Vectors:
    """A model file, a sequence x (T, I), dt (T,) ticks, and what every engine makes of it."""

    path: Path
    data: bytes
    x: Int
    dt: Int
    want: Trace

    @property
    def name(self) -> str:
        """Of the files, without their endings."""
        return self.path.stem


@dataclass(frozen=True)
class Broken:
    """A base file with changes, and the text of the ValueError that every engine raises."""

    check: str
    base: str
    patches: dict[int, bytes]
    text: str
    size: int | None

    def apply(self, base: bytes) -> bytes:
        """The broken file."""
        size = len(base) if self.size is None else self.size
        data = bytearray(base[:size].ljust(size, b"\0"))
        for offset, content in self.patches.items():
            data[offset : offset + len(content)] = content
        return bytes(data)


def run_reference(model: ModelFile, x: Int, dt: Int, engine: type = Reference) -> Trace:
    """The reference, or something like it, over one sequence."""
    reference = engine(model)
    steps = []
    for xs, ticks in zip(x, dt, strict=True):
        y = reference.step(xs, ticks)
        steps.append((y, reference.state, reference.clamped))
    return Trace.of(steps)


def all_vectors() -> list[Vectors]:
    """In the order of their names."""
    found = []
    for path in sorted(FOLDER.glob("*.ulnn")):
        content = json.loads(path.with_suffix(".json").read_text())
        x, dt, *want = (
            np.array(content[k], np.int64) for k in ("x", "dt", "y", "state", "clamped")
        )
        steps = len(dt)
        want[1] = want[1].reshape(steps, -1)
        found.append(Vectors(path, path.read_bytes(), x, dt, Trace(*want)))
    return found


def broken_files() -> list[Broken]:
    """All of broken.json."""
    return [
        Broken(
            entry["check"],
            entry["base"],
            {int(at): bytes.fromhex(content) for at, content in entry["patches"].items()},
            entry["text"],
            entry.get("size"),
        )
        for entry in json.loads(BROKEN.read_text())
    ]
