"""From an endpoint's host to the addresses that may be connected to."""

import asyncio
import socket
from typing import Final
from urllib.parse import urlsplit

import anyio
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending.endpoint import Endpoint
from otlp_capture.sending.targets import TargetNotAllowed, is_allowed

DEFAULT_GRPC_PORT: Final = 4317
CONNECT_TIMEOUT_S: Final = 5.0
_PORTS: Final = {
    "http": 80,
    "https": 443,
    "grpc": DEFAULT_GRPC_PORT,
    "grpcs": DEFAULT_GRPC_PORT,
}


@attrs.frozen
class Unresolved:
    """A host has no address, or none that was found in time."""

    host: str
    reason: str

    @property
    def message(self) -> str:
        """Which host, and why."""
        return f"{self.host!r} has no address: {self.reason}"


@attrs.frozen
class Place:
    """Where an endpoint is.

    Attributes:
        host: its host, without brackets.
        port: its port.
    """

    host: str
    port: int

    @property
    def authority(self) -> str:
        """Both, as HTTP writes them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def place_of(url: str, *, default_port: int | None = None) -> Place:
    """Return the host and the port of an endpoint's URL.

    >>> place_of("grpc://[::1]")
    Place(host='::1', port=4317)
    """
    parts = urlsplit(url)
    return Place(parts.hostname or "", parts.port or default_port or _PORTS[parts.scheme])


async def allowed_addresses(
    endpoint: Endpoint, place: Place
) -> Outcome[tuple[str, ...], TargetNotAllowed | Unresolved]:
    """Look up a host, and return those of its addresses that may be connected to.

    Fails with:
        TargetNotAllowed: it has addresses, and none of them may.
        Unresolved: it has none, or the answer takes too long.
    """
    found = await _addresses(place)
    if isinstance(found, Failure):
        return found
    addresses = found.unwrap()
    allowed = tuple(address for address in addresses if may_connect(endpoint, place, address))
    return Success(allowed) if allowed else Failure(refusal_of(endpoint, place, addresses[0]))


async def check_target(endpoint: Endpoint, place: Place) -> Outcome[None, TargetNotAllowed]:
    """See whether an endpoint may be sent to, before anything is.

    A host that has no address now passes: each connection looks again.

    Fails with:
        TargetNotAllowed: it is neither loopback nor allowed.
    """
    found = await allowed_addresses(endpoint, place)
    match found:
        case Failure(TargetNotAllowed() as refusal):
            return Failure(refusal)
        case _:
            return Success(None)


def may_connect(endpoint: Endpoint, place: Place, address: str) -> bool:
    """Say whether an address of an endpoint may be connected to."""
    return is_allowed(endpoint.allowed_targets, place.host, place.port, address)


def refusal_of(endpoint: Endpoint, place: Place, address: str) -> TargetNotAllowed:
    """Say that an address of an endpoint may not be connected to."""
    return TargetNotAllowed(endpoint.url, place.host, address, endpoint.allowed_targets)


async def _addresses(place: Place) -> Outcome[tuple[str, ...], Unresolved]:
    lookup = asyncio.get_running_loop().getaddrinfo
    try:
        with anyio.fail_after(CONNECT_TIMEOUT_S):
            found = await lookup(place.host, place.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Failure(Unresolved(place.host, "nobody knew in time"))
    except (OSError, UnicodeError) as error:
        return Failure(Unresolved(place.host, str(error)))
    addresses = tuple(dict.fromkeys(str(address[0]) for *_, address in found))
    return Success(addresses) if addresses else Failure(Unresolved(place.host, "it is not known"))
