"""Where a receiver listens, and what it takes."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

import attrs

from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import SIGNALS, Signal, is_signal
from otlp_capture.receiver.headers import check_kept_headers
from otlp_capture.result import Failure, Outcome, Success

DEFAULT_HTTP_PORT: Final = 4318
DEFAULT_GRPC_PORT: Final = 4317
DEFAULT_PATHS: Final[Mapping[str, Signal]] = {
    "/v1/traces": "traces",
    "/v1/metrics": "metrics",
    "/v1/logs": "logs",
}
_MOST: Final = 2**31 - 1
"""What gRPC's options hold, and more than anybody wants of anything here."""


def _listed(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@attrs.frozen(kw_only=True)
class ReceiverSettings:
    """What every transport of a receiver can be told.

    Attributes:
        host: the address to listen on.
        port: the port; 0: any that is free.
        max_body_bytes: the largest body, as it is on the wire.
        max_in_flight_bytes: how many bytes of bodies may be in memory at once; beyond it clients
            are told to come again. The transports of a receiver share them.
        retry_after_s: when to come again, in seconds.
        body_timeout_s: how long a body may take to arrive, in seconds.
        shutdown_timeout_s: how long requests that are under way may take at the end, in seconds.
        keep_headers: names of request headers that are kept in the frame, in any case. Those that
            carry credentials cannot be.
        max_connections: how many connections may be open at once; over HTTP clients of more are
            told to come again, over gRPC more are closed at once. Two transports at this limit
            stay below the 1,024 files that a process may usually have open.
        header_timeout_s: how long the beginning may take, in seconds: a TLS handshake, and a
            request's head over HTTP.
    """

    host: str = "127.0.0.1"
    port: int = 0
    max_body_bytes: int = 20 << 20
    max_in_flight_bytes: int = 256 << 20
    retry_after_s: int = 1
    body_timeout_s: float = 60.0
    shutdown_timeout_s: float = 10.0
    keep_headers: tuple[str, ...] = attrs.field(default=(), converter=_listed)
    max_connections: int = 400
    header_timeout_s: float = 10.0


@attrs.frozen(kw_only=True)
class HttpReceiverSettings(ReceiverSettings):
    """How a receiver takes OTLP/HTTP; see `ReceiverSettings` for what is not here.

    Attributes:
        port: the port; 0: any that is free.
        paths: which path takes which signal.
        idle_timeout_s: how long a connection may be open between requests, in seconds: longer than
            the minute that SDKs wait between two exports of metrics.
        answer_timeout_s: how long a client may leave answers unread, in seconds.
        lingering_s: how long the rest of a refused request is read and thrown away, in seconds, so
            that its client reads the answer.
        max_header_bytes: the longest request line, and the longest header.
        max_headers: how many headers a request has at the most.
        min_body_rate_bytes_per_s: how fast a body has to come, on the average; 0: at any pace.
        body_grace_s: how long a body may be slower than that at first, in seconds.
    """

    port: int = DEFAULT_HTTP_PORT
    paths: Mapping[str, Signal] = DEFAULT_PATHS
    idle_timeout_s: float = 120.0
    answer_timeout_s: float = 10.0
    lingering_s: float = 2.0
    max_header_bytes: int = 8190
    max_headers: int = 128
    min_body_rate_bytes_per_s: int = 500
    body_grace_s: float = 10.0


@attrs.frozen(kw_only=True)
class GrpcReceiverSettings(ReceiverSettings):
    """How a receiver takes OTLP/gRPC; see `ReceiverSettings` for what is not here.

    Attributes:
        port: the port; 0: any that is free.
        max_streams: how many requests may be under way on one connection; clients keep more back,
            or gRPC tells them to come again.
        max_metadata_bytes: the largest metadata of a request, as HTTP/2 counts them; gRPC itself
            refuses more with RESOURCE_EXHAUSTED.
        max_reads: how many messages may be coming in at once, and no more than would fit into
            `max_in_flight_bytes`, were each as large as it may be: they take as much again. Others
            wait for their turn, `body_timeout_s` at most.
        read_patience_s: how long a message may take to come while others wait for its place.
    """

    port: int = DEFAULT_GRPC_PORT
    max_streams: int = 100
    max_metadata_bytes: int = 16_384
    max_reads: int = 16
    read_patience_s: float = 5.0


DEFAULT_HTTP_SETTINGS: Final = HttpReceiverSettings()
DEFAULT_GRPC_SETTINGS: Final = GrpcReceiverSettings()

_COUNTS: Final = (
    "max_body_bytes",
    "max_in_flight_bytes",
    "max_connections",
    "max_header_bytes",
    "max_headers",
    "max_streams",
    "max_metadata_bytes",
    "max_reads",
)
_TIMES_S: Final = (
    "retry_after_s",
    "body_timeout_s",
    "header_timeout_s",
    "idle_timeout_s",
    "answer_timeout_s",
    "read_patience_s",
)
_TIMES_OR_NONE_S: Final = ("shutdown_timeout_s", "lingering_s", "body_grace_s")
_MAX_TIME_S: Final = 86_400


def check_receiver_settings(settings: ReceiverSettings) -> Outcome[None, InvalidConfig]:
    """Tell whether a receiver can work by *settings*; the address is tried when it listens.

    Fails with:
        InvalidConfig: a number is out of its range, a path or a header's name cannot be.
    """
    for field in _COUNTS:
        value = getattr(settings, field, 1)
        if not (_is_number(value, int) and 0 < value <= _MOST):
            return Failure(InvalidConfig(field, value, f"it is 1 to {_MOST:,}"))
    for field in (*_TIMES_S, *_TIMES_OR_NONE_S):
        value = getattr(settings, field, 1)
        least = "from" if field in _TIMES_OR_NONE_S else "above"
        is_long_enough = _is_number(value, int | float) and (value > 0 or least == "from")
        if not (is_long_enough and 0 <= value <= _MAX_TIME_S):
            allowed = f"it is a number of seconds {least} 0, and no more than a day"
            return Failure(InvalidConfig(field, value, allowed))
    if not _is_number(settings.retry_after_s, int):
        return Failure(InvalidConfig("retry_after_s", settings.retry_after_s, "it is whole"))
    if settings.max_in_flight_bytes < settings.max_body_bytes:
        allowed = f"it is at least max_body_bytes, {settings.max_body_bytes:,}"
        return Failure(InvalidConfig("max_in_flight_bytes", settings.max_in_flight_bytes, allowed))
    if isinstance(settings, HttpReceiverSettings):
        rate = settings.min_body_rate_bytes_per_s
        if not (_is_number(rate, int) and 0 <= rate <= _MOST):
            return Failure(
                InvalidConfig("min_body_rate_bytes_per_s", rate, f"it is 0 to {_MOST:,}")
            )
        checked = _check_paths(settings.paths)
        if isinstance(checked, Failure):
            return checked
    names = check_kept_headers(settings.keep_headers)
    return names if isinstance(names, Failure) else Success(None)


def _check_paths(paths: Mapping[str, Signal]) -> Outcome[None, InvalidConfig]:
    if not paths:
        return Failure(InvalidConfig("paths", {}, "it has a path for at least one signal"))
    for path, signal in paths.items():
        if not path.startswith("/"):
            return Failure(InvalidConfig("paths", path, "a path begins with '/'"))
        if not is_signal(signal):
            allowed = f"a path takes {', '.join(SIGNALS)}"
            return Failure(InvalidConfig(f"paths[{path!r}]", signal, allowed))
    return Success(None)


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)


def authority(host: str, port: int) -> str:
    """Return host and port as they stand in a URL.

    >>> authority("::1", 4318)
    '[::1]:4318'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@attrs.frozen
class CannotListen:
    """The receiver's address cannot be listened on."""

    host: str
    port: int
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which address, why not, and what to do."""
        return (
            f"Cannot listen on {authority(self.host, self.port)}: {self.reason}. "
            f"Choose another address, or stop what uses this one."
        )
