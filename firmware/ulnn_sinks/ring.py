"""A ring of records on flash, in a few files that are only appended to: one write an event.

It survives a power cut at any write: a record that was not whole is not there, and everything
before it is. Files are small, since littlefs copies what it changes: one of 4 KB is a block.
"""

import os
from binascii import crc32, hexlify, unhexlify
from struct import pack, unpack

from ulnn_rules.events import SIZE, is_whole
from ulnn_rules.events import unpack as unpack_event

RECORDS = 31  # of a file, with its head in 4 KB
_MAGIC = b"ULEV"
_HEAD = 16


def draw(size):
    """Random bytes that no other start and no other device draws."""
    try:
        return os.urandom(size)
    except (AttributeError, NotImplementedError, OSError):
        from hashlib import sha256
        from time import ticks_cpu, ticks_us, time

        seed = "%s %s %s" % (time(), ticks_us(), ticks_cpu())
        try:
            from machine import unique_id

            seed += str(unique_id())
        except (ImportError, AttributeError):
            pass
        return sha256(seed.encode()).digest()[:size]


class Ring:
    """A folder of `files` files (2 or more) of RECORDS records; what is there is kept.

    A position is file number * RECORDS + index; numbers only grow. first, end: the position of
    the oldest record, and of the next one. log: 8 hex digits, drawn with the first record.
    last: the newest event there, or None.
    Raises OSError where the folder cannot be made.
    """

    def __init__(self, folder, files=8):
        self.folder = folder
        self.files = files
        try:
            os.stat(folder)
        except OSError:
            os.mkdir(folder)
        self._buffer = bytearray(SIZE)
        self._open()

    def _open(self):
        heads = [self._head(k) for k in range(self.files)]
        newest = max([h for h in heads if h] or [(0, 0)])
        self.log = hexlify(newest[1]).decode() if newest[1] else hexlify(draw(4)).decode()
        self._number = newest[0]
        self._counts = [0] * self.files
        self._full = not newest[1]  # whether the newest file takes no more
        oldest = newest[0]
        for k in range(self.files):
            if heads[k] and heads[k][1] == newest[1] and newest[0] - heads[k][0] < self.files:
                self._counts[k], whole = self._count(k)
                oldest = min(oldest, heads[k][0])
                if heads[k][0] == newest[0]:
                    self._full = not whole
        self.first = oldest * RECORDS
        self.last = self._newest()

    def _path(self, number):
        return "%s/%d" % (self.folder, number % self.files)

    def _head(self, k):
        """(number, log) of a file, or None."""
        try:
            with open(self._path(k), "rb") as f:
                head = f.read(_HEAD)
        except OSError:
            return None
        if len(head) < _HEAD or head[:4] != _MAGIC:
            return None
        number, check = unpack("<II", head[8:])
        if check != crc32(head[:12]) or number % self.files != k:
            return None
        return number, head[4:8]

    def _count(self, k):
        """(whole records of a file, whether nothing else is there)."""
        count = 0
        with open(self._path(k), "rb") as f:
            f.seek(_HEAD)
            while count < RECORDS:
                got = f.readinto(self._buffer)
                if got < SIZE:
                    return count, not got
                if not is_whole(self._buffer):
                    return count, False
                count += 1
        return count, True

    def _newest(self):
        number = self._number
        while number * RECORDS >= self.first:
            count = self._counts[number % self.files]
            if count:
                return self.read(number * RECORDS + count - 1)
            number -= 1
        return None

    @property
    def end(self):
        """Where the next record goes."""
        return self._number * RECORDS + self._counts[self._number % self.files]

    def settle(self, at):
        """The position of the first record at or after `at`; `end` where there is none."""
        if at < self.first:
            at = self.first
        while at < self.end and at % RECORDS >= self._counts[at // RECORDS % self.files]:
            at = (at // RECORDS + 1) * RECORDS
        return at

    def between(self, at, to):
        """How many records lie from one position up to another."""
        count = 0
        while (at := self.settle(at)) < to:
            last = min(to, at - at % RECORDS + RECORDS)
            held = at - at % RECORDS + self._counts[at // RECORDS % self.files]
            count += min(last, held) - at
            at = last
        return count

    def read(self, at):
        """The event at a position, or None where it is damaged or gone."""
        if not self.first <= at < self.end:
            return None
        try:
            with open(self._path(at // RECORDS), "rb") as f:
                f.seek(_HEAD + SIZE * (at % RECORDS))
                if f.readinto(self._buffer) < SIZE or not is_whole(self._buffer):
                    return None
        except OSError:
            return None
        return unpack_event(self._buffer)

    def is_full(self):
        """Whether the next record takes the place of the oldest file, if there is one."""
        return self._full or self._counts[self._number % self.files] >= RECORDS

    def makes_way(self):
        """The position up to which the next record lets old ones go; `first` where to none."""
        if not self.is_full():
            return self.first
        return max(self.first, (self._number + 2 - self.files) * RECORDS)

    def append(self, record):
        """Write a record. Raises OSError: it is not there; those before it are, but for those
        that it made way for."""
        number, head = self._number, b""
        if self.is_full():
            number += 1
            self.first = self.makes_way()
            self._counts[number % self.files] = 0
            head = _MAGIC + unhexlify(self.log) + pack("<I", number)
            head += pack("<I", crc32(head))
        self._full = True  # until all of it is there
        with open(self._path(number), "wb" if head else "ab") as f:
            if f.write(head + record) != len(head) + len(record):
                raise OSError(28)  # no space left
            f.flush()
            if hasattr(os, "fsync"):
                os.fsync(f.fileno())
        self._number = number
        self._counts[number % self.files] += 1
        self._full = False

    def forget(self):
        """Remove all records; a new log begins."""
        for number in range(self._number + 1 - self.files, self._number + 1):  # the newest last
            try:
                os.remove(self._path(number))
            except OSError:
                pass
        self._open()
