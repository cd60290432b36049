"""OTLP/HTTP: one server that records what clients export into one session.

Source: OTLP specification 1.11, OTLP/HTTP.
"""

import os
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import attrs

from otlp_capture.capture import OtlpCaptureService
from otlp_capture.receiver.settings import (
    DEFAULT_HTTP_SETTINGS,
    CannotListen,
    HttpReceiverSettings,
    authority,
)
from otlp_capture.result import Failure, Outcome, Success

_FORCED_SHUTDOWN_S: Final = 1.0


@attrs.frozen
class HttpReceiver:
    """A server that is listening.

    Attributes:
        host: the address.
        port: the port, also where the settings asked for any.
        accepted: requests that were kept so far, by signal.
        refused: requests that were not, by the name of the error.
    """

    host: str
    port: int
    accepted: Counter[str]
    refused: Counter[str]

    @property
    def url(self) -> str:
        """The base URL that exporters want."""
        return f"http://{authority(self.host, self.port)}"


@asynccontextmanager
async def open_http_receiver(
    capture: OtlpCaptureService,
    session_id: str,
    settings: HttpReceiverSettings = DEFAULT_HTTP_SETTINGS,
) -> AsyncGenerator[Outcome[HttpReceiver, CannotListen]]:
    """Listen until the block ends; requests that are under way then are answered first.

    The session may begin after the receiver: until then clients are told to come again.

    Args:
        capture: what keeps the requests.
        session_id: the session that they go to; nothing in a request can choose another.
        settings: where to listen, and what to take.

    Fails with:
        CannotListen: the address is not to be had.
    """
    from aiohttp import web  # noqa: PLC0415 - loaded where it is used

    from otlp_capture.receiver.exchange import Exchange, Server  # noqa: PLC0415 - it loads aiohttp

    exchange = Exchange(capture, session_id, settings)
    runner = web.ServerRunner(Server(exchange), shutdown_timeout=_FORCED_SHUTDOWN_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except (OSError, OverflowError, ValueError) as error:
            yield Failure(CannotListen(settings.host, settings.port, _reason(error)))
            return
        port = runner.addresses[0][1]
        yield Success(HttpReceiver(settings.host, port, exchange.accepted, exchange.refused))
    finally:
        with anyio.CancelScope(shield=True):
            for site in runner.sites:
                await site.stop()
            with anyio.move_on_after(settings.shutdown_timeout_s):
                await exchange.end()
            await runner.cleanup()


def _reason(error: OSError | OverflowError | ValueError) -> str:
    """Say why an address cannot be had, without the address."""
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error).rstrip(".")
