"""How many spans a replay sends without their parents."""

from collections import Counter
from typing import ClassVar, Final

import attrs

from otlp_capture import otlp
from otlp_capture.otlp import InvalidRequest
from otlp_capture.result import Failure, Outcome, Success

MAX_SPANS: Final = 1 << 18
"""So many spans, and parents that are named, are remembered: some 30 MB."""


@attrs.frozen
class OrphanCounts:
    """The spans that are kept and name a parent that is not.

    Attributes:
        left_out: their parent was seen, and left out.
        unseen: their parent is in no request that was read: outside of the window, in a segment
            of other services, or never recorded.
    """

    left_out: int = 0
    unseen: int = 0


@attrs.frozen
class OrphansUncounted:
    """There were more spans than are remembered, so orphans are not counted: none is guessed."""

    max_spans: int
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Why there is no count, and how to get one."""
        return (
            f"Spans without their parents were not counted: there are more than "
            f"{self.max_spans:,} spans and parents. Count with a shorter window."
        )


class OrphanCounter:
    """Counts the spans that a selection keeps without their parents.

    A parent mostly arrives after its children, in another request, so each span is remembered to
    the end: exactly, as a number of 64 bits, and not one more than the bound. Beyond it everything
    is forgotten, and the answer is that there is none.

    Args:
        max_spans: how many spans, left out ones too, and parents are remembered at the most.
    """

    def __init__(self, max_spans: int = MAX_SPANS) -> None:
        self._max_spans = max_spans
        self._is_over = False
        self._kept = set[int]()
        self._left_out = set[int]()
        self._parents = Counter[int]()

    @property
    def counts(self) -> OrphanCounts | OrphansUncounted:
        """How many there are among the requests so far; it looks at all that is remembered."""
        if self._is_over:
            return OrphansUncounted(self._max_spans)
        missing = {
            parent: count for parent, count in self._parents.items() if parent not in self._kept
        }
        total = sum(missing.values())
        left_out = sum(count for parent, count in missing.items() if parent in self._left_out)
        return OrphanCounts(left_out, total - left_out)

    def note(self, request: bytes, kept: bytes) -> Outcome[None, InvalidRequest]:
        """Look at a request of traces; at each one of a session once, in any order.

        Args:
            request: as it was recorded.
            kept: what the selection leaves of it.

        Fails with:
            InvalidRequest: the bytes are malformed.
        """
        if self._is_over:
            return Success(None)
        after = otlp.span_links(kept)
        if isinstance(after, Failure):
            return after
        links = after.unwrap()
        if kept is not request:
            before = otlp.span_links(request)
            if isinstance(before, Failure):
                return before
            self._left_out.update(before.unwrap().spans)
            self._left_out.difference_update(links.spans)
        self._kept.update(links.spans)
        self._parents.update(links.parents)
        del self._parents[0]
        self._forget_if_over()
        return Success(None)

    def _forget_if_over(self) -> None:
        if len(self._kept) + len(self._left_out) + len(self._parents) <= self._max_spans:
            return
        self._is_over = True
        for remembered in (self._kept, self._left_out, self._parents):
            remembered.clear()
