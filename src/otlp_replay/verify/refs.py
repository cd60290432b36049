"""Which requests a recording has, in the order of their arrival, twelve bytes each."""

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence

from otlp_capture.otlp import Signal
from otlp_capture.sessions import FrameRef, SegmentIndex, SessionIndex


class Refs:
    """References to requests, by their number.

    Args:
        segments: all segments that hold them.
        refs: the requests, in order.
    """

    def __init__(self, segments: Sequence[SegmentIndex], refs: Iterable[FrameRef]) -> None:
        self._segments = segments
        numbers = {segment.key: number for number, segment in enumerate(segments)}
        self._segment_of, self._offsets = array("I"), array("Q")
        self.record_count = 0
        for ref in refs:
            self._segment_of.append(numbers[ref.segment.key])
            self._offsets.append(ref.frame.offset)
            self.record_count += ref.frame.record_count

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, number: int) -> FrameRef:
        segment = self._segments[self._segment_of[number]]
        place = bisect_left(segment.frames.column("offset"), self._offsets[number])
        return FrameRef(segment, segment.frames[place])


def arriving(index: SessionIndex, signals: Collection[Signal]) -> Iterator[FrameRef]:
    """Yield the frames of *signals* by (arrival, sequence, key, offset), a few held at once."""
    return merged(_in_segment(each) for each in index.segments if each.signal in signals)


def merged(streams: Iterable[Iterable[FrameRef]]) -> Iterator[FrameRef]:
    """Merge frames that are in order each into one order."""
    return heapq.merge(*streams, key=_order)


def _in_segment(segment: SegmentIndex) -> Iterator[FrameRef]:
    arrivals = segment.frames.column("received_unix_nano")
    sequences = segment.frames.column("sequence")
    order = sorted(range(len(segment.frames)), key=lambda row: (arrivals[row], sequences[row]))
    places = array("I", order)
    return (FrameRef(segment, segment.frames[place]) for place in places)


def _order(ref: FrameRef) -> tuple[int, int, str, int]:
    frame = ref.frame
    return (frame.received_unix_nano, frame.sequence, ref.segment.key, frame.offset)
