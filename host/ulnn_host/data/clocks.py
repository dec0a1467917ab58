"""Times in other people's files: which column, which unit, ISO 8601, and what is no time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from .options import UNITS
from .sampling import duration

_UNIT_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "milli", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "µs", "μs", "usec", "micro", "micros"), "us"),
    **dict.fromkeys(("microsecond", "microseconds"), "us"),
    **dict.fromkeys(("ns", "nsec", "nano", "nanos", "nanosecond", "nanoseconds"), "ns"),
}
_LONG_WORDS = {"m", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour", "hours"}
_LONG_WORDS |= {"d", "day", "days"}
_ALONE = {"seconds", "millis", "micros", "nanos", "ms", "us", "ns", "elapsed", "uptime"}
_ALONE |= {"milliseconds", "microseconds", "nanoseconds"}
_TIME = {"timestamp", "timestamps", "time", "times", "t", "ts", "datetime", "date", "epoch"}
_STEP = {"dt", "deltat", "timedelta", "dtime", "timespan", "timespans"}
_FILLERS = {"elapsed", "since", "start", "of", "boot", "up", "uptime", "recording", "stamp"}
_FILLERS |= {"unix", "posix", "iso", "utc", "gmt", "local", "gps", "system", "host", "device"}
_FILLERS |= {"log", "logger", "phone", "sensor", "sample", "relative", "rel", "absolute", "abs"}

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
    r" ?(Z|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
_BASIC = re.compile(
    r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(?:(\d\d)(?:[.,](\d+))?)?(Z|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
NO_TIME = int(np.iinfo(np.int64).min)  # NaT
_EPOCH = (946_684_800.0, 4_102_444_800.0)  # the years 2000 to 2100, seconds since 1970
_LONGEST = 7.3e9  # seconds: a time later than the year 2200 has another unit
FEW = 15  # steps that say little
SLOW = 2.0  # seconds: a median step that long asks for its unit
SLOW_EPOCH = 1000.0  # the same where the size of the numbers says the unit
_DAYS = ((29_221.0, 73_051.0), (723_000.0, 767_000.0))  # 1980 to 2100 in spreadsheets, Matlab


@dataclass(frozen=True)
class TimeColumn:
    """A column of times. steps: it holds elapsed times, not timestamps. unit: that of its name."""

    index: int
    steps: bool
    unit: str


def time_column(index: int, name: str) -> TimeColumn:
    """A column that is said to be the time."""
    words = _words(name)
    units = {_UNIT_WORDS[word] for word in words if word in _UNIT_WORDS}
    return TimeColumn(index, _is_step(words), units.pop() if len(units) == 1 else "")


def time_columns(names: Sequence[str]) -> list[TimeColumn]:
    """The columns whose names say that they are a time, the likeliest first."""
    found = []
    for index, name in enumerate(names):
        words = _words(name)
        known = _TIME | _STEP | _FILLERS | _UNIT_WORDS.keys() | {"delta"}
        if not words or not set(words) <= known:
            continue
        step = _is_step(words)
        if not (step or _TIME & set(words) or _ALONE & set(words)):
            continue
        rank = 0 if words in (["timestamp"], ["time"], ["t"]) else 2 if step else 1
        found.append((rank, index, name))
    return [time_column(index, name) for _, index, name in sorted(found)]


def _words(name: str) -> list[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", parted.lower())


def _is_step(words: Sequence[str]) -> bool:
    pair = "delta" in words and bool({"t", "time"} & set(words))
    return pair or bool(_STEP & set(words))


def is_iso(text: str) -> bool:
    """Is a text a time of ISO 8601?"""
    return _iso(text.strip()) is not None


def iso_zone(text: str) -> bool:
    """Has a time of ISO 8601 a zone?"""
    match = _iso(text.strip())
    return bool(match and match[8])


def _iso(text: str) -> re.Match[str] | None:
    return _ISO.fullmatch(text) or _BASIC.fullmatch(text)


def iso_nanoseconds(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Nanoseconds since 1970 (UTC where there is a zone), NO_TIME for what is none; and which
    times have a zone.
    """
    plain, zones = [], np.zeros(len(texts), np.int64)
    zoned = np.zeros(len(texts), bool)
    for k, text in enumerate(texts):
        match = _iso(text)
        if not match:
            plain.append("NaT")
            continue
        year, month, day, hour, minute, second, fraction, zone = match.groups()
        clock = f"{hour or '00'}:{minute or '00'}:{second or '00'}.{(fraction or '0')[:9]}"
        plain.append(f"{year}-{month}-{day}T{clock}")
        zoned[k] = bool(zone)
        if zone and zone[0] in "+-":
            digits = zone[1:].replace(":", "").ljust(4, "0")
            minutes = int(digits[:2]) * 60 + int(digits[2:])
            zones[k] = minutes * (60_000_000_000 if zone[0] == "+" else -60_000_000_000)
    try:
        found = np.array(plain, "datetime64[ns]")
    except ValueError:  # a month 13 among them
        found = np.array([_one(text) for text in plain], "datetime64[ns]")
    stamps = found.astype(np.int64)
    return np.where(np.isnat(found), stamps, stamps - zones), zoned


def _one(text: str) -> np.datetime64:
    try:
        return np.datetime64(text, "ns")
    except ValueError:
        return np.datetime64("NaT")


def not_a_time(text: str) -> str:
    """What is wrong with a text in the column of times."""
    expected = "expected a number or ISO 8601 such as 2024-05-31T12:00:00.5+02:00"
    if re.fullmatch(r"\d{1,2}[./]\d{1,2}[./]\d{2,4}.*|\d{4}[./]\d.*", text):
        expected = f"the order of day and month is not certain: {expected}"
    elif re.fullmatch(r"\d{1,2}:\d\d.*", text):
        expected = f"a clock time without its date: {expected}"
    return f"{text!r} is not a time, {expected}"


@dataclass
class Clock:
    """Turns times of one file into seconds. said: the unit that was said; name: of the column."""

    column: TimeColumn
    name: str
    said: str
    iso: bool = False
    epoch: bool = False
    scale: float = field(default=0.0, init=False)

    def begin(self, times: NDArray[Any]) -> None:
        """Find the unit from the first times of the file (without missing ones). Raises UlnnError
        for what is no time.
        """
        if self.iso:
            self.scale = 1e-9
            return
        unit = self.said or self.column.unit
        other = "" if unit else next((w for w in _words(self.name) if w in _LONG_WORDS), "")
        if other:
            raise UlnnError(
                f"column {self.name} is named after the unit {other}, which is not read: write "
                f'the times in seconds; if they are, unit = "s"'
            )
        if self.column.steps:
            self._refuse_timestamps(times)
        else:
            self._refuse_dates(times, unit)
            unit = unit or self._epoch_unit(times)
        self.scale = UNITS[unit or "s"]
        last = float(np.abs(times).max(initial=0)) * self.scale
        if last > _LONGEST and not self.column.steps:
            raise UlnnError(
                f"column {self.name}: {times[0]} {unit or 's'} is {duration(last)}: "
                'the unit is another one (unit = "ms", "us" or "ns")'
            )

    def _epoch_unit(self, times: NDArray[Any]) -> str:
        """The unit in which all times are of this century; empty where there is none."""
        for unit, scale in UNITS.items():
            low, high = (float(v) * scale for v in (times.min(), times.max()))
            if _EPOCH[0] <= low and high <= _EPOCH[1]:
                self.epoch = True
                return unit
        return ""

    def _refuse_timestamps(self, times: NDArray[Any]) -> None:
        if rises(times[None]):
            raise UlnnError(
                f"column {self.name} rises from row to row: it holds timestamps, expected the "
                "time since the row before; give it another name, such as timestamp"
            )

    def _refuse_dates(self, times: NDArray[Any], unit: str) -> None:
        if len(times) < 2:
            return
        if _all_dates(times, bool(unit)):
            raise UlnnError(
                f"column {self.name} holds dates as digits ({int(times[0])}): write them as "
                "ISO 8601, 2024-05-31T12:00:00, or as seconds"
            )
        if not unit and _spreadsheet_days(times):
            raise UlnnError(
                f"column {self.name} holds days of a spreadsheet ({times[0]}): write them as "
                "ISO 8601, 2024-05-31T12:00:00, or as seconds; if these are seconds, "
                'unit = "s"'
            )

    def doubt(self, median: float) -> str:
        """What makes a median step (seconds) doubtful; empty where nothing does."""
        known = self.said or self.column.unit or self.iso
        if known or median < (SLOW_EPOCH if self.epoch else SLOW):
            return ""
        return slow_step(f"column {self.name}", median, median / self.scale)


def rises(steps: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> bool:
    """Do elapsed times (N, T) grow from step to step, as timestamps do? valid: (N, T)."""
    growth = np.diff(steps, axis=1)
    growth = growth.ravel() if valid is None else growth[valid[:, 1:]]
    return bool(growth.size >= FEW and (growth > 0).mean() > 0.98)


def slow_step(what: str, seconds: float, step: float) -> str:
    """The line about a median step that is long, where nobody said the unit."""
    units = [unit for unit, scale in UNITS.items() if unit != "s" and 1e-5 <= step * scale < SLOW]
    meant = "".join(f'; if it is {unit}, say unit = "{unit}"' for unit in units[:1])
    return (
        f"{what}: the median step is {step:,.6g}, as seconds a sample every {duration(seconds)}"
        f'{meant}; if it is seconds, unit = "s"'
    )


def _all_dates(times: NDArray[Any], unit_known: bool) -> bool:
    """Are all numbers YYYYMMDD, YYYYMMDDhhmm, YYYYMMDDhhmmss or the last with milliseconds?"""
    top = float(times.max())
    for digits in (14, 17, 12, 8):
        if not 10 ** (digits - 1) <= top < 10**digits or (digits == 8 and unit_known):
            continue
        whole = np.floor(times).astype(np.int64)
        whole //= 1000 if digits == 17 else 1
        whole *= {12: 100, 8: 1_000_000}.get(digits, 1)
        day, clock = np.divmod(whole, 1_000_000)
        year, month, date = day // 10_000, day // 100 % 100, day % 100
        hour, minute, second = clock // 10_000, clock // 100 % 100, clock % 100
        good = (year >= 1970) & (year < 2100) & (month >= 1) & (month <= 12)
        good &= (date >= 1) & (date <= 31) & (hour < 24) & (minute < 60) & (second < 60)
        return bool(good.all())
    return False


def _spreadsheet_days(times: NDArray[Any]) -> bool:
    """Are the numbers days with a fraction? A fraction of a day needs many digits, and is a whole
    number of seconds, or its steps are too short for seconds.
    """
    times = np.asarray(times, np.float64)
    if not any(low <= times.min() and times.max() <= high for low, high in _DAYS):
        return False
    if (times == np.floor(times)).all():
        return False
    steps = np.diff(times)
    steps = steps[steps > 0]
    if steps.size and np.median(steps) < 2e-4:
        return True
    long = np.abs(times * 1e6 - np.rint(times * 1e6)) > 1e-3
    seconds = np.abs(times * 86400 - np.rint(times * 86400)) < 2e-3
    return bool(long.any() and seconds.all())
