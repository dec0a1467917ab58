"""A model of one wearer's own: fine-tuned in integers on the PC by labelled recordings of his, and
kept only where recordings of another session are not decided worse."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base import files
from ..base.errors import UlnnError
from ..data.matched import matched
from ..data.scores import ClassScores
from ..data.sequences import Sequences
from ..engines import decided
from ..engines import registry as engines
from ..engines.batch import quantise
from ..format import container
from ..format.model import ModelFile
from ..network.float_network import FloatNetwork
from ..quantize import finetune
from ..quantize.calibration import FloatRollout
from ..quantize.options import Options

EPOCHS = 20
UPDATES = 2  # of an epoch
RATE = 3e-4
SMOOTHING = 0.3


@dataclass(frozen=True)
class Personal:
    """before, after: scores of the other session, by the model as it was and fine-tuned. kept:
    whether that is not worse. content: of the model file to use, as it was where it is worse."""

    kept: bool
    before: ClassScores
    after: ClassScores
    content: bytes = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kept": self.kept, "before": self.before.to_dict(), "after": self.after.to_dict()
        }  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write the model file; it is whole or not there."""
        files.write(path, self.content)
        return Path(path)


def personal(
    content: bytes,
    network: FloatNetwork,
    calibration: Sequences,
    data: Sequences,
    test: Sequences,
    *,
    epochs: int = EPOCHS,
    quiet: bool = False,
) -> Personal:
    """Fine-tune a model by one wearer's recordings, and keep what is not worse.

    test: recordings of the wearer of another session, which decide; all else as of `tuned`. Raises
    UlnnError where they do not belong together.
    """
    before = scored(content, test)
    written = tuned(content, network, calibration, data, epochs=epochs, quiet=quiet)
    after = scored(written, test)
    kept = after.balanced >= before.balanced
    return Personal(kept, before, after, written if kept else content)


def tuned(
    content: bytes,
    network: FloatNetwork,
    calibration: Sequences,
    data: Sequences,
    *,
    epochs: int = EPOCHS,
    quiet: bool = False,
) -> bytes:
    """The file of a model, fine-tuned by one wearer's recordings, better or not.

    content: of the model file. network, calibration: what it was converted from, so that ranges
    stay those of everybody. data: labelled recordings of the wearer. Raises UlnnError where they
    do not belong together.
    """
    model = container.read(content)
    data = _windows(model, data)
    rollout = FloatRollout(network, calibration)
    plan = finetune.Plan(
        epochs=epochs, batch=math.ceil(len(data) / UPDATES), learning_rate=RATE, average=0.9
    )
    loss = finetune.task_loss(data, model.readout, SMOOTHING)
    made = finetune.finetune(
        rollout, _options(model), plan, loss=loss, epoch=lambda: data, quiet=quiet
    )[1]  # fmt: skip
    alike = (
        model.input_scale.tolist() == made.input_scale.tolist()
        and model.input_offset.tolist() == made.input_offset.tolist()
        and model.dt_max == made.dt_max
    )
    if not alike:
        raise UlnnError(
            "the model was not converted from this checkpoint with this --calib and usual ranges: "
            "expected those that ulnn convert had"
        )
    # What decides, and what is known, are those of everybody.
    made = dataclasses.replace(made, decision=model.decision, unknown=model.unknown)
    return container.write(made)


def scored(content: bytes, test: Sequences) -> ClassScores:
    """What a model file decides about labelled recordings. Raises UlnnError where they do not
    fit."""
    model = container.read(content)
    test = _windows(model, test)
    y = engines.run(content, quantise(model, test), engines.best(content)).y
    return decided.score_classes(model, y, test)


def _windows(model: ModelFile, data: Sequences) -> Sequences:
    if data.y is None or data.y.ndim != 1 or data.y.dtype.kind not in "iu":
        raise UlnnError("adapt: expected data with one label a sequence")
    data = matched(data, model.channels, model.labels)
    return decided.windows(model.decision, model.tick_ns, data)


def _options(model: ModelFile) -> Options:
    """As the model was converted, as far as its file says it."""
    widths = {
        (number, k): matrix.weight_bits
        for number, layer in enumerate(model.layers)
        for k, matrix in enumerate(layer.matrices)
    }
    return Options(
        bits=8 if min(widths.values(), default=16) == 8 else 16,
        bits_of=widths,
        tick_ns=model.tick_ns,
        model_version=model.model_version,
        centres=0 if model.centres is None else model.centres.weight,
    )
