"""What damage costs, on a line as slow as a real one: `make bench-line` in small."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from support.pty_board import FAKE_MODULES, PtyBoard, fake_run
from support.slow_line import slow_line
from support.unix import needs_micropython
from ulnn_host.board.link import Board

INPUTS, OUTPUTS, DT = 6, 7, 20000
# An answer's bytes for a sample in a full frame, times bits a byte.
BOUND = 10 * (2 * (OUTPUTS + 1) + 1)


def rate(folder: Path, baud: int, faults: str, samples: int) -> float:
    """Samples a second, all of them right."""
    (folder / "m.ulnn").write_text(f"{INPUTS} {OUTPUTS} 8")
    x = np.random.default_rng(5).integers(-32768, 32768, (samples, INPUTS))
    y, state = fake_run(x.tolist(), [DT] * samples, OUTPUTS)
    with (
        PtyBoard(folder, modules=FAKE_MODULES) as board,
        slow_line(board.port, baud, faults) as port,
        Board.open(port, baudrate=baud) as link,
        link.stream("m.ulnn") as session,
    ):
        session.reset()
        start = time.monotonic()
        answers = session.run(x, np.full(samples, DT))
        seconds = time.monotonic() - start
    assert answers.y.tolist() == y
    assert answers.end.state == (state,) * 8
    return samples / seconds


@needs_micropython
@pytest.mark.parametrize(
    ("baud", "faults", "samples", "share"),
    [
        (115200, "0", 2500, 0.70),
        (115200, "1e-4:mix:2", 2000, 0.50),
        (115200, "1e-3:mix:2", 1000, 0.25),
        (115200, "1e-3:burst:2", 300, 0.05),
        (115200, "1e-2:mix:2", 150, 0.01),
        (921600, "0", 10000, 0.50),
        (921600, "1e-3:mix:2", 3000, 0.05),
    ],
)
def test_rates(tmp_path: Path, baud: int, faults: str, samples: int, share: float) -> None:
    """The shares of the bound are lower than in the benchmark: the machine may be busy."""
    assert rate(tmp_path, baud, faults, samples) >= share * baud / BOUND
