"""Hears of every request of a replay, and keeps what its certificate says, in bounded memory."""

from collections import Counter
from typing import Final

from otlp_replay.events import Event, Settled, Stamps
from otlp_replay.fidelity.gaps import Gaps
from otlp_replay.fidelity.histogram import Distribution, Histogram
from otlp_replay.fidelity.rows import DeliveryRow, Timing
from otlp_replay.fidelity.series import Series, Stretch

_MOST_STATUSES: Final = 64
OTHER_STATUS: Final = "other"
"""Stands for all statuses beyond the first 64: a target may answer anything."""


class Fidelity:
    """Keeps how close a replay came to its plan. An `otlp_replay.events.Observer`.

    Its memory does not grow with the number of requests. Time is judged by those that were
    dispatched; what was not sent is counted.
    """

    def __init__(self) -> None:
        self._lateness, self._departure, self._answer = Histogram(), Histogram(), Histogram()
        self._planned, self._achieved, self._series = Gaps(), Gaps(), Series()
        self._rows = dict[tuple[str, str, str], list[int]]()
        self._statuses, self._reasons = set[str](), Counter[str]()
        self._retries = 0
        self._first: tuple[int, int, int] | None = None
        self._last: tuple[int, int, int] | None = None

    def intend(self, event: Event) -> None:
        """Hear that *event* is dispatched next; what counts is told when it is settled."""

    def settle(self, settled: Settled) -> None:
        """Count what became of a request, and when."""
        self._count(settled)
        stamps = settled.stamps
        if stamps.dispatched_ns is not None:
            self._time(settled.event.number, stamps, stamps.dispatched_ns)

    def _count(self, settled: Settled) -> None:
        if settled.outcome == "not_sent":
            self._reasons[settled.reason] += 1
        self._retries += max(settled.attempts - 1, 0)
        row = self._row(settled.event.signal, settled.outcome, self._status(settled.status))
        row[0] += 1
        row[1] += settled.record_count
        row[2] += settled.rejected_records
        row[3] += settled.size_bytes
        narrowed_away = settled.event.ref.frame.record_count - settled.record_count
        if narrowed_away:
            self._row(settled.event.signal, "not_sent", "")[1] += narrowed_away

    def _row(self, signal: str, outcome: str, status: str) -> list[int]:
        return self._rows.setdefault((signal, outcome, status), [0, 0, 0, 0])

    def _status(self, status: str) -> str:
        if status in self._statuses:
            return status
        if len(self._statuses) >= _MOST_STATUSES:
            return OTHER_STATUS
        self._statuses.add(status)
        return status

    def _time(self, number: int, stamps: Stamps, dispatched_ns: int) -> None:
        planned_ns = stamps.planned_ns
        place = (planned_ns, number, dispatched_ns)
        if self._first is None or self._last is None:
            self._first = self._last = place
        elif place > self._last:
            self._last = place
        elif place < self._first:
            self._first = place
        self._lateness.add(dispatched_ns - planned_ns)
        self._planned.add(planned_ns)
        self._achieved.add(dispatched_ns)
        self._series.add(planned_ns, dispatched_ns)
        sent_ns, acknowledged_ns = stamps.sent_ns, stamps.acknowledged_ns
        if sent_ns is None:
            return
        self._departure.add(sent_ns - dispatched_ns)
        if acknowledged_ns is not None:
            self._answer.add(acknowledged_ns - sent_ns)

    @property
    def lateness(self) -> Distribution:
        """Dispatched minus planned, of each request that was dispatched."""
        return self._lateness.distribution()

    @property
    def departure(self) -> Distribution:
        """How long the transport took from the dispatch until the first attempt began to leave."""
        return self._departure.distribution()

    @property
    def answer(self) -> Distribution:
        """From there until the outcome was known, over all attempts and the waits between them."""
        return self._answer.distribution()

    @property
    def planned_gaps(self) -> Distribution:
        """From each planned time to the next."""
        return self._planned.distribution()

    @property
    def achieved_gaps(self) -> Distribution:
        """From each dispatch to the next."""
        return self._achieved.distribution()

    @property
    def gaps_left_out(self) -> int:
        """How many requests settled too late for their gaps to be counted."""
        return max(self._planned.left_out, self._achieved.left_out)

    @property
    def rows(self) -> tuple[DeliveryRow, ...]:
        """What became of requests, by signal, outcome and status."""
        return tuple(
            DeliveryRow(*key, requests, records, rejected, size_bytes)
            for key, (requests, records, rejected, size_bytes) in sorted(self._rows.items())
        )

    @property
    def not_sent_reasons(self) -> dict[str, int]:
        """What kept requests from being sent, and how many each did."""
        return dict(self._reasons)

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each request."""
        return self._retries

    @property
    def timing(self) -> Timing:
        """How long it took, and how far it drifted from the plan."""
        if self._first is None or self._last is None:
            return Timing()
        first_late_ns = self._first[2] - self._first[0]
        lateness = self.lateness
        extremes = (lateness.minimum - first_late_ns, lateness.maximum - first_late_ns)
        return Timing(
            planned_duration_ns=self._last[0] - self._first[0],
            achieved_duration_ns=self._last[2] - self._first[2],
            worst_drift_ns=max(extremes, key=abs),
        )

    @property
    def width_ns(self) -> int:
        """How long each stretch of `series` is."""
        return self._series.width_ns

    @property
    def series(self) -> tuple[Stretch, ...]:
        """Lateness and rates over time."""
        return self._series.stretches(0 if self._first is None else self._first[0])
