"""A stored request becomes what is sent: other ids, moved in time, and written for the wire."""

from typing import Final, TypeAlias

import anyio.to_thread
import attrs

from otlp_capture import otlp
from otlp_capture.otlp import (
    Encoding,
    IdMapping,
    InvalidRequest,
    RequestTooLarge,
    Signal,
    TimestampOutOfRange,
)
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import Parcel

INLINE_BYTES: Final = 262_144
"""It takes as long to hand a request of this size to a thread as to shift it."""

NotWritten: TypeAlias = TimestampOutOfRange | InvalidRequest | RequestTooLarge


@attrs.frozen
class Press:
    """How requests are written.

    Attributes:
        encoding: as what.
        max_bytes: how long one may be, before any compression.
        mappings: the ids that each copy gets; None for a copy that keeps its own.
    """

    encoding: Encoding
    max_bytes: int
    mappings: tuple[IdMapping | None, ...] = (None,)


async def press(
    request: bytes, signal: Signal, record_count: int, shift_ns: int, by: Press
) -> list[Outcome[Parcel, NotWritten]]:
    """Write each copy of a request, its timestamps moved by *shift_ns*; long ones in a thread.

    Fails with:
        TimestampOutOfRange: a timestamp cannot be moved so far.
        InvalidRequest: it cannot be written in this encoding.
        RequestTooLarge: it is longer than it may be.
    """

    def work() -> list[Outcome[Parcel, NotWritten]]:
        return [
            _pressed(request, signal, record_count, shift_ns, by, mapping)
            for mapping in by.mappings
        ]

    is_untouched = not shift_ns and by.encoding == "protobuf" and not any(by.mappings)
    if is_untouched or len(request) * len(by.mappings) <= INLINE_BYTES:
        return work()
    return await anyio.to_thread.run_sync(work)


def _pressed(
    request: bytes,
    signal: Signal,
    record_count: int,
    shift_ns: int,
    by: Press,
    mapping: IdMapping | None,
) -> Outcome[Parcel, NotWritten]:
    if mapping is not None:
        renamed = otlp.remap_ids(request, signal, mapping)
        if isinstance(renamed, Failure):
            return renamed
        request = renamed.unwrap()
    if shift_ns:
        shifted = otlp.shift_timestamps(request, signal, shift_ns)
        if isinstance(shifted, Failure):
            return shifted
        request = shifted.unwrap()
    body = otlp.encode(request, signal, by.encoding)
    if isinstance(body, Failure):
        return body
    if len(body.unwrap()) > by.max_bytes:
        return Failure(RequestTooLarge("bytes", by.max_bytes))
    return Success(Parcel(signal, body.unwrap(), record_count, by.encoding))
