"""What a loop of a replay sends, in its order, in columns.

A request takes some forty bytes here, whatever it is: a million of them take 40 MB.
"""

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import islice

from otlp_capture.sessions import FrameRef, SegmentIndex, SessionIndex
from otlp_replay.selection import After, At, Moment, Selection, arrivals_of


class Sequence:
    """The requests of one pass over the sessions, and where on the replay's line they lie.

    The line begins at the first arrival, or where the window does, and runs in nanoseconds as they
    were recorded; of a pause that is longer than it may be, the rest is cut out.

    Args:
        window_start_unix_nano: the arrival at which the line begins.
        max_gap_ns: longer pauses are cut to it; None: they are kept.

    Attributes:
        window_start_unix_nano: the same.
        record_count: how many records there are in all.
        out_of_order: how many requests arrived later than one that was counted after them.
    """

    def __init__(self, window_start_unix_nano: int, max_gap_ns: int | None = None) -> None:
        self.window_start_unix_nano = window_start_unix_nano
        self.record_count = self.out_of_order = 0
        self._max_gap_ns = max_gap_ns
        self._sources: list[tuple[str, SegmentIndex]] = []
        self._numbers: dict[str, int] = {}
        self._latest: dict[str, int] = {}
        self._segments, self._offsets = array("I"), array("Q")
        self._arrivals, self._records = array("Q"), array("Q")
        self._cuts = array("Q")

    def append(self, session_id: str, ref: FrameRef) -> None:
        """Add the next request."""
        frame, key = ref.frame, ref.segment.key
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._sources)
            self._sources.append((session_id, ref.segment))
        latest = self._latest.get(session_id, 0)
        self.out_of_order += 0 < frame.sequence < latest
        self._latest[session_id] = max(latest, frame.sequence)
        self._cut(frame.received_unix_nano)
        self._segments.append(number)
        self._offsets.append(frame.offset)
        self._arrivals.append(frame.received_unix_nano)
        self._records.append(frame.record_count)
        self.record_count += frame.record_count

    def __len__(self) -> int:
        return len(self._arrivals)

    def ref(self, place: int) -> FrameRef:
        """Return where the request at *place* is stored."""
        _, segment = self._sources[self._segments[place]]
        row = bisect_left(segment.frames.column("offset"), self._offsets[place])
        return FrameRef(segment, segment.frames[row])

    def session_id(self, place: int) -> str:
        """Return which session the request at *place* comes from."""
        return self._sources[self._segments[place]][0]

    def line_ns(self, place: int) -> int:
        """Return where on the line the request at *place* lies."""
        cut_ns = self._cuts[place] if self._cuts else 0
        return self._arrivals[place] - self.window_start_unix_nano - cut_ns

    def records(self, start: int, end: int) -> int:
        """Return how many records the requests from *start* to before *end* hold."""
        return self.record_count if end - start == len(self) else sum(self._records[start:end])

    def find(self, moment: Moment) -> tuple[int, int]:
        """Return the place of the first request that arrived then or later, and where that is."""
        match moment:
            case At(arrival):
                pass
            case After(ns):
                arrival = (self._arrivals[-1] if ns < 0 else self._arrivals[0]) + ns
        place = bisect_left(self._arrivals, arrival)
        if place == len(self):
            return place, self.period_ns + self.line_ns(0)
        earliest_ns = self.line_ns(place - 1) if place else 0
        before_ns = self._arrivals[place] - arrival
        return place, max(earliest_ns, self.line_ns(place) - before_ns)

    @property
    def period_ns(self) -> int:
        """How far a loop lies behind the one before it: the gap between them is the mean gap.

        After a single request the next loop follows at once.
        """
        gaps = len(self) - 1
        if gaps < 1:
            return 0
        span_ns = self.line_ns(gaps) - self.line_ns(0)
        return span_ns + span_ns // gaps

    def _cut(self, arrival: int) -> None:
        if self._max_gap_ns is None:
            return
        before = self._arrivals[-1] if self._arrivals else self.window_start_unix_nano
        cut_ns = self._cuts[-1] if self._cuts else 0
        self._cuts.append(cut_ns + max(0, arrival - before - self._max_gap_ns))


def lay_out(
    indexes: Mapping[str, SessionIndex],
    selection: Selection,
    *,
    limit: int | None,
    max_gap_ns: int | None,
) -> Sequence:
    """Lay out what a loop sends: all sessions by arrival, each in its own order.

    The line begins where the window does, but not before anything has arrived.

    Args:
        indexes: what the sessions hold that may be selected, by their ids.
        selection: what is; its window is on the wall clock.
        limit: how many requests there may be; None: any number.
        max_gap_ns: longer pauses between them are cut to it; None: they are kept.
    """
    first, last = arrivals_of(*indexes.values()) or (0, 0)
    start = selection.window.over(first, last).start
    sequence = Sequence(first if start is None else max(start, first), max_gap_ns)
    merged = {name: selection.frames(index) for name, index in indexes.items()}
    named = (_named(name, refs) for name, refs in merged.items())
    arriving = heapq.merge(*named, key=lambda each: each[1].frame.received_unix_nano)
    for session_id, ref in islice(arriving, limit):
        sequence.append(session_id, ref)
    return sequence


def _named(name: str, refs: Iterator[FrameRef]) -> Iterator[tuple[str, FrameRef]]:
    return ((name, ref) for ref in refs)
