"""Events as lines of JSON on the port of the REPL. `ulnn collect --port` takes them there, and
answers each with a line "ack LOG BOOT SEQ CRC"; Ctrl-C stays alive."""

import select
import sys

from ulnn_rules.events import answer
from ulnn_rules.settings import Key, check
from ulnn_sinks import base

TABLE = {"acknowledged": Key(bool, True)}
_ANSWER = 64  # bytes of the longest answer


class Sink(base.Sink):
    """The REPL's port.

    acknowledged: an event is delivered when its answer has come, and sent again until then;
    without it, when it is printed. Lines end with a CRC, see `ulnn_rules.events.to_line`. With it,
    what is typed into the port while the sink is polled is taken for answers.
    """

    def __init__(self, settings, log, where):
        super().__init__("serial", check(settings, TABLE, where), log)
        self._in = getattr(sys.stdin, "buffer", sys.stdin)
        self._poller = select.poll()
        self._poller.register(sys.stdin, select.POLLIN)
        self._byte = bytearray(1)
        self._answer = bytearray()

    def attach(self):
        super().attach()
        self.delivery = base.Delivery(self, 1, 500, 5000, check=True)

    def poll(self):
        if self.settings["acknowledged"]:
            self._listen()
        delivery = self.delivery
        if not delivery.build() or not delivery.is_late():
            return
        sys.stdout.write(delivery.lines.decode())
        delivery.sent()
        if not self.settings["acknowledged"]:
            delivery.acknowledge(self.log.ring.log, *delivery.last)

    def _listen(self):
        for _ in range(_ANSWER):
            ready = False
            for _ in self._poller.ipoll(0):
                ready = True
            if not ready or not self._in.readinto(self._byte):
                return
            if self._byte[0] in (10, 13):
                self._answered()
            elif len(self._answer) < _ANSWER:
                self._answer += self._byte

    def _answered(self):
        line, self._answer = self._answer, bytearray()
        try:
            words = str(bytes(line), "ascii").split()
        except ValueError:  # damaged on the way
            return
        if len(words) == 5 and " ".join(words) == answer(*words[1:4]):
            self.delivery.acknowledge(words[1], int(words[2]), int(words[3]))
