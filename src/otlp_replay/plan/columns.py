"""The requests of a replay in columns and in order, without an object for each."""

from array import array
from collections.abc import Sequence
from itertools import accumulate, chain

import attrs

from otlp_capture.otlp import Signal
from otlp_capture.sessions import FrameRef, SegmentIndex


@attrs.frozen
class Excerpt:
    """What a replay takes of one session.

    Attributes:
        session_id: which session.
        segments: the segments that hold what is taken, in the order of their keys.
        start_unix_nano: the first arrival that is taken; None: the first there is.
        end_unix_nano: what arrived then, or later, is not taken; None: all is.
    """

    session_id: str
    segments: tuple[SegmentIndex, ...]
    start_unix_nano: int | None = None
    end_unix_nano: int | None = None

    def holds(self, arrival_unix_nano: int) -> bool:
        """Whether what arrived then is taken."""
        start, end = self.start_unix_nano, self.end_unix_nano
        return (start is None or start <= arrival_unix_nano) and (
            end is None or arrival_unix_nano < end
        )


@attrs.frozen(eq=False)
class Requests:
    """The requests of one loop in the order in which they are sent; five columns of 64 bits.

    Attributes:
        segments: the segments that hold them.
        session_ids: the session of each segment.
        segment_of: for each request, which segment holds it.
        row_of: for each request, which of the segment's frames it is.
        arrivals: when each arrived, in Unix nanoseconds.
        sizes: how many bytes each has.
        records: how many spans, data points or log records each has.
        oldest: the earliest time of its records; 0: none is set.
        newest: the latest.
        out_of_order: how many arrived later than one that their session counts after them.
    """

    segments: tuple[SegmentIndex, ...]
    session_ids: tuple[str, ...]
    segment_of: "array[int]"
    row_of: "array[int]"
    arrivals: "array[int]"
    sizes: "array[int]"
    records: "array[int]"
    oldest: "array[int]"
    newest: "array[int]"
    out_of_order: int

    def __len__(self) -> int:
        return len(self.arrivals)

    def ref(self, row: int) -> FrameRef:
        """Return where a request is stored."""
        segment = self.segments[self.segment_of[row]]
        return FrameRef(segment, segment.frames[self.row_of[row]])

    def signal(self, row: int) -> Signal:
        """Return what a request carries."""
        return self.segments[self.segment_of[row]].signal

    def session_id(self, row: int) -> str:
        """Return the session that a request comes from."""
        return self.session_ids[self.segment_of[row]]


def requests_of(excerpts: Sequence[Excerpt], limit: int | None = None) -> Requests:
    """Put the requests of sessions in order: by arrival, sequence, key and offset.

    Sessions are merged by arrival; of two requests that arrived at once, that of the earlier
    session in *excerpts* comes first. At most *limit* requests are taken, the first ones.
    """
    parts = [(excerpt, segment) for excerpt in excerpts for segment in excerpt.segments]
    rows = [_rows_within(excerpt, segment) for excerpt, segment in parts]
    order = _order(excerpts, parts, rows)
    if limit is not None:
        del order[limit:]
    places = array("I", chain.from_iterable([n] * len(taken) for n, taken in enumerate(rows)))

    def column(name: str) -> "array[int]":
        return _in_order(_column(parts, rows, name), order)

    segment_of = _in_order(places, order)
    session_ids = tuple(excerpt.session_id for excerpt, _ in parts)
    return Requests(
        tuple(segment for _, segment in parts),
        session_ids,
        segment_of,
        _in_order(array("I", chain.from_iterable(rows)), order),
        column("received_unix_nano"),
        column("raw_size_bytes"),
        column("record_count"),
        column("min_time_unix_nano"),
        column("max_time_unix_nano"),
        _out_of_order(session_ids, segment_of, column("sequence")),
    )


def _rows_within(excerpt: Excerpt, segment: SegmentIndex) -> Sequence[int]:
    arrivals = segment.frames.column("received_unix_nano")
    everything = range(len(arrivals))
    if not arrivals or (excerpt.holds(min(arrivals)) and excerpt.holds(max(arrivals))):
        return everything
    return array("I", (row for row in everything if excerpt.holds(arrivals[row])))


def _column(
    parts: Sequence[tuple[Excerpt, SegmentIndex]], rows: Sequence[Sequence[int]], name: str
) -> "array[int]":
    joined = array("Q")
    for (_, segment), taken in zip(parts, rows, strict=True):
        column = segment.frames.column(name)
        is_whole = len(taken) == len(column)
        joined.extend(column if is_whole else array("Q", map(column.__getitem__, taken)))
    return joined


def _order(
    excerpts: Sequence[Excerpt],
    parts: Sequence[tuple[Excerpt, SegmentIndex]],
    rows: Sequence[Sequence[int]],
) -> list[int]:
    """Return the order of all rows."""
    arrivals = _column(parts, rows, "received_unix_nano")
    sequences = _column(parts, rows, "sequence")
    lengths = iter(map(len, rows))
    order: list[int] = []
    start = 0
    for end in accumulate(sum(next(lengths) for _ in each.segments) for each in excerpts):
        # Segments come by key, and frames by offset: a stable sort keeps that where all else ties.
        own = sorted(range(start, end), key=sequences.__getitem__)
        own.sort(key=arrivals.__getitem__)
        order += own
        start = end
    if len(excerpts) > 1:
        order.sort(key=arrivals.__getitem__)
    return order


def _out_of_order(
    session_ids: Sequence[str], segment_of: "array[int]", sequences: "array[int]"
) -> int:
    """Count the requests of each session that have a lower number than one before them.

    Frames that other writers left have no number, and are not counted.
    """
    highest = dict.fromkeys(session_ids, 0)
    count = 0
    for segment, sequence in zip(segment_of, sequences, strict=True):
        session_id = session_ids[segment]
        if sequence >= highest[session_id]:
            highest[session_id] = sequence
        elif sequence:
            count += 1
    return count


def _in_order(column: "array[int]", order: Sequence[int]) -> "array[int]":
    return array(column.typecode, map(column.__getitem__, order))
