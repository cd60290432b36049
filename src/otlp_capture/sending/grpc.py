"""OTLP/gRPC, the client's side: one attempt to deliver one request.

Source: OTLP specification 1.11, OTLP/gRPC; gRPC over HTTP/2.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio

from otlp_capture import otlp
from otlp_capture.otlp import RequestTooLarge
from otlp_capture.result import Failure
from otlp_capture.sending.answers import (
    Accepted,
    Answer,
    NoAnswer,
    Refused,
    Unreadable,
    kept_back,
    one_line,
)
from otlp_capture.sending.endpoint import Endpoint
from otlp_capture.sending.grpc_words import TOO_LATE, own_words
from otlp_capture.sending.lines import Line, Lines
from otlp_capture.sending.parcel import Parcel
from otlp_capture.sending.targets import TargetNotAllowed
from otlp_capture.sending.throttling import LONGEST_S

_OK: Final = "OK"
_NOT_YET_SENT: Final = "Deadline Exceeded"
"""What is said of a call that waited for a connection, and of hardly any other."""
_DETAILS: Final = "grpc-status-details-bin"
_RETRYABLE: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)


class GrpcTransport:
    """Sends requests, in protobuf, to one endpoint over one connection that is kept."""

    def __init__(self, lines: Lines, endpoint: Endpoint) -> None:
        self._lines, self._endpoint = lines, endpoint
        self._discretion = endpoint.discretion

    @property
    def target(self) -> str:
        """The endpoint's URL."""
        return self._endpoint.url

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        """Send a request once; see `Transport`.

        Nothing tells when its first byte leaves, so it is said to before it may.
        """
        limit = self._endpoint.max_request_bytes
        if len(parcel.body) > limit:
            return kept_back(RequestTooLarge("bytes", limit))
        taken = await self._lines.take()
        if isinstance(taken, Failure):
            problem = taken.failure()
            if isinstance(problem, TargetNotAllowed):
                return kept_back(problem)
            return NoAnswer(one_line(problem.message), may_have_arrived=False)
        line = taken.unwrap()
        try:
            depart()
            return await self._call(line, parcel)
        finally:
            await self._lines.put_back(line)

    async def _call(self, line: Line, parcel: Parcel) -> Answer:
        import grpc.aio  # noqa: PLC0415 - loaded where it is used

        call = line.exports[parcel.signal](
            parcel.body,
            timeout=self._endpoint.request_timeout_s,
            metadata=tuple(self._endpoint.said_with(parcel.headers).items()),
            compression=grpc.Compression.Gzip if self._endpoint.compression == "gzip" else None,
        )
        try:
            body = await call
        except grpc.aio.AioRpcError as error:
            is_late = (call.time_remaining() or 0.0) <= 0.0
            answer = self._not_taken(error, line, is_late=is_late)
            self._judge(line, answer, is_late=is_late)
            return answer
        except anyio.get_cancelled_exc_class() as cancelled:
            # Whoever keeps the error keeps the frames that it went through, of gRPC's own too, and
            # by them the call; a call that is kept keeps the sockets of a channel that is closed.
            del call
            raise cancelled.with_traceback(None) from None
        if body is None:
            return Unreadable("the answer holds no message", status=_OK)
        decoded = otlp.decode_response(self._discretion.in_bytes(body), parcel.signal, "protobuf")
        if isinstance(decoded, Failure):
            return Unreadable(decoded.failure().message, status=_OK)
        return Accepted(decoded.unwrap(), status=_OK)

    def _judge(self, line: Line, answer: Answer, *, is_late: bool) -> None:
        """Draw the consequences for the connection.

        Of one that is silent nobody knows whether anybody is there: gRPC would go on using it.
        """
        if not isinstance(answer, NoAnswer):
            return
        if is_late and answer.may_have_arrived:
            self._lines.leave(line)
        else:
            self._lines.doubt(line)

    def _not_taken(self, error: Any, line: Line, *, is_late: bool) -> Answer:
        text = self._discretion.in_text(str(error.details() or ""))
        status = str(error.code().name)
        said = own_words(text, self._endpoint.max_response_bytes)
        if said is not None:
            return said
        if status == "DEADLINE_EXCEEDED" and is_late:
            if text == _NOT_YET_SENT and not line.is_connected:
                return NoAnswer("no connection came about in time", may_have_arrived=False)
            return NoAnswer(TOO_LATE, may_have_arrived=True)
        wait_s = _retry_delay_s(error)
        is_throttled = status == "RESOURCE_EXHAUSTED" and wait_s is not None
        return Refused(
            status,
            one_line(text),
            is_retryable=is_throttled or status in _RETRYABLE,
            retry_after_s=wait_s,
        )


def _retry_delay_s(error: Any) -> float | None:
    for name, value in error.trailing_metadata() or ():
        if name == _DETAILS and isinstance(value, bytes):
            wait_s = otlp.retry_delay_s(value)
            return None if wait_s is None else min(wait_s, LONGEST_S)
    return None


@asynccontextmanager
async def open_grpc_transport(endpoint: Endpoint) -> AsyncGenerator[GrpcTransport]:
    """Open a way to an endpoint, and close it when the block ends.

    Of its URL the schemes grpcs and https mean TLS. The environment's proxies are not used, and
    gRPC does not try again by itself. Each channel's addresses are held against what is allowed.
    """
    lines = Lines(endpoint)
    try:
        yield GrpcTransport(lines, endpoint)
    finally:
        await lines.close()
