"""Sends what an app sees and decides over the port of the REPL: samples, outputs, decisions.

The host starts it with `import ulnn_live; ulnn_live.serve("settings.json")` and fetches rows as
from `ulnn_record`; a row goes on with the outputs, the decision and its margin (PROTOCOL.md 4.6).
"""

import json

import ulnn_record
import ulnn_stream
from ulnn_app.loop import App
from ulnn_app.settings import read
from ulnn_rules.ticks import ticks_ms

_NO_DECISION = -2


class _App(App):
    """An app that hands on each sample with what became of it."""

    BLOCKS = False

    def __init__(self, settings, source):
        super().__init__(settings, source)
        self.each = None
        self.decided = False
        self.on_decision.append(self.note)

    def note(self, app):
        self.decided = not app.problem

    def _text(self, error, *purposes):
        return super()._text(error, "send", *purposes)  # all of it can go over the line

    def _step(self):
        self.decided = False
        super()._step()
        self.each()


def _decisions_leave(app):
    """Whether the policy lets decisions be sent as they are."""
    policy, names = app.policy, app.names()
    try:
        if policy.rule("margin", "send").set["do"] != "keep":
            return False
    except Exception:  # refused
        return False
    return names == [policy.filter({"what": name}, "send").get("what") for name in names]


class Live(ulnn_record.Recorder):
    """The loop with an app, which looks after its source itself."""

    def __init__(self, app, settings, *rest):
        self.app = app
        source = app.source
        if app.policy:  # what it lets the network see may be more
            from ulnn_sources.masked import Masked  # not on every board

            source = Masked(source.source, app.policy, "send")
        super().__init__(source, settings, *rest)
        app.each = self.row
        self.info["labels"] = json.dumps(list(app.decider.labels))
        self.info["path"] = app.settings["model"]

    def extra_words(self):
        return len(self.app.decider.y) + 3

    def begin(self):
        self.clear()
        self.app.begin()
        self.started = True

    def look(self):
        self.looked = ticks_ms()
        if not self.started or self.ended:
            return
        if self.source.waits and self.waiting + ulnn_record.AT_ONCE > self.size:
            return
        self.app.poll()
        self.faults = self.app.faults.total
        self.ended = self.app.state == "ended"

    def row(self):
        if self.policy:
            self.source.copy()
        at = self.keep(self.elapsed())
        if at < 0:
            return
        ring, d = self.ring, self.app.decider
        for v in d.y:
            ring[at] = v
            at += 1
        margin = 0
        ring[at] = _NO_DECISION
        if self.app.decided:
            ring[at] = d.decision
            margin = d.margin
        ring[at + 1] = (margin & 0x7FFF) - (margin & 0x8000)
        ring[at + 2] = margin >> 16

    def lost_by_source(self):
        return self.app.dropped()

    def last_fault(self):
        entries = self.app.faults.entries()
        return bytes(entries[-1][2], "utf-8") if entries else b""


def serve(settings="settings.json", idle_ms=30000, window=0, ring=4096, console=None, source=None):
    """Answer frames as `ulnn_record.serve` does, with rows of an app.

    settings: of the app, a dict or the path of a JSON file; its watchdog stays off, and it prints
    nothing; without a policy of its own, that of the app on this board counts. source: one of your
    own, in place of the settings'. Raises as `ulnn_app.make` does, and ValueError where the policy
    does not let decisions be sent.
    """
    waiting = ulnn_record.make_ring(ring)
    given = read(settings)
    given["print"] = "nothing"
    given["watchdog_ms"] = 0
    given["policy"] = ulnn_record.policy_path(given)
    app = _App(given, source)
    if app.policy and not _decisions_leave(app):
        text = "the policy %s does not let decisions be sent as they are (what, margin)"
        raise ValueError(text % given["policy"])

    def made(model, *rest):
        return Live(app, given["source"], waiting, model, *rest)

    try:
        return ulnn_stream.serve(app.model, idle_ms, window, 0, console, made)
    finally:
        app.close()
