"""A port that is listened on, tried and closed."""

import os
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import anyio
import attrs

from otlp_capture.receiver.settings import authority

_R = TypeVar("_R")


@attrs.frozen
class ServedPort:
    """A port that a server listens on.

    Attributes:
        host: the address.
        port: the port, also where the settings asked for any.
        accepted: requests that were kept so far, by signal; all transports of a receiver count
            together.
        refused: requests that were not, by the name of the error; likewise.
        scheme: `https` where TLS is spoken.
    """

    host: str
    port: int
    accepted: Counter[str]
    refused: Counter[str]
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The base URL that exporters want; its scheme says whether there is TLS."""
        return f"{self.scheme}://{authority(self.host, self.port)}"


@attrs.frozen
class Listening(Generic[_R]):
    """What listens, and how it ends.

    Attributes:
        receiver: what users see of it.
        close: takes no more, lets what is under way be answered, and ends.
    """

    receiver: _R
    close: Callable[[], Coroutine[Any, Any, None]]


async def try_address(host: str, port: int) -> None:
    """Bind an address and leave it again, as a server would that cannot say why it failed.

    Raises:
        OSError, OverflowError, ValueError: it cannot be bound.
    """
    found = await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((address[0], port, *address[2:]))
            tried.listen(1)


def reason_of(error: OSError | OverflowError | ValueError) -> str:
    """Say why an address cannot be had, without the address."""
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error).rstrip(".")
