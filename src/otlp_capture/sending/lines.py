"""gRPC channels to an endpoint: to addresses that may be connected to, and replaced when dead.

gRPC would look the name up by itself, at moments of its own choice. So it is looked up here, and a
channel is told the addresses that passed; the name stays what is asked for, and what the target's
certificate is held against.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import attrs

from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending.endpoint import USER_AGENT, Endpoint
from otlp_capture.sending.resolving import (
    DEFAULT_GRPC_PORT,
    Place,
    Unresolved,
    allowed_addresses,
    place_of,
)
from otlp_capture.sending.targets import TargetNotAllowed

_CLOSING_TIMEOUT_S: Final = 2.0
_SHORTEST_RECONNECT_MS: Final = 100
_LONGEST_RECONNECT_MS: Final = 5_000
_PING_AFTER_MS: Final = 300_000
_PING_TIMEOUT_MS: Final = 20_000
_MAX_METADATA_BYTES: Final = 64 << 10
_TLS_SCHEMES: Final = ("grpcs:", "https:")
_METHODS: Final[Mapping[Signal, str]] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}


@attrs.define(eq=False)
class Line:
    """A channel, and who is on it.

    Attributes:
        addresses: what it connects to.
        exports: what makes a call, by signal.
        calls: how many calls are under way.
        is_left: whether nobody is to begin another.
    """

    addresses: tuple[str, ...]
    channel: Any
    exports: Mapping[Signal, Any]
    calls: int = 0
    is_left: bool = False

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return str(self.channel.get_state().name) == "READY"


class Lines:
    """The channels to one endpoint: one that is used, and those that still have calls."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._place = place_of(endpoint.url, default_port=DEFAULT_GRPC_PORT)
        self._line: Line | None = None
        self._is_doubtful = False
        self._looking = anyio.Lock()
        self._open = set[Line]()

    async def take(self) -> Outcome[Line, TargetNotAllowed | Unresolved]:
        """Return the channel to call on; `put_back` it.

        Fails with:
            TargetNotAllowed: none of the target's addresses may be connected to.
            Unresolved: it has none.
        """
        line = self._line
        if line is None or self._is_doubtful:
            looked = await self._look()
            if isinstance(looked, Failure):
                return looked
            line = looked.unwrap()
        line.calls += 1
        return Success(line)

    async def put_back(self, line: Line) -> None:
        """End a call; a channel that was left is closed after the last one."""
        line.calls -= 1
        if line.is_left and not line.calls:
            await self._close(line)

    def doubt(self, line: Line) -> None:
        """Have the name looked up again before the next call: the connection was lost."""
        self._is_doubtful |= line is self._line

    def leave(self, line: Line) -> None:
        """Make the next call on a new channel: this one's connection may be dead."""
        line.is_left = True
        if line is self._line:
            self._line = None

    async def close(self) -> None:
        """Close all of them."""
        for line in tuple(self._open):
            await self._close(line)

    async def _look(self) -> Outcome[Line, TargetNotAllowed | Unresolved]:
        """Look the name up; keep the channel where its addresses are still the same."""
        async with self._looking:
            line = self._line
            if line is not None and not self._is_doubtful:
                return Success(line)
            found = await allowed_addresses(self._endpoint, self._place)
            if isinstance(found, Failure):
                return found
            addresses = found.unwrap()
            self._is_doubtful = False
            if line is not None and line.addresses == addresses:
                return Success(line)
            fresh = _open_line(self._endpoint, self._place, addresses)
            self._open.add(fresh)
            self._line = fresh
        await self._retire(line)
        return Success(fresh)

    async def _retire(self, line: Line | None) -> None:
        if line is None:
            return
        line.is_left = True
        if not line.calls:
            await self._close(line)

    async def _close(self, line: Line) -> None:
        self._open.discard(line)
        with anyio.move_on_after(_CLOSING_TIMEOUT_S, shield=True):
            await line.channel.close()


def _open_line(endpoint: Endpoint, place: Place, addresses: tuple[str, ...]) -> Line:
    import grpc.aio  # noqa: PLC0415 - loaded where it is used

    options = (
        # The environment's proxies are not used, and gRPC does not try again by itself.
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.default_authority", place.authority),
        ("grpc.primary_user_agent", USER_AGENT),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", endpoint.max_response_bytes),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.initial_reconnect_backoff_ms", _SHORTEST_RECONNECT_MS),
        ("grpc.min_reconnect_backoff_ms", _LONGEST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _LONGEST_RECONNECT_MS),
        # Servers complain of pings that come more often.
        ("grpc.keepalive_time_ms", _PING_AFTER_MS),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
    )
    where = _target(addresses, place.port)
    if endpoint.url.startswith(_TLS_SCHEMES):
        tls = endpoint.tls
        credentials = grpc.ssl_channel_credentials() if tls is None else tls.grpc_credentials()
        channel: Any = grpc.aio.secure_channel(where, credentials, options=options)
    else:
        channel = grpc.aio.insecure_channel(where, options=options)
    exports: dict[Signal, Any] = {
        signal: channel.unary_unary(path) for signal, path in _METHODS.items()
    }
    return Line(addresses, channel, exports)


def _target(addresses: Sequence[str], port: int) -> str:
    """Name addresses as gRPC reads them: all of one family, so IPv4 goes as IPv6 where both occur.

    >>> _target(("127.0.0.1", "::1"), 4317)
    'ipv6:[::ffff:127.0.0.1]:4317,[::1]:4317'
    """
    parsed = [ipaddress.ip_address(address) for address in addresses]
    if all(address.version == 4 for address in parsed):  # noqa: PLR2004 - of IP
        return "ipv4:" + ",".join(f"{address}:{port}" for address in parsed)
    six = (f"::ffff:{one}" if one.version == 4 else str(one) for one in parsed)  # noqa: PLR2004 - of IP
    return "ipv6:" + ",".join(f"[{address}]:{port}" for address in six)
