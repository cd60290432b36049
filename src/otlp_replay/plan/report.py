"""A replay's plan: what it sends, when, and what is to be known before."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal

import attrs

from otlp_capture.clock import moment
from otlp_capture.otlp import Signal
from otlp_replay.plan.ages import Ages
from otlp_replay.plan.concerns import Concern, concern_document
from otlp_replay.plan.schedule import ReplaySchedule, ScheduledEvent
from otlp_replay.plan.timetable import Curve, Peak
from otlp_replay.plan.totals import Amount


@attrs.frozen
class Timeline:
    """How requests are spread over time; what is None is not known.

    Attributes:
        duration_ns: from the start to the last request.
        requests_peak: the most requests within a second.
        bytes_peak: the most bytes within a second, decompressed.
        curve: how many requests there are in each stretch of it.
    """

    duration_ns: int | None = None
    requests_peak: Peak | None = None
    bytes_peak: Peak | None = None
    curve: Curve | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "durationNs": self.duration_ns,
            "peakRequestsPerSecond": _peak(self.requests_peak),
            "peakBytesPerSecond": _peak(self.bytes_peak),
            "curve": None if self.curve is None else _curve(self.curve),
        }


@attrs.frozen(kw_only=True)
class ReplayPlan:
    """What a replay will send and when.

    Attributes:
        session_ids: the sessions, in the order in which they are merged.
        start_unix_nano: when it is taken to start.
        speed: how many times faster than recorded; `max`: as fast as the target takes it.
        loops: how often all is sent.
        copies: how often each request is sent in a loop.
        by_signal: how much is sent of each signal, over all loops and copies.
        is_exact: whether that is so exactly; else it is so at the most.
        recorded: one loop as it was recorded.
        planned: the replay. At speed `max` without a rate, nothing of it is known before.
        out_of_order: requests of a loop that arrived later than one that their session counts
            after them.
        ages: how old records will be when they are sent.
        warnings: what to know before it is started.
        schedule: the events in their order, what they depend on, what may go in parallel.
    """

    session_ids: tuple[str, ...]
    start_unix_nano: int
    speed: float | Literal["max"]
    loops: int
    copies: int
    by_signal: Mapping[Signal, Amount]
    is_exact: bool
    recorded: Timeline
    planned: Timeline
    out_of_order: int
    ages: Ages
    warnings: tuple[Concern, ...]
    schedule: ReplaySchedule

    @property
    def total(self) -> Amount:
        """How much is sent in all."""
        total = Amount()
        for amount in self.by_signal.values():
            total = total.plus(amount)
        return total

    def to_json(self, *, max_events: int = 0) -> dict[str, Any]:
        """Return the plan as JSON values; times are ISO 8601 and nanoseconds, None is not known.

        Args:
            max_events: how many events stand in it, from the first one on.
        """
        runs = self.schedule.parallelization_opportunities
        document: dict[str, Any] = {
            "sessionIds": list(self.session_ids),
            "start": _iso(self.start_unix_nano),
            "speed": self.speed,
            "loops": self.loops,
            "copies": self.copies,
            "total": self.total.to_json(),
            "bySignal": {signal: each.to_json() for signal, each in self.by_signal.items()},
            "isExact": self.is_exact,
            "recorded": self.recorded.to_json(),
            "planned": self.planned.to_json(),
            "outOfOrder": self.out_of_order,
            "ages": {
                "oldestNs": self.ages.oldest_ns,
                "youngestNs": self.ages.youngest_ns,
                "tooOld": self.ages.too_old,
                "tooNew": self.ages.too_new,
                "outOfRange": self.ages.out_of_range,
            },
            "parallelRuns": None if runs is None else len(runs),
            "warnings": [concern_document(concern) for concern in self.warnings],
        }
        if max_events:
            events = islice(self.schedule.events, max_events)
            document["events"] = [_event(event) for event in events]
        return document


def _event(event: ScheduledEvent) -> dict[str, Any]:
    return {
        "sequenceNumber": event.sequence_number,
        "originalTimestamp": event.original_timestamp,
        "replayTimestamp": event.replay_timestamp,
        "dependencies": None if event.dependencies is None else list(event.dependencies),
        "sessionId": event.session_id,
        "signal": event.telemetry_item.segment.signal,
        "key": event.telemetry_item.segment.key,
        "offset": event.telemetry_item.frame.offset,
        "loop": event.loop,
        "copy": event.copy,
    }


def _peak(peak: Peak | None) -> dict[str, int] | None:
    return None if peak is None else {"value": peak.per_second, "atNs": peak.at_ns}


def _curve(curve: Curve) -> dict[str, Any]:
    return {"stretchNs": curve.stretch_ns, "requests": list(curve.counts)}


def _iso(unix_nano: int) -> str:
    text = moment(unix_nano).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")
