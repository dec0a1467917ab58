"""Figures of a loop that runs for months, in memory that does not grow: integers alone."""


class Spread:
    """Times in microseconds, in buckets that are an eighth of their value wide at most."""

    def __init__(self):
        self._counts = [0] * 224
        self.count = self.most = 0

    def add(self, us):
        """A time, 0 to 2**30 - 1."""
        if us > self.most:
            self.most = us
        e = 0
        while us >= 16:
            us >>= 1
            e += 8
        self._counts[e + us] += 1
        self.count += 1

    def below(self, percent):
        """The time, in microseconds, that `percent` of all do not exceed; 0 without any."""
        left = (self.count * percent + 99) // 100
        for k, n in enumerate(self._counts):
            left -= n
            if n and left <= 0:
                e = max(0, (k >> 3) - 1)
                return min(self.most, ((k - 8 * e + 1) << e) - 1)
        return 0


class Pace:
    """What the usual time between samples is, and which others there were, in microseconds."""

    def __init__(self):
        self.usual = self.longest = self.near = self.others = self._astray = 0
        self.shortest = 0x3FFFFFFF
        self._fine = 0  # sixteenths of a microsecond

    def add(self, us):
        """The time from one sample to the next, 1 or more."""
        if us > self.longest:
            self.longest = us
        if us < self.shortest:
            self.shortest = us
        usual = self.usual
        if usual - (usual >> 2) <= us <= usual + (usual >> 2):
            self.near += 1
            self._astray = 0
            if usual < 0x1FFFFFF:
                self._fine += us - (self._fine >> 4)
                self.usual = self._fine + 8 >> 4
        else:
            self.others += 1
            self._astray += 1
            if not usual or self._astray > 8:
                self._astray = 0
                self.usual = us
                self._fine = us << 4 if us < 0x1FFFFFF else 0


class Faults:
    """The last faults, in memory that was set aside: when, what, and how many times in a row."""

    def __init__(self, size=16, width=112):
        self._text = [bytearray(width) for _ in range(size)]
        self._when = [0] * size
        self._times = [0] * size
        self._next = 0
        self.total = 0

    def add(self, seconds, text):
        """A fault after so many seconds. Whether it is another one than the last."""
        self.total += 1
        data = text.encode()[: len(self._text[0])]
        at = (self._next or len(self._text)) - 1
        same = self._times[at] and bytes(self._text[at][: len(data) + 1]).rstrip(b"\0") == data
        if same:
            self._times[at] += 1
            return False
        at = self._next
        self._next = (at + 1) % len(self._text)
        self._when[at] = seconds
        self._times[at] = 1
        slot = self._text[at]
        for k in range(len(slot)):
            slot[k] = data[k] if k < len(data) else 0
        return True

    def entries(self):
        """(seconds when it came first, times in a row, text) of each, the oldest first."""
        size = len(self._text)
        found = []
        for k in range(self._next, self._next + size):
            k %= size
            if self._times[k]:
                text = bytes(self._text[k]).rstrip(b"\0").decode("utf-8", "ignore")
                found.append((self._when[k], self._times[k], text))
        return found
