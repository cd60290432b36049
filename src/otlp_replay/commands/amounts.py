"""Durations, moments, sizes, rates and shards, as people write them on a command line."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, NoReturn

import typer

from otlp_capture.result import Failure, Success
from otlp_replay.pacing import Rate
from otlp_replay.pacing.rate import RateUnit
from otlp_replay.selection import Moment, Shard, parse_moment

_UNITS_NS: Final[Mapping[str, int]] = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_SIZES: Final[Mapping[str, int]] = {
    "b": 1,
    "kb": 1_000,
    "mb": 1_000_000,
    "gb": 1_000_000_000,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}
_COUNTED: Final[Mapping[str, RateUnit]] = {
    "": "requests",
    "request": "requests",
    "requests": "requests",
    "record": "records",
    "records": "records",
    "byte": "bytes",
    "bytes": "bytes",
}
_PERIODS_S: Final[Mapping[str, int]] = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
}
_NUMBER: Final = r"\d+(?:\.\d+)?"
_PART: Final = re.compile(rf"({_NUMBER})\s*([a-zµ]+)")
_DURATION: Final = re.compile(rf"(?:{_NUMBER}\s*[a-zµ]+\s*)+")
_SIZE: Final = re.compile(rf"({_NUMBER})\s*([a-z]*)", re.IGNORECASE)
_RATE: Final = re.compile(rf"({_NUMBER})\s*([a-z]*)\s*/\s*([a-z]+)", re.IGNORECASE)
_PERCENT: Final = re.compile(rf"({_NUMBER})\s*%")
_SHARD: Final = re.compile(r"(\d+)/(\d+)")


def duration_ns(text: str, option: str) -> int:
    """Return a duration in nanoseconds.

    >>> duration_ns("1m30s", "--max-gap"), duration_ns("1.5ms", "--max-gap")
    (90000000000, 1500000)

    Raises:
        typer.BadParameter: it is none.
    """
    stripped = text.strip().lower()
    if stripped == "0":
        return 0
    parts = _PART.findall(stripped) if _DURATION.fullmatch(stripped) else []
    if not parts or any(unit not in _UNITS_NS for _, unit in parts):
        _refuse(text, option, "no duration: 250us, 10ms, 1.5s, 2m, 1h30m or 1d, with its unit")
    return round(sum(float(number) * _UNITS_NS[unit] for number, unit in parts))


def seconds(text: str | None, option: str) -> float | None:
    """Return a duration in seconds; None where there is none.

    Raises:
        typer.BadParameter: it is no duration.
    """
    return None if text is None else duration_ns(text, option) / 1e9


def moment_of(text: str | None, option: str) -> Moment | None:
    """Return where on a session's clock something is; None where nothing is said.

    >>> moment_of("5m", "--from"), moment_of("-30s", "--from")
    (After(ns=300000000000), After(ns=-30000000000))
    >>> moment_of("2025-11-23T01:23:20Z", "--from")
    At(unix_nano=1763861000000000000)

    Raises:
        typer.BadParameter: it is neither a time nor a duration.
    """
    if text is None:
        return None
    match parse_moment(text):
        case Success(moment):
            return moment
        case Failure(unclear):
            raise typer.BadParameter(unclear.message, param_hint=option)


def date_of(text: str | None, option: str) -> datetime | None:
    """Return a time; one without a zone is in UTC.

    >>> date_of("2026-01-31", "--after").isoformat()
    '2026-01-31T00:00:00+00:00'

    Raises:
        typer.BadParameter: it is none.
    """
    if text is None:
        return None
    time = _time(text)
    if time is None:
        _refuse(text, option, "no time, such as 2026-01-31 or 2026-01-31T12:00:00Z")
    return time


def size_bytes(text: str | None, option: str) -> int | None:
    """Return a size in bytes.

    >>> size_bytes("1.5MB", "--min-size"), size_bytes("2KiB", "--min-size"), size_bytes("7", "")
    (1500000, 2048, 7)

    Raises:
        typer.BadParameter: it is none.
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text.strip())
    unit = match[2].lower() or "b" if match else ""
    if match is None or unit not in _SIZES:
        _refuse(text, option, "no size: 500, 10kB, 1.5MB or 2GiB")
    return round(float(match[1]) * _SIZES[unit])


def rate_of(text: str | None, option: str) -> Rate | None:
    """Return how much a second may have.

    >>> rate_of("500/s", ""), rate_of("2MB/s", ""), rate_of("600 records/min", "")
    (Rate(per_second=500.0, unit='requests'), Rate(per_second=2000000.0, unit='bytes'), \
Rate(per_second=10.0, unit='records'))

    Raises:
        typer.BadParameter: it is no rate.
    """
    if text is None:
        return None
    match = _RATE.fullmatch(text.strip())
    noun, period = (match[2].lower(), match[3].lower()) if match else ("?", "?")
    if match is None or period not in _PERIODS_S or noun not in {**_COUNTED, **_SIZES}:
        _refuse(text, option, "no rate: 500/s, 10000 records/s, 2MB/s or 100/min")
    per_second = float(match[1]) * _SIZES.get(noun, 1) / _PERIODS_S[period]
    return Rate(per_second, _COUNTED.get(noun, "bytes"))


def shard_of(text: str | None, option: str) -> Shard:
    """Return which part of the traces is meant; people count from 1.

    >>> shard_of("1/4", "--shard")
    Shard(index=0, count=4)

    Raises:
        typer.BadParameter: it is no part.
    """
    if text is None:
        return Shard(0, 1)
    match = _SHARD.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        _refuse(text, option, "no part: 1/4 is the first of four, 4/4 the last")
    return Shard(int(match[1]) - 1, int(match[2]))


def share_of(text: str, option: str) -> float:
    """Return a part of the whole.

    >>> share_of("0.1", "--share"), share_of("25 %", "--share")
    (0.1, 0.25)

    Raises:
        typer.BadParameter: it is none.
    """
    match = _PERCENT.fullmatch(text.strip())
    try:
        return float(match[1]) / 100 if match else float(text)
    except ValueError:
        _refuse(text, option, "no part: 0.1 or 10%")


def speed_of(text: str, option: str) -> float | Literal["max"]:
    """Return a speed: a number, or `max`.

    Raises:
        typer.BadParameter: it is neither.
    """
    if text == "max":
        return "max"
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        _refuse(text, option, "no speed: a number, or max")
    if not math.isfinite(speed):
        _refuse(text, option, "no speed: a number, or max")
    return speed


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _refuse(text: str, option: str, allowed: str) -> NoReturn:
    message = f"{text!r} is {allowed}"
    raise typer.BadParameter(message, param_hint=option)
