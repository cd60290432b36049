"""A request in either encoding to and from protobuf bytes, on which everything else works."""

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.json_decode import decode_by_parsing
from otlp_capture.otlp.json_encode import encode_by_parsing
from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.limits import DEFAULT_LIMITS, Limits
from otlp_capture.otlp.scan import scan
from otlp_capture.otlp.signals import Dialect, Encoding, Signal
from otlp_capture.result import Failure, Outcome, Success


def decode(
    body: bytes,
    signal: Signal,
    encoding: Encoding,
    *,
    dialect: Dialect = "otlp",
    limits: Limits = DEFAULT_LIMITS,
) -> Outcome[bytes, InvalidRequest | RequestTooLarge]:
    r"""Check a body and return the request as protobuf bytes.

    Protobuf comes back as the same object. OTLP/JSON is transcoded: ids are hex in either case,
    enums integers, 64-bit integers strings or numbers, unknown keys are ignored, null is unset.

    Args:
        body: what a client sent, decompressed.
        signal: what it carries; it cannot be read off the bytes.
        encoding: how it stands there.
        dialect: `import` also takes enum names, snake_case keys, base64 ids of any length, numbers
            for strings and a byte order mark, as files in the wild have them.
        limits: what the request may hold.

    Fails with:
        RequestTooLarge: more bytes or elements than *limits* allow.
        InvalidRequest: not a request; names the JSON path or the byte, and what is allowed there.

    Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request.

    >>> decode(b'{"resourceSpans":[{"schemaUrl":"s"}]}', "traces", "json")
    <Success: b'\n\x03\x1a\x01s'>
    """
    if encoding == "json":
        return _decode_json(body, signal, dialect, limits)
    scanned = scan(body, signal, limits)
    return scanned if isinstance(scanned, Failure) else Success(body)


def _decode_json(
    body: bytes, signal: Signal, dialect: Dialect, limits: Limits
) -> Outcome[bytes, InvalidRequest | RequestTooLarge]:
    if len(body) > limits.max_bytes:
        return decode_by_parsing(body, signal, dialect, limits)
    decoded = KERNEL.decode_json(body, signal, dialect, limits) if KERNEL else None
    return decode_by_parsing(body, signal, dialect, limits) if decoded is None else decoded


def encode(request: bytes, signal: Signal, encoding: Encoding) -> Outcome[bytes, InvalidRequest]:
    r"""Write a request in *encoding*.

    Protobuf is the identity. OTLP/JSON has no form for unknown fields and leaves them out.

    Args:
        request: protobuf bytes that `scan` or `decode` has passed.
        signal: what they carry.
        encoding: how to write them.

    Fails with:
        InvalidRequest: malformed protobuf, or an AnyValue nested too deep.

    >>> encode(b"\n\x03\x1a\x01s", "logs", "json")
    <Success: b'{"resourceLogs":[{"schemaUrl":"s"}]}'>
    """
    if encoding == "protobuf":
        return Success(request)
    max_depth = DEFAULT_LIMITS.max_any_value_depth
    text = KERNEL.encode_json(request, signal, max_depth) if KERNEL else None
    return encode_by_parsing(request, signal, max_depth) if text is None else Success(text)
