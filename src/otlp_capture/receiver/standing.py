"""How a receiver stands: what it has taken, and what keeps it from taking more."""

from typing import Any, Final

import attrs

from otlp_capture.capture import OtlpCaptureService, RingStatus
from otlp_capture.receiver.intake import Tally
from otlp_capture.result import Failure
from otlp_capture.sessions import metadata_document

_FULL: Final = 0.95
"""The part of the spool's budget beyond which there is no room to speak of."""


def readiness(
    capture: OtlpCaptureService, session_id: str, unready_after_s: float
) -> dict[str, str]:
    """Return what keeps requests from being kept, by the name of the check; nothing: all is well.

    Args:
        capture: what records.
        session_id: the session, or the ring, that is recorded.
        unready_after_s: for how long publishing may fail.
    """
    failing = dict[str, str]()
    live = {metadata.session_id for metadata in capture.get_live_sessions()}
    if session_id not in live and ring_of(capture, session_id) is None:
        failing["session"] = (
            f"{session_id!r} is not recorded: it has not begun, has ended, or was taken over"
        )
    spool = capture.get_spool_status()
    if spool.used_bytes >= _FULL * spool.limit_bytes:
        failing["spool"] = (
            f"{spool.used_bytes:,} of {spool.limit_bytes:,} bytes are taken by what is not "
            f"published yet"
        )
    if spool.failing_s is not None and spool.failing_s > unready_after_s:
        failing["publishing"] = f"it has failed for {spool.failing_s:.0f} s: {spool.last_error}"
    return failing


def standing(capture: OtlpCaptureService, session_id: str, tally: Tally) -> dict[str, Any]:
    """Return what was taken and refused, and how spool, sessions and ring stand, as JSON values."""
    spool, ring = capture.get_spool_status(), ring_of(capture, session_id)
    return {
        "accepted": dict(tally.accepted),
        "acceptedBytes": dict(tally.accepted_bytes),
        "acceptedRecords": dict(tally.accepted_records),
        "refused": dict(tally.refused),
        "spool": {
            "usedBytes": spool.used_bytes,
            "limitBytes": spool.limit_bytes,
            "failingSegments": spool.failing_segments,
            "failingS": spool.failing_s,
            "lastError": spool.last_error,
        },
        "sessions": [metadata_document(metadata) for metadata in capture.get_live_sessions()],
        "ring": None if ring is None else ring_document(ring),
    }


def ring_of(capture: OtlpCaptureService, name: str) -> RingStatus | None:
    """Return how a ring stands; None where there is none of this name."""
    status = capture.get_ring_status(name)
    return None if isinstance(status, Failure) else status.unwrap()


def ring_document(status: RingStatus) -> dict[str, Any]:
    """Return how a ring stands, as JSON values.

    >>> ring_document(RingStatus("shop", 3, 1, 0, 2, 400, ()))["heldRequests"]
    2
    """
    fields = attrs.asdict(status)
    words = {name: name.split("_") for name in fields}
    return {
        first + "".join(map(str.capitalize, rest)): fields[name]
        for name, (first, *rest) in words.items()
    }
