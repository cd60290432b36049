"""Connections: how many, how they begin, and how long they may take. Source: RFC 9110, RFC 9112.

aiohttp parses; what it does not bound is bounded here. Each accepted connection first meets a gate,
which counts it and does the TLS handshake, so that what does not get that far is counted, too.
"""

import asyncio
import logging
import time
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from otlp_capture import otlp
from otlp_capture.receiver.answers import (
    HeadersTooLarge,
    HeaderTooSlow,
    InternalError,
    MalformedHttp,
    Refusal,
    TooManyConnections,
    answer_to,
)
from otlp_capture.receiver.exchange import Exchange
from otlp_capture.receiver.intake import Intake
from otlp_capture.receiver.refusals import address_of
from otlp_capture.receiver.settings import HttpReceiverSettings
from otlp_capture.receiver.tls import ServerTls

_log = logging.getLogger(__name__)

_MAX_TURNED_AWAY: Final = 64
_TURNING_AWAY_S: Final = 1.0
_TOO_MANY_HEADERS: Final = "Too many headers"
_TLS_FAILED: Final = "TlsFailed"
_ANSWERS_UNREAD: Final = "AnswersUnread"


class Server(web.Server):
    """aiohttp's server, whose own errors are said as OTLP has them, too.

    Args:
        exchange: what answers requests.
        intake: what counts them, and who may send.
        settings: what clients may take.
    """

    def __init__(self, exchange: Exchange, intake: Intake, settings: HttpReceiverSettings) -> None:
        super().__init__(exchange.answer, request_factory=_request)
        self.exchange, self.intake, self.limits = exchange, intake, settings
        self.open_connections = 0
        self.turned_away = set[asyncio.Transport]()
        self._handshakes = set[asyncio.Task[None]]()

    def __call__(self) -> asyncio.Protocol:  # type: ignore[override]  # aiohttp hands it on
        """Return what a connection meets first."""
        return _Gate(self)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's
        """End all connections, also those that have not begun."""
        for task in self._handshakes:
            task.cancel()
        for transport in self.turned_away:
            transport.abort()
        await super().shutdown(timeout)

    def answer(self, refusal: Refusal, transport: asyncio.Transport) -> None:
        """Count a refusal that answers no request, and write it."""
        self.intake.refuse(refusal, "http")
        self.tell(type(refusal).__name__, transport)
        transport.write(_spelled(refusal, self.limits.retry_after_s))

    def tell(self, reason: str, transport: asyncio.BaseTransport) -> None:
        """Let the log tell of a refusal."""
        self.intake.early.tell(reason, address_of(transport.get_extra_info("peername")))

    def shake_hands(
        self, transport: asyncio.Transport, inner: "_Connection | _TurnedAway", tls: ServerTls
    ) -> None:
        """Begin a connection by TLS."""
        handshake = self._shake_hands(transport, inner, tls)
        task = asyncio.get_running_loop().create_task(handshake)
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(
        self, transport: asyncio.Transport, inner: "_Connection | _TurnedAway", tls: ServerTls
    ) -> None:
        loop = asyncio.get_running_loop()
        timeout_s = self.limits.header_timeout_s
        try:
            secured = await loop.start_tls(
                transport,
                inner,
                tls.context,
                server_side=True,
                ssl_handshake_timeout=timeout_s,
                ssl_shutdown_timeout=timeout_s,
            )
        except OSError as error:
            inner.leave()
            # Who only looks whether the port is open, as load balancers do, is not told of.
            if not isinstance(error, ConnectionResetError | BrokenPipeError):
                self.intake.lose(_TLS_FAILED, "http")
                self.tell(_TLS_FAILED, transport)
        except asyncio.CancelledError:
            inner.leave()
            transport.abort()
            raise
        else:
            inner.connection_made(cast("asyncio.Transport", secured))


def _spelled(refusal: Refusal, retry_after_s: int) -> bytes:
    """Spell an answer to nothing, which ends its connection."""
    status, code = answer_to(refusal)
    body = otlp.encode_status(code, refusal.message, "protobuf")
    lines = [
        f"HTTP/1.1 {status} {status.phrase}",
        "Content-Type: application/x-protobuf",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(f"Retry-After: {retry_after_s}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    cast("_Connection", protocol).begin_request(payload)
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop)


class _Gate(asyncio.Protocol):
    """Lets a connection in, or turns it away."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = cast("asyncio.Transport", transport)
        server = self._server
        inner: _Connection | _TurnedAway
        if server.open_connections < server.limits.max_connections:
            inner = _Connection(server)
        elif len(server.turned_away) < _MAX_TURNED_AWAY:
            inner = _TurnedAway(server, wire)
        else:
            server.intake.lose(TooManyConnections.__name__, "http")
            server.tell(TooManyConnections.__name__, wire)
            wire.abort()
            return
        tls = server.intake.access.tls
        if tls is not None:
            wire.pause_reading()
            server.shake_hands(wire, inner, tls)
            return
        wire.set_protocol(inner)
        inner.connection_made(wire)


class _TurnedAway(asyncio.Protocol):
    """Answers a connection too many, and reads on for a moment.

    A socket that is closed with something unread is reset, and its client may never see the answer.
    """

    def __init__(self, server: Server, wire: asyncio.Transport) -> None:
        self._server, self._wire = server, wire
        self._timer: asyncio.TimerHandle | None = None
        server.turned_away.add(wire)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        limits = self._server.limits
        self._server.answer(TooManyConnections(limits.max_connections), transport)
        if not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_TURNING_AWAY_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.leave()

    def leave(self) -> None:
        self._server.turned_away.discard(self._wire)
        if self._timer is not None:
            self._timer.cancel()


class _Connection(web.RequestHandler):
    """One connection, whose client has to begin requests, to end their heads, and to read answers.

    A head that has begun behind a request that is under way is not watched by itself: it ends with
    the time that the connection may be idle.
    """

    __slots__ = (
        "_answer_timer",
        "_body",
        "_head_timer",
        "_is_answering",
        "_sends_no_more",
        "_server",
    )

    def __init__(self, server: Server) -> None:
        limits = server.limits
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            auto_decompress=False,
            access_log=cast("Any", None),
            keepalive_timeout=limits.idle_timeout_s,
            lingering_time=limits.lingering_s,
            max_line_size=limits.max_header_bytes,
            max_field_size=limits.max_header_bytes,
            max_headers=limits.max_headers,
        )
        self._server = server
        self._is_answering = self._sends_no_more = False
        self._body: StreamReader | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        server.open_connections += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.leave()
        super().connection_lost(exc)

    def leave(self) -> None:
        """Make room for another connection."""
        self._server.open_connections -= 1
        for timer in (self._head_timer, self._answer_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._answer_timer = None

    def data_received(self, data: bytes) -> None:
        if data and not self._is_answering:
            self._await_head()
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # aiohttp never keeps it open
        """Keep the connection for the answers to what has come whole; nothing more is to come."""
        if self.transport is None or self.transport.get_extra_info("ssl_object") is not None:
            return False  # TLS ends in both directions at once
        is_whole = self._is_answering and self._body is not None and self._body.is_eof()
        self._sends_no_more = is_whole or bool(self._messages)
        return self._sends_no_more

    def begin_request(self, body: StreamReader) -> None:
        """Note that a head has come to its end."""
        self._is_answering, self._body = True, body
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write an answer; what comes then is another head, unless it was the last answer."""
        try:
            if self._sends_no_more and not self._messages:
                resp.force_close()
            return await super().finish_response(request, resp, start_time)
        finally:
            self._is_answering = resp.keep_alive is False
            if self._sends_no_more and not self._messages:
                self.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        timeout_s = self._server.limits.answer_timeout_s
        self._answer_timer = self._loop.call_later(timeout_s, self._give_answers_up)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, and what the handler did not expect."""
        refusal: Refusal = MalformedHttp(message or HTTPStatus(status).phrase)
        if isinstance(exc, LineTooLong) or (message or "").startswith(_TOO_MANY_HEADERS):
            limits = self._server.limits
            refusal = HeadersTooLarge(limits.max_header_bytes, limits.max_headers)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("A request could not be answered", exc_info=exc)
            refusal = InternalError()
        response = self._server.exchange.refuse(refusal, request, time.perf_counter())
        response.force_close()
        return response

    def _await_head(self) -> None:
        if self._head_timer is None:
            timeout_s = self._server.limits.header_timeout_s
            self._head_timer = self._loop.call_later(timeout_s, self._give_head_up)

    def _give_head_up(self) -> None:
        self._head_timer = None
        if self.transport is None or self._is_answering:
            return
        refusal = HeaderTooSlow(self._server.limits.header_timeout_s)
        self._server.answer(refusal, self.transport)
        self.force_close()

    def _give_answers_up(self) -> None:
        self._answer_timer = None
        if self.transport is not None:
            self._server.tell(_ANSWERS_UNREAD, self.transport)
            self.transport.abort()
