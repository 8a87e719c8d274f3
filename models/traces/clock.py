"""Clocks of traces: the text of a time stamp → whole nanoseconds, without rounding through floats.

Digits beyond the nanosecond are cut off (towards the past).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType

#: Time stamps must lie within ± this many nanoseconds (the years 1824 to 2116), so that their
#: differences fit in 64 bits.
LATEST = 2**62

_LONGEST_NUMBER = 64
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_SECOND = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII)
_ZONE = r"Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?(?: UTC)?"
_DATE_TIME = re.compile(
    rf"(\d{{4}}-\d\d-\d\d)[ Tt](\d\d:\d\d)(:\d\d(?:[.,](\d+))?)? ?({_ZONE})?", re.ASCII
)
_LONGEST_DATE_TIME = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """How a format writes times.

    Attributes
    ----------
    expected : str
        What a time stamp must be, for messages.
    parse : callable
        Text → nanoseconds, or None if the text is no such time stamp.
    """

    expected: str
    parse: Callable[[str], int | None]


def decimal_clock(unit: str, digits: int) -> Clock:
    """Return the clock of decimal numbers of a unit that has 10^`digits` nanoseconds.

    Examples
    --------
    >>> seconds = decimal_clock("seconds", 9)
    >>> seconds.parse("27536.660701067"), seconds.parse("1e-05"), seconds.parse("nan")
    (27536660701067, 10000, None)
    """
    zeros = "0" * digits

    def parse(text: str) -> int | None:
        whole, _, fraction = text.partition(".")
        if len(text) > _LONGEST_NUMBER:
            return None
        if whole.isdecimal() and (not fraction or fraction.isdecimal()) and text.isascii():
            time = int(whole + (fraction + zeros)[:digits])
        elif _NUMBER.fullmatch(text):
            time = math.floor(Fraction(text) * 10**digits)
        else:
            return None
        return time if -LATEST < time < LATEST else None

    return Clock(f"a finite number of {unit} below {LATEST / 10**digits:.2g}", parse)


def parse_date_time(text: str) -> int | None:
    """Return the nanoseconds since 1970 of ``YYYY-MM-DD HH:MM[:SS[.fraction]][zone]``.

    The fraction may have any number of digits, after a point or, as logs write it, a comma; a
    ``T`` may replace the space. A zone is ``Z``, ``UTC``, ``GMT``, ``+01``, ``+0100`` or
    ``+01:00``, after a space or not; a time without one is taken as UTC.

    Examples
    --------
    >>> parse_date_time("1970-01-01 00:00:01.0000005")
    1000000500
    >>> parse_date_time("1970-01-01T01:00:01,0000005 +0100")
    1000000500
    >>> parse_date_time("1970-01-01 00:01 UTC")
    60000000000
    """
    text = text.strip('"')
    second = _whole_second(text[:19])
    tail = text[19:].removesuffix("+00:00")
    if second is not None and tail[:1] == "." and tail[1:].isdecimal() and tail.isascii():
        return second + int((tail[1:] + "000000000")[:9])
    return _with_zone(text)


def _with_zone(text: str) -> int | None:
    """Read any of the forms, with every check."""
    found = _DATE_TIME.fullmatch(text) if len(text) <= _LONGEST_DATE_TIME else None
    if found is None:
        return None
    day, minute, second, fraction, zone = found.groups(default="")
    whole, offset = _whole_second(f"{day} {minute}{second[:3] or ':00'}"), _offset(zone)
    if whole is None or offset is None:
        return None
    time = whole + int((fraction + "000000000")[:9]) - offset
    return time if -LATEST < time < LATEST else None


@lru_cache(maxsize=64)
def _whole_second(text: str) -> int | None:
    if not _SECOND.fullmatch(text):
        return None
    try:
        since = datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH
    except ValueError:
        return None
    time = since // timedelta(seconds=1) * 10**9
    return time if -LATEST < time < LATEST else None


def _offset(zone: str) -> int | None:
    """Nanoseconds that a zone is ahead of UTC; None if no clock is set so."""
    digits = zone.removesuffix(" UTC").replace(":", "")
    if digits[:1] not in ("+", "-"):
        return 0
    hours, minutes = int(digits[1:3]), int(digits[3:] or "0")
    if hours > 23 or minutes > 59:
        return None
    sign = -1 if digits[0] == "-" else 1
    return sign * (hours * 60 + minutes) * 60 * 10**9


SECONDS = decimal_clock("seconds", 9)
MILLISECONDS = decimal_clock("milliseconds", 6)
MICROSECONDS = decimal_clock("microseconds", 3)
NANOSECONDS = decimal_clock("nanoseconds", 0)
DATE_TIME = Clock("a date and time such as 2023-11-16 18:15:46.68", parse_date_time)

#: Clocks that a column mapping can name as its unit.
UNITS: Mapping[str, Clock] = MappingProxyType(
    {
        "s": SECONDS,
        "ms": MILLISECONDS,
        "us": MICROSECONDS,
        "ns": NANOSECONDS,
        "date": DATE_TIME,
    }
)
