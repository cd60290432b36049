"""Times between one request and the next, of requests that are told a little out of order."""

from heapq import heappush, heappushpop
from typing import Final

from otlp_replay.fidelity.histogram import Distribution, Histogram

WINDOW: Final = 4096
"""So many requests may be told between two that follow each other."""


class Gaps:
    """Counts the gaps between times in their order.

    Answers come in another order than requests went. So many times are held back as `WINDOW`
    says, and come out sorted. One that is older than what has come out already is left out, and
    counted.

    Attributes:
        left_out: how many times were told too late to have a place.
    """

    __slots__ = ("_gaps", "_held", "_last_ns", "left_out")

    def __init__(self) -> None:
        self.left_out = 0
        self._held, self._gaps = list[int](), Histogram()
        self._last_ns: int | None = None

    def add(self, at_ns: int) -> None:
        """Take note of a time."""
        if len(self._held) < WINDOW:
            heappush(self._held, at_ns)
            return
        earliest_ns = heappushpop(self._held, at_ns)
        if self._last_ns is None:
            self._last_ns = earliest_ns
        elif earliest_ns < self._last_ns:
            self.left_out += 1
        else:
            self._gaps.add(earliest_ns - self._last_ns)
            self._last_ns = earliest_ns

    def distribution(self) -> Distribution:
        """Return the gaps between all that was told so far."""
        gaps, last_ns = Histogram(), self._last_ns
        gaps.merge(self._gaps.distribution())
        for at_ns in sorted(self._held):
            if last_ns is not None and at_ns >= last_ns:
                gaps.add(at_ns - last_ns)
            last_ns = at_ns if last_ns is None else max(at_ns, last_ns)
        return gaps.distribution()
