"""A replay's own line, in nanoseconds as they were recorded, and the clock beside it."""

import functools
from fractions import Fraction
from typing import Literal, TypeAlias

import attrs

Speed: TypeAlias = float | Literal["max"]


@attrs.frozen
class Timeline:
    """Due = anchor on the clock + (place on the line - anchor on the line) / speed.

    All of it is whole nanoseconds, rounded down once for each request: nothing adds up. The
    anchor moves only when somebody pauses, seeks or changes the speed, or where a replay stretches
    itself; each move rounds by less than a nanosecond. The speed is the decimal number that it was
    written as: at 0.1, ten seconds are a hundred.

    Attributes:
        line_ns: the anchor on the line.
        clock_ns: the same on the monotonic clock.
        speed: how many times faster than recorded; `max`: everything is due at the anchor.

    >>> Timeline(1_000, clock_ns=50, speed=2).due_ns(1_300)
    200
    """

    line_ns: int
    clock_ns: int
    speed: Speed

    def due_ns(self, line_ns: int) -> int:
        """Return when a place on the line is due, on the clock."""
        times, parts = _pace(self.speed)
        return self.clock_ns + (line_ns - self.line_ns) * parts // times

    def line_at_ns(self, clock_ns: int) -> int:
        """Return which place on the line is due at *clock_ns*; at `max` the anchor always is.

        >>> Timeline(1_000, clock_ns=50, speed=2).line_at_ns(200)
        1300
        """
        times, parts = _pace(self.speed)
        return self.line_ns + ((clock_ns - self.clock_ns) * times // parts if parts else 0)

    def later_by(self, delay_ns: int) -> "Timeline":
        """Return one on which everything is due *delay_ns* later."""
        return attrs.evolve(self, clock_ns=self.clock_ns + delay_ns)


@functools.lru_cache(maxsize=64)
def _pace(speed: Speed) -> tuple[int, int]:
    """Return how many nanoseconds of the line take how many of the clock."""
    if speed == "max":
        return 1, 0
    return Fraction(str(speed)).as_integer_ratio()
