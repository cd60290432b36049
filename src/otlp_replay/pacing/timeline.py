"""When a request is due: absolute deadlines on a monotonic clock, so that no error adds up."""

import functools
from fractions import Fraction
from typing import Literal

import attrs

from otlp_capture.clock import Clock


@attrs.frozen
class Schedule:
    """Planned send time = anchor + (arrival - window start) / speed, in integer nanoseconds.

    The speed is the decimal number that it was written as: at 0.1, ten seconds are a hundred.

    Attributes:
        window_start_unix_nano: the arrival that is sent at the anchor.
        anchor_ns: the anchor on the monotonic clock.
        anchor_unix_nano: the same moment on the wall clock.
        speed: how many times faster than recorded; `max`: everything is due at the anchor.

    >>> schedule = Schedule(1_000, anchor_ns=50, anchor_unix_nano=7_000, speed=2)
    >>> schedule.due_ns(1_300), schedule.due_unix_nano(1_300)
    (200, 7150)
    """

    window_start_unix_nano: int
    anchor_ns: int
    anchor_unix_nano: int
    speed: float | Literal["max"]

    @classmethod
    def starting_now(
        cls, clock: Clock, window_start_unix_nano: int, speed: float | Literal["max"]
    ) -> "Schedule":
        """Anchor the window's start at this moment."""
        return cls(window_start_unix_nano, clock.monotonic_ns(), clock.time_ns(), speed)

    def due_ns(self, arrival_unix_nano: int) -> int:
        """Return when a request is due, on the monotonic clock."""
        return self.anchor_ns + self._offset_ns(arrival_unix_nano)

    def due_unix_nano(self, arrival_unix_nano: int) -> int:
        """Return when a request is due, on the wall clock."""
        return self.anchor_unix_nano + self._offset_ns(arrival_unix_nano)

    def _offset_ns(self, arrival_unix_nano: int) -> int:
        elapsed_ns = arrival_unix_nano - self.window_start_unix_nano
        pace = _pace(self.speed)
        return elapsed_ns * pace.numerator // pace.denominator


@functools.lru_cache(maxsize=16)
def _pace(speed: float | Literal["max"]) -> Fraction:
    return Fraction(0) if speed == "max" else 1 / Fraction(str(speed))
