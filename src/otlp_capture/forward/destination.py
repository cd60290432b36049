"""Where requests are forwarded to: a URL, and what is said and trusted there."""

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs

from otlp_capture.forward.errors import InvalidDestination
from otlp_capture.forward.headers import check_header
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import (
    Compression,
    Endpoint,
    SendingProtocol,
    base_url,
    is_endpoint_url,
    load_client_tls,
    place_of,
)

_SCHEMES: Final = ("http", "https", "grpc", "grpcs")
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
        place = place_of(self.url)
        return place.host, place.port

    @property
    def protocol(self) -> SendingProtocol:
        """What is spoken there."""
        return "grpc" if self.is_grpc else "http/protobuf"


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
    if not is_endpoint_url(base, _SCHEMES):
        return Failure(InvalidDestination(_shown(url), _ALLOWED))
    parts = urlsplit(base)
    if parts.scheme in {"grpc", "grpcs"} and parts.path:
        return Failure(InvalidDestination(base, "OTLP/gRPC has no path"))
    said = tuple((name.strip().lower(), value.strip()) for name, value in headers)
    for name, value in said:
        problem = check_header(name, value)
        if problem is not None:
            return Failure(InvalidDestination(base, f"its header {name[:60]!r} {problem}"))
    endpoint = Endpoint(
        url=base,
        headers=said,
        request_timeout_s=request_timeout_s,
        compression=compression,
        # Whoever names a destination means it: the name itself is the permission.
        allowed_targets=(place_of(base).host,),
    )
    if ca_file is None:
        return Success(Destination(endpoint))
    loaded = load_client_tls(ca=ca_file)
    if isinstance(loaded, Failure):
        return Failure(InvalidDestination(base, loaded.failure().message.removesuffix(".")))
    return Success(Destination(attrs.evolve(endpoint, tls=loaded.unwrap())))


def _shown(url: str) -> str:
    """Return *url* without what stands before an `@`, which may be a secret."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://…@{after}" if at else url


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
