"""What came from a board so far, and where to go on: in memory, and in a report's JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..engines.batch import Batch, Outputs
from ..format.model import ModelFile
from .samples import Answers, Mark

COUNTERS = ("resent", "naks", "damaged_here", "damaged_there", "restarts", "repeated", "faults")


class Kept:
    """The steps of a batch that a board has made.

    got: outputs and states; ticks, gc, received (N, T); finished (N,): sequences whose state came.
    sequence, mark: where to go on. clamped: steps clamped in finished sequences.
    """

    def __init__(self, model: ModelFile, batch: Batch) -> None:
        self.got = Outputs.empty(model, batch)
        self.ticks = np.zeros(batch.dt.shape, np.int64)
        self.gc = np.zeros(batch.dt.shape, bool)
        self.received = np.zeros(batch.dt.shape, bool)
        self.finished = np.zeros(len(batch.length), bool)
        self.sequence, self.mark = 0, Mark()
        self.clamped = 0
        self.seconds = 0.0
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.board: dict[str, str] = {}
        self._names = {"model": model.sha256, "data": _digest(batch)}

    @property
    def done(self) -> int:
        """Steps that were answered."""
        return int(self.received.sum())

    def take(self, n: int, answers: Answers, before: int) -> None:
        """Answers of sequence n from step `before` on. Raises UlnnError where steps that were
        there already came out otherwise.
        """
        rows = slice(before, len(answers.y))
        again = self.received[n, rows]
        different = again & (self.got.y[n, rows] != answers.y[rows]).any(axis=1)
        if different.any():
            raise UlnnError(
                f"step {before + int(np.argmax(different))} of sequence {n} came out otherwise "
                "than in the run that broke off"
            )
        self.got.y[n, rows] = answers.y[rows]
        self.ticks[n, rows], self.gc[n, rows] = answers.ticks[rows], answers.gc[rows]
        self.received[n, rows] = True

    def finish(self, n: int, end: Mark) -> None:
        """The end of sequence n, with its state."""
        self.got.state[n] = np.array(end.state or (), np.int16)
        self.finished[n] = True
        self.clamped += end.clamped
        self.sequence, self.mark = n + 1, Mark()

    # ---- JSON ---------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Everything that is needed to go on later."""
        arrays = {
            "y": self.got.y.astype("<i2"),
            "state": self.got.state.astype("<i2"),
            "ticks": self.ticks.astype("<i8"),
            "gc": self.gc.astype("u1"),
            "received": self.received.astype("u1"),
            "finished": self.finished.astype("u1"),
        }
        return {
            **self._names,
            "sequence": self.sequence,
            "step": self.mark.step,
            "mark_state": self.mark.state,
            "mark_clamped": self.mark.clamped,
            "clamped": self.clamped,
            "seconds": self.seconds,
            "counters": self.counters,
            "board": self.board,
            "arrays": {
                name: base64.b64encode(zlib.compress(array.tobytes())).decode()
                for name, array in arrays.items()
            },
        }

    @classmethod
    def read(cls, path: Path, model: ModelFile, batch: Batch) -> Kept:
        """From the report of a run of the same model and data that broke off. Raises UlnnError."""
        kept = cls(model, batch)
        try:
            content = json.loads(path.read_text())["resume"]
        except OSError as error:
            raise UlnnError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError):
            raise UlnnError(f"{path}: expected the JSON report of a run that broke off") from None
        try:
            for name, value in kept._names.items():
                if content[name] != value:
                    raise UlnnError(f"{path} is of another {name}: start without --resume")
            kept._fill(content, batch)
        except (ValueError, TypeError, KeyError, IndexError, zlib.error) as error:
            raise UlnnError(f"{path} is damaged ({error}): start without --resume") from error
        return kept

    def _fill(self, content: dict[str, Any], batch: Batch) -> None:
        a = content["arrays"]
        self.got.y[:] = _array(a["y"], "<i2", self.got.y)
        self.got.state[:] = _array(a["state"], "<i2", self.got.state)
        self.ticks[:] = _array(a["ticks"], "<i8", self.ticks)
        self.gc[:] = _array(a["gc"], "u1", self.gc) == 1
        self.received[:] = _array(a["received"], "u1", self.received) == 1
        self.finished[:] = _array(a["finished"], "u1", self.finished) == 1
        state = content["mark_state"]
        words = None if state is None else tuple(int(v) for v in np.array(state, np.int16))
        self.mark = Mark(int(content["step"]), words, int(content["mark_clamped"]))
        self.sequence, self.clamped = int(content["sequence"]), int(content["clamped"])
        self.seconds = float(content["seconds"])
        self.counters = {name: int(content["counters"][name]) for name in COUNTERS}
        self.board = {str(k): str(v) for k, v in content["board"].items()}
        length = batch.length[self.sequence]
        if not 0 <= self.mark.step < length or (words is None) != (self.mark.step == 0):
            raise ValueError("the place to go on from is not in the data")
        if words is not None and len(words) != self.got.state.shape[1]:
            raise ValueError("the state has another size")


def _digest(batch: Batch) -> str:
    """Of what is streamed, whatever file it comes from."""
    digest = hashlib.sha256()
    for array in (batch.x, batch.dt, batch.length):
        digest.update(np.ascontiguousarray(array).astype("<i8").tobytes())
    return digest.hexdigest()


def _array(text: str, kind: str, like: NDArray[Any]) -> NDArray[Any]:
    size = like.size * np.dtype(kind).itemsize
    data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    return np.frombuffer(data, kind).reshape(like.shape)
