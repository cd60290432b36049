"""Where the time comes from, so that a test can bring its own."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, runtime_checkable

import anyio

from otlp_capture.layer import Tag, succeed

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(unix_nano: int) -> datetime:
    """Return the microsecond that holds *unix_nano*, in UTC.

    >>> moment(1_763_861_000_123_456_789).isoformat()
    '2025-11-23T01:23:20.123456+00:00'
    """
    return _EPOCH + timedelta(microseconds=unix_nano // 1000)


def unix_nano(moment: datetime) -> int:
    """Return *moment* in nanoseconds since the Unix epoch, exactly.

    >>> unix_nano(moment(1_763_861_000_123_456_789))
    1763861000123456000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


@runtime_checkable
class Clock(Protocol):
    """Wall time for what is recorded, monotonic time for what is waited for."""

    def time_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds on a clock that never goes back, from an arbitrary origin."""
        ...

    async def sleep_until(self, deadline_ns: int) -> None:
        """Wait until `monotonic_ns` has reached *deadline_ns*; at once where it has."""
        ...


class _SystemClock:
    def time_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, deadline_ns: int) -> None:
        while (left_ns := deadline_ns - time.monotonic_ns()) > 0:  # noqa: ASYNC110 - it waits for time
            await anyio.sleep(left_ns / 1e9)


ClockTag: Final = Tag[Clock]("otlp_capture.Clock")
SYSTEM_CLOCK: Final[Clock] = _SystemClock()
SystemClock: Final = succeed(ClockTag, SYSTEM_CLOCK)
