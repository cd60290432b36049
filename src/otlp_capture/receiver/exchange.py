"""One HTTP request and its answer. Source: OTLP specification 1.11, OTLP/HTTP."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import anyio
from aiohttp import web

from otlp_capture import otlp
from otlp_capture.capture import (
    CapturedDataReference,
    OtlpCaptureService,
    UnsupportedContentEncoding,
)
from otlp_capture.otlp import Encoding
from otlp_capture.receiver.answers import (
    InternalError,
    MalformedHttp,
    MethodNotAllowed,
    Refusal,
    UnknownPath,
    UnsupportedContentType,
    answer_to,
)
from otlp_capture.receiver.body import Budget, Reservation, read_body
from otlp_capture.receiver.settings import HttpReceiverSettings
from otlp_capture.result import Failure, Outcome, Success

_log = logging.getLogger(__name__)

_ENCODINGS: Final[Mapping[str, Encoding]] = {
    "application/x-protobuf": "protobuf",
    "application/json": "json",
}
_CONTENT_TYPES: Final = {encoding: name for name, encoding in _ENCODINGS.items()}
_CONTENT_ENCODINGS: Final = ("gzip", "identity")
_MAX_MESSAGE: Final = 1_000
_CONNECTIONS: Final[Mapping[str, Any]] = {"auto_decompress": False, "access_log": None}


class Exchange:
    """Answers requests, keeps what can be kept, and counts both.

    Args:
        capture: what keeps the requests.
        session_id: the session that they go to.
        settings: what to take.

    Attributes:
        accepted: requests that were kept, by signal.
        refused: requests that were not, by the name of the error.
    """

    def __init__(
        self, capture: OtlpCaptureService, session_id: str, settings: HttpReceiverSettings
    ) -> None:
        self.accepted, self.refused = Counter[str](), Counter[str]()
        self._capture, self._session_id, self._settings = capture, session_id, settings
        self._budget = Budget(settings.max_in_flight_bytes)
        self._under_way, self._is_ending = 0, False
        self._idle = anyio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self._under_way += 1
        try:
            response = await self._answer(request)
        except anyio.get_cancelled_exc_class():
            self.refused["Unanswered"] += 1
            raise
        finally:
            self._under_way -= 1
            if self._is_ending and not self._under_way:
                self._idle.set()
        if self._is_ending:
            response.force_close()
        return response

    async def end(self) -> None:
        """Wait until all requests that are under way are answered; their connections end."""
        self._is_ending = True
        if self._under_way:
            await self._idle.wait()

    def refuse(self, refusal: Refusal, encoding: Encoding) -> web.Response:
        """Count a refusal, and say it in the encoding of the request."""
        self.refused[type(refusal).__name__] += 1
        status, code = answer_to(refusal)
        body = otlp.encode_status(code, refusal.message[:_MAX_MESSAGE], encoding)
        response = _response(status, body, encoding)
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = str(self._settings.retry_after_s)
        if isinstance(refusal, MethodNotAllowed):
            response.headers["Allow"] = "POST"
        if isinstance(refusal, UnsupportedContentEncoding):
            response.headers["Accept-Encoding"] = ", ".join(_CONTENT_ENCODINGS)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        encoding = _encoding(request)
        match await self._take(request):
            case Success(reference):
                self.accepted[reference.signal_type] += 1
                body = otlp.encode_response(reference.signal_type, encoding)
                return _response(HTTPStatus.OK, body, encoding)
            case Failure(refusal):
                response = self.refuse(refusal, encoding)
                if not request.content.at_eof():
                    response.force_close()
                return response

    async def _take(self, request: web.BaseRequest) -> Outcome[CapturedDataReference, Refusal]:
        signal = self._settings.paths.get(request.path)
        if signal is None:
            return Failure(UnknownPath(request.path, tuple(self._settings.paths)))
        if request.method != "POST":
            return Failure(MethodNotAllowed(request.method))
        encoding = _ENCODINGS.get(request.content_type)
        if encoding is None:
            return Failure(UnsupportedContentType(request.headers.get("Content-Type", "")))
        content_encoding = _content_encoding(request)
        if content_encoding not in _CONTENT_ENCODINGS:
            return Failure(UnsupportedContentEncoding(content_encoding))
        with Reservation(self._budget) as held:
            body = await read_body(request, held, self._settings)
            if isinstance(body, Failure):
                return body
            return await self._capture.capture_otlp_data(
                self._session_id,
                body.unwrap(),
                signal,
                encoding=encoding,
                content_encoding=content_encoding,
            )


class Server(web.Server):
    """aiohttp's server, whose own errors are said as OTLP has them, too."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange.answer)
        self.exchange = exchange

    def __call__(self) -> web.RequestHandler:
        """Return what serves one connection."""
        return _Connection(self)


class _Connection(web.RequestHandler):
    def __init__(self, server: Server) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **_CONNECTIONS)
        self._exchange = server.exchange

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, and what the handler did not expect."""
        refusal: Refusal = MalformedHttp(message or HTTPStatus(status).phrase)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("A request could not be answered", exc_info=exc)
            refusal = InternalError()
        response = self._exchange.refuse(refusal, _encoding(request))
        response.force_close()
        return response


def _encoding(request: web.BaseRequest) -> Encoding:
    """Return what an answer is written in: the request's encoding, where it has one."""
    return _ENCODINGS.get(request.content_type, "protobuf")


def _content_encoding(request: web.BaseRequest) -> str:
    """Return the codings that were applied; an empty element of the list is none."""
    values = ",".join(request.headers.getall("Content-Encoding", [])).lower().split(",")
    return ", ".join(value.strip() for value in values if value.strip()) or "identity"


def _response(status: HTTPStatus, body: bytes, encoding: Encoding) -> web.Response:
    return web.Response(status=status, body=body, content_type=_CONTENT_TYPES[encoding])
