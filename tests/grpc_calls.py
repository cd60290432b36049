"""Calls of the receiver over gRPC, in bytes: what a test gives goes out as it is.

`calling()` opens a channel, `Calls.export()` makes a call and takes its end apart.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import attrs
import grpc
import grpc.aio
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # it ships no types
    RetryInfo,
)
from google.rpc.status_pb2 import (  # type: ignore[import-untyped]  # it ships no types
    Status,
)

from otlp_capture.capture import CaptureConfig, CaptureSettings
from otlp_capture.otlp import Limits, Signal
from otlp_capture.receiver import GrpcReceiverSettings, HttpReceiverSettings
from tests.clocks import HANGS_AFTER_S
from tests.receiving import SESSION, Receiving, receiving

METHODS: Final[Mapping[Signal, str]] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}


@attrs.frozen
class Ending:
    """How a call ended.

    Attributes:
        code: its status.
        message: what stands beside it.
        body: the message of a success.
        initial: the metadata that came first.
        retry_after_s: what RetryInfo says; None where there is none.
    """

    code: grpc.StatusCode
    message: str = ""
    body: bytes = b""
    initial: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    retry_after_s: float | None = None


OK: Final = Ending(grpc.StatusCode.OK, initial={"x-durability": "object"})


@attrs.frozen
class Calls:
    """A channel."""

    channel: grpc.aio.Channel

    async def export(self, signal: Signal, body: bytes, **options: Any) -> Ending:
        """Make a call of one message."""
        return await self.call(METHODS[signal], body, **options)

    async def call(self, method: str, body: bytes, **options: Any) -> Ending:
        """Make a call of one message, of any method."""
        with anyio.fail_after(HANGS_AFTER_S):
            return await ending(self.begin(method, body, **options))

    def begin(self, method: str, body: bytes, **options: Any) -> Any:
        """Begin a call of one message."""
        prepared: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(method)
        return prepared(body, **options)

    async def stream(self, signal: Signal, bodies: AsyncIterator[bytes]) -> Ending:
        """Make a call of any number of messages."""
        with anyio.fail_after(HANGS_AFTER_S):
            call: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = self.channel.stream_unary(
                METHODS[signal]
            )
            return await ending(call(bodies))


async def ending(call: Any) -> Ending:
    """Wait for a call's end."""
    try:
        body = await call
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    return Ending(grpc.StatusCode.OK, "", body, dict(await call.initial_metadata() or ()))


def refusal(error: grpc.aio.AioRpcError) -> Ending:
    """Take a refusal apart; where it is the receiver's, its details say the same."""
    trailing = dict(error.trailing_metadata() or ())
    retry_after_s = None
    if details := trailing.get("grpc-status-details-bin"):
        status = Status.FromString(details)
        assert (status.code, status.message) == (error.code().value[0], error.details())
        for detail in status.details:
            retry = RetryInfo()
            assert detail.Unpack(retry)
            retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
    initial = dict(error.initial_metadata() or ())
    return Ending(error.code(), error.details() or "", b"", initial, retry_after_s)


@asynccontextmanager
async def calling(
    port: int,
    compression: grpc.Compression = grpc.Compression.NoCompression,
    host: str = "127.0.0.1",
) -> AsyncGenerator[Calls]:
    """Open a channel for the time of an `async with`."""
    # Without a pool of its own a channel shares its connection with others to the same place.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(
        f"{host}:{port}", options=options, compression=compression
    ) as channel:
        yield Calls(channel)


@asynccontextmanager
async def taking(
    config: CaptureConfig | None = CaptureConfig(session_id=SESSION),  # noqa: B008 - it is frozen
    *,
    compression: grpc.Compression = grpc.Compression.NoCompression,
    limits: dict[str, int] | None = None,
    **settings: Any,
) -> AsyncGenerator[tuple[Receiving, Calls]]:
    """Receive over gRPC, and open a channel to there."""
    grpc_settings = GrpcReceiverSettings(port=0, **settings)
    shared = ("max_body_bytes", "max_in_flight_bytes", "shutdown_timeout_s", "keep_headers")
    http = HttpReceiverSettings(port=0, **{name: getattr(grpc_settings, name) for name in shared})
    capture = CaptureSettings(linger_s=0.0, limits=Limits(**(limits or {})))
    async with (
        receiving(config, http, capture, grpc_settings) as opened,
        calling(opened.grpc_port, compression) as calls,
    ):
        yield opened, calls
