"""How much may leave in a second."""

from fractions import Fraction
from typing import Final, Literal, TypeAlias, get_args

import attrs

RateUnit: TypeAlias = Literal["requests", "records", "bytes"]
RATE_UNITS: Final[tuple[RateUnit, ...]] = get_args(RateUnit)
_SECOND_NS: Final = 1_000_000_000


@attrs.frozen
class Rate:
    """A bound on what a replay sends.

    Attributes:
        per_second: how many a second.
        unit: of what: requests, records (spans, data points, log records), or bytes of requests
            as they are written, before compression.
    """

    per_second: float
    unit: RateUnit = "requests"


class Meter:
    """Spaces what leaves so that no more does than a rate allows, exactly.

    It is a token bucket that holds what is sent now: a request may leave once all that left before
    it has been paid for, at the rate. Fractions of a nanosecond are kept, so nothing adds up.

    >>> meter = Meter(Rate(3))
    >>> due = []
    >>> for _ in range(4):
    ...     due.append(max(0, meter.free_ns))
    ...     meter.take(due[-1], requests=1, records=10, size_bytes=100)
    >>> due
    [0, 333333334, 666666667, 1000000000]

    Args:
        rate: what is allowed; None: anything.
    """

    def __init__(self, rate: Rate | None) -> None:
        self._unit = rate.unit if rate else None
        per_second = Fraction(str(rate.per_second)) if rate else Fraction(1)
        self._times, self._cost = per_second.numerator, per_second.denominator * _SECOND_NS
        self._paid_until = 0

    @property
    def free_ns(self) -> int:
        """When the next one may leave, on the clock of `take`; long ago: at once."""
        return -(-self._paid_until // self._times)

    def take(self, at_ns: int, *, requests: int, records: int, size_bytes: int) -> None:
        """Note what is to leave at *at_ns*."""
        if self._unit is None:
            return
        count = {"requests": requests, "records": records, "bytes": size_bytes}[self._unit]
        is_backlog = at_ns == self.free_ns
        begins = self._paid_until if is_backlog else max(self._paid_until, at_ns * self._times)
        self._paid_until = begins + count * self._cost
