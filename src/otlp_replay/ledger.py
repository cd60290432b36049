"""Two ledgers of a replay, requests and records; each accounts for all that was planned."""

import logging
from datetime import datetime

import attrs

from otlp_capture.result import Fault
from otlp_capture.sending import Delivery, DeliveryOutcome
from otlp_replay.errors import ReplayError
from otlp_replay.status import ReplayStatus

_log = logging.getLogger(__name__)


class Ledger:
    """Keeps a replay's status.

    Args:
        replay_id: which replay.
        session_id: what is replayed.
        requests: how many requests are planned.
        records: how many spans, data points and log records they hold.

    Attributes:
        status: how the replay stands.
    """

    def __init__(self, replay_id: str, session_id: str, requests: int, records: int) -> None:
        self.status = ReplayStatus(
            replay_id=replay_id, session_id=session_id, status="pending", total_records=requests
        )
        self._records = records
        self._told: set[DeliveryOutcome] = set()

    def begin(self) -> None:
        """Note that the replay is running."""
        self.status = attrs.evolve(self.status, status="running")

    def start(self, at: datetime) -> None:
        """Note when the first request was due."""
        self.status = attrs.evolve(self.status, started_at=at)

    def dispatch(self, key: str) -> None:
        """Note which segment the request comes from that is sent now."""
        self.status = attrs.evolve(self.status, current_file=key)

    def settle(self, delivery: Delivery, records: int) -> None:
        """Account for a request that was sent, and its *records*."""
        self._tell(delivery.outcome, delivery.reason)
        by_record = self.status.delivery_records
        if delivery.outcome == "rejected":
            by_record = by_record.plus("delivered", records - delivery.rejected_records)
            by_record = by_record.plus("rejected", delivery.rejected_records)
        else:
            by_record = by_record.plus(delivery.outcome, records)
        self.status = attrs.evolve(
            self.status,
            delivery=self.status.delivery.plus(delivery.outcome, 1),
            delivery_records=by_record,
            retries=self.status.retries + delivery.attempts - 1,
        )

    def leave_out(self, cause: Fault, records: int) -> None:
        """Account for a request that is not sent because of *cause*, and its *records*."""
        self._tell("not_sent", cause.message)
        self._leave_out(cause, 1, records)

    def close(self, at: datetime, error: ReplayError | None) -> None:
        """Account for what was not reached, and say how the replay ended."""
        left = self.status.total_records - self.status.delivery.total
        if error is not None and left:
            self._leave_out(error, left, self._records - self.status.delivery_records.total)
        self.status = attrs.evolve(
            self.status,
            status="completed" if error is None else "failed",
            started_at=self.status.started_at or at,
            completed_at=at,
            error=error,
        )

    def _leave_out(self, cause: Fault, requests: int, records: int) -> None:
        reasons = dict(self.status.not_sent_reasons)
        reason = type(cause).__name__
        reasons[reason] = reasons.get(reason, 0) + requests
        self.status = attrs.evolve(
            self.status,
            delivery=self.status.delivery.plus("not_sent", requests),
            delivery_records=self.status.delivery_records.plus("not_sent", records),
            not_sent_reasons=reasons,
        )

    def _tell(self, outcome: DeliveryOutcome, reason: str) -> None:
        """Log what stood in the way: the first of each kind aloud, the others for debugging."""
        if not reason:
            return
        level = logging.DEBUG if outcome in self._told else logging.WARNING
        self._told.add(outcome)
        session_id, name = self.status.session_id, outcome.replace("_", " ")
        _log.log(level, "Replay of %s: a request was %s: %s", session_id, name, reason)
