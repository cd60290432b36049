"""How much a replay sends, by signal."""

from array import array
from collections.abc import Mapping

import attrs

from otlp_capture.otlp import SIGNALS, Signal
from otlp_replay.plan.columns import Requests
from otlp_replay.plan.course import Course


@attrs.frozen
class Amount:
    """How much there is.

    Attributes:
        requests: how many requests.
        records: how many spans, data points or log records they hold.
        size_bytes: how many bytes they have, decompressed.
    """

    requests: int = 0
    records: int = 0
    size_bytes: int = 0

    def plus(self, other: "Amount", times: int = 1) -> "Amount":
        """Add *other* so many times."""
        return Amount(
            self.requests + times * other.requests,
            self.records + times * other.records,
            self.size_bytes + times * other.size_bytes,
        )

    def to_json(self) -> dict[str, int]:
        """Return it as JSON values."""
        return {
            "requests": self.requests,
            "records": self.records,
            "bytes": self.size_bytes,
        }


def amounts_of(requests: Requests, course: Course, count: int) -> Mapping[Signal, Amount]:
    """Return how much the first *count* requests of a replay are, by signal."""
    if not course.per_loop:
        return {signal: Amount() for signal in SIGNALS}
    loops, row, copies = course.place(count)
    whole = _amounts(requests, 0, len(requests)) if loops else {}
    begun = _amounts(requests, 0, row)
    last = _amounts(requests, row, row + 1) if copies else {}
    nothing = Amount()
    return {
        signal: nothing.plus(whole.get(signal, nothing), loops * course.copies)
        .plus(begun.get(signal, nothing), course.copies)
        .plus(last.get(signal, nothing), copies)
        for signal in SIGNALS
    }


def _amounts(requests: Requests, start: int, end: int) -> dict[Signal, Amount]:
    """Sum the rows from *start* to *end*."""
    segments = len(requests.segments)
    counts, records, sizes = (array("Q", bytes(8 * segments)) for _ in range(3))
    columns = (requests.segment_of, requests.records, requests.sizes)
    rows = zip(*(column[start:end] for column in columns), strict=True)
    for segment, record_count, size in rows:
        counts[segment] += 1
        records[segment] += record_count
        sizes[segment] += size
    amounts: dict[Signal, Amount] = {}
    for segment, *sums in zip(requests.segments, counts, records, sizes, strict=True):
        amounts[segment.signal] = amounts.get(segment.signal, Amount()).plus(Amount(*sums))
    return amounts
