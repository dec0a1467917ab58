"""Several alarms of an app, side by side: each has a name, and learns and keeps its own."""

from ulnn_app.alarm import TABLE
from ulnn_rules.alarm import SIDE_BY_SIDE
from ulnn_rules.settings import check


def checked(given, where):
    """A list of settings of alarms, with every key of TABLE: a name is by default the score, a
    file one of that name. Raises ValueError; its text begins with `where`."""
    if len(given) > SIDE_BY_SIDE:
        text = "%s: expected %d alarms at most, got %d"
        raise ValueError(text % (where, SIDE_BY_SIDE, len(given)))
    found = []
    for k, table in enumerate(given):
        at = "%s[%d]" % (where, k)
        s = check(table, TABLE, at)
        s["name"] = TABLE["name"].check(s["name"] or s["score"], at + ".name")
        if k and "file" not in table:  # that of the first one is what a single one has
            s["file"] = "alarm.%s.state" % _plain(s["name"])
        for n, other in enumerate(found):
            text = "%s.%s: %r is taken by alarm[%d]: choose another"
            if s["name"] == other["name"]:
                raise ValueError(text % (at, "name", s["name"], n))
            if _may_be_one(s["file"], other["file"]):
                raise ValueError(text % (at, "file", s["file"], n))
        found.append(s)
    return found


def _plain(name):
    """What may be in the name of a file on any disk."""
    return "".join([c if c < "\x80" and (c.isalpha() or c.isdigit()) else "_" for c in name])


def _may_be_one(*paths):
    """Whether two paths may lead to one file: from some folder, on a disk like FAT."""
    a, b = [[p for p in path.lower().split("/") if p not in ("", ".")] for path in paths]
    n = min(len(a), len(b))
    return a[len(a) - n :] == b[len(b) - n :]


class Alarms:
    """All alarms of an app, as one `AppAlarm` is used.

    each: in the order of the settings. on_alarm: as of an `AppAlarm`, called for each of them;
    meanwhile `name` and `watch` are those of the one whose event it is."""

    def __init__(self, each):
        self.each = tuple(each)
        self.on_alarm = []
        for alarm in each:
            alarm.on_alarm = self.on_alarm
        self._at_work = each[0]

    @property
    def name(self):
        return self._at_work.name

    @property
    def watch(self):
        return self._at_work.watch

    def step(self, front):
        """Before a step of the model."""
        for alarm in self.each:
            self._at_work = alarm
            alarm.step(front)

    def named(self, name):
        """The `AppAlarm` of this name. Raises ValueError."""
        for alarm in self.each:
            if alarm.name == name:
                return alarm
        names = ", ".join([alarm.name for alarm in self.each])
        raise ValueError("no alarm is called %r, expected one of %s" % (name, names))

    def do(self, what, *args):
        """For each, as of an `AppAlarm`; whether it was done for one."""
        return any([alarm.do(what, *args) for alarm in self.each])  # noqa: C419 - for all of them

    def forget(self):
        """As if none had ever run; the files go by other hands."""
        for alarm in self.each:
            alarm.forget()

    def figures(self):
        """Those of each, a list."""
        return [alarm.figures() for alarm in self.each]
