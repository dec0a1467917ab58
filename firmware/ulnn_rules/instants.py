"""Times and their buckets, in integers: ISO 8601 texts, and numbers of seconds since 1970."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DAY = 86400
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": DAY}
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def bucket(text: str) -> "Any":
    """Seconds of a bucket such as "15 min", "1 h", "7 d", or the words "month" and "year". Raises
    ValueError."""
    if text in ("month", "year"):
        return text
    number = unit = ""
    for c in text:
        if "0" <= c <= "9" and not unit:
            number += c
        elif c != " ":
            unit += c
    if not number or len(number) > 6 or int(number) == 0 or unit not in _SECONDS:
        raise ValueError("expected month, year, or a number of s, min, h or d, got %r" % text)
    return int(number) * _SECONDS[unit]


def start(seconds: int, size: "Any") -> int:
    """The first second of the bucket that holds `seconds`. size: from `bucket`."""
    if size in ("month", "year"):
        year, month, _ = date(seconds // DAY)
        return days(year, month if size == "month" else 1, 1) * DAY
    whole: int = seconds // size * size
    return whole


def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date of the Gregorian calendar."""
    year -= month <= 2
    of_era = year % 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return year // 400 * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def date(day: int) -> "tuple[int, int, int]":
    """Year, month and day of days since 1970-01-01."""
    day += 719468
    era, of_era = day // 146097, day % 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, day


def parse(text: str) -> "tuple[int, bool, bool]":
    """(seconds since 1970, has a clock time, has a zone) of a date or time of ISO 8601, as
    "2024-05-31", "2024-05-31 12:00" or "2024-05-31T12:00:00.5+02:00". Fractions of a second are
    left out; with a zone it is UTC. Raises ValueError."""
    text = text.strip(" \t")
    if len(text) < 10 or len(text) > 40 or text[4] != "-" or text[7] != "-":
        raise ValueError("not a time")
    year, month, day = _digits(text[:4]), _digits(text[5:7]), _digits(text[8:10])
    if not 1 <= month <= 12 or day < 1 or day > _DAYS[month - 1] + (month == 2 and _leap(year)):
        raise ValueError("not a time")
    seconds = days(year, month, day) * DAY
    if len(text) == 10:
        return seconds, False, False
    clock, zone = _parted(text[11:])
    if text[10] not in "Tt " or len(clock) not in (5, 8) or clock[2] != ":":
        raise ValueError("not a time")
    second = 0
    if len(clock) == 8:
        second = _digits(clock[6:])
        if clock[5] != ":" or second > 59:
            raise ValueError("not a time")
    seconds += _clock(clock[:2], clock[3:5]) + second
    if not zone:
        return seconds, True, False
    if zone not in ("Z", "z"):
        if zone[0] not in "+-":
            raise ValueError("not a time")
        minutes = zone[3:].strip(":") if len(zone) > 3 else "00"
        shift = _clock(zone[1:3], minutes)
        seconds -= shift if zone[0] == "+" else -shift
    return seconds, True, True


def _parted(text: str) -> "tuple[str, str]":
    """Clock and zone of "12:00:00.5+02:00", without the fraction."""
    at = 0
    while at < len(text) and text[at] not in "Zz+- ":
        at += 1
    clock, zone = text[:at], text[at:].strip(" ")
    for sign in ".,":
        head = clock.find(sign)
        if head >= 0:
            _digits(clock[head + 1 :])
            clock = clock[:head] if head == 8 else ""
    if zone and zone not in ("Z", "z") and len(zone) not in (3, 5, 6):
        raise ValueError("not a time")
    return clock, zone


def _clock(hours: str, minutes: str) -> int:
    h, m = _digits(hours), _digits(minutes)
    if len(hours) != 2 or len(minutes) != 2 or h > 23 or m > 59:
        raise ValueError("not a time")
    return 3600 * h + 60 * m


def _digits(text: str) -> int:
    if not text or not all("0" <= c <= "9" for c in text):
        raise ValueError("not a time")
    return int(text)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def write(seconds: int, clock: bool, zone: bool) -> str:
    """A text as `parse` reads it; a time with a zone ends in Z."""
    text = "%04d-%02d-%02d" % date(seconds // DAY)
    if not clock:
        return text
    rest = seconds % DAY
    text += "T%02d:%02d:%02d" % (rest // 3600, rest // 60 % 60, rest % 60)
    return text + "Z" if zone else text
