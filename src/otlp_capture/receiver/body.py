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
        BodyTooSlow: it took too long, or came too slowly to be worth waiting for.
    """
    if (request.content_length or 0) > settings.max_body_bytes:
        return Failure(RequestTooLarge("bytes", settings.max_body_bytes))
    with anyio.CancelScope() as patience:
        pace = _Pace(patience, settings)
        try:
            await _encourage(request)
            return await _read(request, held, settings.max_body_bytes, pace)
        except (web.RequestPayloadError, ClientPayloadError, ConnectionError):
            return Failure(BodyIncomplete())
    return Failure(BodyTooSlow(settings.body_timeout_s, settings.min_body_rate_bytes_per_s))


class _Pace:
    """Moves the deadline of a body on with each piece of it, though never past the last one."""

    def __init__(self, patience: anyio.CancelScope, settings: HttpReceiverSettings) -> None:
        begun = anyio.current_time()
        self._patience = patience
        self._last = begun + settings.body_timeout_s
        self._first = begun + settings.body_grace_s
        self._rate_bytes_per_s = settings.min_body_rate_bytes_per_s
        self.keep(0)

    def keep(self, size_bytes: int) -> None:
        """Give a body that has come so far the time that it has earned."""
        if self._rate_bytes_per_s:
            earned = self._first + size_bytes / self._rate_bytes_per_s
            self._patience.deadline = min(self._last, earned)
        else:
            self._patience.deadline = self._last


async def _read(
    request: web.BaseRequest, held: Reservation, limit_bytes: int, pace: _Pace
) -> Outcome[bytes, RequestTooLarge | Overloaded]:
    body = bytearray()
    async for piece in request.content.iter_any():
        if not held.grow(len(piece)):
            return Failure(Overloaded(held.limit_bytes))
        body += piece
        if len(body) > limit_bytes:
            return Failure(RequestTooLarge("bytes", limit_bytes))
        pace.keep(len(body))
    return Success(bytes(body))


async def _encourage(request: web.BaseRequest) -> None:
    """Tell a client that asked whether to send its body to do so. Source: RFC 9110, 10.1.1."""
    if request.version < HttpVersion11 or not request.body_exists:
        return
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
