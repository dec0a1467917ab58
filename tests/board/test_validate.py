"""`validate`: equal boards, boards that compute something else, and the reports of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from support.board_tools import model_file, need_tools
from support.paths import FIRMWARE
from support.pty_board import FAKE_MODULES, PtyBoard, write_modules
from support.unix import needs_micropython
from ulnn_host.base.errors import BrokenOff, UlnnError
from ulnn_host.board.deploy import deploy
from ulnn_host.board.faults import Faults
from ulnn_host.board.link import Board
from ulnn_host.board.validate import Latency, ValidationReport, validate
from ulnn_host.cli.main import app
from ulnn_host.data.logs import read
from ulnn_host.format import container
from ulnn_host.report.board_show import show_validation
from ulnn_host.report.page import validation_page


def data_file(folder: Path, model: Path, sequences: int = 6, steps: int = 40) -> Path:
    """Ragged labelled sequences that use the whole input range, some dt beyond dt_max."""
    parsed = container.read(model.read_bytes())
    rng = np.random.default_rng(7)
    x = rng.uniform(-33000, 33000, (sequences, steps, parsed.input_size))
    x = x * parsed.input_scale + parsed.input_offset
    tick = parsed.tick_ns * 1e-9
    dt = np.exp(rng.uniform(np.log(tick), np.log(3 * parsed.dt_max * tick), (sequences, steps)))
    length = rng.integers(1, steps + 1, sequences)
    length[0] = steps
    path = folder / "data.npz"
    np.savez(
        path,
        x=x.astype(np.float32),
        dt=dt.astype(np.float32),
        length=length,
        y=rng.integers(0, parsed.output_size, sequences),
    )
    read(path)
    return path


@pytest.fixture
def board(tmp_path: Path) -> Iterator[PtyBoard]:
    with PtyBoard(tmp_path / "board", heap="4M") as running:
        yield running


def at(board: PtyBoard) -> str:
    return f"{board.folder}/m.ulnn"


@needs_micropython
def test_equal(board: PtyBoard, pure_only: None, tmp_path: Path) -> None:
    model = model_file(tmp_path)
    data = data_file(tmp_path, model)
    report = validate(model, data, board.port, to=at(board))
    assert report.equal
    assert report.first_difference is None
    assert report.steps == read(data).length.sum()
    assert report.outputs_compared == 4 * report.steps
    assert report.clamped_steps > 0
    assert report.clamped_equal
    assert report.score_board == report.score_reference
    assert report.score_board is not None
    assert report.score_board.count == 6
    assert report.latency is not None
    latency = report.latency
    assert 0 <= latency.min <= latency.p50 <= latency.p99 <= latency.max
    in_gc = report.latency_gc.count if report.latency_gc else 0
    assert latency.count + in_gc == report.steps
    assert report.traffic.lost == 0
    content = json.loads(json.dumps(report.to_json()))
    assert content["equal"] is True
    assert content["deployment"]["self_test_steps"] == 12
    html = tmp_path / "out" / "report.html"
    validation_page(report).write(html)
    page = html.read_text()
    assert "Equal: all" in page
    assert page.count("<img ") == 4
    assert "http" not in page.replace("http://www.w3.org", "")
    # equal, and yet not what the model knows: text, JSON and page say so
    late = report.coverage.late_steps
    assert late == report.clamped_steps > 0
    fact = f"but {late:,} of {report.steps:,} steps were longer than the "
    assert fact in page
    assert content["coverage"]["late_steps"] == late
    assert sum(content["coverage"]["clipped"].values()) > 0
    assert len(content["coverage"]["warnings"]) >= 2
    out = Console(record=True, width=300)
    show_validation(report, out)
    text = " ".join(out.export_text().split())
    assert fact in text
    assert f"sampling {report.coverage.sampling}" in text


@needs_micropython
def test_a_fixed_dt_counts_as_the_reference_does(
    board: PtyBoard, pure_only: None, tmp_path: Path
) -> None:
    """The data have other dts than the model, so nearly every step is counted, none twice."""
    model = model_file(tmp_path, dt_fixed=500)
    data = data_file(tmp_path, model)
    report = validate(model, data, board.port, to=at(board))
    assert report.clamped_equal
    assert report.equal
    assert report.arrays is not None
    dt = report.arrays.batch.dt[read(data).mask]
    assert report.clamped_steps == int((dt != 500).sum()) > int((dt > 1_000_000).sum()) > 0


# An engine that computes something else: one bit of one output of the first sequence with
# BAD_STEP steps, or of the last state of each sequence with LAST_STEP steps.
WRONG = """
import ulnn_right
from ulnn_right import __version__
ENGINE = "pure"
class Model:
    def __init__(self, m):
        self.m, self.n, self.done = m, 0, False
    def step(self, x, y, dt):
        self.m.step(x, y, dt)
        self.n += 1
        if self.n == BAD_STEP and not self.done:
            self.done = True
            y[2] ^= 1
    def reset(self):
        self.m.reset()
        self.n = 0
    @property
    def state(self):
        s = bytearray(self.m.state)
        if self.n == LAST_STEP:
            s[-2] ^= 1
        return bytes(s)
    clamped = property(lambda self: self.m.clamped)
    def info(self): return self.m.info()
    def self_test(self): return self.m.self_test()
def load(source): return Model(ulnn_right.load(source))
"""


def put_wrong(board: PtyBoard, model: Path, *, bad_step: int = 0, last_step: int = 0) -> None:
    text = WRONG.replace("BAD_STEP", str(bad_step)).replace("LAST_STEP", str(last_step))
    right = (FIRMWARE / "ulnn.py").read_text()
    write_modules(board.lib, {**FAKE_MODULES, "ulnn.py": text, "ulnn_right.py": right})
    (board.folder / "m.ulnn").write_bytes(model.read_bytes())


@needs_micropython
def test_different(board: PtyBoard, tmp_path: Path) -> None:
    """A board that flips one bit of one output is caught at that step."""
    model = model_file(tmp_path)
    data = data_file(tmp_path, model)
    put_wrong(board, model, bad_step=18)
    html = tmp_path / "report.html"
    report = validate(model, data, board.port, to=at(board), deploy=False)
    validation_page(report).write(html)
    assert not report.equal
    assert report.different_states == 0
    first = report.first_difference
    assert first is not None
    assert (first.what, first.step, first.index) == ("output", 17, 2)
    assert first.board == first.reference ^ 1
    assert report.arrays is not None
    assert first.sequence == int(np.argmax(report.arrays.batch.length >= 18))
    assert "Different: " in html.read_text()


@needs_micropython
def test_different_last_states(board: PtyBoard, tmp_path: Path) -> None:
    """All outputs are right, and one bit of a state is not."""
    model = model_file(tmp_path)
    data = data_file(tmp_path, model)
    put_wrong(board, model, last_step=40)
    report = validate(model, data, board.port, to=at(board), deploy=False)
    assert not report.equal
    assert report.different_steps == 0
    assert report.different_states == int((read(data).length == 40).sum()) < 6
    first = report.first_difference
    assert first is not None
    assert (first.what, first.sequence, first.step, first.index) == ("state", 0, 39, 15)
    assert first.board == first.reference ^ 1


@needs_micropython
def test_wrong_or_missing_model_without_deploy(
    board: PtyBoard, pure_only: None, tmp_path: Path
) -> None:
    model = model_file(tmp_path)
    data = data_file(tmp_path, model)
    with pytest.raises(UlnnError, match=r"m\.ulnn is not on the board; deploy it first"):
        validate(model, data, board.port, to=at(board), deploy=False)
    with Board.open(board.port) as link:
        deploy(link, model_file(tmp_path, 2, "other.ulnn"), at(board))
    with pytest.raises(UlnnError, match=r"on the board is another model \(\w{12}\.\.\., expected"):
        validate(model, data, board.port, to=at(board), deploy=False)
    assert validate(model, data, board.port, to=at(board)).equal


@needs_micropython
def test_unplugged(board: PtyBoard, pure_only: None, tmp_path: Path) -> None:
    model = model_file(tmp_path)
    data = data_file(tmp_path, model)

    def pull(done: int, total: int) -> None:
        if done > 50:
            board.unplug()

    words = r"still plugged in\? \(broken off after \d+ of \d+\)"
    with pytest.raises(BrokenOff, match=words) as caught:
        validate(model, data, board.port, to=at(board), progress=pull)
    broken = caught.value.report
    assert not broken.equal
    assert 50 < broken.compared < broken.steps
    assert broken.traffic.lost == broken.steps - broken.compared
    assert broken.different_steps == broken.different_states == 0
    assert broken.score_board is None
    validation_page(broken).write(tmp_path / "broken.html")
    assert f"Broken off after {broken.compared} of {broken.steps}" in (
        (tmp_path / "broken.html").read_text()
    )
    kept = tmp_path / "broken.json"
    kept.write_text(json.dumps(broken.to_json()))
    assert json.loads(kept.read_text())["broken_off"].endswith("still plugged in?")

    board.replug(0)
    seen: list[int] = []
    report = validate(
        model, data, str(board.link), to=at(board), resume=kept,
        progress=lambda done, total: seen.append(done),
    )  # fmt: skip
    assert report.equal
    assert report.compared == report.steps
    assert seen[0] > broken.compared
    assert report.clamped_equal
    assert report.traffic.lost == 0
    assert "resume" not in report.to_json()


@needs_micropython
def test_a_report_that_is_no_place_to_go_on(
    board: PtyBoard, pure_only: None, tmp_path: Path
) -> None:
    model = model_file(tmp_path)
    data = data_file(tmp_path, model)

    def pull(done: int, total: int) -> None:
        if done > 50:
            board.unplug()

    with pytest.raises(BrokenOff) as caught:
        validate(model, data, board.port, to=at(board), progress=pull)
    content = caught.value.report.to_json()
    path = tmp_path / "r.json"

    def refused(change: Callable[[dict], None]) -> str:
        copy = json.loads(json.dumps(content))
        change(copy)
        path.write_text(json.dumps(copy))
        with pytest.raises(UlnnError) as error:
            validate(model, data, board.port, resume=path)
        return str(error.value)

    assert "report of a run that broke off" in refused(lambda c: c.pop("resume"))
    assert "is of another model" in refused(lambda c: c["resume"].update(model="0" * 64))
    assert "is of another data" in refused(lambda c: c["resume"].update(data="0" * 64))
    assert "is damaged" in refused(lambda c: c["resume"]["arrays"].update(y="AAAA"))
    assert "is damaged" in refused(lambda c: c["resume"].update(sequence=99))
    assert "is damaged" in refused(lambda c: c["resume"].update(mark_state=[1], step=3))
    with pytest.raises(UlnnError, match="cannot be read"):
        validate(model, data, board.port, resume=tmp_path / "none.json")


@needs_micropython
@pytest.mark.parametrize("unplugs", [3])
def test_unplugged_and_back(
    board: PtyBoard, pure_only: None, tmp_path: Path, unplugs: int
) -> None:
    model = model_file(tmp_path)
    data = data_file(tmp_path, model, steps=200)
    moments = [150, 400, 600][:unplugs]
    lines: list[str] = []

    def pull(done: int, total: int) -> None:
        if moments and done > moments[0]:
            moments.pop(0)
            board.replug(0.2)

    report = validate(
        model, data, str(board.link), to=at(board), wait=20, progress=pull, notice=lines.append
    )
    assert not moments
    assert report.equal
    assert report.traffic.restarts >= unplugs
    assert any("waiting 20 s" in line for line in lines)


@needs_micropython
def test_injected_faults(board: PtyBoard, pure_only: None, tmp_path: Path) -> None:
    """The whole of validate, its deployment too, over a line that does damage."""
    model = model_file(tmp_path)
    data = data_file(tmp_path, model, steps=100)
    args = [
        "validate", str(model), str(data), "--port", board.port, "--to", at(board),
        "--inject-faults", "5e-4", "--json", str(tmp_path / "v.json"),
    ]  # fmt: skip
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    assert "faults were injected" in done.output
    content = json.loads((tmp_path / "v.json").read_text())
    assert content["equal"] is True
    assert content["traffic"]["faults"] > 10


def test_faults_that_make_no_sense() -> None:
    for text, words in (
        ("2", "a rate of 2, expected 0 or more"),
        ("1e-3:shout", "kind 'shout', expected flip, drop"),
        ("many", "expected RATE, RATE:KIND"),
    ):
        with pytest.raises(UlnnError, match=words):
            Faults.parse(text)


@pytest.mark.parametrize("kind", ["flip", "drop", "duplicate", "insert", "swap", "burst", "mix"])
def test_faults_come_at_their_rate(kind: str) -> None:
    faults = Faults(1e-2, kind)
    data = bytes(range(1, 251)) * 40
    out = b"".join(faults.to_board(data[k : k + 7]) for k in range(0, len(data), 7))
    assert out != data
    assert 60 < faults.count < 140
    assert abs(len(out) - len(data)) < 140
    again = Faults(1e-2, kind)
    assert out == b"".join(again.to_board(data[k : k + 7]) for k in range(0, len(data), 7))


def test_data_of_another_shape(tmp_path: Path) -> None:
    model = model_file(tmp_path)
    np.savez(tmp_path / "bad.npz", x=np.zeros((5, 3), np.float32), dt=np.ones(5, np.float32))
    with pytest.raises(UlnnError, match="the data have 3 inputs, expected 6"):
        validate(model, tmp_path / "bad.npz", "/dev/ttyNONE")


@pytest.mark.board
@pytest.mark.parametrize("name", ["cortex-m7", "rv32"])
def test_virtual_boards(name: str, tmp_path: Path) -> None:
    """Equal, no sample lost, and 200 samples/s and more through the virtual port."""
    need_tools(name)
    model = model_file(tmp_path)
    data = data_file(tmp_path, model, sequences=8, steps=300)
    report: ValidationReport = validate(model, data, f"virtual:{name}")
    assert report.equal
    assert report.board.facts["engine"] == "native"
    assert not report.board.allocates
    assert report.board.emulated
    assert isinstance(report.latency, Latency)
    assert report.latency_gc is None
    assert report.traffic.lost == 0
    best = report.samples_per_second
    for _ in range(3):  # the machine may be busy
        if best < 200:
            best = validate(model, data, f"virtual:{name}").samples_per_second
    assert best >= 200
