"""From the steps of a model to the looks of an `Alarm`: the score of each step, in the states of
the machine that are allowed, and their mean over some steps.

    w = Watch(Prediction(scaling), Alarm(86400, 100, True), look=50)
    while True:
        ...                                  # x: the inputs of a step
        if w.step(x, y, us, fresh):          # y: outputs of the step before
            print(w.alarm.event, w.alarm.value, w.alarm.level)
        m.step(x, y, dt)
"""

from ulnn_rules.alarm import SIZE as alarm_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ulnn_rules.alarm import Alarm


class Between:
    """Whether value `k` of a step is in a range: of its inputs, or where `raw`, of the source's
    counts. low, high: the ends, which belong to it."""

    def __init__(self, k: int, low: int = -32768, high: int = 32767, raw: bool = False) -> None:
        self.k = k
        self.low = low
        self.high = high
        self.raw = raw


class Watch:
    """Looks of `look` steps (1 to 4096) for an `Alarm`.

    score: a `novelty.Prediction` or `novelty.Input`. when: `Between`s that all have to be true,
    for `settle_ms` before a step counts. every_ms: time that a look stands for, where the source
    sleeps between snapshots; 0: that of its steps. A look is complete or it does not count: it
    begins again after a step that is not allowed, and after a gap.
    allowed: whether the last step was in a state that counts. size: bytes of `pack`.
    Nothing is allocated by `step`, but where the alarm does.
    """

    def __init__(
        self,
        score: "Any",
        alarm: "Alarm",
        look: int = 1,
        every_ms: int = 0,
        when: "Sequence[Between]" = (),
        settle_ms: int = 0,
    ) -> None:
        self.score = score
        self.alarm = alarm
        self._look = look
        self._every = every_ms
        self._when = when
        self._settle = settle_ms
        self._wait = settle_ms
        self.allowed = False
        self.size = alarm_size + score.size
        self._restart()

    def _restart(self) -> None:
        self._count = self._sum = self._us = 0

    def step(
        self,
        x: "Sequence[int]",
        y: "Sequence[int]",
        us: int,
        fresh: bool,
        raw: "Sequence[int]" = (),
    ) -> bool:
        """A step with inputs x, `us` microseconds after the one before, whose outputs are y.
        fresh: there was none before, or something was lost. raw: counts of the source. Whether
        what `pack` holds is new."""
        self.allowed = self._is_allowed(x, raw)
        if not self.allowed:
            self._wait = self._settle
            self._restart()
            return False
        if fresh:
            self._restart()
            us = 0
        if self._wait > 0:
            self._wait -= us // 1000
            return False
        score, alarm = self.score, self.alarm
        if fresh and score.weighs:  # nothing has predicted it
            return False
        learns = score.weighs and alarm.threshold.state == "usual"
        if learns:
            score.learn(x, y)
        else:
            self._sum += score.of(x, y)
        self._us += us
        self._count += 1
        if self._count < self._look:
            return False
        mean = self._sum // self._count
        rest = self._us % 1000
        new = alarm.look(mean, self._every or self._us // 1000)
        self._restart()
        self._us = rest
        if new and learns and alarm.threshold.state != "usual":
            score.settle()
        return new

    def _is_allowed(self, x: "Sequence[int]", raw: "Sequence[int]") -> bool:
        for w in self._when:
            if not w.low <= (raw if w.raw else x)[w.k] <= w.high:
                return False
        return True

    def relearn(self) -> None:
        """Learn everything again, after a repair for instance. The history stays."""
        self.alarm.relearn()
        self._unlearn()

    def forget(self) -> None:
        """As a new one: no history."""
        self.alarm.forget()
        self._unlearn()

    def _unlearn(self) -> None:
        self._restart()
        if self.score.weighs:
            self.score.forget()

    def pack(self, b: "bytearray | memoryview") -> None:
        """What is to survive a power cut, into the first `size` bytes."""
        self.alarm.pack(b)
        if self.score.weighs:
            self.score.pack(b, alarm_size)

    def unpack(self, b: "bytes | bytearray | memoryview") -> None:
        """What `pack` gave. What is usual is learnt from the start, where it was not learnt."""
        self.alarm.unpack(b)
        if self.score.weighs:
            self.score.unpack(b, alarm_size)
            if self.alarm.threshold.state == "usual":
                self.relearn()
