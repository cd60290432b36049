"""What can go wrong on the way to a destination, one class a fact, and what clients are told."""

from http import HTTPStatus
from typing import ClassVar, Final, TypeAlias, assert_never

import attrs

_UNKNOWN, _PERMISSION_DENIED, _UNAUTHENTICATED = 2, 7, 16
_INVALID_ARGUMENT, _DEADLINE_EXCEEDED, _NOT_FOUND, _RESOURCE_EXHAUSTED = 3, 4, 5, 8
_FAILED_PRECONDITION, _UNIMPLEMENTED, _INTERNAL, _UNAVAILABLE = 9, 12, 13, 14

_CODES: Final[dict[str, int]] = {
    "CANCELLED": 1,
    "UNKNOWN": _UNKNOWN,
    "INVALID_ARGUMENT": _INVALID_ARGUMENT,
    "DEADLINE_EXCEEDED": _DEADLINE_EXCEEDED,
    "NOT_FOUND": _NOT_FOUND,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": _PERMISSION_DENIED,
    "RESOURCE_EXHAUSTED": _RESOURCE_EXHAUSTED,
    "FAILED_PRECONDITION": _FAILED_PRECONDITION,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": _UNIMPLEMENTED,
    "INTERNAL": _INTERNAL,
    "UNAVAILABLE": _UNAVAILABLE,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": _UNAUTHENTICATED,
}
_CODES_OF_HTTP: Final[dict[int, int]] = {
    400: _INVALID_ARGUMENT,
    401: _UNAUTHENTICATED,
    403: _PERMISSION_DENIED,
    404: _UNIMPLEMENTED,
    405: _UNIMPLEMENTED,
    408: _FAILED_PRECONDITION,
    413: _RESOURCE_EXHAUSTED,
    415: _INVALID_ARGUMENT,
    500: _INTERNAL,
    501: _UNIMPLEMENTED,
}
_HTTP_OF_CODES: Final[dict[int, HTTPStatus]] = {
    _INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    _UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    _PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    _NOT_FOUND: HTTPStatus.NOT_FOUND,
    _UNIMPLEMENTED: HTTPStatus.NOT_FOUND,
    _RESOURCE_EXHAUSTED: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    _FAILED_PRECONDITION: HTTPStatus.FORBIDDEN,
}

_RETRIED: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@attrs.frozen
class InvalidDestination:
    """Nothing can be forwarded to what was named.

    Attributes:
        text: what was named, as it may be shown.
        allowed: what is wrong with it, and what it can be.
    """

    text: str
    allowed: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What it was, and what is allowed."""
        return f"Cannot forward to {self.text!r}: {self.allowed}."


@attrs.frozen
class TargetRefused:
    """The destination refused a request for good.

    Attributes:
        status: what it answered, as its protocol names it: `400`, `INVALID_ARGUMENT`.
        reason: what it said.
    """

    status: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What the destination said."""
        return self.reason or f"The target answered {self.status}."


@attrs.frozen
class TargetBusy:
    """The destination wants to see a request again.

    Attributes:
        status: what it answered, as its protocol names it: `503`, `UNAVAILABLE`.
        reason: what it said.
        retry_after_s: when it wants to see it, in seconds; None: it did not say.
    """

    status: str
    reason: str
    retry_after_s: float | None = None
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What the destination said."""
        return self.reason or f"The target answered {self.status}."


@attrs.frozen
class TargetDown:
    """No answer came of the destination, and it is required."""

    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What happened, and what to do."""
        return "The target did not answer. Come again later."


@attrs.frozen
class ForwardQueueFull:
    """More waits for a required destination than its queue holds."""

    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What happened, and what to do."""
        return "The target does not keep up, and its queue is full. Come again later."


@attrs.frozen
class ForwardingLoop:
    """A request was forwarded through here before, or too often."""

    hops: int
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do."""
        return (
            f"This request was forwarded {self.hops} times and came round again. "
            "Look whether the receivers on its way forward to each other."
        )


ForwardRefusal: TypeAlias = (
    TargetRefused | TargetBusy | TargetDown | ForwardQueueFull | ForwardingLoop
)
"""Why a request that could be kept is refused all the same."""


def answer_to_refusal(refusal: ForwardRefusal) -> tuple[HTTPStatus, int]:
    """Return the HTTP status and the google.rpc code that say *refusal* to a client.

    Where the destination speaks the client's protocol its status is passed on. In the other
    protocol it becomes one of the same meaning, which clients retry if and only if it is to be
    retried.

    >>> answer_to_refusal(TargetRefused("INVALID_ARGUMENT", "no spans"))
    (<HTTPStatus.BAD_REQUEST: 400>, 3)
    """
    match refusal:
        case TargetRefused(status):
            return _refused_for_good(status)
        case TargetBusy(status):
            return _asked_to_come_again(status)
        case TargetDown() | ForwardQueueFull():
            return HTTPStatus.SERVICE_UNAVAILABLE, _UNAVAILABLE
        case ForwardingLoop():
            return HTTPStatus.LOOP_DETECTED, _FAILED_PRECONDITION
        case _:
            assert_never(refusal)


def _refused_for_good(status: str) -> tuple[HTTPStatus, int]:
    if status.isdecimal():
        http = _known(int(status))
        # A redirect is none for the client; nor is it to come again for what is decided.
        if http < HTTPStatus.BAD_REQUEST or http in _RETRIED:
            http = HTTPStatus.INTERNAL_SERVER_ERROR
        is_ours = http < HTTPStatus.INTERNAL_SERVER_ERROR
        return http, _CODES_OF_HTTP.get(http, _INVALID_ARGUMENT if is_ours else _UNKNOWN)
    code = _CODES.get(status, _UNKNOWN)
    return _HTTP_OF_CODES.get(code, HTTPStatus.INTERNAL_SERVER_ERROR), code


def _asked_to_come_again(status: str) -> tuple[HTTPStatus, int]:
    if status.isdecimal():
        # Without a RetryInfo, RESOURCE_EXHAUSTED would be taken for good.
        return _known(int(status)), _UNAVAILABLE
    code = _CODES.get(status, _UNAVAILABLE)
    if code == _RESOURCE_EXHAUSTED:
        return HTTPStatus.TOO_MANY_REQUESTS, code
    return HTTPStatus.SERVICE_UNAVAILABLE, code


def _known(status: int) -> HTTPStatus:
    """Return *status*, or the general one of its class where it is none that is registered."""
    try:
        return HTTPStatus(status)
    except ValueError:
        return HTTPStatus(status // 100 * 100) if status < 600 else HTTPStatus.INTERNAL_SERVER_ERROR  # noqa: PLR2004 - the end of the classes
