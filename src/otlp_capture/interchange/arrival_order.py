"""The frames of a session by arrival, without a list of them all."""

from array import array
from collections.abc import Collection, Iterator, Sequence
from heapq import merge

from otlp_capture.otlp import Signal
from otlp_capture.sessions import FrameRef, SegmentIndex, SessionIndex


def by_arrival(index: SessionIndex, signals: Collection[Signal]) -> Iterator[FrameRef]:
    """Yield the frames of *signals* by (arrival, sequence, key, offset), as `in_order` lists them.

    Beside the index this takes eight bytes a frame, and only for segments whose frames do not lie
    in the order of their arrival.
    """
    segments = [segment for segment in index.segments if segment.signal in signals]
    return merge(*map(_of_segment, segments), key=_place)


def _of_segment(segment: SegmentIndex) -> Iterator[FrameRef]:
    return (FrameRef(segment, segment.frames[row]) for row in _rows(segment))


def _rows(segment: SegmentIndex) -> Sequence[int]:
    arrivals = segment.frames.column("received_unix_nano")
    sequences = segment.frames.column("sequence")
    offsets = segment.frames.column("offset")
    rows = range(len(arrivals))

    def place(row: int) -> tuple[int, int, int]:
        return arrivals[row], sequences[row], offsets[row]

    if all(place(row) <= place(row + 1) for row in rows[:-1]):
        return rows
    return array("Q", sorted(rows, key=place))


def _place(ref: FrameRef) -> tuple[int, int, str, int]:
    frame = ref.frame
    return frame.received_unix_nano, frame.sequence, ref.segment.key, frame.offset
