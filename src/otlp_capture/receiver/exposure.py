"""Whether other machines reach an address, and whether they may."""

import asyncio
import ipaddress
import socket
from typing import ClassVar, Final

import attrs

from otlp_capture.receiver.access import Access
from otlp_capture.receiver.listening import reason_of
from otlp_capture.receiver.settings import CannotListen
from otlp_capture.result import Failure, Outcome, Success

_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - what an empty host means is refused


@attrs.frozen
class ExposureRefused:
    """A receiver would be open to other machines, without what keeps strangers out.

    Attributes:
        host: where it was told to listen.
        beyond: the addresses of it that other machines reach.
        missing: what is not there: `TLS`, `authentication`.
    """

    host: str
    beyond: tuple[str, ...]
    missing: tuple[str, ...]
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is open to whom, what is missing, and what the choices are."""
        return (
            f"Other machines reach {', '.join(self.beyond)} (host {self.host!r}), and there is no "
            f"{' and no '.join(self.missing)}. Give a certificate and its key (--tls-cert, "
            f"--tls-key) for TLS, and tokens (--tokens, or OTLP_CAPTURE_TOKEN) or the authority "
            f"of client certificates (--client-ca) for authentication; or listen on 127.0.0.1; "
            f"or say --insecure, and whoever reaches the port can send, and listen in."
        )


async def check_exposure(
    host: str, port: int, access: Access
) -> Outcome[None, ExposureRefused | CannotListen]:
    """Let a host pass that is loopback with all its addresses, or whose visitors are known.

    Args:
        host: where to listen; empty: everywhere.
        port: where to listen.
        access: what keeps strangers out.

    Fails with:
        ExposureRefused: other machines reach it, and TLS or authentication is missing.
        CannotListen: the host has no address.
    """
    if not access.missing:
        return Success(None)
    try:
        addresses = await _addresses(host)
    except (OSError, ValueError) as error:
        return Failure(CannotListen(host, port, reason_of(error)))
    beyond = tuple(address for address in addresses if not is_loopback(address))
    if beyond:
        return Failure(ExposureRefused(host, beyond, access.missing))
    return Success(None)


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches an address.

    >>> [is_loopback(address) for address in ("127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0")]
    [True, True, True, False]
    """
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


async def _addresses(host: str) -> tuple[str, ...]:
    if not host:
        return _EVERYWHERE
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
