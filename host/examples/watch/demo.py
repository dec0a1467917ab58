"""`make demo`: real data, training, integers, a (virtual) board, and the proof, in one go."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ulnn_host.base import console, files
from ulnn_host.base.paths import project_root
from ulnn_host.base.progress import bar
from ulnn_host.board import validate
from ulnn_host.board.identity import identify
from ulnn_host.board.link import Board
from ulnn_host.data import scores, watch
from ulnn_host.data.npz import save_npz
from ulnn_host.data.scores import ClassScores
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines import decided
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import quantise
from ulnn_host.format import container
from ulnn_host.importers import checkpoint as checkpoints
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options
from ulnn_host.report import board_show, pictures
from ulnn_host.report import page as report
from ulnn_host.train import recipe, train

PORT = "virtual:cortex-m7"
ALLOWED_LOSS = 0.015
PEOPLE = f"{len(watch.UNSEEN_PEOPLE)} people never seen in training"


@dataclass(frozen=True)
class Candidate:
    """One network as float or integers. bits: 0 for float. size: bytes of the model file.

    rms_error, max_error: of single outputs on the unseen people, against float.
    """

    name: str
    bits: int
    size: int
    seen: ClassScores
    unseen: ClassScores
    rms_error: float = 0.0
    max_error: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"seen": self.seen.to_dict(), "unseen": self.unseen.to_dict()}


@dataclass(frozen=True)
class DemoResult:
    """What came out. candidates: float, int8, int16; picked: the one that ran on the board;
    as_float: share of the board's decisions that are those of the network in float."""

    candidates: tuple[Candidate, ...]
    picked: Candidate
    validation: validate.ValidationReport
    as_float: float
    page: Path
    training_seconds: float
    seconds: float


def run_demo(
    port: str | None = None,
    output: Path | None = None,
    recipe_path: Path | None = None,
    *,
    epochs: int | None = None,
) -> DemoResult:
    """Train, quantise, pick, deploy, stream, validate, report; files go to `output`.

    port: a serial port, or "virtual:..." (None: the virtual Cortex-M7). epochs: fewer, to see it
    run. Raises UlnnError.
    """
    started, port = time.perf_counter(), port or PORT
    folder = output or project_root() / "build" / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("report.html", "demo.json", "validation.json", "model.ulnn"):
        (folder / name).unlink(missing_ok=True)
    out = console.Terminal(highlight=False, soft_wrap=True)

    with _step(out, "1/6", f"board at {port}"):
        # now, so that a wrong port or a missing tool shows before the training
        with Board.open(port) as board:
            found = identify(board)
        version = ".".join(map(str, found.version))
        out.print(f"    {found.machine}, {found.implementation} {version}, {found.arch}")

    with _step(out, "2/6", "data"):
        seen, unseen = watch.windows("train"), watch.windows("unseen")
        save_npz(folder / "train.npz", seen)
        save_npz(folder / "unseen.npz", unseen)
        out.print(_describe(seen, unseen))

    with _step(out, "3/6", "training"):
        plan = recipe.read_recipe(recipe_path or recipe.RECIPES / "watch.toml")
        if epochs:
            plan = dataclasses.replace(
                plan, training=dataclasses.replace(plan.training, epochs=epochs)
            )
        trained = train.train(plan)
        trained.save(folder / "watch.safetensors")
        facts = trained.hyper["training"]
        out.print(f"    {facts['epochs_run']} epochs in {facts['seconds']:.0f} s")

    with _step(out, "4/6", "quantisation"):
        candidates = _candidates(trained, seen, unseen, folder)
        for line in candidates:
            out.print("    " + _summary(line))
        picked = pick(candidates)
        shutil.copyfile(folder / f"{picked.name}.ulnn", folder / "model.ulnn")
        out.print(f"    picked {picked.name} ({_reason(picked)})")

    with _step(out, "5/6", f"deploying to and streaming through {port}"):
        with bar("    streaming") as shown:
            validation = validate.validate(
                folder / "model.ulnn",
                folder / "unseen.npz",
                port,
                progress=shown.update,
                deployed=lambda done: board_show.show_deployment(done, out),
            )
        board_show.show_validation(validation, out)
        same = _agreement(trained, unseen, validation)
        out.print(f"    {same:.1%} of its decisions are those of the network in float")

    with _step(out, "6/6", "report"):
        result = DemoResult(
            candidates,
            picked,
            validation,
            same,
            folder / "report.html",
            float(facts["seconds"]),
            time.perf_counter() - started,
        )
        _write(result, trained, unseen, folder)
        out.print(f"    {result.page}")
    return result


def pick(candidates: tuple[Candidate, ...]) -> Candidate:
    """The smallest integer model that keeps the float accuracy on the people trained on.

    The unseen people have no say, so their accuracy stays an honest one.
    """
    real = next(c for c in candidates if not c.bits)
    integers = sorted((c for c in candidates if c.bits), key=lambda c: c.bits)
    for candidate in integers:
        if candidate.seen.accuracy >= real.seen.accuracy - ALLOWED_LOSS:
            return candidate
    return integers[-1]


def _candidates(
    trained: train.TrainedNetwork, seen: Sequences, unseen: Sequences, folder: Path
) -> tuple[Candidate, ...]:
    network = checkpoints.read_checkpoint(folder / "watch.safetensors").network
    readout = trained.hyper["readout"]
    both = [scores.score_classes(trained.outputs(data), data, readout) for data in (seen, unseen)]
    weights = sum(4 * value.numel() for value in trained.state.values())
    found = [Candidate("float", 0, weights, both[0], both[1])]
    floats, floats_unseen = FloatRollout(network, seen), FloatRollout(network, unseen)
    for bits in (8, 16):
        model = quantize.convert(floats, Options(bits=bits, name="watch"))
        content = container.write(model)
        files.write(folder / f"int{bits}.ulnn", content)
        marks = []
        for data in (seen, unseen):
            outputs = engines.run(content, quantise(model, data), "reference")
            marks.append(decided.score_classes(model, outputs.y, data))
        error = quantize.rollout_error(floats_unseen, model)
        size = len(content)
        found.append(
            Candidate(f"int{bits}", bits, size, marks[0], marks[1], error.rms, error.largest)
        )
    return tuple(found)


def _agreement(
    trained: train.TrainedNetwork, data: Sequences, validation: validate.ValidationReport
) -> float:
    """Share of the board's decisions that are those of the network in float."""
    assert validation.arrays is not None
    assert validation.arrays.decisions is not None
    pooled = scores.pool(trained.outputs(data), data.length, trained.hyper["readout"])
    board = decided.of_sequences(validation.arrays.decisions)
    return float((board == pooled.argmax(-1)).mean())


def _describe(seen: Sequences, unseen: Sequences) -> str:
    kept, whole = seen.x.shape[1], round(watch.WINDOW * watch.RATE)
    return (
        f"    smartwatch, {seen.x.shape[2]} axes, {len(seen.labels)} exercises; "
        f"{len(watch.TRAIN_PEOPLE)} people to train on, "
        f"{len(watch.UNSEEN_PEOPLE)} others to test on\n"
        f"    windows of {watch.WINDOW:g} s, {kept} of {whole} samples left ({watch.DROP:.0%} "
        f"dropped at random): dt {unseen.dt.min() * 1e3:.0f} to {unseen.dt.max() * 1e3:.0f} ms\n"
        f"    to stream: {len(unseen)} windows, {int(unseen.length.sum()):,} samples"
    )


def _summary(c: Candidate) -> str:
    recordings = f", whole recordings {c.unseen.by_recording:.1%}" if c.unseen.by_recording else ""
    error = f", rms error {c.rms_error:.4f}" if c.bits else ""
    return (
        f"{c.name:6}{c.unseen.accuracy:7.2%} on unseen people{recordings} "
        f"({c.seen.accuracy:.2%} on those trained on), {c.size:,} bytes{error}"
    )


def _reason(picked: Candidate) -> str:
    if picked.bits == 8:
        return f"at most {100 * ALLOWED_LOSS:g} points below float on the people trained on"
    return f"int8 loses more than {100 * ALLOWED_LOSS:g} points on the people trained on"


@contextmanager
def _step(out: console.Terminal, number: str, text: str) -> Iterator[None]:
    out.print(f"{number} {text}", style="bold")
    start = time.perf_counter()
    yield
    out.print(f"    {time.perf_counter() - start:.1f} s", style="dim")


def _write(
    result: DemoResult,
    trained: train.TrainedNetwork,
    unseen: Sequences,
    folder: Path,
) -> None:
    content = {
        "equal": result.validation.equal,
        "picked": result.picked.name,
        "decisions_as_float": result.as_float,
        "candidates": {c.name: c.to_dict() for c in result.candidates},
        "samples_per_second": result.validation.samples_per_second,
        "training_seconds": result.training_seconds,
        "seconds": result.seconds,
    }
    files.write_json(folder / "demo.json", content)
    files.write_json(folder / "validation.json", result.validation.to_json())
    _page(result, trained, unseen).write(result.page)


def _page(result: DemoResult, trained: train.TrainedNetwork, unseen: Sequences) -> report.Page:
    page = report.Page(
        "A liquid network on a microcontroller",
        f"Seven exercises from a smartwatch, {PEOPLE}; {result.seconds:.0f} s from data to proof",
    )
    page.section("Accuracy on the PC")
    page.table(
        (
            "",
            "unseen people",
            "balanced",
            "recordings",
            "training people",
            "rms error",
            "max error",
            "bytes",
        ),
        [
            (
                c.name,
                f"{c.unseen.accuracy:.1%}",
                f"{c.unseen.balanced:.1%}",
                f"{c.unseen.by_recording or 0:.1%}",
                f"{c.seen.accuracy:.1%}",
                c.rms_error if c.bits else None,
                c.max_error if c.bits else None,
                c.size,
            )
            for c in result.candidates
        ],
        best=result.candidates.index(result.picked),
    )
    page.text(
        f"Picked {result.picked.name}: {_reason(result.picked)}. {result.as_float:.1%} of its "
        f"decisions are those of the network in float. {_method(unseen)}"
    )
    page.section("On the board")
    report.add_validation(page, result.validation)
    page.section("Training")
    page.figure(
        _training_figure(trained),
        f"{len(trained.hyper['history'])} epochs in {result.training_seconds:.0f} s",
    )
    return page


def _method(unseen: Sequences) -> str:
    return (
        f"{len(unseen)} windows of {watch.WINDOW:g} s without overlap from {PEOPLE}, at "
        f"{watch.RATE:g} Hz with {watch.DROP:.0%} of the samples dropped at random; the network "
        "gets the true elapsed time of each sample. The class is the output with the largest sum "
        "over a window; recordings: over all windows of one. Errors are those of single outputs "
        f"against float. Trained and calibrated on {len(watch.TRAIN_PEOPLE)} other people."
    )


def _training_figure(trained: train.TrainedNetwork) -> Any:
    figure, (ax,) = pictures.new_figure(9, 2.4)
    history = trained.hyper["history"]
    ax.plot([h["epoch"] for h in history], [h["loss"] for h in history], color=pictures.BOARD)
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    return figure


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def command(
    port: Annotated[str, typer.Option(help="serial port, or virtual:cortex-m7, ...")] = PORT,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="folder, build/demo without it")
    ] = None,
    recipe_path: Annotated[Path | None, typer.Option("--recipe", help="recipe (.toml)")] = None,
    epochs: Annotated[int | None, typer.Option(help="fewer epochs, to see it run")] = None,
) -> None:
    """Train on real data, convert, deploy, stream, prove, and write a report.

    Example: python host/examples/watch/demo.py --port /dev/ttyACM0
    """
    result = run_demo(port, output, recipe_path, epochs=epochs)
    if not result.validation.equal:
        raise typer.Exit(1)


def main() -> None:
    """Entry point of `make demo`."""
    console.run(app, "demo")


if __name__ == "__main__":
    main()
