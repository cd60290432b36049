"""Where on a session's clock a replay begins and ends."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar, Final, TypeAlias

import attrs

from otlp_capture.result import Failure, Outcome, Success

_SECOND_NS: Final = 1_000_000_000
_MOST_NS: Final = (1 << 63) - 1
_UNITS_NS: Final[Mapping[str, int]] = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": _SECOND_NS,
    "m": 60 * _SECOND_NS,
    "min": 60 * _SECOND_NS,
    "h": 3_600 * _SECOND_NS,
    "d": 86_400 * _SECOND_NS,
}
_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_UNIT: Final = "|".join(sorted(_UNITS_NS, key=len, reverse=True))
_DURATION: Final = re.compile(rf"(?P<sign>[+-]?)\s*(?P<parts>(?:{_NUMBER}\s*(?:{_UNIT})\s*)+)")
_PART: Final = re.compile(rf"({_NUMBER})\s*({_UNIT})")
_DIGITS: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_TIME: Final = re.compile(
    r"(?P<seconds>[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?)"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_FEWEST_DIGITS: Final = 17
"""Nanoseconds since the epoch have so many digits from 1973 on: fewer are of another unit."""

_DAY_AND_SECONDS: Final = len("2026-01-31T12:00:00")
_DAY: Final = len("2026-01-31")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALLOWED: Final = (
    "Write a time as 2026-01-31T12:00:00Z, nanoseconds since the Unix epoch (19 digits), a time "
    "after the first arrival as 90s or +2m, or one before the last arrival as -30s"
)


@attrs.frozen
class At:
    """A moment of the wall clock, in nanoseconds since the Unix epoch."""

    unix_nano: int


@attrs.frozen
class After:
    """A moment so many nanoseconds after the first arrival; negative: before the last one."""

    ns: int


Moment: TypeAlias = At | After


@attrs.frozen
class MomentUnclear:
    """A text does not say where on a session's clock something is."""

    text: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was written, why it says no moment, and what would."""
        return f"{self.text[:100]!r} is no moment of a session: {self.reason}. {_ALLOWED}."


def parse_moment(text: str) -> Outcome[Moment, MomentUnclear]:
    """Read a moment as people write it.

    A time is RFC 3339, to the nanosecond; seconds, time of day and zone may be left out, and
    without a zone it is UTC, as all of a session's times are. A duration needs its units, so that
    nobody takes milliseconds for seconds.

    Fails with:
        MomentUnclear: it says none.

    >>> parse_moment("+1m30s").unwrap(), parse_moment("-500ms").unwrap()
    (After(ns=90000000000), After(ns=-500000000))
    >>> parse_moment("2025-11-23T01:23:20.000000001Z").unwrap()
    At(unix_nano=1763861000000000001)
    >>> parse_moment("90").failure().reason
    'a duration needs a unit, such as 90s'
    """
    stripped = text.strip()
    if stripped in {"0", "+0"}:
        return Success(After(0))
    if duration := _DURATION.fullmatch(stripped):
        return _after(text, duration)
    if _DIGITS.fullmatch(stripped):
        return _at_nanoseconds(text, stripped)
    if time := _TIME.fullmatch(stripped):
        return _at_time(text, time)
    return Failure(MomentUnclear(text, "it is neither a time nor a duration"))


def _after(text: str, duration: re.Match[str]) -> Outcome[Moment, MomentUnclear]:
    parts = _PART.findall(duration["parts"])
    total = int(sum(Decimal(number) * _UNITS_NS[unit] for number, unit in parts))
    if total > _MOST_NS:
        return Failure(MomentUnclear(text, "it is longer than 292 years"))
    if duration["sign"] != "-":
        return Success(After(total))
    if total == 0:
        reason = "the end itself is meant where nothing is said, and 0 is the first arrival"
        return Failure(MomentUnclear(text, reason))
    return Success(After(-total))


def _at_nanoseconds(text: str, digits: str) -> Outcome[Moment, MomentUnclear]:
    if len(digits) < _FEWEST_DIGITS or not digits.isdigit():
        example = digits if len(digits) < _FEWEST_DIGITS else "90"
        return Failure(MomentUnclear(text, f"a duration needs a unit, such as {example}s"))
    if int(digits) > _MOST_NS:
        return Failure(MomentUnclear(text, "it is later than the year 2262"))
    return Success(At(int(digits)))


def _at_time(text: str, time: re.Match[str]) -> Outcome[Moment, MomentUnclear]:
    seconds, fraction, zone = time["seconds"], time["fraction"] or "", time["zone"] or "Z"
    if fraction and len(seconds) < _DAY_AND_SECONDS:
        return Failure(MomentUnclear(text, "a fraction stands behind seconds"))
    if len(seconds) == _DAY:
        seconds += "T00:00"
    try:
        whole = datetime.fromisoformat(seconds.upper() + _offset(zone))
    except ValueError as error:
        return Failure(MomentUnclear(text, str(error)))
    unix_s = int((whole - _EPOCH).total_seconds())
    unix_nano = unix_s * _SECOND_NS + int(fraction.ljust(9, "0"))
    if not 0 <= unix_nano <= _MOST_NS:
        return Failure(MomentUnclear(text, "it is not between the years 1970 and 2262"))
    return Success(At(unix_nano))


def _offset(zone: str) -> str:
    return "+00:00" if zone in {"Z", "z"} else zone


@attrs.frozen
class Stretch:
    """A part of a session's clock: `[start, end)`, nanoseconds since the Unix epoch.

    Attributes:
        start: the first arrival that belongs to it; None: it has no beginning.
        end: the first one that does not any more; None: it has no end.
    """

    start: int | None = None
    end: int | None = None

    def holds(self, arrival_unix_nano: int) -> bool:
        """Whether an arrival belongs to it."""
        is_early = self.start is not None and arrival_unix_nano < self.start
        return not is_early and (self.end is None or arrival_unix_nano < self.end)


@attrs.frozen
class Window:
    """Which arrivals are replayed, as it was said; both ends may be open.

    Attributes:
        start: from when on.
        end: until when; what arrived just then does not belong to it.
    """

    start: Moment | None = None
    end: Moment | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no arrival is left out."""
        return self.start is None and self.end is None

    def over(self, first_unix_nano: int, last_unix_nano: int) -> Stretch:
        """Return what it means for a session.

        Args:
            first_unix_nano: the earliest arrival of the session.
            last_unix_nano: the latest one.

        >>> Window(After(5), After(-2)).over(100, 200)
        Stretch(start=105, end=198)
        """
        first, last = first_unix_nano, last_unix_nano
        return Stretch(_place(self.start, first, last), _place(self.end, first, last))


def _place(moment: Moment | None, first: int, last: int) -> int | None:
    match moment:
        case None:
            return None
        case At(unix_nano):
            return unix_nano
        case After(ns):
            return first + ns if ns >= 0 else last + ns
