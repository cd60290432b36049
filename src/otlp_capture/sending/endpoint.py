"""Where requests are sent to, and within which bounds."""

from collections.abc import Collection
from importlib.metadata import version
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from otlp_capture.otlp import SIGNALS, Signal

Compression: TypeAlias = Literal["identity", "gzip"]

USER_AGENT: Final = f"otlp-capture/{version('otlp-capture')}"
SIGNAL_PLACE: Final = "{signal}"
"""Stands in a URL for the name of the signal, where its path is not the usual one."""


@attrs.frozen(kw_only=True)
class Endpoint:
    """An OTLP endpoint, and how it is spoken to.

    Attributes:
        url: its base, without the path of a signal; or a URL with `{signal}` in it.
        headers: what every request says besides, such as credentials.
        connections: how many connections are open at once; 0: as many as it takes. OTLP/gRPC
            needs one.
        request_timeout_s: how long one attempt may take, in seconds.
        max_response_bytes: more of an answer is not read. The specification suggests 4 MiB.
        compression: how requests are compressed.
        trusted_pem: the certificates to trust, in PEM; None: those that the system trusts.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    connections: int = 0
    request_timeout_s: float = 10.0
    max_response_bytes: int = 4 << 20
    compression: Compression = "identity"
    trusted_pem: str | None = attrs.field(default=None, repr=False)

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


def base_url(url: str) -> str:
    """Return an endpoint's base, without the path of a signal.

    >>> base_url("http://localhost:4318/v1/traces")
    'http://localhost:4318'
    """
    base = url.rstrip("/")
    paths = (f"/v1/{signal}" for signal in SIGNALS)
    return base.removesuffix(next(filter(base.endswith, paths), ""))


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
