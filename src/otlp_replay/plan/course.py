"""When each request of a replay is planned, from the start of the replay: arithmetic, lazily."""

import functools
from array import array
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate, chain, repeat, takewhile
from operator import sub
from typing import Final, Literal

import attrs

SECOND_NS: Final = 1_000_000_000
MOST_TIMES: Final = 4_000_000
"""So many planned times are held at once, 32 MB; what needs more of them is left unknown."""


@attrs.frozen(eq=False)
class Course:
    """The order of a replay's requests, loops and copies, and when each is planned.

    They are numbered loop by loop, request by request, copy by copy. A request is due at (loop
    times period plus offset) divided by the speed. Where a rate bounds what leaves, it is planned
    once it is due and all before it is paid for; copies leave at once, and are paid for together.

    Attributes:
        offsets: when each request of one loop is due at speed 1, in nanoseconds, ascending.
        period_ns: how long after one loop the next one begins at speed 1; a loop's first and last
            offset are no further apart.
        loops: how often all is sent.
        copies: how often each request is sent in a loop.
        speed: how many times faster than recorded; `max`: all of it is due at once.
        costs: what each request takes of the bound; None: there is no bound.
        per_second: how much the bound gives in a second.
        limit_ns: what is planned later is left out; None: nothing is.
    """

    offsets: "array[int]"
    period_ns: int
    loops: int = 1
    copies: int = 1
    speed: float | Literal["max"] = 1.0
    costs: "array[int] | None" = None
    per_second: float = 1.0
    limit_ns: int | None = None

    @property
    def per_loop(self) -> int:
        """How many requests a loop sends, copies included."""
        return len(self.offsets) * self.copies

    @functools.cached_property
    def pace(self) -> Fraction:
        """How many nanoseconds of the replay one of the recording takes."""
        return Fraction(0) if self.speed == "max" else 1 / Fraction(str(self.speed))

    @property
    def at_least_ns(self) -> int:
        """How long it takes at the least, to the last request."""
        if not self.offsets:
            return 0
        due_ns = self.due_ns(self.loops - 1, len(self.offsets) - 1)
        if self.costs is None:
            return due_ns
        whole = (sum(self.costs) * self.loops - self.costs[-1]) * self.copies
        return max(due_ns, int(whole * SECOND_NS / Fraction(str(self.per_second))))

    def due_ns(self, loop: int, row: int = 0) -> int:
        """Return when a request of a loop is due."""
        elapsed_ns = loop * self.period_ns + self.offsets[row]
        return elapsed_ns * self.pace.numerator // self.pace.denominator

    def loop_start_ns(self, loop: int) -> int:
        """Return when a loop's own clock begins: what is at the window's start is due then."""
        return loop * self.period_ns * self.pace.numerator // self.pace.denominator

    def place(self, number: int) -> tuple[int, int, int]:
        """Return the loop, the row and the copy that a number stands for."""
        loop, within = divmod(number, self.per_loop)
        return loop, *divmod(within, self.copies)

    def due_in(self, loop: int) -> "array[int]":
        """Return when the requests of a loop are due, without copies, in a column."""
        up, down, base_ns = self.pace.numerator, self.pace.denominator, loop * self.period_ns
        if up == down and not base_ns:
            return self.offsets
        return array("Q", [(base_ns + offset) * up // down for offset in self.offsets])

    def times(self) -> Iterator[int]:
        """Yield when each request is planned, by its number, to the limit; none is kept."""
        planned = self._copied() if self.costs is None else self._spaced(self.costs)
        limit_ns = self.limit_ns
        if limit_ns is None:
            return planned
        # Times never descend, so the first that is too late ends them.
        return takewhile(lambda time_ns: time_ns <= limit_ns, planned)

    def _copied(self) -> Iterator[int]:
        due = chain.from_iterable(map(self.due_in, self._loops))
        if self.copies == 1:
            return due
        return chain.from_iterable(map(repeat, due, repeat(self.copies)))

    def _spaced(self, costs: "array[int]") -> Iterator[int]:
        """Let each wait until what left before it has used its time, as `pacing.Meter` does.

        Fractions are kept; what is due at the nanosecond in which that ends goes on from there.
        """
        unit = SECOND_NS / Fraction(str(self.per_second))
        scale, free = unit.denominator, 0
        steps = [cost * self.copies * unit.numerator for cost in costs]
        for loop in self._loops:
            for step, due_ns in zip(steps, self.due_in(loop), strict=True):
                planned_ns = -(-free // scale)
                if due_ns > planned_ns:
                    planned_ns, free = due_ns, due_ns * scale
                yield from repeat(planned_ns, self.copies)
                free += step

    @property
    def _loops(self) -> range:
        return range(self.loops if self.offsets else 0)


def offsets_of(
    arrivals: "array[int]", window_start_unix_nano: int, max_gap_ns: int | None
) -> "array[int]":
    """Return how long after the window's start each arrival is due at speed 1.

    Args:
        arrivals: of one loop, ascending, none before the window's start.
        window_start_unix_nano: where the loop begins.
        max_gap_ns: longer pauses are cut to it; None: none is.
    """
    if max_gap_ns is None:
        return array("Q", [arrival - window_start_unix_nano for arrival in arrivals])
    before = chain((window_start_unix_nano,), arrivals)
    gaps = map(sub, arrivals, before)
    return array("Q", accumulate(min(max_gap_ns, gap) for gap in gaps))


def period_of(offsets: "array[int]") -> int:
    """Return how far a loop lies behind the one before it.

    The gap between them is the mean gap; after a single request the next loop follows at once.
    """
    gaps = len(offsets) - 1
    if gaps < 1:
        return 0
    span_ns = offsets[-1] - offsets[0]
    return span_ns + span_ns // gaps
