"""A pump that says when it is not as it was: train on other pumps, deploy, learn on this one, and
an alarm on the board that is the PC's, bit for bit.

    python host/examples/machine/pump.py [--port PORT] [--output FOLDER]

The pumps are generated (`ulnn_host.data.machines`): a model of the physics, no real ones. The
board gets the life of one that training has not seen: 80 ms in every half hour of nine days.
"""

from __future__ import annotations

import json
import shutil
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from ulnn_host import api
from ulnn_host.base.console import Terminal
from ulnn_host.base.paths import project_root
from ulnn_host.board import board_code
from ulnn_host.board.app import read_app
from ulnn_host.board.deploy import deploy
from ulnn_host.board.link import Board
from ulnn_host.board.takes import MOST_US, take_bytes
from ulnn_host.data import features, machines
from ulnn_host.data.machines import CHANNEL, RATE, SCALE, Machine
from ulnn_host.data.sequences import Sequences
from ulnn_host.data.targets import next_sample
from ulnn_host.engines import registry
from ulnn_host.engines.batch import quantise
from ulnn_host.format import container
from ulnn_rules.meaning import Meaning
from ulnn_rules.scaling import Scaling
from ulnn_rules.watch import Watch

HERE = Path(__file__).parent
PORT = "virtual:cortex-m7?disk=8192k"  # the recording has 2.6 MB, twice while it is sent
TRAINED, WATCHED = (0, 1, 2), 3
SHARE = 1024  # samples of a snapshot that the board gets
# (event, seconds of looks, value, threshold)
Event = tuple[str, int, int, int]


@dataclass(frozen=True)
class Outcome:
    """events: of the board. at: days since the start of each. state: what the board keeps over a
    power cut. same: whether the PC has the same events and state. onset, failure: days. model:
    bytes of the file."""

    events: list[Event]
    at: list[float]
    state: bytes
    same: bool
    onset: float
    failure: float
    model: int
    seconds: float


def sequences(raw: NDArray[np.int16]) -> Sequences:
    """Snapshots (N, T) as recordings of the sensor."""
    x = raw[..., None].astype(np.float32) * np.float32(SCALE)
    return Sequences(x, np.full(x.shape[:2], 1 / RATE, np.float32), channels=(CHANNEL,))


def training_data(recipe: features.FeatureRecipe, every: int) -> Sequences:
    """Features of each `every`th second of healthy pumps that run."""
    parts = []
    for number in TRAINED:
        machine = machines.machines("development")[number]
        good = machine.healthy & machine.running & (np.arange(len(machine)) % every == 0)
        parts.append(machine.snapshots(good))
    return features.computed(sequences(np.concatenate(parts)), recipe)


def life(machine: Machine, stride: int) -> NDArray[np.int16]:
    """(N, SHARE) counts that the sensor of a pump gives in its life."""
    return np.stack([machine.snapshot(k)[:SHARE] for k in range(0, len(machine), stride)])


def take(raw: NDArray[np.int16]) -> bytes:
    """Snapshots one after the other, with the times of their samples, for the board to replay."""
    ends = np.rint(np.arange(raw.shape[1] + 1) * 1e6 / RATE)
    us = np.tile(np.diff(ends), (len(raw), 1))
    us[1:, 0] = MOST_US  # the longest time that can be said
    data = sequences(raw)
    data = Sequences(
        data.x.reshape(-1, 1), (us.ravel() / 1e6).astype(np.float32), channels=(CHANNEL,)
    )
    return take_bytes(data, scale=np.array([SCALE], np.float32))


def watch_of(settings: Path, model: bytes) -> Watch:
    """What watches, by the settings of the app."""
    rules = board_code.module("ulnn_app.settings")
    given = rules.read(json.loads(settings.read_text()) | {"model": "?"})
    given["source"]["file"] = str(settings.parent / given["source"]["file"])
    meaning, scaling = Meaning(model), Scaling(model)
    source = rules.source_of(given)
    front = board_code.module("ulnn_app.front").make(given, source, model, meaning, scaling)
    alarm = board_code.module("ulnn_app.alarm")
    found: list[Watch] = alarm.watches(given, source, front, meaning, scaling)
    return found[0]


def on_pc(
    watch: Watch, model: bytes, raw: NDArray[np.int16], recipe: features.FeatureRecipe
) -> tuple[list[Event], list[int], bytes]:
    """Events, in which snapshot they are, and what is kept over a power cut: features and model as
    the PC has them for training."""
    data = features.computed(sequences(raw), recipe)
    batch = quantise(container.read(model), data)
    y = registry.run(model, batch, registry.best(model)).y
    us = round(1e6 * recipe.hop / RATE)
    events, at, kept = [], [], bytearray(watch.size)
    before = array("h", bytes(2 * y.shape[2]))
    for k in range(len(raw)):
        for step in range(int(data.length[k])):
            row = array("h", batch.x[k, step].tolist())
            if watch.step(row, before, us, not step):
                watch.pack(kept)
                if watch.alarm.event:
                    a = watch.alarm
                    events.append((a.event, a.seconds, a.value, a.level))
                    at.append(k)
            before = array("h", y[k, step].tolist())
    return events, at, bytes(kept)


RUN = """
import ulnn_app
found = []
def note(app):
    a = app.alarm.watch.alarm
    found.append((a.event, a.seconds, a.value, a.level))
ulnn_app.run({settings!r}, on_alarm=note)
"""


def on_board(port: str, model: Path, settings: Path) -> tuple[list[Event], bytes, str]:
    """Events, what the board keeps over a power cut, and its status."""
    app = read_app(settings, model.read_bytes())
    with Board.open(port) as board:
        deploy(board, model, app=app)
        board.soft_reset()
        board.exec(RUN.format(settings="settings.json"), timeout=240)
        events = [tuple(event) for event in board.eval("found")]
        figures = dict(board.eval("ulnn_app.figures()"))
        state = board.read_file("alarm.state")
    return events, state, board_code.module("ulnn_app.words").status(figures)


def run(
    port: str = PORT, folder: Path | None = None, *, epochs: int = 30, every: int = 2,
    stride: int = 1,
) -> Outcome:  # fmt: skip
    """Train, convert, deploy, watch. epochs; every, stride: of the
    snapshots to train on, and to watch: fewer, to see it run."""
    start, out = time.perf_counter(), Terminal(highlight=False, soft_wrap=True)
    folder = folder or project_root() / "build" / "machine"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = features.read_recipe(HERE / "features.toml")

    out.print("1/4 data: the vibration of generated pumps, while they are healthy")
    healthy = training_data(recipe, every)
    out.print(f"    {len(healthy)} seconds of {len(TRAINED)} pumps")

    out.print("2/4 training: what are the next features?")
    network = api.train(
        healthy, target="next", readout="each", cell="cfc", hidden=16, backbone_units=24,
        epochs=epochs, batch=32,
    )  # fmt: skip
    model = api.convert(network, next_sample(healthy), bits=8)
    path = folder / "pump.ulnn"
    model.save(path)
    out.print(f"    {path.stat().st_size} bytes")

    out.print(f"3/4 the board at {port} learns on another pump, until that fails")
    machine = machines.machines("development")[WATCHED]
    raw = life(machine, stride)
    (folder / "life.take").write_bytes(take(raw))
    shutil.copyfile(HERE / "settings.json", folder / "settings.json")
    events, state, status = on_board(port, path, folder / "settings.json")
    out.print(status)

    out.print("4/4 the same on the PC")
    watch = watch_of(folder / "settings.json", path.read_bytes())
    want, at, kept = on_pc(watch, path.read_bytes(), raw, recipe)
    same = events == want and kept in state
    days = [float(machine.at[k * stride]) / 86400 for k in at]
    for (event, _, value, level), day in zip(want, days, strict=True):
        out.print(f"    day {day:.2f}: {event}, {value} with a threshold of {level}")
    out.print(f"    the fault began on day {machine.onset / 86400:.2f}, and it failed on day "
              f"{machine.life / 86400:.2f}")  # fmt: skip
    out.print(f"    board and PC {'agree bit for bit' if same else 'DIFFER'}")
    return Outcome(
        events, days, state, same, machine.onset / 86400, machine.life / 86400,
        path.stat().st_size, time.perf_counter() - start,
    )  # fmt: skip


def main(
    port: Annotated[str, typer.Option(help="serial port of a board, or virtual:...")] = PORT,
    output: Annotated[Path | None, typer.Option(help="folder for all files")] = None,
) -> None:
    """A pump that says when it is not as it was."""
    outcome = run(port, output)
    raise typer.Exit(0 if outcome.same else 1)


if __name__ == "__main__":
    typer.run(main)
