"""The parts of a certificate: what became of requests, and how time went."""

import attrs


@attrs.frozen
class DeliveryRow:
    """Requests of one signal that had one outcome and one last answer.

    Attributes:
        signal: what they carried.
        outcome: what became of them.
        status: what the target answered last; empty: nothing.
        requests: how many.
        records: how many spans, data points or log records they held.
        rejected_records: how many of these the target refused for good.
        size_bytes: how long they were as they were written, before compression.
    """

    signal: str
    outcome: str
    status: str
    requests: int
    records: int
    rejected_records: int
    size_bytes: int


@attrs.frozen(kw_only=True)
class Timing:
    """How long a replay took, and how far it drifted from its plan.

    Attributes:
        planned_duration_ns: from when the first dispatched request was due to when the last was.
        achieved_duration_ns: from the dispatch of the one to that of the other.
        worst_drift_ns: the greatest difference, either way, between a request's lateness and that
            of the first.
    """

    planned_duration_ns: int = 0
    achieved_duration_ns: int = 0
    worst_drift_ns: int = 0

    @property
    def end_drift_ns(self) -> int:
        """Achieved minus planned duration: what the last request was later than the first."""
        return self.achieved_duration_ns - self.planned_duration_ns


@attrs.frozen(kw_only=True)
class Rates:
    """How fast requests went, over the time from the first to the last dispatch.

    Attributes:
        planned_requests_per_s: as planned; None: it was to be one moment.
        achieved_requests_per_s: as dispatched.
        records_per_s: spans, data points and log records, as dispatched.
        bytes_per_s: bytes before compression, as dispatched.
    """

    planned_requests_per_s: float | None
    achieved_requests_per_s: float | None
    records_per_s: float | None
    bytes_per_s: float | None
