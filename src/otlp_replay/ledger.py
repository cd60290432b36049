"""Two ledgers of a replay, requests and records; each accounts for all that was planned."""

import logging
from collections import Counter
from datetime import datetime
from typing import Any

import anyio
import attrs

from otlp_capture.result import Fault
from otlp_capture.sending import DeliveryOutcome
from otlp_replay.errors import ReplayError
from otlp_replay.events import Settled
from otlp_replay.status import DeliveryCounts, ReplayStatus

_log = logging.getLogger(__name__)


class Ledger:
    """Keeps a replay's status.

    Args:
        status: how the replay stands before it begins.
        records: how many spans, data points and log records are planned.
    """

    def __init__(self, status: ReplayStatus, records: int) -> None:
        self._facts, self._records = status, records
        self._requests = status.total_records
        self._by_request, self._by_record = Counter[str](), Counter[str]()
        self._reasons = Counter[str]()
        self._retries = 0
        self._key: str | None = None
        self._told: set[DeliveryOutcome] = set()
        self._changed = anyio.Event()

    @property
    def status(self) -> ReplayStatus:
        """How the replay stands."""
        return attrs.evolve(
            self._facts,
            total_records=self._requests,
            current_file=self._key,
            delivery=DeliveryCounts(**self._by_request),
            delivery_records=DeliveryCounts(**self._by_record),
            retries=self._retries,
            not_sent_reasons=dict(self._reasons),
        )

    @property
    def is_over(self) -> bool:
        """Whether the status will not change any more."""
        return self._facts.is_over

    def begin(self) -> None:
        """Note that the replay is running."""
        self._note(attrs.evolve(self._facts, status="running"))

    def start(self, at: datetime) -> None:
        """Note when the first request was due."""
        self._note(attrs.evolve(self._facts, started_at=at))

    def pause(self, *, is_paused: bool) -> None:
        """Note whether the replay stands still."""
        self._note(attrs.evolve(self._facts, is_paused=is_paused))

    def dispatch(self, key: str) -> None:
        """Note which segment the request comes from that is sent now."""
        self._key = key

    def plan(self, requests: int, records: int) -> None:
        """Note that so many more are planned: what is sent again."""
        self._requests += requests
        self._records += records
        self._tell_watchers()

    def settle(self, settled: Settled) -> None:
        """Account for a request, and its records; those that were filtered out are not sent."""
        outcome, records = settled.outcome, settled.record_count
        self._tell(outcome, settled.reason)
        self._by_request[outcome] += 1
        if outcome == "rejected":
            self._by_record["delivered"] += records - settled.rejected_records
            self._by_record["rejected"] += settled.rejected_records
        else:
            self._by_record[outcome] += records
        self._by_record["not_sent"] += settled.event.ref.frame.record_count - records
        self._retries += max(0, settled.attempts - 1)
        self._tell_watchers()

    def leave_out(self, cause: Fault, requests: int, records: int) -> None:
        """Account for requests that are not sent because of *cause*, and their records."""
        if not requests:
            return
        self._reasons[type(cause).__name__] += requests
        self._by_request["not_sent"] += requests
        self._by_record["not_sent"] += records
        self._tell("not_sent", cause.message)
        self._tell_watchers()

    def close(
        self, at: datetime, error: ReplayError | None, cause: Fault | None, **findings: Any
    ) -> None:
        """Account for what was not reached because of *cause*, and say how the replay ended.

        Args:
            at: when.
            error: why it broke off.
            cause: why something may not have been reached.
            findings: further fields of the status.
        """
        left = self._requests - self._by_request.total()
        if cause is not None and left:
            self._reasons[type(cause).__name__] += left
            self._by_request["not_sent"] += left
            self._by_record["not_sent"] += self._records - self._by_record.total()
        ended = attrs.evolve(
            self._facts,
            status="completed" if error is None else "failed",
            started_at=self._facts.started_at or at,
            completed_at=at,
            error=error,
            is_paused=False,
            **findings,
        )
        self._note(ended)

    def _note(self, facts: ReplayStatus) -> None:
        self._facts = facts
        self._tell_watchers()

    def _tell_watchers(self) -> None:
        if not self._changed.is_set():
            self._changed.set()

    def listen(self) -> anyio.Event:
        """Return what is set at the next change."""
        if self._changed.is_set():
            self._changed = anyio.Event()
        return self._changed

    def _tell(self, outcome: DeliveryOutcome, reason: str) -> None:
        """Log what stood in the way: the first of each kind aloud, the others for debugging."""
        if not reason:
            return
        level = logging.DEBUG if outcome in self._told else logging.WARNING
        self._told.add(outcome)
        session_id, name = self._facts.session_id, outcome.replace("_", " ")
        _log.log(level, "Replay of %s: a request was %s: %s", session_id, name, reason)
