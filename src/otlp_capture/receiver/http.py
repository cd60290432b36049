"""OTLP/HTTP: a server on a port. Source: OTLP specification 1.11, OTLP/HTTP."""

from typing import Final

import anyio
import attrs

from otlp_capture.receiver.intake import Intake
from otlp_capture.receiver.listening import Listening, ServedPort, reason_of
from otlp_capture.receiver.settings import CannotListen, HttpReceiverSettings
from otlp_capture.result import Failure, Outcome, Success

_FORCED_SHUTDOWN_S: Final = 1.0


@attrs.frozen
class HttpReceiver(ServedPort):
    """An OTLP/HTTP server that is listening."""


async def listen_http(
    intake: Intake, settings: HttpReceiverSettings
) -> Outcome[Listening[HttpReceiver], CannotListen]:
    """Begin to listen.

    Fails with:
        CannotListen: the address is not to be had.
    """
    from aiohttp import web  # noqa: PLC0415 - loaded where it is used

    from otlp_capture.receiver.connection import Server  # noqa: PLC0415 - it loads aiohttp
    from otlp_capture.receiver.exchange import Exchange  # noqa: PLC0415 - it loads aiohttp

    exchange = Exchange(intake, settings)
    server = Server(exchange, intake, settings)
    runner = web.ServerRunner(server, shutdown_timeout=_FORCED_SHUTDOWN_S)
    await runner.setup()

    async def close() -> None:
        for site in runner.sites:
            await site.stop()
        with anyio.move_on_after(settings.shutdown_timeout_s):
            await exchange.end()
        await runner.cleanup()

    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except (OSError, OverflowError, ValueError) as error:
        await close()
        return Failure(CannotListen(settings.host, settings.port, reason_of(error)))
    port, tally = runner.addresses[0][1], intake.tally
    scheme = "http" if intake.access.tls is None else "https"
    receiver = HttpReceiver(settings.host, port, tally.accepted, tally.refused, scheme)
    return Success(Listening(receiver, close))
