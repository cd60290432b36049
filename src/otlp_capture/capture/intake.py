"""From a client's bytes to a frame: decompressed within bounds, checked, redacted, canonical."""

from collections.abc import Callable
from typing import TypeAlias

import attrs

from otlp_capture import otlp
from otlp_capture.capture.errors import (
    CompressionFailure,
    RequestRefused,
    UnsupportedContentEncoding,
)
from otlp_capture.deflate import GzipError, Inflated, InflatedTooLarge, inflate
from otlp_capture.otlp import Encoding, Limits, RequestTooLarge, Signal
from otlp_capture.redaction import Redactor, redact_to_keep
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    MAX_HEADER_BYTES,
    Arrival,
    Headers,
    NewFrame,
    adopt_member,
    encode_frame,
    encode_frame_stored,
    header_bytes,
)

Witness: TypeAlias = Callable[[bytes, bytes], None]
"""Is shown a request that is about to be stored: as it will be stored, and as it came,
decompressed. It may be called in a thread."""


@attrs.frozen
class ClientRequest:
    """A request as it came.

    Attributes:
        body: the bytes on the wire.
        signal: what they are.
        encoding: how the request is written.
        content_encoding: how the body is compressed.
        headers: what is to be kept of its headers.
        witness: who else wants to see it.
    """

    body: bytes
    signal: Signal
    encoding: Encoding
    content_encoding: str
    headers: Headers = ()
    witness: Witness | None = None


def prepare(
    came: ClientRequest,
    arrival: Arrival,
    limits: Limits,
    redactor: Redactor | None,
    *,
    is_compressed: bool,
) -> Outcome[NewFrame, RequestRefused]:
    """Make a frame of a client's request.

    A client's own gzip is stored without being compressed again where it is a single member and
    redaction leaves the request as it is.

    Args:
        came: the request.
        arrival: when it came.
        limits: what it may cost.
        redactor: takes out of it what must not be kept; None: nothing has to be.
        is_compressed: whether the frame is to be compressed.

    Fails with:
        UnsupportedContentEncoding: neither identity nor gzip.
        CompressionFailure: not the gzip that it says it is.
        RequestTooLarge: more bytes or elements than *limits* allow, or more headers than a frame
            holds.
        InvalidRequest: not a request of this signal.
        RedactionFailed: it could not be redacted.
    """
    if header_bytes(came.headers) > MAX_HEADER_BYTES:
        return Failure(RequestTooLarge("bytes of headers", MAX_HEADER_BYTES))
    body = Inflated(came.body, 0)
    match came.content_encoding.strip().lower():
        case "gzip":
            inflated = inflate(came.body, max_bytes=limits.max_bytes)
            if isinstance(inflated, Failure):
                return Failure(_refusal(inflated.failure(), limits))
            body = inflated.unwrap()
        case "identity":
            pass
        case other:
            return Failure(UnsupportedContentEncoding(other))
    request = body.raw
    if came.encoding == "json":
        decoded = otlp.decode(request, came.signal, "json", limits=limits)
        if isinstance(decoded, Failure):
            return decoded
        request = decoded.unwrap()
    scanned = otlp.scan(request, came.signal, limits=limits)
    if isinstance(scanned, Failure):
        return scanned
    facts = scanned.unwrap()
    if redactor is not None:
        redacted = redact_to_keep(request, came.signal, facts, redactor)
        if isinstance(redacted, Failure):
            return redacted
        kept, facts = redacted.unwrap()
        arrival = attrs.evolve(arrival, is_redacted=kept is not request)
        request = kept
    if not is_compressed:
        member = encode_frame_stored(request, facts, arrival)
    elif body.member_count == 1 and request is body.raw:
        member = adopt_member(came.body, request, facts, arrival)
    else:
        member = encode_frame(request, facts, arrival)
    if came.witness is not None:
        came.witness(request, body.raw)
    return Success(NewFrame(came.signal, member, len(request), facts, arrival))


def _refusal(error: GzipError, limits: Limits) -> RequestTooLarge | CompressionFailure:
    if isinstance(error, InflatedTooLarge):
        return RequestTooLarge("bytes", limits.max_bytes)
    return CompressionFailure(error.message)
