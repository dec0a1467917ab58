"""A board as an engine: model over, samples streamed, outputs and state back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..engines import registry
from ..engines.batch import Batch, Outputs
from ..format import container
from .identity import Identity, identify
from .link import Board
from .plan import engine_files
from .virtual import BOARDS

MODEL_PATH = "/models/engine_run.ulnn"


class BoardEngine:
    """Runs one model after the other on one `board`; made by `open_board`."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def run(self, data: bytes, batch: Batch) -> Outputs:
        """All sequences of the batch, the state reset before each. Raises UlnnError."""
        out = Outputs.empty(container.read(data), batch)
        self.board.write_file(MODEL_PATH, data)
        with self.board.stream(MODEL_PATH) as session:
            for n, steps in enumerate(batch.length):
                session.reset()
                out.y[n, :steps] = session.run(batch.x[n, :steps], batch.dt[n, :steps]).y
                out.state[n] = session.state()
        self.board.exec(f"import os\nos.remove({MODEL_PATH!r})")
        return out


@contextlib.contextmanager
def open_board(port: str) -> Iterator[BoardEngine]:
    """A board at a port (`virtual:cortex-m7` boots one) with the engine `ulnn` on it."""
    with Board.open(port) as board:
        install(board)
        yield BoardEngine(board)


def install(board: Board) -> Identity:
    """Put the engine and a folder for models on a board; answers what the board is."""
    identity = identify(board)
    for path, data, _ in engine_files(identity).files:
        board.make_folders(path)
        board.write_file(path, data)
    board.make_folders(MODEL_PATH)
    return identity


def run(data: bytes, batch: Batch, engine: str) -> Outputs:
    """Run a model file under any of ENGINES. Raises UlnnError as `registry.run`."""
    return registry.run(data, batch, engine, ENGINES)


def _virtual(name: str) -> registry.Engine:
    def run_board(data: bytes, batch: Batch) -> Outputs:
        with open_board(f"virtual:{name}?heap=2m") as board:
            return board.run(data, batch)

    return run_board


ENGINES = {**registry.ENGINES, **{name: _virtual(name) for name in BOARDS}}
