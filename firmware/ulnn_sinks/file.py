"""Events as lines of JSON in a file of the board, such as one on a memory card."""

import os

from ulnn_rules.events import to_line
from ulnn_rules.settings import Key, check
from ulnn_sinks import base

TABLE = {"path": Key(str, low=1), "limit": Key(int, 1000000, 4096)}


class Sink(base.Sink):
    """A file that grows up to `limit` bytes; then it becomes `path`.old, and a new one begins."""

    def __init__(self, settings, log, where):
        super().__init__("file", check(settings, TABLE, where), log)

    def poll(self):
        reader = self.reader
        if reader.poll() or not reader.waits() or not self.backoff.is_over():
            return
        event = reader.take()
        if event is None:
            return
        line = to_line(self.log.fields(event)) + "\n"
        self._write(line)
        self.log.sent_bytes += len(line)
        reader.deliver(event.boot, event.seq)
        self.backoff.reset()
        self.problem = ""

    def _write(self, line):
        path = self.settings["path"]
        try:
            size = os.stat(path)[6]
        except OSError:
            size = 0
        if size + len(line) > self.settings["limit"]:
            try:
                os.remove(path + ".old")
            except OSError:
                pass
            os.rename(path, path + ".old")
        with open(path, "a") as f:
            f.write(line)
