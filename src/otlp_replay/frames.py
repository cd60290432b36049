"""The frames of a session in the order of their arrival, one after the other."""

import heapq
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from otlp_capture.otlp import Signal
from otlp_capture.sessions import FrameRef, FrameTable, SegmentIndex, SessionIndex

_Head: TypeAlias = tuple[int, int, str, int, int, Iterator[int]]


def frames_in_order(index: SessionIndex, signals: Sequence[Signal]) -> Iterator[FrameRef]:
    """Yield the frames of *signals* by (arrival, sequence, key, offset).

    A segment is looked at when its first arrival is reached, so what is held at once is what
    overlaps.
    """
    segments = {segment.key: segment for segment in index.segments if segment.signal in signals}
    waiting = sorted(
        ((min(_arrivals(each.frames)), key) for key, each in segments.items() if len(each.frames)),
        reverse=True,
    )
    heads: list[_Head] = []
    while waiting or heads:
        while waiting and (not heads or waiting[-1][0] <= heads[0][0]):
            _, key = waiting.pop()
            _push(heads, segments[key], iter(_rows(segments[key].frames)))
        _, _, key, _, row, rows = heads[0]
        yield FrameRef(segments[key], segments[key].frames[row])
        heapq.heappop(heads)
        _push(heads, segments[key], rows)


def _push(heads: list[_Head], segment: SegmentIndex, rows: Iterator[int]) -> None:
    row = next(rows, None)
    if row is None:
        return
    column = segment.frames.column
    arrival, sequence = column("received_unix_nano")[row], column("sequence")[row]
    heapq.heappush(heads, (arrival, sequence, segment.key, column("offset")[row], row, rows))


def _rows(frames: FrameTable) -> Sequence[int]:
    """Return the rows of a segment in order; they usually lie so."""
    arrivals, sequences = _arrivals(frames), frames.column("sequence")
    rows = range(len(frames))
    keys = zip(arrivals, sequences, strict=True)
    if all(one <= other for one, other in pairwise(keys)):
        return rows
    return array("Q", sorted(rows, key=lambda row: (arrivals[row], sequences[row])))


def _arrivals(frames: FrameTable) -> "array[int]":
    return frames.column("received_unix_nano")
