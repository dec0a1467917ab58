"""Cut the power at each write of a log of events, and of the start after it; see
tests/firmware/test_event_log.py.

Arguments: kind of filesystem, step, the folders of the modules.
"""

import sys

sys.path.insert(0, sys.argv[0].rpartition("/")[0])
import torn

BLOCKS = 128
PATHS = sys.argv[3:]


def start():
    """A log on the disk as it is, and its reader."""
    sys.path[:] = PATHS
    from ulnn_sinks import ring
    from ulnn_sinks.log import Log

    ring.RECORDS = 4
    log = Log("d", ring.Ring("/ram/events", 3))
    return log, log.reader()


class Told:
    """What a device was told, whatever happened to it: added, delivered, and dropped events."""

    def __init__(self):
        self.added = {}
        self.delivered = set()
        self.dropped = 0


def text_of(key):
    return "%d-%d" % key


def work(told, log, reader, count):
    """Add and deliver, until the power is gone."""
    for n in range(count):
        key = (log.boot, log.seq + 1)
        good = log.add("decision", text_of(key), n)
        if torn.disk.dead:
            # whether the last one is there does not matter: nobody was told
            return told.added.setdefault(key, None)
        assert good, key
        told.added[key] = n
        told.dropped = log.dropped
        if n % 4 == 3:
            event = reader.take()
            if event:
                reader.deliver(event.boot, event.seq)
                while reader.poll():
                    pass
                told.delivered.add((event.boot, event.seq))


def look(told, log, reader, cuts=0):
    """What is there after a start, which has to be all that was added and not delivered."""
    found = []
    while True:
        event = reader.take()
        if not event:
            break
        key = (event.boot, event.seq)
        assert event.what == text_of(key), (key, event.what)
        assert key in told.added, key
        if told.added[key] is not None:
            assert event.margin == told.added[key], key
        found.append(key)
    assert found == sorted(found), found
    reader.rewind()
    newest = max([k for k in told.added if told.added[k] is not None] or [(0, 0)])
    assert log.boot > newest[0], (log.boot, newest)
    want = [k for k in told.added if told.added[k] is not None and k not in told.delivered]
    lost = [k for k in want if k not in found]
    # The oldest may make way for an event that was not written before the power went.
    assert all(k < found[0] for k in lost) if found else not lost, (lost, found)
    assert len(lost) <= log.dropped + 4 * cuts, (lost, log.dropped)  # a file, at each cut
    return len(lost)


def copy(told):
    other = Told()
    other.added = dict(told.added)
    other.delivered = set(told.delivered)
    other.dropped = told.dropped
    return other


def main(kind, step):
    image = torn.format_disk(kind, BLOCKS)
    torn.power_on(kind, image)
    told = Told()
    log, reader = start()
    work(told, log, reader, 14)
    assert log.dropped == 1, log.dropped

    torn.power_on(kind, bytearray(image))
    again = copy(told)
    log, reader = start()
    assert look(again, log, reader) == 1
    before = torn.disk.writes
    work(again, log, reader, 14)
    total, starting = torn.disk.writes, before
    print("writes", total, "of the start", starting, "of an event", (total - before) / 14)

    tried = 0
    for n in range(0, total, step):
        data = bytearray(image)
        torn.power_on(kind, data, n)
        once = copy(told)
        try:
            work(once, *start(), 14)
        except torn.Cut:
            pass
        assert torn.disk.dead, n
        for second in (None, n * 7 % total):
            twice = copy(once)
            torn.power_on(kind, bytearray(data), second)
            try:
                log, reader = start()
                look(twice, log, reader, 1)
                work(twice, log, reader, 9)
            except (torn.Cut, OSError):
                assert torn.disk.dead
            tried += 1
            torn.power_on(kind, torn.disk.data)
            log, reader = start()
            look(twice, log, reader, 2)
    print("tried", tried)


main(sys.argv[1], int(sys.argv[2]))
