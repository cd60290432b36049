"""OTLP/gRPC, the client's side: one attempt to deliver one request.

Source: OTLP specification 1.11, OTLP/gRPC; gRPC over HTTP/2.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import anyio

from otlp_capture import otlp
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure
from otlp_capture.sending.answers import (
    Accepted,
    Answer,
    NoAnswer,
    Refused,
    Unreadable,
    one_line,
)
from otlp_capture.sending.endpoint import USER_AGENT, Endpoint
from otlp_capture.sending.parcel import Parcel
from otlp_capture.sending.throttling import LONGEST_S

DEFAULT_GRPC_PORT: Final = 4317
_CLOSING_TIMEOUT_S: Final = 2.0
_SHORTEST_RECONNECT_MS: Final = 100
_LONGEST_RECONNECT_MS: Final = 5_000
_PING_AFTER_MS: Final = 300_000
_PING_TIMEOUT_MS: Final = 20_000
_DETAILS: Final = "grpc-status-details-bin"
_METHODS: Final[Mapping[Signal, str]] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_RETRYABLE: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
# gRPC has no other word for where a status comes from than the text that its own side writes.
_NEVER_CONNECTED: Final = (
    "failed to connect to ",
    "errors resolving ",
    "DNS resolution failed",
    "Address resolution failed",
)
_CONNECTION_LOST: Final = (
    "Socket closed",
    "Connection reset",
    "Broken pipe",
    "Endpoint closing",
    "Cancelling all calls",
    "GOAWAY",
)
_TOO_LONG: Final = "CLIENT: Received message larger than max"


class GrpcTransport:
    """Sends requests, in protobuf, to one endpoint over one connection that is kept."""

    def __init__(self, channel: Any, endpoint: Endpoint) -> None:
        self._channel, self._endpoint = channel, endpoint
        self._export = {signal: channel.unary_unary(path) for signal, path in _METHODS.items()}

    @property
    def target(self) -> str:
        """The endpoint's URL."""
        return self._endpoint.url

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        """Send a request once; see `Transport`.

        Nothing tells when its first byte leaves, so it is said to before it may.
        """
        import grpc.aio  # noqa: PLC0415 - loaded where it is used

        depart()
        call = self._export[parcel.signal](
            parcel.body,
            timeout=self._endpoint.request_timeout_s,
            metadata=self._metadata(parcel),
            compression=grpc.Compression.Gzip if self._endpoint.compression == "gzip" else None,
        )
        try:
            body = await call
        except grpc.aio.AioRpcError as error:
            is_late = (call.time_remaining() or 0.0) <= 0.0
            return self._not_taken(error, is_late=is_late)
        decoded = otlp.decode_response(body, parcel.signal, "protobuf")
        if isinstance(decoded, Failure):
            return Unreadable(decoded.failure().message)
        return Accepted(decoded.unwrap())

    def _metadata(self, parcel: Parcel) -> tuple[tuple[str, str], ...]:
        said = {name.lower(): value for name, value in parcel.headers}
        said.update((name.lower(), value) for name, value in self._endpoint.headers)
        return tuple(said.items())

    def _not_taken(self, error: Any, *, is_late: bool) -> Answer:
        status, text = str(error.code().name), str(error.details() or "")
        if _TOO_LONG in text:
            limit = self._endpoint.max_response_bytes
            return Unreadable(f"the answer holds more than {limit:,} bytes", is_too_long=True)
        if text.startswith(_NEVER_CONNECTED):
            return NoAnswer(one_line(text), may_have_arrived=False)
        if status == "DEADLINE_EXCEEDED" and is_late:
            return NoAnswer("no answer came in time", may_have_arrived=True)
        if status == "UNAVAILABLE" and any(sign in text for sign in _CONNECTION_LOST):
            return NoAnswer(one_line(text), may_have_arrived=True)
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
    """Open a channel to an endpoint, `grpc://` or `grpcs://`, and close it when the block ends.

    The environment's proxies are not used, and gRPC does not try again by itself.
    """
    import grpc.aio  # noqa: PLC0415 - loaded where it is used

    parts = urlsplit(endpoint.url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    place = f"{host}:{parts.port or DEFAULT_GRPC_PORT}"
    options = (
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.primary_user_agent", USER_AGENT),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", endpoint.max_response_bytes),
        ("grpc.initial_reconnect_backoff_ms", _SHORTEST_RECONNECT_MS),
        ("grpc.min_reconnect_backoff_ms", _LONGEST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _LONGEST_RECONNECT_MS),
        # Servers complain of pings that come more often.
        ("grpc.keepalive_time_ms", _PING_AFTER_MS),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
    )
    if parts.scheme == "grpcs":
        trusted = endpoint.trusted_pem.encode() if endpoint.trusted_pem is not None else None
        credentials = grpc.ssl_channel_credentials(root_certificates=trusted)
        channel = grpc.aio.secure_channel(place, credentials, options=options)
    else:
        channel = grpc.aio.insecure_channel(place, options=options)
    try:
        yield GrpcTransport(channel, endpoint)
    finally:
        with anyio.move_on_after(_CLOSING_TIMEOUT_S, shield=True):
            await channel.close()
