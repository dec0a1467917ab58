"""An ECG on a wrist, end to end: generated patients, a network that names each beat, and a board
on which a patient that it never saw is replayed, masked events and all.

    python host/examples/wrist_ecg/wrist_ecg.py --port virtual:cortex-m7

Everything lies in build/wrist_ecg afterwards. This is no medical device.
"""

from __future__ import annotations

import json
import shutil
import time
import warnings
from array import array
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import ulnn
from ulnn_host import api
from ulnn_host.base import console, files
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paths import project_root
from ulnn_host.board.app import read_app
from ulnn_host.board.deploy import deploy
from ulnn_host.board.link import Board
from ulnn_host.board.takes import take_bytes
from ulnn_host.data import beats, ecg, logs
from ulnn_host.data.npz import save_npz
from ulnn_host.data.options import DataOptions
from ulnn_host.data.scores import ClassScores
from ulnn_host.data.sequences import Sequences
from ulnn_host.format import container
from ulnn_host.train.recipe import read_recipe
from ulnn_host.train.train import train
from ulnn_rules.beats import Recipe
from ulnn_rules.decider import Decider
from ulnn_rules.features import UNIT

HERE = Path(__file__).parent
PORT = "virtual:cortex-m7"
MOST_BYTES = 32768
OFF = ecg.Noise(off=2)  # twice a minute
REPLAYED = 101
# The board notes each beat: microseconds since the one before, the decision, the margin.
RUN = """
import gc
from array import array
import ulnn_app
made = array("i", bytes(12 * {most}))
count = silent = 0
def note(app):
    global count, silent
    if app.problem:
        silent += 1
    else:
        made[3 * count] = app.front.us
        made[3 * count + 1] = app.decision
        made[3 * count + 2] = app.margin
        count += 1
ulnn_app.run("settings.json", on_decision=note)
"""

Beat = tuple[int, int, int]


@dataclass(frozen=True)
class Result:
    """size: bytes of the model. accuracy: of the patients that training did not see, int8.
    beats: of the replayed one, found on the PC; equal: the board's are the same, their times,
    decisions and margins; silent: how often there was no reading; events: the lines that left the
    board."""

    size: int
    accuracy: float
    balanced: float
    beats: int
    equal: bool
    silent: int
    events: tuple[str, ...]
    seconds: float


def run(
    port: str = PORT,
    folder: Path | None = None,
    *,
    patients: int = 48,
    seconds: float = 60,
    epochs: int | None = None,
    quiet: bool = False,
) -> Result:
    """Generate, train, convert, deploy, replay, compare. patients: to train on; seconds: of each;
    epochs: fewer, to see it run. Raises UlnnError."""
    start = time.monotonic()
    folder = folder or project_root() / "build" / "wrist_ecg"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*HERE.glob("*.toml"), *HERE.glob("*.json")):
        shutil.copy(path, folder)
    save_npz(folder / "train.npz", _patients(range(patients), seconds))
    save_npz(folder / "unseen.npz", _patients(range(100, 108), seconds))
    last = ecg.sequences([ecg.patient(REPLAYED, seconds, noise=OFF)])
    files.write(folder / "patient.take", take_bytes(last, scale=0.001, units=("mV",)))

    plan = read_recipe(folder / "recipe.toml")
    if epochs:
        plan = replace(plan, training=replace(plan.training, epochs=epochs))
    network = train(plan, quiet=quiet)
    options = DataOptions(beats=str(folder / "beats.toml"), per="step")
    seen = logs.read_data(folder / "train.npz", options, "each")
    unseen = logs.read_data(folder / "unseen.npz", options, "each")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the channels are taken from the data
        model = api.convert(network, seen, test=unseen, name="wrist ECG")
    path = folder / "wrist.ulnn"
    model.save(path)
    scores = model.report(unseen)
    assert isinstance(scores, ClassScores)

    found, silent, events = on_board(port, path, folder / "settings.json")
    wanted = on_pc(path, folder / "settings.json")
    return Result(
        size=path.stat().st_size,
        accuracy=scores.accuracy,
        balanced=scores.balanced,
        beats=len(wanted),
        equal=found == wanted,
        silent=silent,
        events=events,
        seconds=time.monotonic() - start,
    )


def _patients(numbers: range, seconds: float) -> Sequences:
    return ecg.sequences(ecg.patient(number, seconds) for number in numbers)


def on_pc(path: Path, settings: Path) -> list[Beat]:
    """What a PC makes of the recording that the settings replay: microseconds since the beat
    before, decision and margin of each beat."""
    content, file = container.read_file(path)
    (take,) = read_app(settings, content).recordings.values()
    texts = int.from_bytes(take[10:12], "little")
    rows = np.frombuffer(take, np.dtype([("us", "<u4"), ("raw", "<i2")]), offset=20 + texts)
    recipe = Recipe(file.beats, file.input_size)
    found = beats.find(rows["raw"], rows["us"].astype(np.int64), recipe)
    x = file.quantise_input(found.values.astype(np.float32) / UNIT)
    decider = Decider(content, ulnn.load(content))
    made = []
    for values, us in zip(x, found.us.tolist(), strict=True):
        decider.step(array("h", values.tolist()), us)
        made.append((us, decider.decision, decider.margin))
    return made


def on_board(port: str, path: Path, settings: Path) -> tuple[list[Beat], int, tuple[str, ...]]:
    """The same from the app on a board, how often it had no reading, and its events."""
    with Board.open(port) as board:
        deploy(board, path, app=read_app(settings, path.read_bytes()))
        board.soft_reset()
        board.exec(RUN.format(most=4096), timeout=280)
        count, silent = board.eval("(count, silent)")
        numbers = board.eval(f"list(made[:{3 * count}])", timeout=60)
        lines = board.read_file(json.loads(settings.read_text())["sinks"][0]["path"])
    found = list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
    return found, silent, tuple(lines.decode().splitlines())


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    port: Annotated[str, typer.Option(help="a serial port, or virtual:...")] = PORT,
    output: Annotated[Path | None, typer.Option(help="folder of all files")] = None,
    epochs: Annotated[int | None, typer.Option(help="fewer, to see it run")] = None,
) -> None:
    """Generate patients, train, convert, deploy with a policy, replay an unseen patient, compare.

    Exit status 1 where the board's decisions are not the PC's, or the model is above 32 KB.
    """
    out = console.Terminal(highlight=False, soft_wrap=True)
    try:
        found = run(port, output, epochs=epochs)
    except UlnnError as error:
        raise SystemExit(f"error: {error}") from None
    accuracy, balanced = 100 * found.accuracy, 100 * found.balanced
    same = "as on the PC, bit for bit" if found.equal else "NOT as on the PC"
    out.print(f"model     {found.size:,} bytes, int8")
    out.print(f"unseen    {accuracy:.1f} % of the beats right, {balanced:.1f} % balanced")
    out.print(f"board     {found.beats} beats {same}; no reading {found.silent} times")
    out.print(f"left it   {len(found.events)} events, the last: {found.events[-1]}")
    out.print(f"time      {found.seconds:.0f} s. This is no medical device.")
    if not found.equal or found.size > MOST_BYTES:
        raise SystemExit(1)


if __name__ == "__main__":
    app()
