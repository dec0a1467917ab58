"""Adaptation to a wearer on the PC, by the rules that the board uses (`ulnn_rules.centres`)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ulnn_rules.centres import Centres
from ulnn_rules.decider import Decider
from ulnn_rules.session import Session

from ..base import files
from ..base.errors import UlnnError
from ..data.matched import matched
from ..data.scores import ClassScores, class_names
from ..data.sequences import Sequences
from ..engines import decided
from ..engines import registry as engines
from ..engines.batch import elapsed, quantise
from ..format import container
from ..format.model import ModelFile


@dataclass(frozen=True)
class Adapted:
    """What a wearer's examples gave.

    kept: whether they passed the session's check. examples: windows by class, all sessions
    together. before, after: scores of other recordings without and with them, None without any.
    content: the file for the board (SPEC.md 2.12).
    """

    kept: bool
    examples: dict[str, int]
    before: ClassScores | None
    after: ClassScores | None
    content: bytes = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kept": self.kept,
            "examples": self.examples,
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if self.after is None else self.after.to_dict(),
        }

    def save(self, path: str | Path) -> Path:
        """Write the file for the board; it is whole or not there."""
        files.write(path, self.content)
        return Path(path)


def read_centres(content: bytes, path: Path) -> Centres:
    """A wearer's file for the bytes of a model. Raises UlnnError for another model's, and for what
    is no such file."""
    centres = _centres(content)
    try:
        found = centres.load(str(path))
    except ValueError as error:
        raise UlnnError(f"{path}: {error}; make it again with ulnn adapt") from None
    if not found:
        raise UlnnError(f"{path}: expected a file that ulnn adapt or a board wrote, and whole")
    return centres


def _centres(content: bytes) -> Centres:
    try:
        return Centres(content)
    except ValueError as error:
        raise UlnnError(str(error)) from None


def adapt(
    content: bytes,
    data: Sequences,
    *,
    start: Path | None = None,
    test: Sequences | None = None,
) -> Adapted:
    """Learn from the labelled recordings of one wearer as one session, with its check.

    content: of a model file with CENTRES. start: the wearer's file of sessions before. test:
    recordings of another session, on which the scores are measured. Raises UlnnError where model
    and data do not fit.
    """
    model = container.read(content)
    centres = _centres(content) if start is None else read_centres(content, start)
    data = matched(data, model.channels, model.labels)
    if data.y is None or data.y.ndim != 1 or data.y.dtype.kind not in "iu":
        raise UlnnError("adapt: expected data with one label a sequence")
    engine = engines.best(content)
    data, y = _outputs(content, model, engine, data)
    decider = decided.decider(model, centres)
    if decider is None:
        raise UlnnError("adapt: the model's outputs are not scores of classes with one scale")
    try:
        session = Session(centres, decider, int(data.length.sum()))
    except ValueError as error:
        raise UlnnError(str(error)) from None
    kept = teach(session, decider, model, data, y)
    labels = class_names(model.labels, model.output_size)
    before = after = None
    if test is not None:
        test = matched(test, model.channels, model.labels)
        test, y = _outputs(content, model, engine, test)
        before = decided.score_classes(model, y, test)
        after = decided.score_classes(model, y, test, centres)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "centres"
        if start is not None:
            place.write_bytes(start.read_bytes())
        centres.save(str(place))
        written = place.read_bytes()
    return Adapted(kept, dict(zip(labels, centres.counts, strict=True)), before, after, written)


def teach(
    session: Session, decider: Decider, model: ModelFile, data: Sequences, y: np.ndarray[Any, Any]
) -> bool:
    """Give a session windows with their labels, and the model's outputs (N, T, O); whether its
    check kept what they teach."""
    dt = elapsed(data, model.tick_ns)
    assert data.y is not None
    for n, length in enumerate(data.length.tolist()):
        decider.reset()
        session.begin(int(data.y[n]))
        for t, row in enumerate(y[n, :length].tolist()):
            ended = decider.update(row, int(dt[n, t])) is not None
            session.add(row, int(dt[n, t]), ended)
    return session.finish()


def _outputs(
    content: bytes, model: ModelFile, engine: str, data: Sequences
) -> tuple[Sequences, np.ndarray[Any, Any]]:
    """The data in windows, and the model's integer outputs (N, T, O)."""
    data = decided.windows(model.decision, model.tick_ns, data)
    return data, engines.run(content, quantise(model, data), engine).y
