"""A wearer teaches a board: train, convert with centres and "unknown", deploy with the app, replay
somebody the network has never seen, teach, and prove that the board decides as the PC does, before
and after. `python host/examples/wearer/wearer.py`
"""

from __future__ import annotations

import dataclasses
import time
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from ulnn_host import api
from ulnn_host.base import console, files
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paths import project_root
from ulnn_host.board.app import read_app
from ulnn_host.board.deploy import deploy
from ulnn_host.board.link import Board
from ulnn_host.board.takes import take_bytes
from ulnn_host.data import degrade, watch
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines import registry as engines
from ulnn_host.format import container
from ulnn_host.train import recipe, train
from ulnn_rules.centres import Centres
from ulnn_rules.decider import UNKNOWN, Decider
from ulnn_rules.session import Session

PORT = "virtual:cortex-m7"
UNITS = ("g", "g", "g", "rad/s", "rad/s", "rad/s")
KEPT = "/his.centres"  # on the board: what is learnt
EPOCHS = 60
EXAMPLES, REST, STILL = 8.6, 10.0, 20.0  # seconds of an exercise: taught, tested; of nothing
MOST_BYTES = 32 * 1024
PIECES = 84  # of windows, as `ulnn_app.wearer` has room for with seven classes

# What the board runs: the app, with a source that says when the wearer begins an exercise.
PROGRAM = """
from array import array
import ulnn_app
from ulnn_sources.replay import Sensor

MARKS = {marks}

class Taught(Sensor):
    taken = 0
    def take(self):
        found = super().take()
        if found:
            if self.taken in MARKS:
                if MARKS[self.taken] < 0:
                    ulnn_app.taught()
                else:
                    ulnn_app.teach(MARKS[self.taken])
            self.taken += 1
        return found

made, count = array("h", bytes(4 * {most})), 0
def note(app):
    global count
    made[2 * count] = app.decider.decision
    made[2 * count + 1] = app.decider.margin
    count += 1

settings = {settings}
source = settings.pop("source")
del source["kind"]
ulnn_app.run(settings, Taught(source), note)
"""

Found = list[tuple[int, int]]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@dataclass(frozen=True)
class Script:
    """What the wearer does. content: of a .take file. truth: the class of each sample, -1 for
    none, and for those that are taught. marks: samples at which a class begins to be taught, or
    (-1) all of it is learnt."""

    content: bytes
    truth: NDArray[np.int64]
    marks: Mapping[int, int]

    @staticmethod
    def of(person: int, examples: float, rest: float, rng: np.random.Generator) -> Script:
        """Examples of each exercise, then some of each again: of the same recordings, and of the
        other wrist's; at last a still wrist. Samples are lost."""
        everybody, wrist = watch.recordings("all"), watch.wrists("all")
        his = everybody.group == person
        here, there = (everybody.take(his & (wrist == side)) for side in (0, 1))
        stretches, marks, truth = [], {}, []
        passed = 0
        for data, start, seconds, taught in (
            (here, 0.0, examples, True), (here, examples, rest, False), (there, 0.0, rest, False)
        ):  # fmt: skip
            part = _part(data, start, seconds)
            assert part.y is not None
            for k in np.argsort(part.y, kind="stable").tolist():
                one = degrade.drop(part.take(np.array([k])), watch.DROP, rng)
                length = int(one.length[0])
                if taught:
                    marks[passed] = int(part.y[k])
                stretches.append((one.x[0, :length], one.dt[0, :length]))
                truth += [-1 if taught else int(part.y[k])] * length
                passed += length
            if taught:
                marks[passed] = -1
        still = np.zeros((round(STILL * watch.RATE), 6), np.float32)
        still[:, 2] = 1
        still += rng.normal(size=still.shape).astype(np.float32) * 0.01
        stretches.append((still, np.full(len(still), 1 / watch.RATE, np.float32)))
        truth += [-1] * len(still)
        x, dt = (np.concatenate(parts) for parts in zip(*stretches, strict=True))
        played = Sequences(x[None], dt[None], channels=watch.CHANNELS)
        return Script(take_bytes(played, units=UNITS), np.array(truth), marks)

    def rows(self) -> tuple[NDArray[np.float32], list[int]]:
        """Values and microseconds of the samples, as a board replays them."""
        n, texts = self.content[9], int.from_bytes(self.content[10:12], "little")
        scale, offset = np.frombuffer(self.content, "<f4", 2 * n, 12).reshape(n, 2).T.astype(float)
        kind = np.dtype([("us", "<u4"), ("raw", "<i2", (n,))])
        found = np.frombuffer(self.content, kind, offset=12 + 8 * n + texts)
        return (found["raw"] * scale + offset).astype(np.float32), found["us"].tolist()


def _part(data: Sequences, start: float, seconds: float) -> Sequences:
    first, count = round(start * watch.RATE), round(seconds * watch.RATE)
    rows = np.arange(len(data))
    return data.cut(rows, np.full(len(data), first), count)


def on_pc(
    content: bytes, script: Script, centres: Centres | None, *, teach: bool
) -> tuple[Found, list[int]]:
    """(decision, margin) of each window, and the sample at which it ended, by the C engine of
    this computer and the rules that the board has."""
    decider = Decider(content, engines.native_module().load(content), centres)
    session = Session(centres, decider, PIECES) if centres and teach else None
    x, us = script.rows()
    model = container.read(content)
    found, at, taught = [], [], False
    for n, (values, dt) in enumerate(zip(model.quantise_input(x), us, strict=True)):
        if session and n in script.marks:
            taught = script.marks[n] >= 0
            if taught:
                decider.reset()
                session.begin(script.marks[n])
            else:
                session.finish()
        decision = decider.step(array("h", values.tolist()), dt)
        if session and taught:
            session.add(decider.y, dt, decision is not None)
        if decision is not None:
            found.append((decision, decider.margin))
            at.append(n)
    return found, at


def on_board(
    link: Board, settings: Mapping[str, Any], marks: Mapping[int, int], most: int
) -> tuple[Found, dict[str, Any]]:
    """What the app there decides, and its figures."""
    link.soft_reset()
    text = PROGRAM.format(marks=dict(marks), most=most, settings=dict(settings))
    link.exec(text, timeout=240)
    figures = dict(link.eval("ulnn_app.figures()"))
    count = link.whole("count")
    made = link.eval(f"list(made[:{2 * count}])")
    return list(zip(made[::2], made[1::2], strict=True)), figures


@dataclass(frozen=True)
class Result:
    """equal: the board's decisions are the PC's, while it was taught and after another start.
    factory, adapted: share of the windows that are decided right, of those that were not taught;
    unknown: of the still wrist's that are "unknown". learnt: examples of each class."""

    equal: bool
    decisions: int
    factory: float
    adapted: float
    unknown: float
    learnt: dict[str, int]
    size: int
    seconds: float


def run_wearer(
    port: str = PORT,
    output: Path | None = None,
    *,
    person: int = 8,
    epochs: int = EPOCHS,
    examples: float = EXAMPLES,
    rest: float = REST,
) -> Result:
    """All of it; files go into `output`. Raises UlnnError."""
    start = time.monotonic()
    folder = output or project_root() / "build" / "wearer"
    folder.mkdir(parents=True, exist_ok=True)
    plan = recipe.read_recipe(recipe.RECIPES / "watch.toml", {"epochs": epochs})
    network = train.train(plan)
    seen = dataclasses.replace(watch.windows("train"), channels=watch.CHANNELS)
    model = api.convert(network, seen, centres=2, unknown=0.05, name="wearer")
    if len(model.content) > MOST_BYTES:
        raise UlnnError(f"the model has {len(model.content)} bytes, expected {MOST_BYTES} at most")
    path = folder / "wearer.ulnn"
    model.save(path)
    script = Script.of(person, examples, rest, np.random.default_rng(person))
    files.write(folder / "his.take", script.content)
    source = {"kind": "replay", "file": "his.take", "pace": "fast"}
    given = {"source": source, "adapt": KEPT, "units": "ignore", "print": "nothing"}
    files.write_json(folder / "settings.json", given)
    content = model.content
    centres = Centres(content)
    taught, at = on_pc(content, script, centres, teach=True)
    later, _ = on_pc(content, script, centres, teach=False)
    factory, places = on_pc(content, script, None, teach=False)
    with Board.open(port) as link:
        report = deploy(link, path, app=read_app(folder / "settings.json", content))
        there = given | {
            "model": report.plan.model_path, "source": source | {"file": "/his.take"}
        }  # fmt: skip
        link.exec(f"import os\ntry:\n os.remove({KEPT!r})\nexcept OSError:\n pass")
        first, _ = on_board(link, there, script.marks, len(taught) + 1)
        second, figures = on_board(link, there, {}, len(later) + 1)
    equal = first == taught and second == later
    learnt = dict(figures["adapt"]["examples"])
    equal = equal and list(learnt.values()) == list(centres.counts)
    result = Result(
        equal,
        len(taught) + len(later),
        _right(factory, places, script),
        _right(later, places, script),
        _still(later, places, script),
        learnt,
        len(content),
        time.monotonic() - start,
    )
    files.write_json(folder / "wearer.json", dataclasses.asdict(result))
    assert len(at) == len(taught)
    return result


def _right(found: Found, at: list[int], script: Script) -> float:
    judged = [(d, int(script.truth[n])) for (d, _), n in zip(found, at, strict=True)]
    return float(np.mean([d == truth for d, truth in judged if truth >= 0]))


def _still(found: Found, at: list[int], script: Script) -> float:
    last = int(np.flatnonzero(script.truth >= 0)[-1]) + round(watch.WINDOW * watch.RATE)
    return float(np.mean([d == UNKNOWN for (d, _), n in zip(found, at, strict=True) if n > last]))


@app.command()
def command(
    port: Annotated[str, typer.Option(help="serial port, or virtual:cortex-m7, ...")] = PORT,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="folder, build/wearer without it")
    ] = None,
    person: Annotated[int, typer.Option(help="who wears it, one of 8, 9, 10")] = 8,
    epochs: Annotated[int, typer.Option(help="of the training")] = EPOCHS,
) -> None:
    """Teach a board by a wearer's examples, and prove that it decides as the PC does.

    Example: python host/examples/wearer/wearer.py --port /dev/ttyACM0
    """
    if person not in watch.UNSEEN_PEOPLE:
        raise UlnnError(f"--person {person}: expected one of 8, 9, 10, who are not trained on")
    done = run_wearer(port, output, person=person, epochs=epochs)
    learnt = ", ".join(f"{name} {count}" for name, count in done.learnt.items())
    same = "all those" if done.equal else "NOT all those"
    print(
        f"model        {done.size:,} bytes, {epochs} epochs; person {person} was not in training"
    )
    print(f"learnt       {learnt}")
    print(f"decisions    {done.decisions:,} on the board, {same} of the PC, taught and after")
    print(f"right        {done.factory:.1%} as for everybody, {done.adapted:.1%} as taught")
    print(f"still wrist  unknown in {done.unknown:.0%} of the windows")
    print(f"took         {done.seconds:.0f} s")
    if not done.equal:
        raise typer.Exit(1)


if __name__ == "__main__":
    console.run(app, "wearer")
