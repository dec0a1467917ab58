"""Carry out what a host had a board do, with a power cut at each write; see test_power_cuts.py.

Arguments: kind of filesystem, the disk before, the operations, step, seed.
"""

import sys

sys.path.insert(0, sys.argv[0].rpartition("/")[0])
import torn


def replay(operations):
    """As the helper in repl.py does it."""
    names = {"print": lambda *a, **k: None}
    for what, *arguments in operations:
        if what == "run":
            try:
                exec(arguments[0], names)
            except torn.Cut:
                return
            except Exception as e:  # the host goes on from some
                if torn.disk.dead:
                    return
                if arguments[1] != type(e).__name__:
                    raise
        else:
            at, data = arguments
            try:
                names["_f"].seek(at)
                names["_f"].write(data)
            except torn.Cut:
                return


def start_again(kind, data, left):
    """(what the board starts with or what goes wrong, writes of that start)."""
    disk = torn.power_on(kind, data, left)
    try:
        return torn.starts_with(), disk.writes
    except torn.Cut:
        return "cut", disk.writes
    except Exception as e:
        if disk.dead:
            return "cut", disk.writes
        return "%s: %s" % (type(e).__name__, e), disk.writes


def main(kind, image, operations, step, seed):
    with open(image, "rb") as f:
        image = f.read()
    with open(operations) as f:
        operations = eval(f.read())
    torn.power_on(kind, bytearray(image))
    replay(operations)
    total = torn.disk.writes
    print("writes", total)
    random = int(seed)
    for n in range(random % int(step), total, int(step)):
        data = bytearray(image)
        torn.power_on(kind, data, n)
        replay(operations)
        assert torn.disk.dead, n
        # The start repairs, and its power may be cut as well.
        after, writes = start_again(kind, bytearray(data), None)
        print("%d\t%s" % (n, after))
        if writes:
            random = (random * 1103515245 + 12345) & 0x7FFFFFFF
            second = (random >> 8) % writes
            start_again(kind, data, second)
            print("%d, then %d\t%s" % (n, second, start_again(kind, data, None)[0]))


main(*sys.argv[1:])
