"""How a ledger lies in its file. Source: docs/fidelity.md.

A header, then records of one size on a grid, so that one that is damaged hides no other.
"""

import json
import struct
from typing import Any, Final, cast
from zlib import crc32

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import DeliveryOutcome
from otlp_replay.deliveries.identity import ReplayIdentity
from otlp_replay.events import Stamps

_MAGIC: Final = b"OTLPRPL1"
_LENGTH: Final = struct.Struct("<I")
_CRC: Final = struct.Struct("<I")
OPENING_BYTES: Final = len(_MAGIC) + _LENGTH.size + _CRC.size

_BODY: Final = struct.Struct("<BBHIQqqqqI")
RECORD_BYTES: Final = _BODY.size + _CRC.size
RECORD_WORDS: Final = RECORD_BYTES // 8
INTACT: Final = 0x2144DF1C
"""The CRC-32 of anything that is followed by its own CRC-32."""
MOST_EVENTS: Final = 1 << 30
_MOST_ATTEMPTS: Final = (1 << 16) - 1
_MOST_RECORDS: Final = (1 << 32) - 1
_NEVER: Final = -(1 << 63)

RUN: Final = 0x80
"""The first byte of the record that a run begins with; that of others is a state."""
UNTOUCHED: Final = 0
INTENDED: Final = 1
DELIVERED: Final = 2
REJECTED: Final = 3
REJECTED_IN_PART: Final = 4
FAILED: Final = 5
UNKNOWN: Final = 6
NOT_SENT: Final = 7
STATES: Final = range(INTENDED, NOT_SENT + 1)
_OF_OUTCOME: Final[dict[DeliveryOutcome, int]] = {
    "delivered": DELIVERED,
    "rejected": REJECTED,
    "failed": FAILED,
    "unknown": UNKNOWN,
    "not_sent": NOT_SENT,
}


@attrs.frozen(kw_only=True)
class Entry:
    """A record of a ledger.

    Attributes:
        state: what it says of the event, one of `STATES`; `RUN`: a run begins here.
        number: which event; of a run, when it began, in nanoseconds since the Unix epoch.
        attempts: how often it was tried.
        rejected_records: how many of its records the target refused for good.
        record_count: how many it held.
        stamps: when what happened, on the monotonic clock of its run; of a run, when it began.
    """

    state: int
    number: int
    attempts: int = 0
    rejected_records: int = 0
    record_count: int = 0
    stamps: Stamps = Stamps(0)  # noqa: RUF009 - it is frozen


@attrs.frozen
class Header:
    """What a ledger says of itself."""

    replay_id: str
    identity: ReplayIdentity


def state_of(outcome: DeliveryOutcome, rejected_records: int, record_count: int) -> int:
    """Return the state that an outcome leads to."""
    is_part = outcome == "rejected" and rejected_records < record_count
    return REJECTED_IN_PART if is_part else _OF_OUTCOME[outcome]


def intent_bytes(number: int) -> bytes:
    """Write that an event is about to be dispatched."""
    body = _BODY.pack(INTENDED, 0, 0, 0, number, 0, _NEVER, _NEVER, _NEVER, 0)
    return body + _CRC.pack(crc32(body))


def entry_bytes(entry: Entry) -> bytes:
    """Write any record."""
    stamps = entry.stamps
    body = _BODY.pack(
        entry.state,
        0,
        min(entry.attempts, _MOST_ATTEMPTS),
        min(entry.rejected_records, _MOST_RECORDS),
        entry.number,
        stamps.planned_ns,
        _NEVER if stamps.dispatched_ns is None else stamps.dispatched_ns,
        _NEVER if stamps.sent_ns is None else stamps.sent_ns,
        _NEVER if stamps.acknowledged_ns is None else stamps.acknowledged_ns,
        min(entry.record_count, _MOST_RECORDS),
    )
    return body + _CRC.pack(crc32(body))


def read_entry(record: bytes) -> Entry:
    """Read a record that is intact."""
    state, _, attempts, rejected, number, planned, dispatched, sent, acknowledged, count = (
        _BODY.unpack_from(record)
    )
    return Entry(
        state=state,
        number=number,
        attempts=attempts,
        rejected_records=rejected,
        record_count=count,
        stamps=Stamps(planned, _stamp(dispatched), _stamp(sent), _stamp(acknowledged)),
    )


def _stamp(at_ns: int) -> int | None:
    return None if at_ns == _NEVER else at_ns


def header_bytes(header: Header) -> bytes:
    """Write the beginning of a ledger."""
    text = json.dumps({"replayId": header.replay_id, "replay": dict(header.identity.parts)})
    opening = _MAGIC + _LENGTH.pack(len(text))
    body = opening + _CRC.pack(crc32(opening)) + text.encode("ascii")
    return body + _CRC.pack(crc32(body))


def header_size(opening: bytes) -> Outcome[int, str]:
    """Return how long the header is that begins so; a reason where it is none.

    Of an opening that is not whole, what is there is the beginning of one: 0.
    """
    if not _MAGIC.startswith(opening[: len(_MAGIC)]):
        return Failure("it does not begin as one")
    if len(opening) < OPENING_BYTES:
        return Success(0)
    if crc32(opening) != INTACT:
        return Failure("its first checksum is wrong")
    (length,) = _LENGTH.unpack_from(opening, len(_MAGIC))
    return Success(OPENING_BYTES + length + _CRC.size)


def read_header(content: bytes) -> Outcome[Header, str]:
    """Read a header of which all bytes are there; a reason where it is none."""
    if crc32(content) != INTACT:
        return Failure("its checksum is wrong")
    try:
        values: Any = json.loads(content[OPENING_BYTES : -_CRC.size])
    except ValueError as error:
        return Failure(f"it is not JSON ({error})")
    match values:
        case {"replayId": str(replay_id), "replay": dict()}:
            held = cast("dict[str, Any]", values["replay"])
            parts = tuple(sorted((name, str(value)) for name, value in held.items()))
            return Success(Header(replay_id, ReplayIdentity(parts)))
        case _:
            return Failure("it does not say which replay it is of")
