"""An alarm of an app: its settings, what it keeps on the board, and what a person is told. Several
are in `ulnn_app.alarms`."""

from array import array
from hashlib import sha256

from ulnn_rules import float64, sections
from ulnn_rules.alarm import RULES, Alarm
from ulnn_rules.novelty import Input, Prediction
from ulnn_rules.settings import Key, check
from ulnn_rules.slots import Slots
from ulnn_rules.threshold import BLOCKS
from ulnn_rules.watch import Between, Watch

PREDICTION = "prediction"
TABLE = {
    "name": Key(str, "", high=48),  # with words around it 72 bytes, of an event
    "score": Key(str, PREDICTION, 1, 255),
    "learn_s": Key(int, 86400, 128, 31536000),
    "false_alarms_a_day": Key(float, 0.1, 0.001, 1000),
    "rule": Key(str, "ewma", choices=RULES),
    "smooth": Key(int, 10, 1, 1000),
    "raise_after": Key(int, 1, 1, 1000),
    "clear_after": Key(int, 10, 1, 1000),
    "look": Key(int, 32, 1, 4096),
    "every_s": Key(int, 0, 0, 86400),
    "when": Key(list, [], high=8),
    "settle_s": Key(int, 0, 0, 3600),
    "file": Key(str, "alarm.state", 1, 255),
}
_WHEN = {"channel": Key(str, low=1), "above": Key(float, None), "below": Key(float, None)}
# Where one of these is another one, what was learnt means nothing.
_OF_SCORES = ("score", "rule", "smooth", "look", "every_s")


def checked(given, where):
    """Settings of an alarm, or a list of them, with every key of TABLE. Raises ValueError; its
    text begins with `where`."""
    if isinstance(given, list):
        from ulnn_app.alarms import checked as checked_all  # not on every heap

        return checked_all(given, where)
    return check(given, TABLE, where)


def watches(settings, source, front, meaning, scaling, where="settings"):
    """The `Watch` of each alarm of an app with checked settings, for its source, its front, and
    `Meaning` and `Scaling` of its model. Raises ValueError; its text begins with `where`."""
    given, at = settings["alarm"], where + ".alarm"
    each = [(given, at)]
    if isinstance(given, list):
        each = [(s, "%s[%d]" % (at, k)) for k, s in enumerate(given)]
    names = list(meaning.channels or settings["channels"])
    return [_watch(s, names, source, front, meaning, scaling, at) for s, at in each]


def _watch(s, names, source, front, meaning, scaling, where):
    score = s["score"]
    try:
        if score in names:
            made = Input(names.index(score))
        elif score != PREDICTION:
            text = "score: expected %s or an input of the model (%s), got %r"
            raise ValueError(text % (PREDICTION, ", ".join(names), score))
        elif meaning.values:
            made = Prediction(scaling)
        else:
            raise ValueError("score: the model decides and predicts nothing; name an input of it")
        when = [
            _between(given, names, source, front, scaling, "when[%d]" % k)
            for k, given in enumerate(s["when"])
        ]
    except ValueError as e:
        raise ValueError("%s.%s" % (where, e)) from None
    false_alarms = int(s["false_alarms_a_day"] * 1000 + 0.5)
    alarm = Alarm(
        s["learn_s"], false_alarms, made.weighs, s["rule"], s["smooth"],
        s["raise_after"], s["clear_after"],
    )  # fmt: skip
    return Watch(made, alarm, s["look"], s["every_s"] * 1000, when, s["settle_s"] * 1000)


def _between(given, names, source, front, scaling, where):
    s = check(given, _WHEN, where)
    name, raw = s["channel"], False
    if name in names:
        k = names.index(name)
        scale, offset = scaling.input_pair(k)
    elif name in source.names and front.raw is not None:
        k, raw = list(source.names).index(name), True
        scale, offset = source.scale[k], source.offset[k]
    else:
        text = "%s.channel: expected an input of the model (%s) or another channel of the source"
        raise ValueError(text % (where, ", ".join(names)))
    ends = []
    for key, end in (("above", -32768), ("below", 32767)):
        if s[key] is not None:
            v, scale, offset = array("f", (s[key], scale, offset))
            end = max(-32768, min(32767, float64.quotient(v, offset, scale)))
        ends.append(end)
    if scale < 0:
        raise ValueError("%s.channel: %s has a scale below 0" % (where, name))
    return Between(k, ends[0], ends[1], raw)


def make(app, meaning, scaling, model, where):
    """What watches in an app: an `AppAlarm`, of a list `ulnn_app.alarms.Alarms`. model: its file.
    Raises ValueError where settings do not fit; its text begins with `where`."""
    given = app.settings["alarm"]
    made = watches(app.settings, app.source, app.front, meaning, scaling, where)
    if isinstance(given, list):
        from ulnn_app.alarms import Alarms  # not on every heap

        return Alarms([AppAlarm(app, s, made[k], model) for k, s in enumerate(given)])
    return AppAlarm(app, given, made[0], model)


class AppAlarm:
    """A `Watch` at work in an app. name: "" where settings give none. on_alarm: functions that get
    the app: when it has learnt, and when an alarm begins and ends
    (`app.alarm.watch.alarm.event`). kept: whether what an earlier start has learnt was there."""

    def __init__(self, app, settings, watch, model):
        self._settings = s = settings
        self.name = s["name"]
        self.watch = watch
        self.on_alarm = []
        of_scores = ", ".join(["%s=%s" % (name, s[name]) for name in _OF_SCORES])
        owner = sha256(sections.digest(model) + of_scores.encode()).digest()
        self._slots = Slots(b"ULNA", owner, self.watch.size)
        self._app = app
        self.kept = False
        try:
            self.kept = self._slots.load(s["file"])
        except ValueError:  # of other settings or another model
            pass
        if self.kept:
            self.watch.unpack(self._slots.content)

    def step(self, front):
        """Before a step of the model."""
        app = self._app
        if front.fresh and self._settings["every_s"]:  # a snapshot is a sequence, as in training
            app.model.reset()
            front.us = front.usual or front.us
        if self.watch.step(front.x, app.decider.y, front.us, front.fresh, front.raw):
            alarm = self.watch.alarm
            if alarm.event == "raised" and app.reports:
                from ulnn_sinks.log import utc_ms  # not on every board

                alarm.stamp(utc_ms() // 1000)
            self.save()
            if alarm.event:
                self._tell()

    def _tell(self):
        app, alarm = self._app, self.watch.alarm
        event, margin = alarm.event, alarm.value - alarm.level
        what = self._words(event)
        if app.reports:
            app.reports.alarm(what, margin if event == "raised" else None)
        if app.settings["print"] != "nothing":
            if app.private:
                what, margin = app.private.decision(what, margin)
            print(app.seconds, "s alarm", what, "margin", margin)
        for f in self.on_alarm:
            app.call(f, "on_alarm")

    def _words(self, event):
        return "%s: %s" % (event, self.name) if self.name else event

    def save(self):
        """Keep what is to survive a power cut."""
        self.watch.pack(self._slots.content)
        try:
            self._slots.save(self._settings["file"])
        except OSError as e:
            self._app.fault("alarm", e)

    def do(self, what, *args):
        """`acknowledge`, `snooze` of the alarm, or `relearn` of the watch, for a person; whether
        it was done."""
        of = self.watch if what == "relearn" else self.watch.alarm
        done = getattr(of, what)(*args) is not False
        if done:
            self.save()
            if self._app.reports:
                self._app.reports.alarm(self._words(what))
        return done

    def named(self, name):
        """Itself, where that is its name. Raises ValueError."""
        if name != self.name:
            raise ValueError("no alarm is called %r, expected %r" % (name, self.name))
        return self

    def forget(self):
        """As if it had never run; the file goes by other hands."""
        self.watch.forget()

    def figures(self):
        """Numbers and texts for `ulnn_app.figures`; "name" where it has one."""
        a, w = self.watch.alarm, self.watch
        found = {
            "state": a.state, "score": a.score, "value": a.value, "level": a.level,
            "learns": a.threshold.state, "blocks": a.threshold.blocks, "of": BLOCKS,
            "allowed": w.allowed, "alarms": a.alarms, "start": a.start, "seconds": a.seconds,
            "history": a.history(),
        }  # fmt: skip
        if self.name:
            found["name"] = self.name
        return found
