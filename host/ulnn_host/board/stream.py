"""A session with the loop on the board: samples out, outputs and step times back (PROTOCOL.md)."""

from __future__ import annotations

import contextlib
import random
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..base.errors import UlnnError
from .exchange import Exchange, LoopEnded, Request, is_an_error
from .frames import Reply
from .line import Line, LineLost
from .samples import (
    STATE,
    TEXT,
    Answers,
    BoardInfo,
    Int16,
    Mark,
    NotRepeatable,
    Run,
    checked,
    frame_samples,
    frame_words,
    get,
    put,
)

__all__ = ["PROTOCOL", "Answers", "BoardInfo", "Mark", "RunBroken", "Session"]

PROTOCOL = (2, 1)
MARK_SAMPLES, LEAST_MARK_SAMPLES, MOST_MARK_SAMPLES = 500, 50, 30000
FRUITLESS_RESTARTS = 20
RESTART_SECONDS, DEAF_SECONDS = 60.0, 10.0
READY_SECONDS = 2.0
START_ATTEMPTS = 4

_T = TypeVar("_T")


class RunBroken(UlnnError):
    """The board went away in a run. answers: what came before, end: where to go on from."""

    def __init__(self, text: str, answers: Answers) -> None:
        super().__init__(text)
        self.answers = answers


class Session:
    """The host's end. Every failure is a UlnnError that names the port.

    restarts: loops that were started again; repeated: steps that the board made twice for that.
    """

    def __init__(
        self,
        line: Line,
        start: Callable[[bool], None],
        *,
        timeout: float = 60,
        wait: float = 0.0,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        """start(again) has the board run the loop, out of whatever it does where `again`.

        timeout: seconds for loading the model. wait: seconds until an unplugged board is back.
        notice: gets a line about each restart.
        """
        self._notice = notice or (lambda _: None)
        self._line, self._start = line, start
        self._timeout, self._wait = timeout, wait
        self._exchange = Exchange(line)
        self._mark = Mark()
        self._fresh = False
        self._mark_samples = MARK_SAMPLES
        self._fruitless = 0
        self.restarts = self.repeated = 0
        self.info: BoardInfo

    # ---- counters -----------------------------------------------------------------------------

    @property
    def resent(self) -> int:
        """Frames that were sent again, and answers that were asked for again."""
        return self._exchange.counters.resent + self._exchange.counters.asked

    @property
    def naks(self) -> int:
        """Times the board said that a frame was damaged or missing."""
        return self._exchange.counters.naks

    @property
    def damaged(self) -> int:
        """Stretches of bytes from the board that were no frame."""
        return self._exchange.damaged

    # ---- requests -----------------------------------------------------------------------------

    def hello(self) -> BoardInfo:
        """Start the loop: the board loads and resets the model and says who it is."""
        try:
            self._begin(again=False)
        except LoopEnded as error:
            self._revive(error)
        return self.info

    def reset(self) -> None:
        """State to 0."""
        self._safely(lambda: self._one(Request("R")))
        self._mark, self._fresh = Mark(), True

    def state(self) -> Int16:
        """The model's state, int16 (state_size,)."""
        return np.array(self._safely(self._read_state).state, np.int16)

    def stats(self) -> dict[str, int]:
        """Counters of the board since its loop started."""
        values = self._safely(lambda: self._one(Request("Q"))).payload.view("<u4")
        names = ("steps", "collections", "damaged", "clamped", "mem_alloc", "mem_free")
        return dict(zip(names, (int(v) for v in values), strict=False))

    def bye(self) -> None:
        """End the loop on the board, and wait for the prompt of the raw REPL after it."""
        # Where the loop is gone already there is nothing to end.
        with contextlib.suppress(LoopEnded):
            self._one(Request("B"))
            self._line.read_until(time.monotonic() + 1, 0.05)

    # ---- samples ------------------------------------------------------------------------------

    def run(
        self,
        x: ArrayLike,
        dt: ArrayLike,
        progress: Callable[[int], None] | None = None,
        *,
        start: Mark | None = None,
    ) -> Answers:
        """Steps from the present state. x int16 (T, I), dt ticks (T,); progress gets step counts.

        start: goes on there instead, in the same x and dt. Raises ValueError for wrong shapes and
        for dt < 1, RunBroken when the board is lost and does not come back in time.
        """
        xs, dts = checked(x, dt, self.info.inputs)
        counted = 0
        if start is not None:
            self._safely(lambda: self._put_back(start))
            self._mark = start
        elif self._fresh:
            self._mark = Mark()
        else:
            now = self._safely(self._read_state)
            self._mark, counted = Mark(0, now.state), now.clamped
        self._fresh = False
        run = Run(xs, dts, self.info, self._mark, counted, progress or (lambda _: None))
        while run.mark.step < len(xs):
            before = run.mark
            try:
                self._go(run)
            except (LoopEnded, LineLost) as error:
                if run.mark is before:
                    self._mark_samples = max(LEAST_MARK_SAMPLES, self._mark_samples // 2)
                try:
                    self._revive(error)
                except (LoopEnded, LineLost) as last:
                    raise RunBroken(str(last), run.answers()) from last
                self.repeated += run.go_back()
            except NotRepeatable as error:
                raise UlnnError(f"port {self._line.name}: {error}") from error
        return run.answers()

    def _go(self, run: Run) -> None:
        for reply in self._exchange.exchange(run.requests(self)):
            if (mark := run.take(reply)) is not None:
                self._mark, self._fruitless = mark, 0
            self._exchange.step_seconds = max(self._exchange.step_seconds, run.slowest)

    def batch(self) -> int:
        """Samples of the next frame."""
        return frame_samples(self.info, self._exchange.window, self._exchange.damage.rate)

    def words(self) -> int:
        """Words of the next payload that is no samples."""
        return frame_words(self._exchange.window, self._exchange.damage.rate)

    def mark_samples(self) -> int:
        """Samples after which the state is read: it is a twentieth of what comes back at most."""
        least = 20 * self.info.state_size // (self.info.outputs + 1)
        return min(max(self._mark_samples, least), MOST_MARK_SAMPLES)

    # ---- a loop that ended --------------------------------------------------------------------

    def _safely(self, action: Callable[[], _T]) -> _T:
        """Do it, after a restart again."""
        while True:
            try:
                return action()
            except (LoopEnded, LineLost) as error:
                self._revive(error)

    def _revive(self, error: LoopEnded | LineLost) -> None:
        """Start the loop again and put the last state back that the board sent.

        Raises the last error when that does not succeed.
        """
        self.restarts += 1
        said: list[str] = []
        began = time.monotonic()
        deadline = began + max(RESTART_SECONDS, self._wait)
        while True:
            self._fruitless += 1
            if isinstance(error, LoopEnded):
                said.append(error.reason)
                hopeless = said[-2:] == 2 * [error.reason] and is_an_error(error.reason)
            else:
                hopeless = not self._wait
            now = time.monotonic()
            deaf = now - max(began, self._line.heard) > max(DEAF_SECONDS, self._wait)
            late = deaf or now > deadline or self._fruitless > FRUITLESS_RESTARTS
            if hopeless or late:
                raise error
            if isinstance(error, LineLost):
                self._notice(f"the board is gone: waiting {self._wait:g} s for it")
                self._line.reopen(self._wait)
            try:
                self._begin(again=True)
                self._put_back(self._mark)
                self._notice(f"{error}: started again, {self._where()}")
                return
            except (LoopEnded, LineLost) as again:
                error = again

    def _where(self) -> str:
        return f"from step {self._mark.step}"

    def _begin(self, *, again: bool) -> None:
        """Start the loop and greet it."""
        known = getattr(self, "info", None)
        for attempt in range(START_ATTEMPTS):
            try:
                self._start(again or attempt > 0)
            except LineLost:
                raise
            except UlnnError as error:
                raise LoopEnded(str(error), "no REPL") from error
            self._exchange.restart()
            try:
                self.info = self._greet()
                break
            except LoopEnded as error:
                last = attempt == START_ATTEMPTS - 1
                if last or error.reason == "silence" or is_an_error(error.reason):
                    raise
        if known is not None and known.facts != self.info.facts:
            raise UlnnError(
                f"port {self._line.name}: another board or model came back "
                f"({self.info.facts.get('board')}, model {self.info.sha256[:12]}...)"
            )

    def _greet(self) -> BoardInfo:
        """HELLO, whose answer may take as long as the model is loaded."""
        request = Request("H", random.getrandbits(16), struct.pack("<HH", *PROTOCOL))
        ready = self._exchange.wait_ready(min(self._timeout, READY_SECONDS))
        deadline = time.monotonic() + (0.0 if ready else self._timeout)
        while True:
            try:
                reply = self._one(request)
                break
            except LoopEnded as error:
                if error.reason != "silence" or time.monotonic() > deadline:
                    raise
        if reply.argument != request.argument:
            raise LoopEnded(f"port {self._line.name}: the answer is of another session", "noise")
        info, size = BoardInfo.read(reply.payload)
        self._exchange.window, self._exchange.slots = info.window, info.slots
        self._exchange.step_seconds = info.step_ticks / info.clock_hz
        text = self._get(TEXT, (size + 1) // 2)[0].tobytes()[:size].decode()
        return replace(info, facts=dict(line.split("=", 1) for line in text.splitlines()))

    def _put_back(self, mark: Mark) -> None:
        self._one(Request("R"))
        if mark.state is not None:
            self._all(put(STATE, np.array(mark.state, "<i2"), self.words))

    def _read_state(self) -> Mark:
        words, clamped = self._get(STATE, self.info.state_size)
        return Mark(self._mark.step, tuple(int(v) for v in words), clamped)

    # ---- exchange -----------------------------------------------------------------------------

    def _all(self, requests: Iterable[Request]) -> list[Reply]:
        return list(self._exchange.exchange(requests))

    def _one(self, request: Request) -> Reply:
        return self._all([request])[0]

    def _get(self, region: int, words: int) -> tuple[Int16, int]:
        """Words of a region, and the argument of the last answer."""
        found = self._all(get(region, words, self.words))
        return np.concatenate([reply.payload for reply in found]), found[-1].argument
