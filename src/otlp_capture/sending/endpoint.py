"""Where requests are sent to, and within which bounds."""

import re
from collections.abc import Collection, Iterator
from importlib.metadata import version
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.sending.discretion import Discretion
from otlp_capture.sending.tls import ClientTls

Compression: TypeAlias = Literal["identity", "gzip"]
SendingProtocol: TypeAlias = Literal["http/protobuf", "http/json", "grpc"]

USER_AGENT: Final = f"otlp-capture/{version('otlp-capture')}"
SIGNAL_PLACE: Final = "{signal}"
"""Stands in a URL for the name of the signal, where its path is not the usual one."""

_CONFIDENTIAL: Final = re.compile("authoriz|cookie|token|secret|passw|credential|key")
_TOKEN: Final = re.compile(r"[0-9A-Za-z._~+/-]+=*")


@attrs.frozen(kw_only=True)
class Endpoint:
    """An OTLP endpoint, and how it is spoken to.

    Attributes:
        url: its base, without the path of a signal; or a URL with `{signal}` in it.
        headers: what every request says besides, such as credentials.
        bearer_token: what every request shows as its credential; it overrides what *headers* say.
        connections: how many connections are open at once; 0: as many as it takes. OTLP/gRPC
            needs one.
        request_timeout_s: how long one attempt may take, in seconds.
        max_request_bytes: a longer request is not sent; counted before it is compressed. The
            specification suggests 64 MiB.
        max_response_bytes: more of an answer is not read. The specification suggests 4 MiB.
        compression: how requests are compressed.
        tls: whom to trust, and the client's own certificate; None: whom the system trusts.
        allowed_targets: what may be sent to besides loopback; see `parse_allowed_target`. It is
            held against the address of each connection.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    bearer_token: str | None = attrs.field(default=None, repr=False)
    connections: int = 0
    request_timeout_s: float = 10.0
    max_request_bytes: int = 64 << 20
    max_response_bytes: int = 4 << 20
    compression: Compression = "identity"
    tls: ClientTls | None = None
    allowed_targets: tuple[str, ...] = ()

    def url_of(self, signal: Signal) -> str:
        """Return where a signal's requests go over OTLP/HTTP.

        >>> Endpoint(url="http://localhost:4318").url_of("logs")
        'http://localhost:4318/v1/logs'
        >>> Endpoint(url="http://localhost/in/{signal}/otlp").url_of("logs")
        'http://localhost/in/logs/otlp'
        """
        if SIGNAL_PLACE in self.url:
            return self.url.replace(SIGNAL_PLACE, signal)
        return f"{self.url}/v1/{signal}"

    def said_with(self, headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
        """Return what a request says: its own *headers*, those of the endpoint, and the token."""
        said = {name.lower(): value for name, value in (*headers, *self.headers)}
        if self.bearer_token is not None:
            said["authorization"] = f"Bearer {self.bearer_token}"
        return said

    @property
    def discretion(self) -> Discretion:
        """Takes the endpoint's credentials out of what it answers."""
        return Discretion(self._secrets())

    def _secrets(self) -> Iterator[str | None]:
        yield self.bearer_token
        for name, value in self.headers:
            if _CONFIDENTIAL.search(name.lower()):
                yield value
                yield value.rpartition(" ")[2]


def base_url(url: str) -> str:
    """Return an endpoint's base, without the path of a signal.

    >>> base_url("http://localhost:4318/v1/traces")
    'http://localhost:4318'
    """
    base = url.rstrip("/")
    paths = (f"/v1/{signal}" for signal in SIGNALS)
    return base.removesuffix(next(filter(base.endswith, paths), ""))


def is_bearer_token(token: str) -> bool:
    """Say whether a token can be sent.

    Source: RFC 6750, 2.1.

    >>> is_bearer_token("abc-123="), is_bearer_token("two words")
    (True, False)
    """
    return _TOKEN.fullmatch(token) is not None


def is_endpoint_url(url: str, schemes: Collection[str]) -> bool:
    """Say whether *url* names a host in one of *schemes*, and no credentials.

    >>> is_endpoint_url("http://localhost:4318", {"http"})
    True
    >>> is_endpoint_url("http://me:secret@localhost:4318", {"http"})
    False
    """
    try:
        parts = urlsplit(url)
        parts.netloc.encode("idna")
        has_place = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
    is_written_well = url.isprintable() and " " not in url
    return parts.scheme in schemes and has_place and is_plain and is_written_well
