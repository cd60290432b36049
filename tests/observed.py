"""Events of a replay, and what became of them, for what observes one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from otlp_capture.otlp import Signal
from otlp_capture.sending import DeliveryOutcome
from otlp_capture.sessions import Frame, FrameRef, SegmentIndex
from otlp_replay.events import Event, Settled, Stamps
from otlp_replay.fidelity import Fidelity, FidelityCertificate, certificate

STARTED = datetime(2026, 11, 24, 18, 0, 0, 123456, tzinfo=UTC)


def event(number: int, signal: Signal = "traces", records: int = 1) -> Event:
    """Return an event; no observer asks for more of where it is stored than these."""
    segment: Any = SegmentIndex.__new__(SegmentIndex)
    object.__setattr__(segment, "signal", signal)
    frame: Any = Frame.__new__(Frame)
    object.__setattr__(frame, "record_count", records)
    return Event(number=number, session_id="checkout", ref=FrameRef(segment, frame), offset_ns=0)


def settled(
    number: int,
    planned_ns: int = 0,
    late_ns: int | None = 0,
    *,
    signal: Signal = "traces",
    outcome: DeliveryOutcome = "delivered",
    filtered_out: int = 0,
    **facts: Any,
) -> Settled:
    """Return what became of an event that was dispatched so late, and answered after 2 ms.

    A filter has left *filtered_out* of its records out.
    """
    stamps = Stamps(planned_ns)
    if late_ns is not None:
        at_ns = planned_ns + late_ns
        stamps = Stamps(planned_ns, at_ns, at_ns + 1_000, at_ns + 2_001_000)
    usual: dict[str, Any] = {
        "record_count": 1,
        "attempts": 1,
        "size_bytes": 10,
        "status": "200",
    }
    known = usual | facts
    told = event(number, signal, known["record_count"] + filtered_out)
    return Settled(event=told, stamps=stamps, outcome=outcome, **known)


def observed(told: Iterable[Settled]) -> Fidelity:
    """Return an observer that has heard all of it."""
    fidelity = Fidelity()
    for each in told:
        fidelity.settle(each)
    return fidelity


def certified(told: Sequence[Settled], **facts: Any) -> FidelityCertificate:
    """Return the certificate of a replay of which all of *told* became."""
    usual: dict[str, Any] = {
        "replay_id": "nightly-7",
        "session_ids": ("checkout",),
        "target": "http://127.0.0.1:4318",
        "speed": 1.0,
        "planned_requests": len(told),
        "status": "completed",
        "started_at": STARTED,
        "completed_at": STARTED,
    }
    return certificate(observed(told), **usual | facts)
