"""The fidelity certificate: how close a replay came to its plan, and what became of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from otlp_replay.fidelity.distances import Distance, distance
from otlp_replay.fidelity.histogram import Distribution
from otlp_replay.fidelity.observing import Fidelity
from otlp_replay.fidelity.rows import DeliveryRow, Rates, Timing
from otlp_replay.fidelity.series import Stretch

SCHEMA_VERSION: Final = 1
OUTCOMES: Final = ("delivered", "rejected", "failed", "unknown", "not_sent")


@attrs.frozen(kw_only=True)
class FidelityCertificate:
    """What can be said of a replay afterwards. Source: docs/fidelity.md.

    Attributes:
        replay_id: which replay.
        session_ids: what was replayed; the certificate lies beside the first.
        target: where to.
        speed: how fast, `max` or a number.
        status: how it ended, `completed` or `failed`.
        error: why it broke off; empty: it did not.
        started_at: when its first request was due; None: it had none.
        completed_at: when its last one was settled.
        planned_requests: how many it was to send.
        timing: how long it took, and how far it drifted.
        lateness: dispatched minus planned, in nanoseconds, as all distributions here.
        departure: from the dispatch until the first attempt began to leave.
        answer: from there until the outcome was known.
        planned_gaps: from each planned time to the next.
        achieved_gaps: from each dispatch to the next.
        gaps_left_out: how many requests were settled too late for their gaps to be counted.
        deliveries: what became of the requests, by signal, outcome and status.
        not_sent_reasons: what kept requests from being sent, and how many each did.
        retries: attempts beyond the first of each request.
        series: lateness and rates over time.
        width_ns: how long a stretch of that is.
        schema_version: of the document.
    """

    replay_id: str
    session_ids: tuple[str, ...]
    target: str
    speed: str
    status: str
    error: str
    started_at: datetime | None
    completed_at: datetime | None
    planned_requests: int
    timing: Timing
    lateness: Distribution
    departure: Distribution
    answer: Distribution
    planned_gaps: Distribution
    achieved_gaps: Distribution
    gaps_left_out: int
    deliveries: tuple[DeliveryRow, ...]
    not_sent_reasons: Mapping[str, int]
    retries: int
    series: tuple[Stretch, ...]
    width_ns: int
    schema_version: int = SCHEMA_VERSION

    @property
    def settled_requests(self) -> int:
        """How many requests something became of, if only that they were not sent."""
        return sum(row.requests for row in self.deliveries)

    @property
    def unreached_requests(self) -> int:
        """How many of those planned nothing became of, since the replay ended before.

        0 where it sought back, and sent more than was planned.
        """
        return max(self.planned_requests - self.settled_requests, 0)

    @property
    def dispatched_requests(self) -> int:
        """How many were dispatched: those that time is judged by."""
        return self.lateness.count

    @property
    def size_bytes(self) -> int:
        """Bytes of all requests that were written, before compression."""
        return sum(row.size_bytes for row in self.deliveries)

    @property
    def gap_distance(self) -> Distance | None:
        """How far achieved gaps are from planned ones; None: there are none."""
        return distance(self.planned_gaps, self.achieved_gaps)

    @property
    def rates(self) -> Rates:
        """How fast requests went."""
        planned_ns, achieved_ns = self.timing.planned_duration_ns, self.timing.achieved_duration_ns
        sent = [row for row in self.deliveries if row.outcome != "not_sent"]
        intervals = max(self.dispatched_requests - 1, 0)
        return Rates(
            planned_requests_per_s=_per_s(intervals, planned_ns),
            achieved_requests_per_s=_per_s(intervals, achieved_ns),
            records_per_s=_per_s(sum(row.records for row in sent), achieved_ns),
            bytes_per_s=_per_s(sum(row.size_bytes for row in sent), achieved_ns),
        )

    def requests(self, outcome: str) -> int:
        """Return of how many requests *outcome* is what became of them."""
        return sum(row.requests for row in self.deliveries if row.outcome == outcome)

    def records(self, outcome: str) -> int:
        """Return how many records had an outcome; of a rejected request the others were taken."""
        if outcome == "rejected":
            return sum(row.rejected_records for row in self._with("rejected"))
        held = sum(row.records for row in self._with(outcome))
        if outcome != "delivered":
            return held
        return held + sum(row.records - row.rejected_records for row in self._with("rejected"))

    def _with(self, outcome: str) -> list[DeliveryRow]:
        return [row for row in self.deliveries if row.outcome == outcome]

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON values, in camelCase; what is not known is left out.

        Figures that follow from others are there for those who read it; `decode_certificate` goes
        without them.
        """
        apart, rates = self.gap_distance, self.rates
        document: dict[str, Any] = {
            "schemaVersion": self.schema_version,
            "replayId": self.replay_id,
            "sessionIds": list(self.session_ids),
            "target": self.target,
            "speed": self.speed,
            "status": self.status,
            "error": self.error or None,
            "startedAt": _iso(self.started_at),
            "completedAt": _iso(self.completed_at),
            "plannedRequests": self.planned_requests,
            "dispatchedRequests": self.dispatched_requests,
            "unreachedRequests": self.unreached_requests,
            "requests": {_camel(each): self.requests(each) for each in OUTCOMES},
            "records": {_camel(each): self.records(each) for each in OUTCOMES},
            "retries": self.retries,
            "sizeBytes": self.size_bytes,
            "plannedDurationNs": self.timing.planned_duration_ns,
            "achievedDurationNs": self.timing.achieved_duration_ns,
            "endDriftNs": self.timing.end_drift_ns,
            "worstDriftNs": self.timing.worst_drift_ns,
            "plannedRequestsPerS": rates.planned_requests_per_s,
            "achievedRequestsPerS": rates.achieved_requests_per_s,
            "recordsPerS": rates.records_per_s,
            "bytesPerS": rates.bytes_per_s,
            "lateness": self.lateness.to_json(),
            "departure": self.departure.to_json(),
            "answer": self.answer.to_json(),
            "plannedGaps": self.planned_gaps.to_json(),
            "achievedGaps": self.achieved_gaps.to_json(),
            "gapsLeftOut": self.gaps_left_out,
            "gapWassersteinNs": None if apart is None else apart.wasserstein_ns,
            "gapKolmogorovSmirnov": None if apart is None else apart.kolmogorov_smirnov,
            "deliveries": [_camel_keys(attrs.asdict(row)) for row in self.deliveries],
            "notSentReasons": dict(self.not_sent_reasons),
            "widthNs": self.width_ns,
            "series": [_camel_keys(attrs.asdict(stretch)) for stretch in self.series],
        }
        return {name: value for name, value in document.items() if value is not None}


def certificate(
    fidelity: Fidelity,
    *,
    replay_id: str,
    session_ids: tuple[str, ...],
    target: str,
    speed: float | str,
    planned_requests: int,
    status: str,
    started_at: datetime | None,
    completed_at: datetime | None,
    error: str = "",
) -> FidelityCertificate:
    """Return the certificate of a replay, as it stands.

    Args:
        fidelity: what has observed it.
        replay_id: which replay.
        session_ids: what it replays.
        target: where to.
        speed: how fast, `max` or a number.
        planned_requests: how many it was to send.
        status: how it ended.
        started_at: when its first request was due.
        completed_at: when its last one was settled.
        error: why it broke off.
    """
    return FidelityCertificate(
        replay_id=replay_id,
        session_ids=session_ids,
        target=target,
        speed=speed if isinstance(speed, str) else f"{speed:g}",
        status=status,
        error=error,
        started_at=started_at,
        completed_at=completed_at,
        planned_requests=planned_requests,
        timing=fidelity.timing,
        lateness=fidelity.lateness,
        departure=fidelity.departure,
        answer=fidelity.answer,
        planned_gaps=fidelity.planned_gaps,
        achieved_gaps=fidelity.achieved_gaps,
        gaps_left_out=fidelity.gaps_left_out,
        deliveries=fidelity.rows,
        not_sent_reasons=fidelity.not_sent_reasons,
        retries=fidelity.retries,
        series=fidelity.series,
        width_ns=fidelity.width_ns,
    )


def _per_s(count: int, duration_ns: int) -> float | None:
    return count * 1e9 / duration_ns if duration_ns > 0 else None


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _camel_keys(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_camel(name): value for name, value in fields.items()}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
