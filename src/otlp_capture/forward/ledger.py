"""Two ledgers of a destination, requests and records; each accounts for all that was offered."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, cast

from otlp_capture.clock import Clock
from otlp_capture.forward.model import ForwardCounts, ForwardOutcome, ForwardStatus

_log = logging.getLogger(__name__)

_TOLD_EVERY_NS: Final = 60_000_000_000
_WHAT_BECAME: Final[Mapping[ForwardOutcome, str]] = {
    "delivered": "delivered",
    "rejected": "rejected",
    "returned": "refused for now",
    "failed": "given up",
    "unknown": "left without an answer",
    "dropped": "left out",
}


class Ledger:
    """Keeps a destination's status, and tells what stands in the way.

    Args:
        url: the destination.
        clock: what tells when it was told last.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._clock = url, clock
        self._requests, self._records = Counter[str](), Counter[str]()
        self._retries = 0
        self._problem = ""
        self._told_ns = dict[ForwardOutcome, int]()

    @property
    def status(self) -> ForwardStatus:
        """How it stands."""
        return ForwardStatus(
            url=self._url,
            requests=_counts(self._requests),
            records=_counts(self._records),
            retries=self._retries,
            problem=self._problem,
        )

    def offer(self, records: int) -> None:
        """Account for a request that is to go to the destination."""
        for name in ("offered", "queued"):
            self._requests[name] += 1
            self._records[name] += records

    def settle(
        self, outcome: ForwardOutcome, records: int, *, rejected: int = 0, reason: str = ""
    ) -> None:
        """Account for what became of a request that was offered.

        Args:
            outcome: of the request.
            records: how many it holds.
            rejected: how many of them the destination refused for good; the others it took.
            reason: what stood in the way.
        """
        self._requests["queued"] -= 1
        self._records["queued"] -= records
        self._requests[outcome] += 1
        self._records[outcome] += rejected if outcome == "rejected" else records
        if outcome == "rejected":
            self._records["delivered"] += records - rejected
        self._tell(outcome, reason)

    def count_retries(self, count: int) -> None:
        """Account for attempts beyond the first."""
        self._retries += count

    def _tell(self, outcome: ForwardOutcome, reason: str) -> None:
        """Log what stands in the way: of each kind one a minute aloud, the others for debugging."""
        if outcome == "delivered":
            return
        self._problem = reason or self._problem
        now_ns = self._clock.monotonic_ns()
        told_ns = self._told_ns.get(outcome)
        is_news = told_ns is None or now_ns - told_ns >= _TOLD_EVERY_NS
        if is_news:
            self._told_ns[outcome] = now_ns
        _log.log(
            logging.WARNING if is_news else logging.DEBUG,
            "Forwarding to %s: a request was %s: %s",
            self._url,
            _WHAT_BECAME[outcome],
            reason,
        )


def _counts(counter: Counter[str]) -> ForwardCounts:
    return ForwardCounts(**cast("dict[str, Any]", counter))
