"""From scores to alarms, on one machine, in integers: a smoothed score or a sum of what it is too
high by, a threshold that is learnt, hysteresis, and what a person says to an alarm.

    a = Alarm(learn_s=86400, false_alarms=100)
    if a.look(score, 1000):  # a score of a second; what is new is in a.event, and worth saving
        print(a.event, a.value, a.level)
"""

from struct import pack_into, unpack_from

from ulnn_rules import threshold
from ulnn_rules.threshold import Threshold

RULES = ("ewma", "cusum")
STATES = ("learning", "watching", "raised", "acknowledged", "snoozed")
_LEARNING, _WATCHING, _RAISED, _ACKNOWLEDGED, _SNOOZED = range(5)
HISTORY = 8  # alarms that are kept
SIDE_BY_SIDE = 8  # of an app, at most
_ENTRY = "<IIIIhhHH"  # start, seconds, UTC, how long, highest value, level, what was done, 0
_ENTRY_SIZE = 24
_HEAD = 16
SIZE = _HEAD + threshold.SIZE + HISTORY * _ENTRY_SIZE  # bytes of `pack`
_CUSUM_BITS = 2
_CUSUM_MOST = 32767 << _CUSUM_BITS


class Alarm:
    """The alarm of one machine. A look is a score with the time that it stands for: some seconds
    of steps, or a snapshot.

    learn_s, false_alarms, weighs: of its `Threshold`. rule: "ewma", the mean of the last scores,
    or "cusum", a quarter of the sum of what scores are above their centre and spread, less what
    they are below. smooth: looks that the mean is about, 1 to 1000. raise_after, clear_after:
    looks in a row that are above `level`, or below what is half-way to it from healthy ones, to
    raise and to clear an alarm, 1 to 1000.
    state: of STATES. event: of the last look: "" or "learnt", "raised", "cleared". score: of the
    last look. value: what is compared with `level`, the threshold; both mean nothing while it
    learns. seconds: of all looks since the start of the program; start: how many starts were
    before it. alarms: how many were raised, since ever.
    Nothing is allocated by `look`, but where something is learnt or an alarm begins or ends.
    """

    def __init__(
        self,
        learn_s: int,
        false_alarms: int,
        weighs: bool = False,
        rule: str = "ewma",
        smooth: int = 10,
        raise_after: int = 1,
        clear_after: int = 10,
    ) -> None:
        self.threshold = Threshold(learn_s, false_alarms, weighs)
        self._cusum = rule == "cusum"
        self._smooth = smooth
        self._raise_after, self._clear_after = raise_after, clear_after
        self.seconds = self.start = 0
        self._ms = self._snooze = 0
        self._history = bytearray(HISTORY * _ENTRY_SIZE)
        self.alarms = 0
        self._lasted = self._highest = 0  # of the alarm that is on
        self.event = ""
        self.score = self.value = self._state = 0
        self.relearn()

    @property
    def state(self) -> str:
        return STATES[self._state]

    @property
    def on(self) -> bool:
        """Whether there is an alarm."""
        return self._state in (_RAISED, _ACKNOWLEDGED)

    @property
    def level(self) -> int:
        return self.threshold.level

    # ---- looks --------------------------------------------------------------------------------

    def look(self, score: int, ms: int) -> bool:
        """A score, int16, and the milliseconds that it stands for, 1 to 2**29. Whether what
        `pack` holds is new. While `threshold.state` is "usual" the score does not matter."""
        self.event = ""
        self.score = score
        self._ms += ms
        passed = self._ms // 1000
        self._ms %= 1000
        self.seconds += passed
        if self._state == _LEARNING:
            return self._learn(score, ms)
        value = self._follow(score)
        if self._state == _SNOOZED:
            self._snooze -= passed
            if self._snooze > 0:
                return False
            self._state = _WATCHING
            self._row = 0
            return True
        if self._state == _WATCHING:
            self._row = self._row + 1 if value > self.level else 0
            if self._row < self._raise_after:
                return False
            self._raise()
            return True
        self._lasted += passed
        self._highest = max(self._highest, value)
        self._row = self._row + 1 if value < self.threshold.clear else 0
        if self._row < self._clear_after:
            return False
        self._end("cleared")
        return True

    def _learn(self, score: int, ms: int) -> bool:
        t = self.threshold
        before = t.state
        if not t.look(score, self._follow(score) if before == "tail" else 0, ms):
            return False
        if t.state != before:
            if t.state == "ready":
                self._state = _WATCHING
                self.event = "learnt"
            else:
                self._begin()
        return True

    def _begin(self) -> None:
        """What is compared with the threshold is as usual, or in an alarm high."""
        self._row = 0
        if self._cusum:
            self._sum = self.level << _CUSUM_BITS if self.on else 0
        else:
            self._sum = (self.level if self.on else self.threshold.centre) << 8

    def _follow(self, score: int) -> int:
        if self._cusum:
            most = 2 * self.level << _CUSUM_BITS or _CUSUM_MOST
            self._sum += score - self.threshold.centre - self.threshold.spread
            self._sum = max(0, min(self._sum, most, _CUSUM_MOST))
            self.value = self._sum >> _CUSUM_BITS
        else:
            self._sum += ((score << 8) - self._sum) // self._smooth
            self.value = self._sum >> 8
        return self.value

    # ---- alarms -------------------------------------------------------------------------------

    def _raise(self) -> None:
        self._state = _RAISED
        self.event = "raised"
        self._row = self._lasted = 0
        self._highest = self.value
        at = self.alarms % HISTORY * _ENTRY_SIZE
        self.alarms += 1
        pack_into(
            _ENTRY, self._history, at, self.start, self.seconds, 0, 0, self.value, self.level, 0, 0
        )

    def _note(self, done: int = 0, utc: int = 0) -> None:
        """Bring the last alarm's entry up to date."""
        at = (self.alarms - 1) % HISTORY * _ENTRY_SIZE
        start, seconds, stamp, _, _, level, was, _ = unpack_from(_ENTRY, self._history, at)
        pack_into(
            _ENTRY, self._history, at,
            start, seconds, utc or stamp, self._lasted, self._highest, level, was | done, 0,
        )  # fmt: skip

    def _end(self, event: str = "") -> None:
        if self.on:
            self._note()
            self._state = _WATCHING
            self.event = event
        self._row = 0

    def stamp(self, utc: int) -> None:
        """The alarm that was just raised came at so many seconds of UTC since 1970."""
        self._note(0, utc)

    def acknowledge(self) -> bool:
        """Somebody has seen the alarm. False: none is raised."""
        if self._state != _RAISED:
            return False
        self._state = _ACKNOWLEDGED
        self._note(1)
        return True

    def snooze(self, seconds: int) -> bool:
        """End the alarm, and raise none for so many seconds of looks, 1 or more; after a start
        they count again. False: it still learns."""
        if self._state == _LEARNING:
            return False
        self._end()
        self._state = _SNOOZED
        self._snooze = seconds
        return True

    def relearn(self) -> None:
        """Learn the threshold again, after a repair for instance. The history stays."""
        self._end()
        self.threshold.forget()
        self._state = _LEARNING
        self._begin()

    def forget(self) -> None:
        """As a new one: no history."""
        self.relearn()
        self.alarms = self.start = 0

    def history(self) -> "list[tuple[int, int, int, int, int, int, bool]]":
        """The last alarms, the oldest first, HISTORY at most: (start, seconds, utc, lasted,
        highest, level, acknowledged). start: number of the start of the program; seconds: of looks
        since then; utc: seconds since 1970, 0 where not known; lasted: seconds, so far; highest:
        the largest value; level: the threshold then."""
        if self.on:
            self._note()
        found = []
        for k in range(max(0, self.alarms - HISTORY), self.alarms):
            e = unpack_from(_ENTRY, self._history, k % HISTORY * _ENTRY_SIZE)
            found.append((e[0], e[1], e[2], e[3], e[4], e[5], bool(e[6])))
        return found

    # ---- over a power cut ---------------------------------------------------------------------

    def pack(self, b: "bytearray | memoryview", at: int = 0) -> None:
        """Everything but what is smoothed and the time since the start: SIZE bytes at `at`."""
        if self.on:
            self._note()
        pack_into(
            "<BBHIII", b, at, self._state, 0, 0, self.start, self.alarms, max(0, self._snooze)
        )
        self.threshold.pack(b, at + _HEAD)
        at += _HEAD + threshold.SIZE
        for k in range(len(self._history)):
            b[at + k] = self._history[k]

    def unpack(self, b: "bytes | bytearray | memoryview", at: int = 0) -> None:
        """What `pack` gave; this is the next start."""
        self._state, _, _, self.start, self.alarms, self._snooze = unpack_from("<BBHIII", b, at)
        self.start += 1
        self.threshold.unpack(b, at + _HEAD)
        at += _HEAD + threshold.SIZE
        for k in range(len(self._history)):
            self._history[k] = b[at + k]
        if self.on:
            last = (self.alarms - 1) % HISTORY * _ENTRY_SIZE
            e = unpack_from(_ENTRY, self._history, last)
            self._lasted, self._highest = e[3], e[4]
        self._begin()
