"""Sessions with the loop under MicroPython, on lines that are good, bad, and cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from support.pty_board import FAKE_ULNN, PtyBoard, fake_run
from support.unix import needs_micropython
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import stream
from ulnn_host.board.exchange import Request
from ulnn_host.board.faults import Faults
from ulnn_host.board.link import Board
from ulnn_host.board.stream import RunBroken, Session

pytestmark = needs_micropython


def samples(count: int, inputs: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.integers(-32768, 32768, (count, inputs))
    x[::3] = 0x03FE  # bytes 3 and FE in a row
    dt = rng.integers(1, 5000, count)
    dt[count // 2 :] = 40
    dt[:: max(count // 7, 1)] = 2_000_000  # more than dt_max
    return x, dt


def check_run(session: Session, count: int = 300, outputs: int = 7) -> None:
    """A run from a reset, compared with the model's arithmetic."""
    x, dt = samples(count, session.info.inputs)
    session.reset()
    seen: list[int] = []
    answers = session.run(x, dt, seen.append)
    y, state = fake_run(x.tolist(), dt.tolist(), outputs)
    assert answers.y.tolist() == y
    assert session.state().tolist() == [state] * session.info.state_size
    assert list(answers.end.state or ()) == [state] * session.info.state_size
    assert answers.end.clamped == int((dt > 1_000_000).sum())
    assert answers.ticks.shape == answers.gc.shape == (count,)
    assert sum(seen) == count


@pytest.mark.parametrize("window", [64, 256, 0])
def test_steps_are_those_of_the_engine(board: PtyBoard, window: int) -> None:
    with Board.open(board.port) as link:
        with link.stream("m.ulnn", window=window) as session:
            board.sent.clear()
            check_run(session)
            assert session.info.window == (window or 2048)
            assert session.info.facts["kernel"] == "python"
            assert session.stats()["steps"] == 300
            assert session.naks == session.damaged == session.restarts == 0
            assert 3 not in board.sent
        assert link.eval("6 * 7") == 42


@pytest.mark.parametrize("sizes", ["1 1 1", "120 1 1", "1 118 2", "119 1 1", "400 300 500"])
def test_any_number_of_inputs_and_outputs(board: PtyBoard, sizes: str) -> None:
    (board.folder / "m.ulnn").write_text(sizes)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        check_run(session, 20, int(sizes.split()[1]))


def test_a_run_goes_on_from_the_last(board: PtyBoard) -> None:
    x, dt = samples(100, 6)
    y, state = fake_run(x.tolist(), dt.tolist(), 7)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        parts = [session.run(x[k : k + 30], dt[k : k + 30]) for k in range(0, 100, 30)]
        assert np.concatenate([p.y for p in parts]).tolist() == y
        assert session.state().tolist() == [state] * 8
        assert sum(p.end.clamped for p in parts) == int((dt > 1_000_000).sum())


def test_errors_of_the_engine_arrive(board: PtyBoard) -> None:
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        with pytest.raises(ValueError, match="dts: expected 1 or more ticks, got 0 at step 2"):
            session.run(np.zeros((3, 6)), [1, 1, 0])
        with pytest.raises(ValueError, match=r"x: expected shape \(2, 6\), got \(2, 5\)"):
            session.run(np.zeros((2, 5)), [1, 1])
        with pytest.raises(ValueError, match="x: expected int16 values"):
            session.run(np.full((2, 6), 40000), [1, 1])
        bad = bytes(2 * 6 * 3) + np.array([1, 1, 0], "<u4").tobytes()
        with pytest.raises(UlnnError, match=r"dt: expected 1 or more ticks, got 0 \(sample 2"):
            session._one(Request("S", 3 + 512, bad, 3))
        with pytest.raises(UlnnError, match="refused after an error: reset first"):
            session.state()
        check_run(session)


def test_garbage_collections_are_marked(board: PtyBoard) -> None:
    (board.lib / "ulnn.py").write_text(FAKE_ULNN.replace("trash = False", "trash = True"))
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        assert session.info.allocates
        x, dt = samples(300, 6)
        trace = session.run(x, dt)
        assert 0 < trace.gc.sum() < 20
        assert session.stats()["collections"] == trace.gc.sum()


# ---- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "kind", "count"),
    [
        (1e-4, "mix", 2000),
        (1e-3, "mix", 1000),
        (1e-3, "burst", 500),
        (1e-2, "drop", 100),
        (1e-2, "flip", 100),
    ],
)
def test_a_bad_line_costs_time_but_no_sample(
    board: PtyBoard, rate: float, kind: str, count: int
) -> None:
    """Both directions, byte 3 allowed: nothing is lost, doubled, or wrong."""
    faults = Faults(rate, kind, seed=2)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        link.line.to_board, link.line.to_host = faults.to_board, faults.to_host
        check_run(session, count)
        if not session.restarts:
            assert session.stats()["steps"] == count
        link.line.to_board = link.line.to_host = bytes
    assert faults.count > 0


@pytest.mark.slow
def test_100_000_samples_on_a_bad_line(board: PtyBoard, full: bool) -> None:
    if not full:
        pytest.skip("needs --full")
    faults = Faults(1e-3)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        link.line.to_board, link.line.to_host = faults.to_board, faults.to_host
        check_run(session, 100_000)
        link.line.to_board = link.line.to_host = bytes


# ---- loops that end in a run --------------------------------------------------------------------


def once_at(samples_done: int, action: Callable[[], None]) -> Callable[[int], None]:
    """A progress that acts once, after so many samples."""
    done = [0]

    def progress(count: int) -> None:
        before, done[0] = done[0], done[0] + count
        if before < samples_done <= done[0]:
            action()

    return progress


def test_a_byte_3_restarts_the_loop_and_nothing_is_typed_into_the_repl(board: PtyBoard) -> None:
    x, dt = samples(1500, 6)
    y, state = fake_run(x.tolist(), dt.tolist(), 7)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        session.reset()
        answers = session.run(x, dt, once_at(700, lambda: link.line.write(b"\x03")))
        assert answers.y.tolist() == y
        assert answers.end.state == (state,) * 8
        assert answers.end.clamped == int((dt > 1_000_000).sum())
        assert session.restarts == 1
        assert 0 < session.repeated <= 500  # the last mark was at 500
        assert session.stats()["steps"] == 1000
        assert link.repl.repeats == 0


def test_a_restart_never_takes_a_state_of_the_host(
    board: PtyBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state that is put back is one that was read from this board in this run."""
    read: list[tuple[int, ...]] = []
    put: list[tuple[int, ...]] = []
    take, back = stream.Run._take_state, Session._put_back

    def taken(run: stream.Run, k: int, reply: stream.Reply) -> stream.Mark | None:
        mark = take(run, k, reply)
        if mark is not None and mark.state is not None:
            read.append(mark.state)
        return mark

    def noted(session: Session, mark: stream.Mark) -> None:
        if mark.state is not None:
            put.append(mark.state)
        back(session, mark)

    monkeypatch.setattr(stream.Run, "_take_state", taken)
    monkeypatch.setattr(Session, "_put_back", noted)
    x, dt = samples(1300, 6)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        session.reset()
        session.run(x, dt, once_at(1200, lambda: link.line.write(b"\x03")))
    assert put == [read[1]]  # at 1,000


def test_a_board_that_answers_otherwise_the_second_time_is_found(board: PtyBoard) -> None:
    drifting = FAKE_ULNN.replace("self.s = value[0] & 0x3FFF", "self.s = value[0] + 1 & 0x3FFF")
    (board.lib / "ulnn.py").write_text(drifting)
    x, dt = samples(900, 6)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:
        session.reset()
        interrupt = once_at(700, lambda: link.line.write(b"\x03"))
        with pytest.raises(UlnnError, match=r"step 500 of the run gave other outputs"):
            session.run(x, dt, interrupt)


def test_a_long_pause_of_the_line_loses_nothing(board: PtyBoard) -> None:
    held: list[bytes] = []
    x, dt = samples(600, 6)
    y, _ = fake_run(x.tolist(), dt.tolist(), 7)
    with Board.open(board.port) as link, link.stream("m.ulnn") as session:

        def pause() -> None:
            calls = [0]

            def hold(data: bytes) -> bytes:
                calls[0] += 1
                held.append(data)
                if calls[0] < 12:
                    return b""
                board.to_host = bytes
                return b"".join(held)

            board.to_host = hold

        session.reset()
        assert session.run(x, dt, once_at(300, pause)).y.tolist() == y
    assert len(held) == 12


def test_ctrl_c_and_silence_end_the_loop(board: PtyBoard) -> None:
    with Board.open(board.port) as link:
        with link.stream("m.ulnn", idle_ms=200) as session:
            check_run(session, 50)
            link.line.read_until(stream.time.monotonic() + 0.6)
            check_run(session, 50)  # the loop had ended, and was started again
            assert session.restarts == 1
        assert link.eval("1 + 1") == 2
        # A frame that breaks off: Ctrl-C, which opening the port sends, still gets through.
        link.repl.start("import ulnn_stream; ulnn_stream.serve('m.ulnn')")
        link.line.write(b"\xfe\x00\x00\x40")
        link.repl.leave = lambda: None  # type: ignore[method-assign]
    with Board.open(board.port) as link:
        assert link.eval("1 + 1") == 2


# ---- unplugged ----------------------------------------------------------------------------------


def test_a_board_that_comes_back_is_gone_on_with(board: PtyBoard) -> None:
    x, dt = samples(1500, 6)
    y, state = fake_run(x.tolist(), dt.tolist(), 7)
    with (
        Board.open(str(board.link), wait=10) as link,
        link.stream("m.ulnn") as session,
    ):
        session.reset()
        answers = session.run(x, dt, once_at(800, lambda: board.replug(0.3)))
        assert answers.y.tolist() == y
        assert answers.end.state == (state,) * 8
        assert session.restarts == 1


def test_a_board_that_stays_away_leaves_what_came(board: PtyBoard) -> None:
    x, dt = samples(2000, 6)
    y, _ = fake_run(x.tolist(), dt.tolist(), 7)

    def run() -> None:
        with Board.open(board.port) as link, link.stream("m.ulnn") as session:
            session.reset()
            session.run(x, dt, once_at(800, board.unplug))

    with pytest.raises(RunBroken, match="is the board still plugged in") as caught:
        run()
    answers = caught.value.answers
    assert 800 <= len(answers.y) < 2000
    assert answers.y.tolist() == y[: len(answers.y)]
    assert answers.end.step == 500

    board.replug(0)
    with Board.open(str(board.link)) as link, link.stream("m.ulnn") as session:
        rest = session.run(x, dt, start=answers.end)
        assert rest.y[500:].tolist() == y[500:]
        assert rest.end.clamped == int((dt > 1_000_000).sum())


def test_another_model_that_comes_back_is_refused(board: PtyBoard) -> None:
    x, dt = samples(1500, 6)

    with Board.open(board.port) as link, link.stream("m.ulnn") as session:

        def change() -> None:
            (board.folder / "m.ulnn").write_text("6 7 9")
            link.line.write(b"\x03")

        session.reset()
        with pytest.raises(UlnnError, match="another board or model came back"):
            session.run(x, dt, once_at(700, change))
