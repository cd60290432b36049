"""How many requests are planned until a time, and where they come thickest."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice, repeat
from typing import Final, Protocol

import attrs

from otlp_replay.plan.course import MOST_TIMES, SECOND_NS, Course

_COLUMNS: Final = 64


@attrs.frozen
class Peak:
    """The most that leaves within a second, wherever that second begins.

    Attributes:
        per_second: how much.
        at_ns: when that second begins, in nanoseconds from the start.
    """

    per_second: int
    at_ns: int


@attrs.frozen
class Curve:
    """How many requests there are in each of equal stretches of time.

    Attributes:
        stretch_ns: how long one is; 0: everything is at one time.
        counts: how many requests are in each.
    """

    stretch_ns: int
    counts: tuple[int, ...]


class Timetable(Protocol):
    """What is known of the planned times without going through all of them."""

    @property
    def count(self) -> int:
        """How many requests are planned."""
        ...

    @property
    def last_ns(self) -> int:
        """When the last of them is; 0 where there is none."""
        ...

    def before(self, time_ns: int) -> int:
        """Return how many of them are before a time."""
        ...

    def planned_in(self, loop: int) -> "array[int]":
        """Return when the first copies of a loop's requests are planned, as far as they are."""
        ...

    def peak(self, weights: "array[int]") -> Peak | None:
        """Return the second with the most weight, by what each request of a loop weighs.

        None: there is nothing, or too much of it lies in a second.
        """
        ...


@attrs.frozen(eq=False)
class _FreeTimetable:
    """The timetable of a replay that no rate bounds."""

    course: Course

    @property
    def count(self) -> int:
        course = self.course
        if course.limit_ns is None:
            return course.per_loop * course.loops
        return self._due_before(course.limit_ns + 1)

    @property
    def last_ns(self) -> int:
        count = self.count
        if not count:
            return 0
        loop, row, _ = self.course.place(count - 1)
        return self.course.due_ns(loop, row)

    def before(self, time_ns: int) -> int:
        return min(self._due_before(time_ns), self.count)

    def _due_before(self, time_ns: int) -> int:
        course = self.course
        if time_ns <= 0 or not course.offsets:
            return 0
        if not course.pace:
            return course.per_loop * course.loops
        # floor(x * pace) < time exactly where x < ceil(time / pace)
        bound_ns = -(-time_ns * course.pace.denominator // course.pace.numerator)
        past_ns = bound_ns - course.offsets[0]
        if past_ns <= 0:
            return 0
        loop = (past_ns - 1) // course.period_ns if course.period_ns else course.loops
        if loop >= course.loops:
            return course.per_loop * course.loops
        # All before this loop is due by its start: a loop's offsets lie within a period.
        row = bisect_left(course.offsets, bound_ns - loop * course.period_ns)
        return (loop * len(course.offsets) + row) * course.copies

    def planned_in(self, loop: int) -> "array[int]":
        course = self.course
        left = self.count - loop * course.per_loop
        return course.due_in(loop)[: max(0, -(-left // course.copies))]

    def peak(self, weights: "array[int]") -> Peak | None:
        times = self._first_seconds
        if times is None:
            return None
        found = peak_of(times, lambda: chain.from_iterable(repeat(weights)))
        return found and Peak(found.per_second * self.course.copies, found.at_ns)

    @cached_property
    def _first_seconds(self) -> "array[int] | None":
        """Times without copies, in which the fullest second begins and ends; None: too many."""
        course = attrs.evolve(self.course, copies=1)
        loops = course.loops
        if course.pace and course.period_ns:
            # A second that begins in the first loop is as full as any: to later ones less comes.
            loops = min(loops, 2 + int(SECOND_NS / course.pace) // course.period_ns)
        if loops * course.per_loop > MOST_TIMES:
            return None
        return array("Q", attrs.evolve(course, loops=loops).times())


@attrs.frozen(eq=False)
class _KnownTimetable:
    """The timetable of a replay whose times are all known one by one.

    Attributes:
        course: what is planned.
        times: when each request is.
    """

    course: Course
    times: "array[int]"

    @property
    def count(self) -> int:
        return len(self.times)

    @property
    def last_ns(self) -> int:
        return self.times[-1] if self.times else 0

    def before(self, time_ns: int) -> int:
        return bisect_left(self.times, time_ns)

    def planned_in(self, loop: int) -> "array[int]":
        course = self.course
        start = loop * course.per_loop
        return self.times[start : start + course.per_loop : course.copies]

    def peak(self, weights: "array[int]") -> Peak | None:
        copies = self.course.copies
        return peak_of(self.times, lambda: copied(weights, copies))


def due_timetable_of(course: Course) -> Timetable:
    """Return when requests are due, whatever rate bounds them."""
    return _FreeTimetable(attrs.evolve(course, costs=None))


def timetable_of(course: Course) -> Timetable | None:
    """Return the timetable of a course; None: a rate bounds it, and its requests are too many."""
    if course.costs is None:
        return _FreeTimetable(course)
    if course.limit_ns is None and course.per_loop * course.loops > MOST_TIMES:
        return None
    times = array("Q", islice(course.times(), MOST_TIMES + 1))
    return _KnownTimetable(course, times) if len(times) <= MOST_TIMES else None


def peak_of(times: Sequence[int], weights: Callable[[], Iterable[int]]) -> Peak | None:
    """Return the second that has the most weight; None where there is nothing.

    Args:
        times: ascending, in nanoseconds.
        weights: returns the weight of each, at least as many; it is called twice.
    """
    if not times:
        return None
    leaving = zip(times, weights(), strict=False)
    start_ns, start_weight = next(leaving)
    inside = best = best_at_ns = 0
    for time_ns, weight in zip(times, weights(), strict=False):
        while time_ns - start_ns >= SECOND_NS:
            inside -= start_weight
            start_ns, start_weight = next(leaving)
        inside += weight
        if inside > best:
            best, best_at_ns = inside, start_ns
    return Peak(best, best_at_ns)


def copied(weights: "array[int]", copies: int) -> Iterator[int]:
    """Yield the weight of each request of a replay, by its number, without an end."""
    if not weights:
        return iter(())
    each = chain.from_iterable(repeat(weights))
    return each if copies == 1 else chain.from_iterable(map(repeat, each, repeat(copies)))


def curve_of(timetable: Timetable) -> Curve:
    """Return how the requests of a timetable are spread over its duration."""
    if not timetable.last_ns:
        return Curve(0, (timetable.count,) if timetable.count else ())
    # One more than the last time, so that what is planned then is inside the last stretch.
    stretch_ns = -(-(timetable.last_ns + 1) // _COLUMNS)
    columns = -(-(timetable.last_ns + 1) // stretch_ns)
    until = [timetable.before(stretch_ns * (column + 1)) for column in range(columns)]
    return Curve(
        stretch_ns, tuple(now - then for then, now in zip([0, *until], until, strict=False))
    )
