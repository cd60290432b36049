"""The body of an HTTP request, read within bounds of size, time and memory."""

from typing import TypeAlias

import anyio
from aiohttp import ClientPayloadError, HttpVersion11, web

from otlp_capture.otlp import RequestTooLarge
from otlp_capture.receiver.answers import BodyIncomplete, BodyTooSlow, Overloaded
from otlp_capture.receiver.budget import Reservation
from otlp_capture.receiver.settings import HttpReceiverSettings
from otlp_capture.result import Failure, Outcome, Success

BodyRefused: TypeAlias = RequestTooLarge | Overloaded | BodyIncomplete | BodyTooSlow


async def read_body(
    request: web.BaseRequest, held: Reservation, settings: HttpReceiverSettings
) -> Outcome[bytes, BodyRefused]:
    """Read a body as it is on the wire; where it is refused, its rest is left unread.

    Fails with:
        RequestTooLarge: its length says so, or what has come of it.
        Overloaded: the budget does not have the bytes.
        BodyIncomplete: the connection broke, or its chunks make no sense.
        BodyTooSlow: it took too long.
    """
    if (request.content_length or 0) > settings.max_body_bytes:
        return Failure(RequestTooLarge("bytes", settings.max_body_bytes))
    with anyio.move_on_after(settings.body_timeout_s):
        try:
            await _encourage(request)
            return await _read(request, held, settings.max_body_bytes)
        except (web.RequestPayloadError, ClientPayloadError, ConnectionError):
            return Failure(BodyIncomplete())
    return Failure(BodyTooSlow(settings.body_timeout_s))


async def _read(
    request: web.BaseRequest, held: Reservation, limit_bytes: int
) -> Outcome[bytes, RequestTooLarge | Overloaded]:
    body = bytearray()
    async for piece in request.content.iter_any():
        if not held.grow(len(piece)):
            return Failure(Overloaded(held.limit_bytes))
        body += piece
        if len(body) > limit_bytes:
            return Failure(RequestTooLarge("bytes", limit_bytes))
    return Success(bytes(body))


async def _encourage(request: web.BaseRequest) -> None:
    """Tell a client that asked whether to send its body to do so. Source: RFC 9110, 10.1.1."""
    if request.version < HttpVersion11 or not request.body_exists:
        return
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
