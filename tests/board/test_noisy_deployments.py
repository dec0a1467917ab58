"""Deployments over a line that damages bytes in both directions: all done, whatever it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.board_tools import model_file
from support.pty_board import PtyBoard
from support.unix import needs_micropython
from ulnn_host.board.deploy import deploy
from ulnn_host.board.faults import Faults
from ulnn_host.board.link import Board
from ulnn_host.format import container


@needs_micropython
@pytest.mark.parametrize(("rate", "quick", "all_of_them"), [(1e-4, 3, 30), (1e-3, 1, 10)])
def test_every_deployment_over_a_damaged_line_is_done(
    rate: float, quick: int, all_of_them: int, tmp_path: Path, pure_only: None, full: bool
) -> None:
    path = model_file(tmp_path)
    sha256 = container.read(path.read_bytes()).sha256
    for seed in range(all_of_them if full else quick):
        # A disk that stays, as noise can also end the unix port's interpreter.
        folder = tmp_path / f"board{seed}"
        faults = Faults(rate, seed=seed)
        with (
            PtyBoard(folder, heap="4M") as pty,
            Board.open(pty.port, faults=faults) as link,
        ):
            report = deploy(link, path, f"{folder}/models/")
            repeats = link.repl.repeats
        print(f"{rate:g}, seed {seed}: {report.seconds:.1f} s, {faults.count} faults, "
              f"{repeats} commands sent again", flush=True)  # fmt: skip
        assert faults.count > 0
        assert len(report.plan.to_send) == len(report.plan.items) > 3
        assert (report.self_test, report.info["sha256"]) == (12, sha256)
        assert (folder / "models/m.ulnn").read_bytes() == path.read_bytes()
