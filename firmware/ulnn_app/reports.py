"""What leaves the app: events of decisions, faults and inputs, in a log, to the sinks of the
settings."""

import ulnn_sinks
from ulnn_sinks.log import Log
from ulnn_sinks.ring import Ring

_LAST_POLLS = 500  # at the end of the app, for sinks that are quick


class Reports:
    """The log and the sinks of an app. `log` is for events of a program's own.

    Raises ValueError where the folder of the log cannot be used; its text begins with `where`.
    """

    def __init__(self, app, where):
        settings = app.settings
        self._events = settings["events"]
        try:
            ring = Ring(self._events["folder"], self._events["files"])
            self.log = Log(settings["device"], ring, app.sha256, app.policy, len(app.front.x))
        except (OSError, ValueError) as e:
            raise ValueError("%s.events: %s" % (where, e)) from None
        self.log.sinks = [
            ulnn_sinks.make(sink, self.log, "%s.sinks[%d]" % (where, k))
            for k, sink in enumerate(settings["sinks"])
        ]
        self._shown = None
        self._told = 0  # seconds at the last summary
        self._before = (0, 0, 0)
        self._closed = False
        app.on_decision.append(self.decided)
        app.on_poll.append(self.poll)

    def decided(self, app):
        """A window has ended, or there is no reading."""
        wanted = self._events["decisions"]
        if wanted == "all" or (wanted == "changes" and app.decision != self._shown):
            self._shown = app.decision
            self.log.add("decision", app.label, app.margin)

    def alarm(self, what, margin=None):
        """What became of an alarm: "raised", "cleared", "learnt", or what a person did, and its
        name. margin: of the first, which alone is one."""
        if margin is None:
            self.log.add("note", "alarm " + what)
        else:
            self.log.add("alarm", what, margin)

    def fault(self, text):
        """Another fault than the one before."""
        self.log.add("fault", text)

    def poll(self, app):
        """A turn of the app's loop."""
        every = self._events["summary_s"]
        if every and app.seconds - self._told >= every:
            self._summarise(app)
        self.log.poll()

    def _summarise(self, app):
        self._told = app.seconds
        now = (app.clamped, app.faults.total, app.dropped())
        self.log.summarise(*[max(0, now[k] - self._before[k]) for k in range(3)])
        self._before = now

    def close(self, app):
        """The app ends: what sinks can do at once they do; the rest stays on flash."""
        if self._closed:
            return
        self._closed = True
        if self._events["summary_s"] and self.log.summary.samples:
            self._summarise(app)
        for _ in range(_LAST_POLLS):
            self.log.poll()
        for sink in self.log.sinks:
            sink.stop()
