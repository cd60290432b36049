"""The frames of many segments in one order, without laying them all out."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush, heapreplace
from itertools import pairwise
from typing import NamedTuple

from otlp_capture.sessions import FrameRef, SegmentIndex
from otlp_replay.selection.window import Stretch


class _Next(NamedTuple):
    """The next frame of an open segment, in the order of a session."""

    arrival: int
    sequence: int
    key: str
    offset: int
    row: int
    segment: SegmentIndex
    rest: Iterator[int]


class MergedFrames(Iterator[FrameRef]):
    """Yields the frames of segments by (arrival, sequence, key, offset).

    A segment is opened when the first of its frames may be due, and let go after its last one.
    What is held are the open segments' places, and their rows where a segment lies out of order;
    references are made as they are asked for.

    Args:
        segments: whose frames.
        stretch: which arrivals are wanted.
    """

    def __init__(self, segments: Iterable[SegmentIndex], stretch: Stretch) -> None:
        self._stretch = stretch
        starts = [
            (max(min(arrivals), stretch.start or 0), segment.key, segment)
            for segment in segments
            if len(arrivals := segment.frames.column("received_unix_nano"))
        ]
        self._closed = sorted(starts, key=lambda start: start[:2], reverse=True)
        self._open: list[_Next] = []
        self._highest_sequence = 0
        self._out_of_order = 0

    @property
    def out_of_order(self) -> int:
        """How many of the frames so far arrived after one that the session counts behind them.

        Frames that other writers left have no such number, and are not counted.
        """
        return self._out_of_order

    @property
    def open_segments(self) -> int:
        """How many segments are open."""
        return len(self._open)

    def __next__(self) -> FrameRef:
        self._open_segments_that_are_due()
        if not self._open:
            raise StopIteration
        due = self._open[0]
        follower = _next_of(due.segment, due.rest)
        if follower is None:
            heappop(self._open)
        else:
            heapreplace(self._open, follower)
        self._note(due.sequence)
        return FrameRef(due.segment, due.segment.frames[due.row])

    def _open_segments_that_are_due(self) -> None:
        while self._closed and (not self._open or self._closed[-1][0] <= self._open[0].arrival):
            _, _, segment = self._closed.pop()
            first = _next_of(segment, iter(_rows(segment, self._stretch)))
            if first is not None:
                heappush(self._open, first)

    def _note(self, sequence: int) -> None:
        if sequence and sequence < self._highest_sequence:
            self._out_of_order += 1
        self._highest_sequence = max(self._highest_sequence, sequence)


def _next_of(segment: SegmentIndex, rows: Iterator[int]) -> _Next | None:
    row = next(rows, None)
    if row is None:
        return None
    column = segment.frames.column
    return _Next(
        column("received_unix_nano")[row],
        column("sequence")[row],
        segment.key,
        column("offset")[row],
        row,
        segment,
        rows,
    )


def _rows(segment: SegmentIndex, stretch: Stretch) -> Sequence[int]:
    """Return the rows of a segment that are wanted, in order."""
    column = segment.frames.column
    arrivals, sequences, offsets = (
        column("received_unix_nano"),
        column("sequence"),
        column("offset"),
    )
    if all(one <= other for one, other in pairwise(zip(arrivals, sequences, offsets, strict=True))):
        start = 0 if stretch.start is None else bisect_left(arrivals, stretch.start)
        end = len(arrivals) if stretch.end is None else bisect_left(arrivals, stretch.end)
        return range(start, end)
    wanted = (row for row in range(len(arrivals)) if stretch.holds(arrivals[row]))
    return sorted(wanted, key=lambda row: (arrivals[row], sequences[row], offsets[row]))
