"""An OTLP/gRPC endpoint that does as a test tells it, and remembers what came."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio
import attrs
import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage  # type: ignore[import-untyped]  # no types
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]  # no types
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # no types
    DebugInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no types

from otlp_capture import otlp
from otlp_capture.otlp import PartialSuccess, Signal
from tests.clocks import HANGS_AFTER_S

_SIGNALS: Mapping[str, Signal] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
}


@attrs.frozen
class Called:
    """A request that came.

    Attributes:
        number: its place in the order in which requests came, from 0.
        signal: what it was sent as.
        metadata: what it said besides.
        body: the request.
    """

    number: int
    signal: Signal
    metadata: Mapping[str, Any]
    body: bytes


@attrs.frozen(kw_only=True)
class Response:
    """A gRPC answer.

    Attributes:
        body: what it holds; only with the status OK.
        status: its status.
        message: what it says.
        retry_after_s: when to come again, in a RetryInfo; None: it has none.
        details: the status with its details, as they are; None: as the above has it.
        after: what it waits for.
    """

    body: bytes = b""
    status: str = "OK"
    message: str = ""
    retry_after_s: float | None = None
    details: bytes | None = None
    after: asyncio.Event | None = None


GRPC_OK = Response()
GrpcScript: TypeAlias = Callable[[Called], Response]


def partly_taken(signal: Signal, rejected: int, message: str = "too old") -> Response:
    """Take a request, but for *rejected* of its records."""
    return Response(
        body=otlp.encode_response(signal, "protobuf", PartialSuccess(rejected, message))
    )


def _details(response: Response, code: int) -> bytes | None:
    if response.details is not None or response.retry_after_s is None:
        return response.details
    delay = Duration()
    delay.FromNanoseconds(round(response.retry_after_s * 1e9))
    details = [AnyMessage(), AnyMessage()]
    details[0].Pack(DebugInfo(detail="of no use"))
    details[1].Pack(RetryInfo(retry_delay=delay))
    status = Status(code=code, message=response.message, details=details)
    return bytes(status.SerializeToString())


class GrpcTarget:
    """A server that listens while it is open.

    Args:
        script: what to do with a request.
        bytes_read_as_they_are: whether requests are left compressed.

    Attributes:
        port: where it listens.
        received: what came, in order.
    """

    def __init__(self, script: GrpcScript, *, bytes_read_as_they_are: bool = False) -> None:
        self.script = script
        self._options = (
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", -1),
            ("grpc.per_message_decompression", int(not bytes_read_as_they_are)),
        )
        self.received: list[Called] = []
        self.port = 0
        self._server: Any = None
        self._waiting: list[tuple[int, anyio.Event]] = []

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[bytes]:
        return [called.body for called in self.received]

    async def start(self, credentials: Any = None) -> None:
        """Listen, again on the same port where it has listened before."""
        self._server = grpc.aio.server(options=self._options)
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        place = f"127.0.0.1:{self.port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(place)
        else:
            self.port = self._server.add_secure_port(place, credentials)
        await self._server.start()

    async def kill(self) -> None:
        """Stop listening, and cut all connections."""
        await self._server.stop(None)

    async def has_received(self, count: int) -> None:
        """Wait until *count* requests have come."""
        if len(self.received) < count:
            event = anyio.Event()
            self._waiting.append((count, event))
            with anyio.fail_after(HANGS_AFTER_S):
                await event.wait()

    async def answer(self, signal: Signal, body: bytes, context: Any) -> bytes:
        metadata = dict(context.invocation_metadata() or ())
        called = Called(len(self.received), signal, metadata, body)
        self.received.append(called)
        for count, event in self._waiting:
            if len(self.received) >= count:
                event.set()
        response = self.script(called)
        if response.after is not None:
            await response.after.wait()
        if response.status == "OK":
            return response.body
        code = grpc.StatusCode[response.status]
        details = _details(response, code.value[0])
        trailers = () if details is None else (("grpc-status-details-bin", details),)
        await context.abort(code, response.message, trailers)
        raise AssertionError


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, target: GrpcTarget) -> None:
        self._target = target

    def service(self, details: Any) -> Any:
        signal = _SIGNALS.get(details.method)
        if signal is None:
            return None

        async def export(body: bytes, context: Any) -> bytes:
            return await self._target.answer(signal, body, context)

        return grpc.unary_unary_rpc_method_handler(export)


@asynccontextmanager
async def open_grpc_target(
    script: GrpcScript = lambda _: GRPC_OK,
    credentials: Any = None,
    *,
    bytes_read_as_they_are: bool = False,
) -> AsyncGenerator[GrpcTarget]:
    """Listen on a free loopback port until the block ends."""
    target = GrpcTarget(script, bytes_read_as_they_are=bytes_read_as_they_are)
    await target.start(credentials)
    try:
        yield target
    finally:
        await target.kill()
