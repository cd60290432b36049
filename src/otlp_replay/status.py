"""How a replay stands."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

import attrs

from otlp_capture.sending import DeliveryOutcome
from otlp_replay.errors import ReplayError
from otlp_replay.fidelity import CertificateNotKept, FidelityCertificate
from otlp_replay.selection import OrphanCounts, OrphansUncounted

ReplayState: TypeAlias = Literal["pending", "running", "completed", "failed"]


@attrs.frozen
class DeliveryCounts:
    """What happened to what was planned; the five add up to it.

    Attributes:
        delivered: taken by the target.
        rejected: refused by the target for good.
        failed: never taken, retries used up.
        unknown: no answer came that decides it: it may have arrived.
        not_sent: not sent at all; `ReplayStatus.not_sent_reasons` says why.
    """

    delivered: int = 0
    rejected: int = 0
    failed: int = 0
    unknown: int = 0
    not_sent: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.delivered + self.rejected + self.failed + self.unknown + self.not_sent

    def plus(self, outcome: DeliveryOutcome, count: int) -> "DeliveryCounts":
        """Count *count* more of *outcome*."""
        return attrs.evolve(self, **{outcome: getattr(self, outcome) + count})

    def to_json(self) -> dict[str, int]:
        """Return the counts under their documented names."""
        counts = attrs.asdict(self)
        counts["notSent"] = counts.pop("not_sent")
        return counts


@attrs.frozen(kw_only=True)
class ReplayStatus:
    """How a replay stands. Its documented `records` are requests.

    Attributes:
        replay_id: which replay.
        session_id: what is replayed.
        status: `pending`, `running`, `completed` (all was tried) or `failed` (it broke off).
        started_at: when the first request was due; None while it is pending.
        completed_at: when the last one was settled.
        total_records: requests that are planned.
        processed_records: requests that were sent and settled.
        failed_records: those of them that were not delivered.
        current_file: the segment that the latest request came from.
        error: why it broke off.
        delivery: what happened to the requests.
        delivery_records: what happened to the spans, data points and log records in them.
        retries: attempts beyond the first of each request that was sent.
        is_paused: whether it stands still, until somebody lets it go on.
        out_of_order: how many requests arrived later than one that was counted after them; they
            are sent by their arrival.
        not_sent_reasons: the names of the errors that kept requests from being sent, and of how
            many each did.
        orphans: how many spans of one loop, without copies, are sent without their parents; told
            when it is over. None: where nothing is chosen that could cut a trace.
        certificate: how close it came to its plan; None: it is not over, or others have ended
            since (`OtlpReplayService.get_certificate` has it still).
        certificate_error: why the certificate does not lie beside the session; None: it does, or
            it was not to.
    """

    replay_id: str
    session_id: str
    status: ReplayState
    total_records: int
    started_at: datetime | None = None
    completed_at: datetime | None = None
    current_file: str | None = None
    error: ReplayError | None = None
    delivery: DeliveryCounts = DeliveryCounts()
    delivery_records: DeliveryCounts = DeliveryCounts()
    retries: int = 0
    is_paused: bool = False
    out_of_order: int = 0
    not_sent_reasons: Mapping[str, int] = attrs.field(factory=dict[str, int])
    orphans: OrphanCounts | OrphansUncounted | None = None
    certificate: FidelityCertificate | None = attrs.field(default=None, repr=False)
    certificate_error: CertificateNotKept | None = None

    @property
    def processed_records(self) -> int:
        """Requests that were sent and settled."""
        return self.delivery.total - self.delivery.not_sent

    @property
    def failed_records(self) -> int:
        """Requests that were sent and not delivered."""
        return self.processed_records - self.delivery.delivered

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more."""
        return self.status in {"completed", "failed"}

    def to_json(self) -> dict[str, Any]:
        """Return the status as JSON values, under the documented names."""
        document: dict[str, Any] = {
            "replayId": self.replay_id,
            "sessionId": self.session_id,
            "status": self.status,
            "startedAt": _iso(self.started_at),
            "completedAt": _iso(self.completed_at),
            "totalRecords": self.total_records,
            "processedRecords": self.processed_records,
            "failedRecords": self.failed_records,
            "currentFile": self.current_file,
            "error": self.error.message if self.error else None,
            "delivery": self.delivery.to_json(),
            "deliveryRecords": self.delivery_records.to_json(),
            "retries": self.retries,
            "isPaused": self.is_paused,
            "outOfOrder": self.out_of_order,
            "notSentReasons": dict(self.not_sent_reasons),
            "orphans": _orphans(self.orphans),
            "certificateError": self.certificate_error.message if self.certificate_error else None,
        }
        return {name: value for name, value in document.items() if value is not None}


def _orphans(orphans: OrphanCounts | OrphansUncounted | None) -> dict[str, Any] | None:
    match orphans:
        case None:
            return None
        case OrphanCounts(left_out, unseen):
            return {"leftOut": left_out, "unseen": unseen}
        case OrphansUncounted():
            return {"notCounted": orphans.message}


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
