"""Where requests are forwarded to: a URL, and what is said and trusted there."""

import ipaddress
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs

from otlp_capture.clock import Clock
from otlp_capture.forward.errors import InvalidDestination
from otlp_capture.forward.headers import check_header
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import (
    DEFAULT_GRPC_PORT,
    Compression,
    Endpoint,
    Transport,
    base_url,
    is_endpoint_url,
    open_grpc_transport,
    open_http_transport,
)

_PORTS: Final = {
    "http": 80,
    "https": 443,
    "grpc": DEFAULT_GRPC_PORT,
    "grpcs": DEFAULT_GRPC_PORT,
}
_ALLOWED: Final = (
    "it is http://HOST:PORT or https://HOST:PORT for OTLP/HTTP, grpc://HOST:PORT or "
    "grpcs://HOST:PORT for OTLP/gRPC, without credentials and query"
)


@attrs.frozen
class Destination:
    """Where to forward to.

    Attributes:
        endpoint: the URL, and how to speak to it.
    """

    endpoint: Endpoint

    @property
    def url(self) -> str:
        """The URL, for people."""
        return self.endpoint.url

    @property
    def is_grpc(self) -> bool:
        """Whether it speaks OTLP/gRPC."""
        return urlsplit(self.url).scheme in {"grpc", "grpcs"}

    @property
    def place(self) -> tuple[str, int]:
        """Its host and its port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or _PORTS[parts.scheme]


def parse_destination(
    url: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    ca_file: Path | None = None,
    request_timeout_s: float = 10.0,
    compression: Compression = "identity",
) -> Outcome[Destination, InvalidDestination]:
    """Read a destination.

    Args:
        url: `http://HOST:PORT` and `https://…` are OTLP/HTTP: `/v1/traces` and the like are added,
            unless `{signal}` stands in the path. `grpc://HOST:PORT` and `grpcs://…` are OTLP/gRPC.
        headers: what every request says there, such as credentials.
        ca_file: the certificates to trust, in PEM, in place of those that the system trusts.
        request_timeout_s: how long an answer may take, in seconds.
        compression: `gzip` or `identity`.

    Fails with:
        InvalidDestination: the URL, a header or the file makes no sense.
    """
    base = base_url(url)
    if not is_endpoint_url(base, _PORTS):
        return Failure(InvalidDestination(_shown(url), _ALLOWED))
    parts = urlsplit(base)
    if parts.scheme in {"grpc", "grpcs"} and parts.path:
        return Failure(InvalidDestination(base, "OTLP/gRPC has no path"))
    said = tuple((name.strip().lower(), value.strip()) for name, value in headers)
    for name, value in said:
        problem = check_header(name, value)
        if problem is not None:
            return Failure(InvalidDestination(base, f"its header {name[:60]!r} {problem}"))
    trusted = _trusted(base, ca_file)
    if isinstance(trusted, Failure):
        return trusted
    return Success(
        Destination(
            Endpoint(
                url=base,
                headers=said,
                request_timeout_s=request_timeout_s,
                compression=compression,
                trusted_pem=trusted.unwrap(),
            )
        )
    )


def _shown(url: str) -> str:
    """Return *url* without what stands before an `@`, which may be a secret."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://…@{after}" if at else url


def _trusted(base: str, ca_file: Path | None) -> Outcome[str | None, InvalidDestination]:
    if ca_file is None:
        return Success(None)
    try:
        pem = ca_file.read_text("ascii")
        ssl.create_default_context(cadata=pem)
    except (OSError, ValueError) as error:
        # ssl.SSLError is an OSError.
        reason = f"the certificates in {str(ca_file)!r} cannot be read: {error}"
        return Failure(InvalidDestination(base, reason))
    return Success(pem)


@asynccontextmanager
async def open_transport(destination: Destination, clock: Clock) -> AsyncGenerator[Transport]:
    """Open what sends to a destination, and close it when the block ends."""
    if destination.is_grpc:
        async with open_grpc_transport(destination.endpoint) as transport:
            yield transport
        return
    async with open_http_transport(destination.endpoint, clock) as transport:
        yield transport


def is_itself(destination: Destination, host: str, port: int) -> bool:
    """Say whether a destination is what listens on *host* and *port*, as far as names tell.

    >>> itself = parse_destination("http://localhost:4318").unwrap()
    >>> is_itself(itself, "127.0.0.1", 4318), is_itself(itself, "127.0.0.1", 4319)
    (True, False)
    """
    there, its_port = destination.place
    if port != its_port:
        return False
    listening = host.strip("[]").lower()
    if there == listening:
        return True
    return _is_loopback(there) and (_is_loopback(listening) or _is_any(listening))


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback or _is_any(host)


def _is_any(host: str) -> bool:
    address = _address(host)
    return not host if address is None else address.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
