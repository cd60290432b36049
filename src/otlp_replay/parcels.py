"""A stored request becomes what is sent: moved in time, and written for the wire."""

from typing import Final

import anyio.to_thread

from otlp_capture import otlp
from otlp_capture.otlp import (
    Encoding,
    InvalidRequest,
    RequestTooLarge,
    TimestampOutOfRange,
)
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import Parcel
from otlp_capture.sessions import StoredRequest

_INLINE_BYTES: Final = 32_768


async def pack(
    stored: StoredRequest, shift_ns: int, encoding: Encoding, *, max_bytes: int
) -> Outcome[Parcel, TimestampOutOfRange | InvalidRequest | RequestTooLarge]:
    """Shift a request's timestamps and write it; long ones in a thread.

    Args:
        stored: the request as it was recorded.
        shift_ns: what is added to its timestamps; with 0, protobuf stays as it is.
        encoding: how to write it.
        max_bytes: how long it may be, before any compression.

    Fails with:
        TimestampOutOfRange: a timestamp cannot be moved so far.
        InvalidRequest: it cannot be written in this encoding.
        RequestTooLarge: it is longer than *max_bytes*.
    """
    is_as_stored = shift_ns == 0 and encoding == "protobuf"
    if is_as_stored or len(stored.request) <= _INLINE_BYTES:
        body = _write(stored, shift_ns, encoding)
    else:
        body = await anyio.to_thread.run_sync(_write, stored, shift_ns, encoding)
    if isinstance(body, Failure):
        return body
    if len(body.unwrap()) > max_bytes:
        return Failure(RequestTooLarge("bytes", max_bytes))
    return Success(Parcel(stored.signal, body.unwrap(), stored.frame.record_count, encoding))


def _write(
    stored: StoredRequest, shift_ns: int, encoding: Encoding
) -> Outcome[bytes, TimestampOutOfRange | InvalidRequest]:
    shifted = otlp.shift_timestamps(stored.request, stored.signal, shift_ns)
    if isinstance(shifted, Failure):
        return shifted
    return otlp.encode(shifted.unwrap(), stored.signal, encoding)
