"""The loop: samples from a source, counts into the model, decisions out of it."""

import asyncio
import gc

import ulnn
from ulnn_app import chip, measures
from ulnn_app.front import make as make_front
from ulnn_app.settings import read, source_of
from ulnn_rules.decider import UNKNOWN, UNSURE, Decider
from ulnn_rules.faults import words
from ulnn_rules.meaning import Meaning
from ulnn_rules.scaling import Scaling
from ulnn_rules.ticks import ticks_diff, ticks_ms, ticks_us

NO_READING = -2  # beside the numbers of a Decider
_AT_ONCE = 8  # samples, before others have their turn
_PAUSE_MS, _LAST_PAUSE_MS = 100, 10000
# CPython's takes long, and is of no use here.
_collect = gc.collect if hasattr(gc, "mem_alloc") else int
_FREE = 4096  # bytes that have to be left for the program around
_CELLS = ("?", "CfC", "dense", "LSTM", "GRU", "LTC", "mixed memory")


class App:
    """One model, its source, and what became of the samples.

    decider: the `Decider`; its `label`, `decision`, `margin` are the last decision's.
    decision, label, margin: what holds now; "no reading" while problem is True.
    on_decision, on_poll: lists of functions that get the app: at each decision, and where there
    is no reading any more; and at each turn of the loop, which has to be short. samples, clamped,
    starts: counts since the start. reports: the `Reports` of events, None without sinks. faults:
    a `measures.Faults`. state: "ready", "running", "waiting" after a fault, "ended". policy: what
    may leave, or None; source: masked by it. alarm: an `AppAlarm` or `Alarms`, None without one.
    wearer: the `Wearer`, None without "adapt". front: what makes steps of samples
    (`front.Samples`).
    """

    BLOCKS = True  # whether samples may be taken many at once

    def __init__(self, settings, source=None):
        where = settings if isinstance(settings, str) else "settings"
        s = self.settings = read(settings)
        if source is None:
            try:
                source = source_of(s, where)
            except ImportError as e:
                raise ValueError("%s.source: not on this board: %s" % (where, e)) from None
        self.policy = self.private = None
        if s["policy"]:
            from ulnn_app.private import Private  # not on every heap

            self.private = Private(s["policy"], where)
            self.policy = self.private.policy
            source = self.private.source(source)
        self.source = source
        path = s["model"]
        try:
            meaning, scaling = Meaning(path), Scaling(path)
        except OSError:
            raise ValueError("%s.model: no file %s" % (where, path)) from None
        except ValueError as e:
            raise ValueError("%s.model: %s: %s" % (where, path, e)) from None
        self.front = make_front(s, source, path, meaning, scaling, where, self.BLOCKS)
        self.watchdog = chip.Watchdog(s["watchdog_ms"])
        self._light = s["sleep"] == "light"
        self.ticks = scaling.ticks
        self.wearer = None
        if s["adapt"]:
            from ulnn_app.wearer import Wearer  # not on every board

            self.wearer = Wearer(s["adapt"], path, where)
        self._load(path, meaning)
        self.on_decision, self.on_poll = [], []
        self.faults = measures.Faults()
        self.latency = measures.Spread()
        self.pace = measures.Pace()
        self.task = self.reports = self.alarm = None
        self._forget()
        if s["sinks"]:
            from ulnn_app.reports import Reports  # not on every board

            self.reports = Reports(self, where)
        if s["alarm"]:
            from ulnn_app.alarm import make as make_alarm  # not on every heap

            self.alarm = make_alarm(self, meaning, scaling, path, where)
        _collect()
        free = _memory()[1]
        if 0 < free < _FREE:
            raise MemoryError("%d bytes of memory would be left, %d are needed" % (free, _FREE))

    def _load(self, path, meaning):
        _collect()
        try:
            self.model = ulnn.load(path)
            if meaning.values:
                from ulnn_app.values import Values  # not on every heap

                self.decider = Values(meaning, self.model)
            else:
                centres = self.wearer.centres if self.wearer else None
                self.decider = Decider(meaning, self.model, centres)
                if self.wearer:
                    self.wearer.use(self.decider)
        except MemoryError:
            self.model = None
            _collect()
            text = "not enough memory for the model %s: %d bytes are free"
            raise MemoryError(text % (path, _memory()[1])) from None
        except ValueError as e:
            raise ValueError("%s: %s" % (path, e)) from None
        info = self.model.info()
        self.sha256 = info["sha256"]
        self._dt_max, self._dt_fixed = info["dt_max"], info["dt_fixed"]
        self.cells = _cells(path)
        self._knows = len(meaning.unknown) > 0
        self._decided = [0] * (len(self.decider.y) + 3)  # the last: UNKNOWN, nothing, UNSURE

    def _forget(self):
        self.state = "ready"
        self.samples = self.clamped = self.starts = self._dropped = self._billions = 0
        self._pause = self._ms = self.seconds = self._failed_at = 0
        self._down = True
        self._stopping = self.problem = False
        self._shown = None

    # ---- running ------------------------------------------------------------------------------

    def begin(self):
        """Before the first `poll`: from now on the watchdog wants samples. Raises ValueError
        where the chip's light sleep stops its clock."""
        if self._light:
            chip.check_light_sleep()
        self.state = "running"
        self._last_ms = ticks_ms()
        self.watchdog.start()

    def poll(self):
        """Take the samples that are there, some at most; how many. Faults are counted, never
        raised; without one, nothing is allocated."""
        ms = ticks_ms()
        self._ms += ticks_diff(ms, self._last_ms)
        self._last_ms = ms
        while self._ms >= 1000:
            self._ms -= 1000
            self.seconds += 1
        n = 0
        while n < _AT_ONCE and self._take():
            n += 1
            try:
                self._step()
            except Exception as e:
                self.fault("step", e)
        if n:
            self.watchdog.feed()
        return n

    async def main(self):
        """The loop after `begin`, until `stop`, cancellation, or the end of a recording."""
        sleep_ms = getattr(asyncio, "sleep_ms", _sleep_ms)
        pause = self.settings["poll_ms"]
        try:
            while self.state != "ended" and not self._stopping:
                n = self.poll()
                for f in self.on_poll:
                    self.call(f, "on_poll")
                if self._light and not n:
                    chip.machine.lightsleep(pause)
                    await sleep_ms(0)
                else:
                    await sleep_ms(0 if n == _AT_ONCE else pause)
        finally:
            self.close()

    async def again(self, seconds):
        """After the end, run for so many seconds more."""
        until = self.seconds + seconds

        def over(app):
            if app.seconds >= until:
                app.stop()

        self._down, self._stopping, self._pause = True, False, 0
        self.front.lost()
        self.begin()
        self.on_poll.append(over)
        try:
            await self.main()
        finally:
            self.on_poll.remove(over)

    def stop(self):
        """End the loop at its next turn."""
        self._stopping = True

    def close(self):
        """Let go of the source; the watchdog is fed from now on."""
        self.state = "ended"
        self.source.stop()
        if self.reports:
            self.reports.close(self)
        self.watchdog.keep()

    def _take(self):
        """Whether the source has given a sample."""
        try:
            if self._down:
                # Without a pause the ticks at the last fault mean nothing.
                if self._pause and ticks_diff(self._last_ms, self._failed_at) < self._pause:
                    return False
                self.starts += 1
                self.source.start()
                self._down = False
                self.state = "running"
            if self.front.take():
                self._pause = 0
                return True
        except StopIteration:
            self.state = "ended"
        except Exception as e:
            if not self._down:
                self._dropped += self.source.dropped
            self._down = True
            self.front.lost()
            self.state = "waiting"
            self._failed_at = ticks_ms()
            self.fault("source", e)
            self._pause = min(2 * self._pause, _LAST_PAUSE_MS) or _PAUSE_MS
        return False

    def _step(self):
        """What was taken, through the model."""
        start = ticks_us()
        front, pace = self.front, self.pace
        self.samples += front.count
        if self.samples >= 1000000000:
            self.samples -= 1000000000
            self._billions += 1
        front.arrive(start)
        if front.gap:
            pace.add(front.gap)
        if front.period:
            pace.add(front.period)
        while front.step():
            self._infer(front, start)
            start = ticks_us()
        if front.problem and not self.problem:
            self.problem = True
            self._say(NO_READING)
        elif not front.problem:
            self.problem = False

    def _infer(self, front, start):
        """One step of the model. start: ticks when work on it began."""
        if self.alarm:  # it compares with what was predicted, and knows the time in snapshots
            self.alarm.step(front)
        dt = self.ticks(front.us)
        if dt != self._dt_fixed if self._dt_fixed else dt > self._dt_max:
            self.clamped += 1
        if self.reports:
            self.reports.log.sample(front.x)
        self.problem = False
        decision = self.decider.step(front.x, dt)
        self.latency.add(ticks_diff(ticks_us(), start))
        if self.wearer:
            self.wearer.add(self.decider, dt, decision is not None)
        if decision is not None:
            self._decided[decision] += 1
            self._say(decision)

    def _say(self, decision):
        """What holds now, to all who want to know."""
        if self.settings["print"] != "nothing":
            self._show(decision)
        for f in self.on_decision:
            self.call(f, "on_decision")

    def _show(self, decision):
        if decision != self._shown or self.settings["print"] == "all":
            self._shown = decision
            label, margin = self.label, self.margin
            if self.private:
                label, margin = self.private.decision(label, margin)
            print(self.seconds, "s", label, "margin", margin)

    def call(self, f, where):
        """Call a function of somebody's with the app; what it raises is a fault."""
        try:
            f(self)
        except Exception as e:
            self.fault(where, e)

    def fault(self, where, error):
        """Count a fault, and keep it for `ulnn_app.log`."""
        text = "%s: %s" % (where, self._text(error, "log"))
        if self.faults.add(self.seconds, text):
            if self.settings["print"] != "nothing":
                print(self.seconds, "s fault", text)
            if self.reports:
                self.reports.fault("%s: %s" % (where, self._text(error, "store", "send")))
        del text
        _collect()

    def _text(self, error, *purposes):
        """What may leave of an exception: its type, and what it says."""
        if self.policy:
            return self.policy.error(error, *purposes)
        return words(error)

    # ---- what became of it --------------------------------------------------------------------

    @property
    def decision(self):
        """The decision that holds, NO_READING where the samples are none to decide on."""
        return NO_READING if self.problem else self.decider.decision

    @property
    def label(self):
        return "no reading" if self.problem else self.decider.label

    @property
    def margin(self):
        return 0 if self.problem else self.decider.margin

    def dropped(self):
        """Samples that are known to be lost."""
        return self._dropped if self._down else self._dropped + self.source.dropped

    def names(self):
        """Of all decisions: the classes, "unsure", and "unknown" where the model says it."""
        d = self.decider
        if d.rule.values:
            return []
        classes = list(d.labels) or [str(k) for k in range(len(d.y))]
        return classes + ["unsure", "unknown"][: 1 + self._knows]

    def figures(self):
        """All counts, as `ulnn_app.status` prints them: numbers, texts, (name, count) pairs."""
        pace, latency = self.pace, self.latency
        counts = self._decided[:-3]
        counts.extend((self._decided[UNSURE], self._decided[UNKNOWN]))
        used, free = _memory()
        found = {
            "model": self.settings["model"].rsplit("/", 1)[-1], "cells": self.cells,
            "sha256": self.sha256, "engine": ulnn.ENGINE, "state": self.state,
            "samples": self._billions * 1000000000 + self.samples, "dropped": self.dropped(),
            "faults": self.faults.total, "restarts": max(0, self.starts - 1),
            "clamped": self.clamped,
            "period_us": pace.usual, "near": pace.near, "others": pace.others,
            "shortest_us": pace.shortest, "longest_us": pace.longest,
            "p50_us": latency.below(50), "p95_us": latency.below(95), "max_us": latency.most,
            "decisions": list(zip(self.names(), counts)),  # noqa: B905 - MicroPython has no strict
            "decision": self.label, "margin": self.margin, "used": used, "free": free,
            "seconds": self.seconds, "events": self.reports.log.status() if self.reports else {},
            "alarm": self.alarm.figures() if self.alarm else {},
            "adapt": self.wearer.figures() if self.wearer else {},
        }  # fmt: skip
        if self.private:
            self.private.figures(found)
        return found


def _memory():
    return [getattr(gc, name, int)() for name in ("mem_alloc", "mem_free")]


def _sleep_ms(ms):
    return asyncio.sleep(ms / 1000)  # CPython


def _cells(path):
    """The kinds of a file's layers, such as "CfC, dense"."""
    from struct import unpack

    found = []
    with open(path, "rb") as f:
        f.seek(54)
        (count,) = unpack("<H", f.read(2))
        for k in range(count):
            f.seek(64 + 16 * k)
            kind, _, at = unpack("<HHI", f.read(8))
            if kind == 5:
                f.seek(at)
                (layer,) = unpack("<H", f.read(2))
                found.append(_CELLS[layer] if layer < len(_CELLS) else "?")
    return ", ".join(found)
