"""How old records will be when they are sent, and whether their times can be moved so far."""

from array import array
from collections.abc import Iterable
from typing import Final, TypeAlias

import attrs

from otlp_replay.config import TimestampAdjustment
from otlp_replay.plan.columns import Requests
from otlp_replay.plan.course import SECOND_NS, Course
from otlp_replay.plan.timetable import Timetable

_LATEST: Final = (1 << 64) - 1


@attrs.frozen
class TargetWindow:
    """Which records a target takes, by their age when they reach it.

    Attributes:
        oldest_accepted_s: it takes none that is older, in seconds; None: it takes any.
        newest_accepted_s: it takes none that is further in its future; None: it takes any.
    """

    oldest_accepted_s: float | None = None
    newest_accepted_s: float | None = None


@attrs.frozen
class Ages:
    """The ages of records when they are planned to be sent, after their times are adjusted.

    Counts are of one loop, the one with the most.

    Attributes:
        oldest_ns: the age of the oldest record; None: no record has a time.
        youngest_ns: that of the youngest; negative: its time is in the future then.
        too_old: requests with records that are older than the target takes.
        too_new: requests with records that are further in the future than it takes.
        out_of_range: requests with a time that cannot be moved so far; they are not sent. Of
            other times than those of records, only a payload tells.
    """

    oldest_ns: int | None = None
    youngest_ns: int | None = None
    too_old: int = 0
    too_new: int = 0
    out_of_range: int = 0

    def with_loop(self, other: "Ages") -> "Ages":
        """Return what is so in one loop or the other."""
        if self.oldest_ns is None or self.youngest_ns is None:
            return other
        if other.oldest_ns is None or other.youngest_ns is None:
            return self
        return Ages(
            max(self.oldest_ns, other.oldest_ns),
            min(self.youngest_ns, other.youngest_ns),
            max(self.too_old, other.too_old),
            max(self.too_new, other.too_new),
            max(self.out_of_range, other.out_of_range),
        )


@attrs.frozen
class Shifting:
    """How the times of records are adjusted.

    Attributes:
        mode: none, relative or current.
        offset_ns: replaces the constant of `relative`.
        start_unix_nano: when the replay starts.
        window_start_unix_nano: what stands for that moment in the recording.
    """

    mode: TimestampAdjustment
    offset_ns: int | None
    start_unix_nano: int
    window_start_unix_nano: int


Row: TypeAlias = tuple[int, int]
"""A shift, and when a request is sent on the recording's clock: its sending minus the shift."""


def ages_of(
    requests: Requests,
    timetable: Timetable,
    course: Course,
    shifting: Shifting,
    target: TargetWindow,
) -> Ages:
    """Return the ages of all records, by the earliest and latest times of their requests.

    Ages grow from loop to loop, or stay: the first loop and the last two are looked at.
    """
    if not timetable.count:
        return Ages()
    last, _, _ = course.place(timetable.count - 1)
    ages = Ages()
    for loop in sorted({0, max(0, last - 1), last}):
        rows = _rows(requests, timetable.planned_in(loop), course.loop_start_ns(loop), shifting)
        ages = ages.with_loop(_ages(rows, requests, target))
    return ages


def _rows(
    requests: Requests, planned: "array[int]", loop_start_ns: int, shifting: Shifting
) -> Iterable[Row]:
    start = shifting.start_unix_nano
    match shifting.mode:
        case "none":
            shift = 0
        case "relative" if shifting.offset_ns is not None:
            shift = shifting.offset_ns
        case "relative":
            shift = start + loop_start_ns - shifting.window_start_unix_nano
        case "current":
            arrivals = requests.arrivals
            return (
                (start + time_ns - arrival, arrival)
                for time_ns, arrival in zip(planned, arrivals, strict=False)
            )
    base = start - shift
    return ((shift, base + time_ns) for time_ns in planned)


def _ages(rows: Iterable[Row], requests: Requests, target: TargetWindow) -> Ages:
    most_ns, least_ns = _limits(target)
    eldest: int | None = None
    youngest: int | None = None
    too_old = too_new = out_of_range = 0
    for (shift, sent), first, last in zip(rows, requests.oldest, requests.newest, strict=False):
        if not first:
            continue
        age, least_age = sent - first, sent - last
        if eldest is None or age > eldest:
            eldest = age
        if youngest is None or least_age < youngest:
            youngest = least_age
        too_old += age > most_ns
        too_new += least_age < least_ns
        out_of_range += first + shift < 1 or last + shift > _LATEST
    return Ages(eldest, youngest, too_old, too_new, out_of_range)


def _limits(target: TargetWindow) -> tuple[float, float]:
    oldest, newest = target.oldest_accepted_s, target.newest_accepted_s
    most = float("inf") if oldest is None else oldest * SECOND_NS
    least = float("-inf") if newest is None else -newest * SECOND_NS
    return most, least
