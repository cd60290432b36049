"""What a replay sends, one event a request, and what became of each."""

from typing import Protocol

import attrs

from otlp_capture.otlp import Signal
from otlp_capture.sending import DeliveryOutcome
from otlp_capture.sessions import FrameRef


@attrs.frozen
class Event:
    """One request of a replay.

    Attributes:
        number: its place in the replay, from 0, over all loops and copies.
        session_id: the session that it comes from.
        ref: where it is stored.
        offset_ns: when it is due after the replay's start, at speed 1, in nanoseconds.
        loop: which pass over the session it belongs to, from 0.
        copy: which of the copies that are sent at once it is, from 0.
    """

    number: int
    session_id: str
    ref: FrameRef
    offset_ns: int
    loop: int = 0
    copy: int = 0

    @property
    def signal(self) -> Signal:
        """What the request carries."""
        return self.ref.segment.signal


@attrs.frozen
class Stamps:
    """When things happened to a request, on the monotonic clock in nanoseconds.

    Attributes:
        planned_ns: it was to be dispatched.
        dispatched_ns: it was handed to the transport; None: it was not.
        sent_ns: its first attempt had begun to leave; None: it had not.
        acknowledged_ns: its outcome was known; None: it was not dispatched.
    """

    planned_ns: int
    dispatched_ns: int | None = None
    sent_ns: int | None = None
    acknowledged_ns: int | None = None

    @property
    def lateness_ns(self) -> int | None:
        """Dispatched minus planned; None: it was not dispatched."""
        return None if self.dispatched_ns is None else self.dispatched_ns - self.planned_ns


@attrs.frozen(kw_only=True)
class Settled:
    """What became of a request.

    Attributes:
        event: which request.
        stamps: when what happened.
        outcome: what became of it.
        record_count: how many spans, data points or log records it held.
        rejected_records: how many of them the target refused for good.
        size_bytes: how long it was as it was sent, before compression; 0: it was not written.
        attempts: how often it was tried.
        status: what the target answered last, such as `200`, `503` or `UNAVAILABLE`; empty: it
            did not answer.
        reason: what stood in the way; for `not_sent` the name of the error.
    """

    event: Event
    stamps: Stamps
    outcome: DeliveryOutcome
    record_count: int
    rejected_records: int = 0
    size_bytes: int = 0
    attempts: int = 0
    status: str = ""
    reason: str = ""


class Observer(Protocol):
    """Told of every request of a replay, in the event loop: both calls take microseconds.

    Those that a replay was moved past, or had not reached when it ended, are counted in its status
    and not told of one by one. One that is sent again, because the replay was moved back, is told
    of again under its number.
    """

    def intend(self, event: Event) -> None:
        """Hear that *event* is dispatched next."""
        ...

    def settle(self, settled: Settled) -> None:
        """Hear what became of an event; for those that were not dispatched without `intend`."""
        ...
