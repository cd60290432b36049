"""Two ledgers of a destination, requests and records; each accounts for all that was offered."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, cast

from otlp_capture.forward.model import ForwardCounts, ForwardOutcome, ForwardStatus

_log = logging.getLogger(__name__)

_WHAT_BECAME: Final[Mapping[ForwardOutcome, str]] = {
    "delivered": "delivered",
    "rejected": "rejected",
    "returned": "refused for now",
    "failed": "given up",
    "unknown": "left without an answer",
    "dropped": "left out",
}


class Ledger:
    """Keeps a destination's status.

    Args:
        url: the destination.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._requests, self._records = Counter[str](), Counter[str]()
        self._retries = 0
        self._problem = ""
        self._told = set[ForwardOutcome]()

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
        """Log what stands in the way: the first of each kind aloud, until something is taken."""
        if outcome == "delivered":
            if self._told:
                _log.warning("Forwarding to %s: it takes requests again", self._url)
            self._told.clear()
            return
        self._problem = reason or self._problem
        level = logging.DEBUG if outcome in self._told else logging.WARNING
        self._told.add(outcome)
        what = _WHAT_BECAME[outcome]
        _log.log(level, "Forwarding to %s: a request was %s: %s", self._url, what, reason)


def _counts(counter: Counter[str]) -> ForwardCounts:
    return ForwardCounts(**cast("dict[str, Any]", counter))
