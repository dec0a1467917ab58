"""Runs a model over the port of the REPL: frames of samples in, outputs and step times out.

The host starts it with `import ulnn_stream; ulnn_stream.serve("/models/x.ulnn")`. The wire is
described in PROTOCOL.md. Ctrl-C stays alive: no byte 3 occurs in what the host sends. Once the
loop runs it allocates nothing, as long as the engine's `step` does not.
"""

import gc
import sys
import time
from array import array

import ulnn

MAJOR = 1
MINOR = 0
BODY = 126  # words, so that every byte of a frame has an index below 256
_OVERHEAD = 4  # words of a body around the payload: type and number, argument, check (2)
_GC_FLAG = -0x8000  # in the upper word of a step's time
_QUIET_MS = 20


def _console():
    """readinto(buffer, bytes), write(buffer, bytes), wait(ms): has a byte come in?"""
    try:
        from usb_cdc import console  # CircuitPython
    except ImportError:
        import select

        poll = select.poll()
        poll.register(sys.stdin, select.POLLIN)

        def wait(ms):
            for _ in poll.ipoll(ms):
                return True
            return False

        return sys.stdin.buffer.readinto, sys.stdout.buffer.write, wait

    def part(buf, n):
        return memoryview(buf)[: n if isinstance(buf, bytearray) else n // 2]

    def wait_console(ms):
        end = time.monotonic() + ms / 1000
        while not console.in_waiting:
            if time.monotonic() > end:
                return False
        return True

    return (
        lambda buf, n: console.readinto(part(buf, n)),
        lambda buf, n: console.write(part(buf, n)),
        wait_console,
    )


def _clock():
    """now(), diff(later, earlier), ticks a second: CPU cycles where there is a counter."""
    if not hasattr(time, "ticks_us"):
        return (
            lambda: time.monotonic_ns() // 1000 & 0x3FFFFFFF,
            lambda a, b: (a - b) & 0x3FFFFFFF,
            1000000,
        )
    us, diff = time.ticks_us, time.ticks_diff
    cpu = getattr(time, "ticks_cpu", us)
    c, t = cpu(), us()
    while diff(us(), t) < 20000:
        pass
    c, t = diff(cpu(), c), diff(us(), t)
    hz = c * 1000000 // t
    return (cpu, diff, hz) if hz > 2000000 else (us, diff, 1000000)


def _seal(buf, n):
    """Put prefix and check around a body of n words that starts at word 2 of buf."""
    a, b = 1, 0
    for k in range(2, n):
        a += buf[k]
        b += a
    a %= 65535
    b %= 65535
    buf[n] = a - ((a & 0x8000) << 1)
    buf[n + 1] = b - ((b & 0x8000) << 1)
    buf[0] = 0xA5
    buf[1] = n | ((n & 0x7F | 0x80) << 8) - 0x10000


class _Stream:
    def __init__(self, model, console, window, slots):
        self.readinto, self.write, self.wait = console
        self.now, self.diff, self.hz = _clock()
        self.model = model
        self.step = model.step
        info = model.info()
        self.info = info
        self.window = window
        self.slots = slots
        self.inputs = info["input_size"]
        self.outputs = info["output_size"]
        self.text = b""
        self.state = b""
        self.reset_counters()
        rows = self.rows = (BODY - _OVERHEAD) // (max(self.inputs, self.outputs) + 2)
        self.rx = array("h", [0] * BODY)
        self.tx = [array("h", [0] * (BODY + 2)) for _ in range(slots)]
        self.sizes = [0] * slots
        self.nak_frame = array("h", [0] * 6)
        i, o = self.inputs + 2, self.outputs + 2
        # A model with more inputs or outputs than fit in a frame gets its samples in parts.
        self.x = array("h", [0] * self.inputs) if rows == 0 else memoryview(self.rx)[4 : 2 + i]
        self.y = array("h", [0] * self.outputs)
        rx = memoryview(self.rx)
        self.xs = [rx[4 + k * i : 2 + k * i + i] for k in range(rows)]
        self.ys = []
        for buf in self.tx:
            tx = memoryview(buf)
            self.ys += [tx[6 + k * o : 4 + k * o + o] for k in range(rows)]
        self.watch = False
        self.watch = self.allocates()

    def reset_counters(self):
        self.steps = self.collections = self.damaged = 0

    def allocates(self):
        """Does a step allocate? Then collections of garbage have to be looked for."""
        if not hasattr(gc, "mem_alloc"):
            return False
        self.step(self.x, self.y, 1)
        before = gc.mem_alloc()
        self.step(self.x, self.y, 1)
        self.step(self.x, self.y, 1)
        after = gc.mem_alloc()
        self.model.reset()
        return after != before

    # ---- the loop -----------------------------------------------------------------------------

    def nak(self, expected):
        buf = self.nak_frame
        buf[2] = 110  # n
        buf[3] = expected
        _seal(buf, 4)
        self.write(buf, 12)

    def refuse(self, expected):
        """Something damaged came in: let the line go quiet, then say where to go on."""
        self.damaged += 1
        while self.wait(_QUIET_MS):
            self.readinto(self.one, 1)
        self.nak(expected)

    def receive(self):
        """Words of the body now in rx (checked, restored), 0: damaged, -1: port closed."""
        readinto, rx, pre = self.readinto, self.rx, self.pre
        if readinto(self.one, 1) != 1:
            return -1
        if self.one[0] != 0xA5:
            return 0
        if readinto(pre, 3) != 3:
            return -1
        link, n = pre[0], pre[1]
        if n < _OVERHEAD or n > BODY or pre[2] != ((link + n) & 0x7F | 0x80):
            return 0
        if readinto(rx, 2 * n) != 2 * n:
            return -1
        while link:
            k = (link - 4) >> 1
            if link < 4 or k >= n:
                return 0
            w = rx[k]
            if link & 1:
                following = w >> 8 & 0xFF
                rx[k] = w & 0xFF | 0x300
            else:
                following = w & 0xFF
                rx[k] = w - following + 3
            if following and following <= link:
                return 0
            link = following
        a, b = 1, 0
        for k in range(n - 2):
            a += rx[k]
            b += a
        if rx[n - 2] & 0xFFFF != a % 65535 or rx[n - 1] & 0xFFFF != b % 65535:
            return 0
        return n

    def loop(self, idle_ms):
        wait, rx, sizes, mask = self.wait, self.rx, self.sizes, self.slots - 1
        self.one, self.pre = bytearray(1), bytearray(3)
        expected = done = 0
        asked = False
        self.nak(0)
        while wait(idle_ms):
            n = self.receive()
            if n <= 0:
                if n < 0:
                    return "closed"
                self.refuse(expected)
                asked = True
                continue
            kind, seq = rx[0] & 0xFF, rx[0] >> 8 & 0xFF
            if kind == 72:  # H
                expected, done = seq, 0
            ahead = (seq - expected) & 0xFF
            slot = seq & mask
            if ahead == 0:
                asked = False
                if kind == 83:  # S
                    size = self.samples(slot, n)
                else:
                    size = self.other(kind, slot, n)
                buf = self.tx[slot]
                if buf[2] == 0:
                    buf[2] = kind + 32
                buf[2] |= seq << 8 if seq < 128 else (seq - 256) << 8
                _seal(buf, size)
                sizes[slot] = 2 * size + 4
                expected = (expected + 1) & 0xFF
                if done <= mask:
                    done += 1
                self.write(buf, sizes[slot])
                if kind == 66:  # B
                    return "bye"
            elif 256 - ahead <= done:
                self.write(self.tx[slot], sizes[slot])  # its answer was lost: once more
            elif not asked:
                asked = True
                self.nak(expected)
        return "idle"

    def samples(self, slot, n):
        """One step for each sample in rx; leaves the answer in the slot, returns its words."""
        # Four values at a time would make a tuple.
        rx, xs, ys = self.rx, self.xs, self.ys
        step, now, diff = self.step, self.now, self.diff
        tx, watch = self.tx[slot], self.watch
        i, o, first = self.inputs + 2, self.outputs + 2, slot * self.rows
        count = rx[1]
        p, q = 2, 4
        if not 0 < count <= self.rows or n != count * i + _OVERHEAD:
            return self.error(slot, 0, "count %d does not fit" % count)
        k = 0
        try:
            for k in range(count):
                dt = rx[p] & 0xFFFF | (rx[p + 1] & 0xFFFF) << 16
                x, y = xs[k], ys[first + k]
                if watch:
                    used = gc.mem_alloc()
                t = now()
                step(x, y, dt)
                t = diff(now(), t)
                tx[q] = (t & 0x7FFF) - (t & 0x8000)
                t >>= 16
                if watch and gc.mem_alloc() < used:
                    self.collections += 1
                    t += _GC_FLAG
                tx[q + 1] = t
                p += i
                q += o
        except Exception as e:
            return self.error(slot, k, "%s: %s" % (type(e).__name__, e))
        self.steps += count
        tx[2] = 0
        tx[3] = count
        return q

    # ---- everything but samples ---------------------------------------------------------------

    def error(self, slot, where, text):
        tx = self.tx[slot]
        n = self.put(tx, 4, bytes(text, "utf-8"), 0, BODY - _OVERHEAD)
        tx[2] = 101  # e
        tx[3] = where
        return n

    def put(self, tx, q, data, first, words):
        """Copy up to `words` words of `data` (bytes) from word `first`; returns the end in tx."""
        for k in range(2 * first, min(len(data), 2 * (first + words)), 2):
            high = data[k + 1] if k + 1 < len(data) else 0
            tx[q] = (data[k] | high << 8) - ((high & 0x80) << 9)
            q += 1
        return q

    def put_u32(self, tx, q, value):
        for k in (q, q + 1):
            tx[k] = (value & 0x7FFF) - (value & 0x8000)
            value >>= 16
        return q + 2

    def other(self, kind, slot, n):
        rx, tx = self.rx, self.tx[slot]
        tx[2] = 0
        tx[3] = 0
        try:
            if kind == 72:  # H
                return self.hello(tx)
            if kind == 82:  # R
                self.model.reset()
                return 4
            if kind == 71:  # G
                return self.get(tx, rx[1], rx[2], rx[3])
            if kind == 80:  # P
                first = rx[2]
                for k in range(n - 5):
                    self.x[first + k] = rx[3 + k]
                return 4
            if kind == 84:  # T
                dt = rx[2] & 0xFFFF | (rx[3] & 0xFFFF) << 16
                used = gc.mem_alloc() if self.watch else 0
                t = self.now()
                self.step(self.x, self.y, dt)
                t = self.diff(self.now(), t)
                self.steps += 1
                n = self.put_u32(tx, 4, t)
                if self.watch and gc.mem_alloc() < used:
                    self.collections += 1
                    tx[5] += _GC_FLAG
                return n
            if kind == 81:  # Q
                n = self.put_u32(tx, 4, self.steps)
                n = self.put_u32(tx, n, self.collections)
                n = self.put_u32(tx, n, self.damaged)
                n = self.put_u32(tx, n, self.model.clamped)
                n = self.put_u32(tx, n, gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0)
                return self.put_u32(tx, n, gc.mem_free() if hasattr(gc, "mem_free") else 0)
            if kind == 66:  # B
                return 4
        except Exception as e:
            return self.error(slot, 0, "%s: %s" % (type(e).__name__, e))
        return self.error(slot, 0, "message %d not known" % kind)

    def hello(self, tx):
        self.model.reset()
        self.reset_counters()
        now, diff = self.now, self.diff
        cost = 0x7FFF
        for _ in range(8):
            t = now()
            cost = min(cost, diff(now(), t))
        facts = dict(self.info)
        facts["python"] = "%s %s" % (
            sys.implementation.name,
            ".".join(str(v) for v in sys.implementation.version[:3]),
        )
        facts["board"] = getattr(sys.implementation, "_machine", sys.platform)
        facts["ulnn"] = ulnn.__version__
        self.text = "\n".join("%s=%s" % item for item in facts.items()).encode()
        q = 4
        for value in (
            MAJOR,
            MINOR,
            self.window,
            self.slots,
            self.rows,
            self.inputs,
            self.outputs,
            self.info["state_size"],
            cost,
            1 if self.watch else 0,
            len(self.text),
        ):
            tx[q] = value
            q += 1
        q = self.put_u32(tx, q, self.info["tick_ns"])
        return self.put_u32(tx, q, self.hz)

    def get(self, tx, region, first, count):
        if region == 1:
            for k in range(count):
                tx[4 + k] = self.y[first + k]
            return 4 + count
        if region == 0 and first == 0:
            self.state = self.model.state
        return self.put(tx, 4, self.text if region == 2 else self.state, first, count)


def serve(model, idle_ms=30000, window=256, slots=4, console=None):
    """Answer frames until the host says goodbye ("bye"), or is silent for idle_ms ("idle").

    model: path of a .ulnn file or a loaded Model. window: bytes that the port can hold while a
    step is running. slots: answers kept for repetition, a power of two. Ctrl-C leaves with
    KeyboardInterrupt. Nothing of the port is changed, so nothing has to be put back.
    """
    if isinstance(model, str):
        model = ulnn.load(model)
    stream = _Stream(model, console or _console(), window, slots)
    gc.collect()
    return stream.loop(idle_ms)
