"""How an HTTP client connects: only to addresses that may be, each looked at as it is used.

It loads aiohttp, so it is loaded where connections are opened.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import aiohttp.abc

from otlp_capture.result import Failure
from otlp_capture.sending.endpoint import Endpoint
from otlp_capture.sending.resolving import (
    CONNECT_TIMEOUT_S,
    Place,
    allowed_addresses,
    may_connect,
    place_of,
    refusal_of,
)
from otlp_capture.sending.targets import TargetNotAllowed


class ConnectionNotAllowedError(OSError):
    """Carries a refusal out of the library that connects.

    Attributes:
        refusal: what is not allowed.
    """

    def __init__(self, refusal: TargetNotAllowed) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class _Lookup(aiohttp.abc.AbstractResolver):
    """Looks an endpoint's host up, and tells only of addresses that may be connected to."""

    def __init__(self, endpoint: Endpoint, place: Place) -> None:
        self._endpoint, self._place = endpoint, place

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - as aiohttp calls it
    ) -> list[aiohttp.abc.ResolveResult]:
        found = await allowed_addresses(self._endpoint, self._place)
        if isinstance(found, Failure):
            problem = found.failure()
            if isinstance(problem, TargetNotAllowed):
                raise ConnectionNotAllowedError(problem)
            raise OSError(None, problem.reason)
        return [_result(host, address, port) for address in found.unwrap()]

    async def close(self) -> None:
        """Nothing is held."""


def _result(host: str, address: str, port: int) -> aiohttp.abc.ResolveResult:
    is_six = ipaddress.ip_address(address).version == 6  # noqa: PLR2004 - of IP
    return {
        "hostname": host,
        "host": address,
        "port": port,
        "family": socket.AF_INET6 if is_six else socket.AF_INET,
        "proto": socket.IPPROTO_TCP,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }


def connector(endpoint: Endpoint) -> aiohttp.TCPConnector:
    """Return what opens and keeps the connections to an endpoint."""
    place = place_of(endpoint.url)
    return aiohttp.TCPConnector(
        limit=endpoint.connections,
        ssl=True if endpoint.tls is None else endpoint.tls.context,
        resolver=_Lookup(endpoint, place),
        use_dns_cache=False,
        socket_factory=_sockets(endpoint, place),
    )


def _sockets(endpoint: Endpoint, place: Place) -> Callable[[Any], socket.socket]:
    """Return what makes the socket of each connection, if its address may be connected to.

    An address that stands in the URL is not looked up, so this is the first to see it.
    """

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not may_connect(endpoint, place, str(address[0])):
            raise ConnectionNotAllowedError(refusal_of(endpoint, place, str(address[0])))
        return socket.socket(family, kind, protocol)

    return make


def timeout(endpoint: Endpoint) -> aiohttp.ClientTimeout:
    """Return how long an attempt may take."""
    total_s = endpoint.request_timeout_s
    return aiohttp.ClientTimeout(total=total_s, sock_connect=min(CONNECT_TIMEOUT_S, total_s))
