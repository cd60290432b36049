"""Where an OTLP/HTTP receiver listens, and what it takes."""

from collections.abc import Mapping
from typing import ClassVar, Final

import attrs

from otlp_capture.otlp import Signal

DEFAULT_HTTP_PORT: Final = 4318
DEFAULT_PATHS: Final[Mapping[str, Signal]] = {
    "/v1/traces": "traces",
    "/v1/metrics": "metrics",
    "/v1/logs": "logs",
}


@attrs.frozen(kw_only=True)
class HttpReceiverSettings:
    """How a receiver listens.

    Attributes:
        host: the address to listen on.
        port: the port; 0: any that is free.
        paths: which path takes which signal.
        max_body_bytes: the largest body, as it is on the wire.
        max_in_flight_bytes: how many bytes of bodies may be in memory at once; beyond it clients
            are told to come again.
        retry_after_s: when to come again, in seconds.
        body_timeout_s: how long a body may take to arrive, in seconds.
        shutdown_timeout_s: how long requests that are under way may take at the end, in seconds.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_HTTP_PORT
    paths: Mapping[str, Signal] = DEFAULT_PATHS
    max_body_bytes: int = 20 << 20
    max_in_flight_bytes: int = 256 << 20
    retry_after_s: int = 1
    body_timeout_s: float = 60.0
    shutdown_timeout_s: float = 10.0


DEFAULT_HTTP_SETTINGS: Final = HttpReceiverSettings()


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
