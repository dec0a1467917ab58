"""A device that samples without a pause and says something now and then, under unix MicroPython.

Arguments: name, port, folder of its log, events, ms between them, seconds at most, TABLE of more
settings. It prints what it told itself, as a line of JSON.
"""

import json
import sys
import time
from array import array

from ulnn_sinks import make
from ulnn_sinks.log import Log
from ulnn_sinks.ring import Ring

BIN_US = 100


class Times:
    """Durations in bins of BIN_US."""

    def __init__(self):
        self.bins = array("I", [0] * 1000)
        self.count = self.most = 0

    def add(self, us):
        self.bins[min(us // BIN_US, 999)] += 1
        self.count += 1
        if us > self.most:
            self.most = us

    def percentile(self, share):
        left = self.count * share
        for k in range(1000):
            left -= self.bins[k]
            if left <= 0:
                return (k + 1) * BIN_US
        return self.most


def main(name, port, folder, events, period, seconds, more):
    log = Log(name, Ring(folder, 48), "ab" * 32, channels=3)
    settings = {"kind": "mqtt", "host": "127.0.0.1", "port": int(port)}
    settings.update(json.loads(more))
    log.sinks = [make(settings, log)]
    events, period = int(events), int(period)
    x = array("h", [1, -2, 3])
    polls, loops = Times(), Times()
    begin = last = time.ticks_us()
    added = samples = 0
    due = time.ticks_ms()
    end = time.ticks_ms() + 1000 * int(seconds)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        now = time.ticks_us()
        loops.add(time.ticks_diff(now, last))
        last = now
        log.sample(x)
        samples += 1
        if added < events and time.ticks_diff(time.ticks_ms(), due) >= 0:
            due = time.ticks_add(due, period)
            assert log.add("decision", "%s %d" % (name, added), added)
            added += 1
        begin = time.ticks_us()
        log.poll()
        polls.add(time.ticks_diff(time.ticks_us(), begin))
        if added == events and log.sinks[0].reader.delivered == events:
            break
        time.sleep_ms(10)
    found = log.status()
    found.update({"samples": samples, "added": added, "log": log.ring.log})
    for what, times in (("poll", polls), ("loop", loops)):
        found[what] = [times.percentile(0.5), times.percentile(0.99), times.most]
    print(json.dumps(found))


main(*sys.argv[1:])
