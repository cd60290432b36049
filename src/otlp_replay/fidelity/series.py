"""Lateness over time, in a fixed number of buckets whose width doubles when they are used up."""

from typing import Final

import attrs

from otlp_replay.fidelity.histogram import COARSE, Distribution, bounds_of, bucket_of

CAPACITY: Final = 120
"""So many buckets of time at the most."""
_FIRST_WIDTH_NS: Final = 100_000_000


@attrs.frozen
class Stretch:
    """A stretch of a replay's time.

    Attributes:
        start_ns: when it begins, after the first request was due. The first may begin a little
            before.
        planned: how many requests were due in it.
        dispatched: how many were dispatched in it.
        p50_ns: the median lateness of those that were due in it, less than 1/32 off.
        p99_ns: the lateness that 99 in 100 of them do not exceed, less than 1/32 off.
        max_ns: the greatest lateness of them, exactly.
    """

    start_ns: int
    planned: int
    dispatched: int
    p50_ns: int
    p99_ns: int
    max_ns: int


class _Cell:
    __slots__ = ("counts", "dispatched", "greatest", "planned")

    def __init__(self) -> None:
        self.planned = self.dispatched = 0
        self.counts, self.greatest = dict[int, int](), 0

    def add(self, late_ns: int) -> None:
        if late_ns > self.greatest or not self.planned:
            self.greatest = late_ns
        self.planned += 1
        bucket = bucket_of(late_ns, COARSE)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def merge(self, other: "_Cell") -> None:
        if other.planned:
            is_first = not self.planned
            self.greatest = other.greatest if is_first else max(self.greatest, other.greatest)
        self.planned += other.planned
        self.dispatched += other.dispatched
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def stretch(self, start_ns: int) -> Stretch:
        late = Distribution(
            count=self.planned,
            minimum=bounds_of(min(self.counts, default=0), COARSE)[0],
            maximum=self.greatest,
            buckets=tuple((bucket, count, 0) for bucket, count in sorted(self.counts.items())),
            bits=COARSE,
        )
        return Stretch(
            start_ns=start_ns,
            planned=self.planned,
            dispatched=self.dispatched,
            p50_ns=late.quantile(0.5),
            p99_ns=late.quantile(0.99),
            max_ns=self.greatest,
        )


class Series:
    """Counts requests and their lateness by when they were due, and when they were dispatched.

    Buckets lie on a grid from the clock's zero, so that halving their number never parts one, and
    that it does not matter in which order requests are told.

    Attributes:
        width_ns: how long a bucket is now.
    """

    __slots__ = ("_cells", "_first", "_last", "width_ns")

    def __init__(self) -> None:
        self.width_ns = _FIRST_WIDTH_NS
        self._cells = dict[int, _Cell]()
        self._first = self._last = 0

    def add(self, planned_ns: int, dispatched_ns: int) -> None:
        """Count a request that was due at the one time and dispatched at the other."""
        due = self._cell(planned_ns)
        due.add(dispatched_ns - planned_ns)
        self._cell(dispatched_ns).dispatched += 1

    def stretches(self, origin_ns: int) -> tuple[Stretch, ...]:
        """Return all stretches from the first to the last that holds something, also empty ones.

        Args:
            origin_ns: what their starts are told from.
        """
        if not self._cells:
            return ()
        return tuple(
            self._cells.get(number, _Cell()).stretch(number * self.width_ns - origin_ns)
            for number in range(self._first, self._last + 1)
        )

    def _cell(self, at_ns: int) -> _Cell:
        number = at_ns // self.width_ns
        found = self._cells.get(number)
        if found is not None:
            return found
        if not self._cells:
            self._first = self._last = number
        while max(self._last, number) - min(self._first, number) >= CAPACITY:
            self._widen()
            number = at_ns // self.width_ns
        self._first, self._last = min(self._first, number), max(self._last, number)
        return self._cells.setdefault(number, _Cell())

    def _widen(self) -> None:
        narrow, self._cells = self._cells, dict[int, _Cell]()
        for number, cell in narrow.items():
            self._cells.setdefault(number >> 1, _Cell()).merge(cell)
        self.width_ns *= 2
        self._first, self._last = self._first >> 1, self._last >> 1
