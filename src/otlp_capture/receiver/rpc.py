"""One OTLP/gRPC request and its answer. Source: OTLP specification 1.11, OTLP/gRPC.

gRPC hands messages over as bytes, as they are on the wire: they are inflated where bodies of HTTP
are, within the same bounds, and a client's own gzip is kept.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import unquote

import anyio
import anyio.lowlevel
import attrs
import grpc
import grpc.aio

from otlp_capture import otlp
from otlp_capture.forward import forwarded_by
from otlp_capture.otlp import Signal
from otlp_capture.receiver.answers import (
    UNANSWERED,
    UNREAD,
    InternalError,
    NotOneMessage,
    Overloaded,
    Refusal,
    UnknownMethod,
    answer_to,
    returns_after_s,
)
from otlp_capture.receiver.budget import Reads, Reservation
from otlp_capture.receiver.headers import kept_headers
from otlp_capture.receiver.intake import Intake, Kept, ReadRequest
from otlp_capture.receiver.refusals import UNKNOWN_ADDRESS
from otlp_capture.receiver.settings import GrpcReceiverSettings
from otlp_capture.receiver.tls import names_in_auth_context
from otlp_capture.result import Failure, Outcome, Success

_log = logging.getLogger(__name__)

METHODS: Final[Mapping[str, Signal]] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
}
_GZIP_BEGINS: Final = b"\x1f\x8b"
"""No protobuf does: its first byte would be a wire type that there is not."""

_MAX_MESSAGE: Final = 300
"""Percent-encoded, and once more in the details, it stays below the 8 KiB that clients take."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

_METHOD_OF: Final = {signal: method for method, signal in METHODS.items()}

_T = TypeVar("_T")
_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_Kept: TypeAlias = Outcome[Kept, Refusal]


@attrs.frozen
class _Call:
    """A call under way: its method, where it is one of ours, and when it began."""

    method: str | None
    began_s: float


class Exporting(grpc.GenericRpcHandler):
    """Answers calls, keeps what can be kept, and counts both.

    Args:
        intake: what keeps and counts the requests.
        settings: what to take.
    """

    def __init__(self, intake: Intake, settings: GrpcReceiverSettings) -> None:
        self._intake, self._settings = intake, settings
        self._kept_headers = frozenset(name.lower() for name in settings.keep_headers)
        self._reads = Reads(
            min(settings.max_reads, settings.max_in_flight_bytes // settings.max_body_bytes),
            patience_s=settings.read_patience_s,
            timeout_s=settings.body_timeout_s,
        )
        self._keeping = set[asyncio.Task[_Kept]]()
        # Whether one message came is seen here: as a unary call gRPC would see to it, and there
        # would be no time limit, nor a word of ours before the message is read.
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            method: grpc.stream_unary_rpc_method_handler(partial(self._export, signal))
            for method, signal in METHODS.items()
        }

    def service(self, handler_call_details: Any) -> Any:
        """Return what answers a call, also one of a method that there is not."""
        method = handler_call_details.method
        if method in self._handlers:
            return self._handlers[method]
        handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_unary_rpc_method_handler(
            partial(self._no_method, method)
        )
        return handler

    async def end(self) -> None:
        """Wait for what is still being kept, though nobody waits for the answer."""
        while self._keeping:
            await asyncio.wait(self._keeping)

    async def give_up(self) -> None:
        """Cancel what is still being kept; the store may have it all the same."""
        for keeping in self._keeping:
            keeping.cancel()
        await self.end()

    async def _no_method(self, method: str, _messages: object, context: _Context) -> bytes:
        call = _Call(None, time.perf_counter())
        admitted = await _guarded(lambda: self._admit(context))
        if isinstance(admitted, Failure):
            return await self._refuse(admitted.failure(), context, call)
        return await self._refuse(UnknownMethod(method, tuple(METHODS)), context, call)

    async def _export(self, signal: Signal, _messages: object, context: _Context) -> bytes:
        call = _Call(_METHOD_OF[signal], time.perf_counter())
        session_id = await _guarded(lambda: self._admit(context))
        if isinstance(session_id, Failure):
            return await self._refuse(session_id.failure(), context, call)
        message = await self._received(context, call)
        if isinstance(message, Failure):
            return await self._refuse(message.failure(), context, call)
        kept = await self._kept(message.unwrap(), signal, session_id.unwrap(), context, call)
        if isinstance(kept, Failure):
            return await self._refuse(kept.failure(), context, call)
        reference, partial_success = kept.unwrap().reference, kept.unwrap().partial_success
        self._intake.accept(reference, len(message.unwrap()), "grpc")
        await _said(context.send_initial_metadata((("x-durability", reference.durability),)))
        self._tell(call, "OK", None)
        return otlp.encode_response(signal, "protobuf", partial_success)

    def _tell(self, call: _Call, status: str | None, error: str | None) -> None:
        duration_s = time.perf_counter() - call.began_s
        self._intake.telemetry.answered_grpc(call.method, status, error, duration_s)

    def _lose(self, reason: str, call: _Call) -> None:
        self._intake.lose(reason, "grpc")
        self._tell(call, None, reason)

    async def _admit(self, context: _Context) -> Outcome[str, Refusal]:
        """Tell the session that a call goes to, before its message is read."""
        authorizations = [value for name, value in _texts(context) if name == "authorization"]
        names = names_in_auth_context(context.auth_context())
        return self._intake.admit(authorizations, names, _address(context.peer()))

    async def _received(self, context: _Context, call: _Call) -> Outcome[bytes, Refusal]:
        """Read the one message there is to be."""
        try:
            read = await _guarded(lambda: self._reads.run(partial(_one_message, context)))
        except asyncio.CancelledError:
            self._lose(UNREAD, call)
            raise
        return read if isinstance(read, Failure) else read.unwrap()

    def _request(self, message: bytes, signal: Signal, context: _Context) -> ReadRequest:
        is_gzip = message.startswith(_GZIP_BEGINS)
        headers = kept_headers(_texts(context), self._kept_headers)
        encoding = "gzip" if is_gzip else "identity"
        hops = forwarded_by(_texts(context))
        return ReadRequest(message, signal, "protobuf", encoding, headers, hops)

    async def _kept(
        self, message: bytes, signal: Signal, session_id: str, context: _Context, call: _Call
    ) -> _Kept:
        """Keep a request in a task that no client can cancel."""
        keeping = asyncio.create_task(
            _guarded(lambda: self._keep(self._request(message, signal, context), session_id))
        )
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)
        try:
            return await asyncio.shield(keeping)
        except asyncio.CancelledError:
            self._lose(UNANSWERED, call)
            raise

    async def _keep(self, request: ReadRequest, session_id: str) -> _Kept:
        with Reservation(self._intake.budget) as held:
            if not held.grow(len(request.body)):
                return Failure(Overloaded(held.limit_bytes))
            return await self._intake.keep(request, session_id)

    async def _refuse(self, refusal: Refusal, context: _Context, call: _Call) -> bytes:
        """Count a refusal and say it, which ends the call."""
        self._intake.refuse(refusal, "grpc")
        _, code = answer_to(refusal)
        self._tell(call, _CODES[code].name, type(refusal).__name__)
        text = refusal.message[:_MAX_MESSAGE]
        wait_s = returns_after_s(refusal, self._settings.retry_after_s)
        details = (
            otlp.encode_status(code, text, "protobuf")
            if wait_s is None
            else otlp.encode_retry_status(code, text, wait_s)
        )
        message = text.encode("utf-8", "backslashreplace").decode()
        await context.abort(_CODES[code], message, (("grpc-status-details-bin", details),))


async def _one_message(context: _Context) -> Outcome[bytes, NotOneMessage]:
    message = await context.read()
    after = await context.read()
    # A call that has ended early, by its client or because gRPC refuses its message, looks like one
    # that has come whole, until it cancels us next.
    await anyio.lowlevel.checkpoint()
    if message is grpc.aio.EOF:
        return Failure(NotOneMessage("none"))
    return Success(message) if after is grpc.aio.EOF else Failure(NotOneMessage("more than one"))


async def _guarded(work: Callable[[], Awaitable[Outcome[_T, Refusal]]]) -> Outcome[_T, Refusal]:
    """Make a fault of ours an answer: gRPC would make UNKNOWN of it, and clients drop on that."""
    try:
        return await work()
    except Exception:  # noqa: BLE001 - the boundary: whatever it is, it is logged and told
        _log.exception("A request could not be answered")
        return Failure(InternalError())


async def _said(saying: Awaitable[None]) -> None:
    """Say something to a client that may be gone: what was kept stays kept."""
    try:
        await saying
    except grpc.aio.BaseError as error:
        _log.debug("An answer did not reach its client: %s", error)


def _address(peer: str) -> str:
    """Return an address of what gRPC calls a peer: `ipv4:127.0.0.1:4317`, `ipv6:%5B::1%5D:4317`."""
    return unquote(peer.partition(":")[2].rpartition(":")[0]) or UNKNOWN_ADDRESS


def _texts(context: _Context) -> Iterator[tuple[str, str]]:
    """Yield a request's metadata; binary ones are written in base64, as they travel."""
    for name, value in context.invocation_metadata() or ():
        yield name, value if isinstance(value, str) else base64.b64encode(value).decode("ascii")
