"""Runs a model over the port of the REPL: frames of samples in, outputs and step times out.

The host starts it with `import ulnn_stream; ulnn_stream.serve("/models/x.ulnn")`. The wire is
described in PROTOCOL.md. Ctrl-C stays alive: no byte 3 occurs in what the host sends. Once the
loop runs, samples and damaged frames allocate nothing, as long as the engine's `step` does not.
"""

import gc
import sys
import time
from array import array
from binascii import crc32
from struct import pack_into

from ulnn_rules.ticks import ticks_diff as _diff
from ulnn_rules.ticks import ticks_ms as _ms
from ulnn_rules.ticks import ticks_us as _us

MAJOR = 2
MINOR = 1
_WORDS = 124  # of a body, so that every index in a frame is below 254
_DATA = 120  # of them, payload
_ROWS = 32  # samples in a frame at most: their views cost memory
_START = 0xFE
_RESIDUE = 0x2144DF1C  # CRC-32 of whatever ends with its own CRC-32
_GAP_MS = 20  # between two bytes of a frame
_NOISE, _NOTHING, _IDLE, _CLOSED = -1, -2, -3, -4
# What the receive buffers of the ports hold; 256 where nothing is known.
_WINDOWS = {"qemu": 2048, "linux": 2048, "rp2": 512, "mimxrt": 512, "nrf52": 512, "samd": 128}

_lock = _unlock = int
if sys.maxsize < 1 << 31:  # elsewhere a CRC-32 is a small integer
    try:
        from micropython import heap_lock as _lock
        from micropython import heap_unlock as _unlock
    except ImportError:
        pass


def _console():
    """readinto(buffer, bytes), write(buffer, bytes), poll(ms): one item when a byte is there."""
    try:
        from usb_cdc import console  # CircuitPython
    except ImportError:
        console = None
    if console is not None:
        return _port(console)
    if not hasattr(sys.stdin, "buffer"):
        why = "the console of this board carries text only (CircuitPython without native USB)"
        raise OSError(why + ": give serve a UART")
    import select

    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    return sys.stdin.buffer.readinto, sys.stdout.buffer.write, poll.ipoll


def _port(port):
    """The same of a serial port of CircuitPython: with in_waiting, readinto and write."""

    def part(buf, n):
        return memoryview(buf)[: n if isinstance(buf, bytearray) else n // 2]

    def wait(ms):
        start = _ms()
        while not port.in_waiting:
            if _diff(_ms(), start) > ms:
                return ()
        return (True,)

    def readinto(buf, n):
        return port.readinto(part(buf, n))

    return readinto, lambda buf, n: port.write(part(buf, n)), wait


def _clock():
    """now(), its ticks a second: CPU cycles where there is a counter."""
    cpu = getattr(time, "ticks_cpu", _us)
    c, t = cpu(), _us()
    while _diff(_us(), t) < 20000:
        pass
    hz = _diff(cpu(), c) * 1000000 // _diff(_us(), t)
    return (cpu, hz) if hz > 2000000 else (_us, 1000000)


def _bytes_of(words):
    """(bytearray, copies): the bytes of an array, in place where the board can do that."""
    size = 2 * len(words)
    try:
        from uctypes import addressof, bytearray_at
    except ImportError:
        return bytearray(size), True
    return bytearray_at(addressof(words), size), False


def _crc(data):
    """CRC-32 of a view where it is below 2**30, else -1: the locked heap refuses long integers."""
    _lock()
    try:
        c = crc32(data)
    except MemoryError:
        c = -1
    finally:
        _unlock()
    return -1 if c >> 30 else c


def _restore(raw, link, value, end):
    """Put `value` back where the host wrote a chain of links; False: the chain is damaged."""
    while link:
        if link < 4 or link >= end:
            return False
        following = raw[link]
        raw[link] = value
        if following and following <= link:
            return False
        link = following
    return True


class Stream:
    def __init__(self, model, console, window, slots):
        self.readinto, self.write, self.poll = console
        self.now, self.hz = _clock()
        self.model = model
        self.step = model.step
        info = self.info = model.info()
        self.window, self.slots = window, slots
        i = self.inputs = info["input_size"]
        o = self.outputs = info["output_size"]
        self.states = info["state_size"]
        self.text = self.state = b""
        self.clamped = self.steps = self.collections = self.damaged = 0
        self.held = array("h", [0])
        self.have = 0  # words put, times two, plus their region
        rows = self.rows = min(_ROWS, _DATA // (max(i, o) + 2))
        # The head and the body of a frame from the host; head (one word) and body of an answer.
        self.rx = array("h", [0] * (2 + _WORDS))
        self.raw, self.copies = _bytes_of(self.rx)
        self.body = memoryview(self.raw)[4:]
        self.tx = array("h", [0] * (1 + _WORDS))
        rx, tx = memoryview(self.rx), memoryview(self.tx)
        self.views = [tx[1 : 1 + n] for n in range(_WORDS + 1)]
        self.kept = [bytearray(2 + 2 * _WORDS) for _ in range(slots)]
        self.sizes = [0] * slots
        self.one = bytearray(1)
        self.begun = self.broken = False
        # A model with more inputs or outputs than fit in a frame gets its samples in parts.
        self.x = array("h", [0] * i) if rows == 0 else rx[4 : 4 + i]
        self.y = array("h", [0] * o)
        self.xs = [rx[4 + k * i : 4 + k * i + i] for k in range(rows)]
        self.ys = [tx[3 + k * o : 3 + k * o + o] for k in range(rows)]
        self.times = array("i", [0] * max(rows, 1))
        self.others = {66: lambda n: 0, 71: self.get, 72: self.hello, 80: self.take}  # B, G, H, P
        self.others.update({81: self.statistics, 82: self.reset, 84: self.big_step})  # Q, R, T
        self.watch = False
        self.measure()

    def measure(self):
        """How long does a step take, and does it allocate? Then collections are looked for."""
        counter = getattr(gc, "mem_alloc", lambda: 0)
        now, slowest, fastest = self.now, 1, 0x3FFFFFFF
        before = counter()
        for k in range(3):
            t = now()
            self.step(self.x, self.y, 1)
            t = _diff(now(), t)
            slowest, fastest = max(slowest, t), min(fastest, t)
            if k == 0:
                before = counter()
        self.watch = counter() != before
        self.model.reset()
        self.step_ticks = slowest
        self.shift = 0
        while fastest >> self.shift >= 0x2000:
            self.shift += 1

    # ---- the loop -----------------------------------------------------------------------------

    def seal(self, n):
        """Put head and check around a body of n words, and send it; returns its bytes."""
        tx, view = self.tx, self.views[n - 1]
        for turn in range(4):
            tx[n - 1] = turn << 2
            c = _crc(view)
            if c >= 0:
                break
        tx[0] = 0xA5 | n << 8
        tx[n - 1] = (c & 0x7FFF) - (c & 0x8000)
        c = c >> 16 | turn << 14
        tx[n] = (c & 0x7FFF) - (c & 0x8000)
        n = 2 + 2 * n
        self.write(tx, n)
        return n

    def nak(self, expected):
        tx = self.tx
        tx[1] = 110  # n
        tx[2] = expected
        self.seal(4)

    def receive(self, ms):
        """Words of the body now in rx (checked, restored), or 0: damaged, or a reason below 0."""
        # Four values at a time would make a tuple.
        poll, readinto = self.poll, self.readinto
        one, raw = self.one, self.raw
        start, gap = _START, _GAP_MS
        if not self.begun:
            for _ in poll(ms):
                break
            else:
                return _IDLE
            if readinto(one, 1) != 1:
                return _CLOSED
            if one[0] != start:
                return _NOISE
            self.begun = True
        at = 1
        for end in (4, 0):
            for k in range(at, end or 4 + 2 * raw[3]):
                for _ in poll(gap):
                    break
                else:
                    self.begun = False
                    return 0 if k > 1 else _NOTHING
                if readinto(one, 1) != 1:
                    return _CLOSED
                b = one[0]
                if b == start:  # what came before it, if anything, lost bytes
                    return 0 if k > 1 else _NOTHING
                raw[k] = b
            at = 4
            if not 4 <= raw[3] <= _WORDS:
                self.begun = False
                return 0
        self.begun = False
        n = raw[3]
        end = 4 + 2 * n
        if not (_restore(raw, raw[1], 3, end) and _restore(raw, raw[2], _START, end)):
            return 0
        pack_into("248s", self.tx, 2, self.body)
        if _crc(self.views[n]) != _RESIDUE:
            return 0
        if self.copies:
            for k in range(2, 2 + n):
                b = raw[2 * k + 1]
                self.rx[k] = raw[2 * k] | b << 8 if b < 128 else raw[2 * k] | b - 256 << 8
        return n

    def loop(self, idle_ms):
        rx, tx, sizes, kept, mask = self.rx, self.tx, self.sizes, self.kept, self.slots - 1
        expected = done = 0
        asked = False
        self.nak(0)
        last = _ms()
        while True:
            left = idle_ms - _diff(_ms(), last)
            n = self.receive(left) if left > 0 else _IDLE
            if n <= 0:
                if n == _IDLE:
                    return "idle"
                if n == _CLOSED:
                    return "closed"
                if n == 0 or (n == _NOISE and not asked):
                    self.damaged += 1
                    asked = True
                    self.nak(expected)
                continue
            last = _ms()
            kind, number = rx[2] & 0xFF, rx[2] >> 8 & 0xFF
            if kind == 72:  # H: whatever its number is
                expected, done = number, 0
                self.broken = False
            ahead = (number - expected) & 0xFF
            if 256 - ahead <= done:  # its answer was lost: once more
                self.write(kept[number & mask], sizes[number & mask])
            elif ahead or kind == 65:  # A: there is no such answer
                if not asked or kind == 65:
                    asked = True
                    self.nak(expected)
            else:
                asked = False
                if self.broken and kind not in (66, 72, 81, 82):  # B, H, Q, R
                    n = self.error(0, "refused after an error: reset first")
                elif kind == 83:  # S
                    n = self.samples(n)
                else:
                    n = self.other(kind, n)
                if tx[1] == 0:
                    tx[1] = kind + 32
                tx[1] |= number << 8 if number < 128 else (number - 256) << 8
                expected = (expected + 1) & 0xFF
                if done <= mask:
                    done += 1
                sizes[number & mask] = self.seal(n)
                pack_into("250s", kept[number & mask], 0, tx)
                if kind == 66:  # B
                    return "bye"

    def samples(self, n):
        """One step for each sample in rx; leaves the answer in tx, returns its words."""
        rx, tx, times = self.rx, self.tx, self.times
        xs, ys, step = self.xs, self.ys, self.step
        now, diff, watch = self.now, _diff, self.watch
        count, form = rx[3] & 0xFF, rx[3] >> 8
        q = count * self.inputs
        if not (0 < count <= self.rows and 0 <= form <= 2):
            text = "S: %d samples in form %d, expected 1 to %d"
            return self.error(0, text, count, form, self.rows)
        if n - 4 - q != (2 if form == 0 else 1 + count if form == 1 else 2 * count):
            return self.error(0, "S: %d words do not fit %d samples", n - 4, count)
        q += 4
        dt = unit = rx[q] & 0xFFFF
        if form == 0:
            dt |= (rx[q + 1] & 0xFFFF) << 16
        k = used = together = 0
        try:
            for k in range(count):
                if form == 1:
                    q += 1
                    dt = (rx[q] & 0xFFFF) * unit
                elif form == 2:
                    dt = rx[q] & 0xFFFF | (rx[q + 1] & 0xFFFF) << 16
                    q += 2
                x, y = xs[k], ys[k]
                if watch:
                    used = gc.mem_alloc()
                t = now()
                step(x, y, dt)
                t = diff(now(), t)
                together |= t
                if watch and gc.mem_alloc() < used:
                    self.collections += 1
                    t = -1 - t
                times[k] = t
        except Exception as e:
            return self.error(k, "%s: %s", type(e).__name__, e)
        self.steps += count
        q = 3 + count * self.outputs
        wide = together >> self.shift >> 15 != 0
        for k in range(count):
            t = times[k]
            mark = 0
            if t < 0:
                t, mark = -1 - t, 0x8000
            if wide:
                tx[q] = (t & 0x7FFF) - (t & 0x8000)
                q += 1
                t >>= 16
            else:
                t >>= self.shift
            tx[q] = t - mark
            q += 1
        tx[1] = 0
        tx[2] = count | 256 if wide else count
        return q + 1

    # ---- everything but samples ---------------------------------------------------------------

    def error(self, where, text, *values):
        """An answer that says what is wrong; until a reset no step is made any more."""
        self.broken = True
        self.tx[1] = 101  # e
        self.tx[2] = where
        text = bytes(text % values, "utf-8")[: 2 * _DATA]
        pack_into("240s", self.tx, 6, text)
        return 4 + (len(text) + 1) // 2

    def other(self, kind, n):
        """Words of the answer, in tx, to a message with n words."""
        self.tx[1] = 0
        self.tx[2] = 0
        try:
            if kind not in self.others:
                raise ValueError("message %d not known" % kind)
            if kind in (66, 81, 82) and (n > 4 or self.rx[3]):  # B, Q, R
                raise ValueError("%s: expected no payload and argument 0" % chr(kind))
            return 4 + self.others[kind](n - 4)
        except Exception as e:
            return self.error(0, "%s: %s", type(e).__name__, e)

    def reset(self, n):
        self.model.reset()
        self.broken = False
        self.have = 0
        return 0

    def hello(self, n):
        if n != 2 or self.rx[4] != MAJOR:
            raise ValueError("H: this board speaks protocol %d.%d" % (MAJOR, MINOR))
        self.reset(0)
        self.steps = self.collections = self.damaged = 0
        cost = 0x7FFF
        for _ in range(8):
            t = self.now()
            cost = min(cost, _diff(self.now(), t))
        facts = dict(self.info)
        version = ".".join(str(v) for v in sys.implementation.version[:3])
        facts["python"] = "%s %s" % (sys.implementation.name, version)
        facts["board"] = getattr(sys.implementation, "_machine", sys.platform)
        facts["ulnn"] = getattr(sys.modules.get("ulnn"), "__version__", "none")
        self.text = "\n".join("%s=%s" % item for item in facts.items()).encode()
        numbers = [MAJOR, MINOR, self.window, self.slots, self.rows, self.inputs, self.outputs]
        numbers += [self.states, cost, 1 if self.watch else 0, self.shift, len(self.text)]
        numbers += [self.info["tick_ns"], self.hz, self.step_ticks]
        pack_into("<12H3I", self.tx, 6, *numbers)
        self.tx[2] = self.rx[3]
        return 18

    def statistics(self, n):
        counts = self.steps, self.collections, self.damaged, self.model.clamped
        heap = [getattr(gc, name, int)() for name in ("mem_alloc", "mem_free")]
        pack_into("<6I", self.tx, 6, *counts, *heap)
        return 12

    def get(self, n):
        region, first, count = self.rx[3], self.rx[4], self.rx[5]
        sizes = (self.states, self.outputs if self.rows == 0 else 0, (len(self.text) + 1) // 2)
        size = sizes[region] if n == 2 and 0 <= region <= 2 else -1
        if not (0 <= first <= size - count and 0 <= count <= _DATA):
            raise ValueError("G: region %d has %d words, and 120 fit" % (region, size))
        if region == 1:
            for k in range(count):
                self.tx[3 + k] = self.y[first + k]
            return count
        if region == 0:
            if first == 0:
                self.state = self.model.state
                self.clamped = self.model.clamped & 0xFFFF
            elif not self.state:
                raise ValueError("G: the state is taken when its first word is asked for")
            pack_into("<H", self.tx, 4, self.clamped)
        data = self.state if region == 0 else self.text
        pack_into("240s", self.tx, 6, data[2 * first : 2 * (first + count)])
        return count

    def take(self, n):
        """Words of the state, or of a sample that does not fit in a frame, in their order."""
        region, first, count = self.rx[3], self.rx[4], n - 1
        size = self.states if region == 0 else self.inputs if self.rows == 0 else 0
        fits = region in (0, 1) and 0 < count <= size - first
        if not fits or (first and self.have != 2 * first + region):
            raise ValueError("P: word %d of region %d is not the next" % (first, region))
        if region == 0 and len(self.held) != size:
            self.held = array("h", [0] * size)
        to = self.x if region else self.held
        for k in range(count):
            to[first + k] = self.rx[5 + k]
        self.have = 2 * (first + count) + region
        if self.have == 2 * size:
            self.model.state = self.held
        return 0

    def big_step(self, n):
        rx = self.rx
        if n != 2 or rx[3] or self.rows or self.have != 2 * self.inputs + 1:
            raise ValueError("T: expected a dt, after the last word of a sample in parts")
        self.have = 0
        dt = rx[4] & 0xFFFF | (rx[5] & 0xFFFF) << 16
        used = gc.mem_alloc() if self.watch else 0
        t = self.now()
        self.step(self.x, self.y, dt)
        t = _diff(self.now(), t)
        self.steps += 1
        pack_into("<I", self.tx, 6, t)
        if self.watch and gc.mem_alloc() < used:
            self.collections += 1
            self.tx[4] -= 0x8000
        return 2


def serve(model, idle_ms=30000, window=0, slots=0, console=None, stream=Stream):
    """Answer frames until the host says goodbye ("bye"), or sends no whole frame for idle_ms
    ("idle"), or the port is closed ("closed").

    model: path of a .ulnn file or a loaded Model. window: bytes that the port can hold while a
    step is running, 64 to 4096; 0: what this kind of board usually holds. slots: answers kept, 1,
    2, 4, 8 or 16; 0: by the window. console: a port with in_waiting, readinto and write, such as a
    busio.UART of CircuitPython, or the three functions of `_console`. stream: what answers. Ctrl-C
    raises KeyboardInterrupt. Raises as `ulnn.load` does, and OSError for a text console.
    """
    window = window or _WINDOWS.get(sys.platform, 256)
    slots = slots or (8 if window >= 2048 else 4)
    if not 64 <= window <= 4096 or slots not in (1, 2, 4, 8, 16):
        raise ValueError("window %d, slots %d: expected 64 to 4096, and 1 to 16" % (window, slots))
    gc.collect()
    try:
        if isinstance(model, str):  # for which alone an engine is needed
            model = __import__("ulnn").load(model)
        if not isinstance(console, tuple):
            console = _port(console) if console else _console()
        made = stream(model, console, window, slots)
    except MemoryError as e:
        model = None
        gc.collect()
        free = gc.mem_free() if hasattr(gc, "mem_free") else 0
        raise MemoryError("%s for the model; %d bytes are free" % (e, free)) from None
    gc.collect()
    return made.loop(idle_ms)
