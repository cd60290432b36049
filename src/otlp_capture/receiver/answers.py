"""What a client is told: the HTTP status and the google.rpc code of each refusal.

Source: OTLP specification 1.11, OTLP/HTTP Response and OTLP/gRPC; google.rpc.Code.
"""

import math
from http import HTTPStatus
from typing import ClassVar, Final, Literal, TypeAlias, assert_never

import attrs

from otlp_capture.capture import (
    CaptureError,
    CompressionFailure,
    InvalidConfig,
    SessionAlreadyActive,
    SessionEnded,
    SignalNotEnabled,
    StorageFailure,
    UnsupportedContentEncoding,
)
from otlp_capture.forward import (
    ForwardingLoop,
    ForwardQueueFull,
    ForwardRefusal,
    TargetBusy,
    TargetDown,
    TargetRefused,
    answer_to_refusal,
)
from otlp_capture.otlp import InvalidRequest, RequestTooLarge
from otlp_capture.receiver.access import (
    ClientNotListed,
    CredentialMissing,
    CredentialUnknown,
    SessionsDisagree,
    Unauthenticated,
)
from otlp_capture.redaction import RedactionFailed
from otlp_capture.sessions import (
    InvalidSessionId,
    MetadataCorrupted,
    SessionAlreadyExists,
    SessionNotFound,
    SessionTakenOver,
)
from otlp_capture.upkeep import SessionBeingDeleted

_INVALID_ARGUMENT, _DEADLINE_EXCEEDED, _NOT_FOUND, _RESOURCE_EXHAUSTED = 3, 4, 5, 8
_FAILED_PRECONDITION, _UNIMPLEMENTED, _INTERNAL, _UNAVAILABLE = 9, 12, 13, 14
_PERMISSION_DENIED, _UNAUTHENTICATED = 7, 16


@attrs.frozen
class MalformedHttp:
    """What came is not HTTP/1.1."""

    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What the parser said, on one line."""
        return f"This is not HTTP/1.1: {' '.join(self.reason.split())[:300]}"


@attrs.frozen
class UnknownPath:
    """Nothing is taken at *path*."""

    path: str
    known: tuple[str, ...]
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was asked for, and what there is."""
        return f"Nothing is at {self.path[:200]!r}. Send to {', '.join(self.known)}."


@attrs.frozen
class MethodNotAllowed:
    """Only POST is taken."""

    method: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was used, and what to use."""
        return f"{self.method[:40]} is not taken here. Use POST."


@attrs.frozen
class UnsupportedContentType:
    """A body is of a type that is not accepted."""

    content_type: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was said, and what is accepted."""
        return (
            f"Content-Type {self.content_type[:100]!r} is not accepted. "
            f"Send application/x-protobuf or application/json."
        )


@attrs.frozen
class BodyIncomplete:
    """The connection ended before the body did."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened."""
        return "The body ended before its length was reached."


@attrs.frozen
class BodyTooSlow:
    """A body did not come to its end in time, or came too slowly to do so."""

    timeout_s: float
    min_rate_bytes_per_s: int = 0
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What was waited for, and how long."""
        rate = self.min_rate_bytes_per_s
        pace = f", nor at {rate:,} bytes/s or more" if rate else ""
        return f"The body did not come to its end within {self.timeout_s:g} s{pace}."


@attrs.frozen
class HeaderTooSlow:
    """A request's head did not come to its end in time."""

    timeout_s: float
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What was waited for, and how long."""
        return f"No whole head of a request came within {self.timeout_s:g} s."


@attrs.frozen
class HeadersTooLarge:
    """A request's head is larger than the receiver reads."""

    max_bytes: int
    max_headers: int
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What a head has to keep to."""
        return (
            f"The head is too large: its first line and each header may have "
            f"{self.max_bytes:,} bytes, and there may be {self.max_headers:,} headers."
        )


@attrs.frozen
class TooManyConnections:
    """As many connections are open as the receiver holds at once."""

    limit: int
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What is exceeded, and what to do."""
        return f"{self.limit:,} connections are open, and no more are taken. Come again later."


@attrs.frozen
class Overloaded:
    """More bytes are under way than the receiver holds at once."""

    limit_bytes: int
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What is exceeded, and what to do."""
        return f"More than {self.limit_bytes:,} bytes are under way. Come again later."


@attrs.frozen
class TooManyReads:
    """More messages are coming in than the receiver reads at once."""

    limit: int
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What is exceeded, and what to do."""
        return f"{self.limit:,} messages are coming in already. Come again later."


@attrs.frozen
class UnknownMethod:
    """No gRPC method is named *method*."""

    method: str
    known: tuple[str, ...]
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was called, and what there is."""
        return f"There is no method {self.method[:100]!r}. Call {', '.join(self.known)}."


@attrs.frozen
class NotOneMessage:
    """A gRPC request holds no message, or more than one."""

    found: Literal["none", "more than one"]
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was found."""
        return f"An Export request is one message; there was {self.found}."


@attrs.frozen
class InternalError:
    """The receiver has a fault, which its log describes."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where to look."""
        return "The receiver failed on this request; its log says how."


Refusal: TypeAlias = (
    CaptureError
    | MalformedHttp
    | UnknownPath
    | MethodNotAllowed
    | UnsupportedContentType
    | BodyIncomplete
    | BodyTooSlow
    | HeaderTooSlow
    | HeadersTooLarge
    | TooManyConnections
    | Overloaded
    | TooManyReads
    | UnknownMethod
    | NotOneMessage
    | InternalError
    | ForwardRefusal
    | Unauthenticated
)

UNANSWERED: Final = "Unanswered"
"""Counted where a client went away before its answer, or the receiver ended before it."""

UNREAD: Final = "Unread"
"""Counted where a gRPC message did not come whole, or gRPC refused it itself and does not say so:
the client went away, or sent more than `max_body_bytes`, or a compression that is not taken."""


def answer_to(refusal: Refusal) -> tuple[HTTPStatus, int]:
    """Return the HTTP status and the google.rpc code that say *refusal* to a client.

    Whatever trouble the store has, a client loses nothing by coming again: 503. So it is with a
    session that has not begun yet, or that this process has not taken up yet.
    """
    match refusal:
        case (
            MalformedHttp()
            | InvalidRequest()
            | CompressionFailure()
            | BodyIncomplete()
            | NotOneMessage()
        ):
            return HTTPStatus.BAD_REQUEST, _INVALID_ARGUMENT
        case CredentialMissing() | CredentialUnknown():
            return HTTPStatus.UNAUTHORIZED, _UNAUTHENTICATED
        case ClientNotListed() | SessionsDisagree():
            return HTTPStatus.FORBIDDEN, _PERMISSION_DENIED
        case HeadersTooLarge():
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _RESOURCE_EXHAUSTED
        case BodyTooSlow() | HeaderTooSlow():
            return HTTPStatus.REQUEST_TIMEOUT, _DEADLINE_EXCEEDED
        case RequestTooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _RESOURCE_EXHAUSTED
        case UnsupportedContentEncoding() | UnsupportedContentType():
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _INVALID_ARGUMENT
        case UnknownPath():
            return HTTPStatus.NOT_FOUND, _NOT_FOUND
        case SignalNotEnabled() | UnknownMethod():
            return HTTPStatus.NOT_FOUND, _UNIMPLEMENTED
        case MethodNotAllowed():
            return HTTPStatus.METHOD_NOT_ALLOWED, _UNIMPLEMENTED
        case (
            StorageFailure()
            | Overloaded()
            | TooManyConnections()
            | TooManyReads()
            | SessionNotFound()
            | SessionAlreadyActive()
        ):
            return HTTPStatus.SERVICE_UNAVAILABLE, _UNAVAILABLE
        case InternalError() | RedactionFailed():
            return HTTPStatus.INTERNAL_SERVER_ERROR, _INTERNAL
        case (
            SessionEnded()
            | SessionBeingDeleted()
            | SessionTakenOver()
            | SessionAlreadyExists()
            | InvalidSessionId()
            | InvalidConfig()
            | MetadataCorrupted()
        ):
            return HTTPStatus.FORBIDDEN, _FAILED_PRECONDITION
        case TargetRefused() | TargetBusy() | TargetDown() | ForwardQueueFull() | ForwardingLoop():
            return answer_to_refusal(refusal)
        case _:
            assert_never(refusal)


def asks_to_return(code: int) -> bool:
    """Whether a google.rpc code tells a client when to come again with the same request.

    On gRPC that is `RetryInfo`, on HTTP `Retry-After`. Clients retry DEADLINE_EXCEEDED, too, at a
    time of their own.
    """
    return code == _UNAVAILABLE


def returns_after_s(refusal: Refusal, usual_s: int) -> int | None:
    """Return when a client is told to come again with the same request, in seconds.

    Where a destination's answer is the client's, so is its time.

    Args:
        refusal: why the request was refused.
        usual_s: when clients come again that were refused for want of something.

    Returns:
        None where they are told nothing of it.
    """
    if isinstance(refusal, TargetBusy):
        wait_s = refusal.retry_after_s
        return None if wait_s is None else math.ceil(wait_s)
    _, code = answer_to(refusal)
    return usual_s if asks_to_return(code) else None
