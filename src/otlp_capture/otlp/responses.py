"""What a server answers: the signal's Export...ServiceResponse, or google.rpc.Status."""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from otlp_capture.otlp.errors import InvalidResponse
from otlp_capture.otlp.json_decode import message_from_json, parse_text
from otlp_capture.otlp.json_encode import message_to_json
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.messages import (
    Message,
    new_response,
    new_retry_info,
    new_status,
    parse_into,
    to_bytes,
)
from otlp_capture.otlp.signals import Encoding, Signal
from otlp_capture.result import Failure, Outcome, Success

_REJECTED_FIELD: Final[Mapping[Signal, str]] = {
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
    "logs": "rejected_log_records",
}
_LIMITS: Final = Limits(max_elements=10_000, max_bytes=4 * 1024 * 1024)


@attrs.frozen
class PartialSuccess:
    """A request that was taken, but not whole or not without a word.

    Attributes:
        rejected: spans, data points or log records that were refused; 0 makes the message a
            warning.
        error_message: for people.
    """

    rejected: int
    error_message: str


@attrs.frozen
class RpcStatus:
    """Why a request was refused: `google.rpc.Status` without its details.

    Attributes:
        code: a gRPC status code.
        message: for people.
    """

    code: int
    message: str


def encode_response(
    signal: Signal, encoding: Encoding, partial_success: PartialSuccess | None = None
) -> bytes:
    """Write the answer to a request that was taken; without a *partial_success*, wholly.

    Source: https://opentelemetry.io/docs/specs/otlp/#full-success-1.

    >>> encode_response("traces", "json", PartialSuccess(3, "too old"))
    b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}'
    """
    response = new_response(signal)
    if partial_success is not None:
        part = response.partial_success
        part.SetInParent()
        setattr(part, _REJECTED_FIELD[signal], partial_success.rejected)
        part.error_message = _encodable(partial_success.error_message)
    return _write(response, encoding)


def decode_response(
    body: bytes, signal: Signal, encoding: Encoding
) -> Outcome[PartialSuccess | None, InvalidResponse]:
    """Read the answer to a request that was taken.

    Returns:
        None for full success, which is an empty body in protobuf and `{}` in JSON; a partial
        success that says nothing is full success too.

    Fails with:
        InvalidResponse: not the signal's answer in this encoding, or over 4 MiB.

    >>> decode_response(b"{}", "logs", "json")
    <Success: None>
    """
    read = _read(new_response(signal), body, encoding)
    if isinstance(read, Failure):
        return read
    part = read.unwrap().partial_success
    rejected = int(getattr(part, _REJECTED_FIELD[signal]))
    if rejected < 0:
        return Failure(InvalidResponse(f"it rejects {rejected} records"))
    if not rejected and not part.error_message:
        return Success(None)
    return Success(PartialSuccess(rejected, part.error_message))


def encode_status(code: int, message: str, encoding: Encoding) -> bytes:
    """Write a `google.rpc.Status`: the body of every 4xx and 5xx.

    >>> encode_status(3, "resourceSpans is no array", "json")
    b'{"code":3,"message":"resourceSpans is no array"}'
    """
    status = new_status()
    status.code = code
    status.message = _encodable(message)
    return _write(status, encoding)


def encode_retry_status(code: int, message: str, retry_after_s: int) -> bytes:
    """Write a `google.rpc.Status` with a `RetryInfo`, for `grpc-status-details-bin`.

    Source: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling.
    """
    status = new_status()
    status.code = code
    status.message = _encodable(message)
    retry = new_retry_info()
    retry.retry_delay.seconds = retry_after_s
    status.details.add().Pack(retry)
    return to_bytes(status)


def decode_status(body: bytes, encoding: Encoding) -> Outcome[RpcStatus, InvalidResponse]:
    """Read the body of a 4xx or 5xx.

    Fails with:
        InvalidResponse: no `google.rpc.Status` in this encoding, or over 4 MiB.
    """
    read = _read(new_status(), body, encoding)
    if isinstance(read, Failure):
        return read
    status = read.unwrap()
    return Success(RpcStatus(status.code, status.message))


def _encodable(text: str) -> str:
    """Return *text* with what UTF-8 cannot hold written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _write(message: Message, encoding: Encoding) -> bytes:
    return message_to_json(message) if encoding == "json" else to_bytes(message)


def _read(message: Message, body: bytes, encoding: Encoding) -> Outcome[Message, InvalidResponse]:
    if len(body) > _LIMITS.max_bytes:
        return Failure(InvalidResponse(f"it holds {len(body):,} bytes"))
    if encoding == "json":
        return _read_json(message, body)
    parsed = parse_into(message, body)
    if isinstance(parsed, Failure):
        return Failure(InvalidResponse(f"at {parsed.failure().where} {parsed.failure().found}"))
    return parsed


def _read_json(message: Message, body: bytes) -> Outcome[Message, InvalidResponse]:
    parsed = parse_text(body, "otlp", _LIMITS)
    if isinstance(parsed, Failure):
        return Failure(InvalidResponse(parsed.failure().message))
    document: dict[str, Any] = parsed.unwrap()
    # A status's details are Any, whose JSON has rules of its own; nothing here reads them.
    document.pop("details", None)
    filled = message_from_json(message, document, "otlp", _LIMITS.max_any_value_depth)
    if isinstance(filled, Failure):
        error = filled.failure()
        return Failure(InvalidResponse(f"at {error.where} {error.found}"))
    return filled
