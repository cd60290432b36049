"""One HTTP request and its answer. Source: OTLP specification 1.11, OTLP/HTTP."""

import gzip
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import anyio
from aiohttp import web

from otlp_capture import otlp
from otlp_capture.capture import UnsupportedContentEncoding
from otlp_capture.forward import forwarded_by
from otlp_capture.otlp import Encoding
from otlp_capture.receiver.accept_encoding import wants_gzip
from otlp_capture.receiver.access import Unauthenticated
from otlp_capture.receiver.answers import (
    UNANSWERED,
    MethodNotAllowed,
    Refusal,
    UnknownPath,
    UnsupportedContentType,
    answer_to,
    returns_after_s,
)
from otlp_capture.receiver.body import read_body
from otlp_capture.receiver.budget import Reservation
from otlp_capture.receiver.headers import kept_headers
from otlp_capture.receiver.intake import Intake, Kept, ReadRequest
from otlp_capture.receiver.refusals import UNKNOWN_ADDRESS
from otlp_capture.receiver.settings import HttpReceiverSettings
from otlp_capture.receiver.tls import names_in_certificate
from otlp_capture.result import Failure, Outcome, Success

_ENCODINGS: Final[Mapping[str, Encoding]] = {
    "application/x-protobuf": "protobuf",
    "application/json": "json",
}
_CONTENT_TYPES: Final = {encoding: name for name, encoding in _ENCODINGS.items()}
_CONTENT_ENCODINGS: Final = ("gzip", "identity")
_MAX_MESSAGE: Final = 1_000


class Exchange:
    """Answers requests, keeps what can be kept, and counts both.

    Args:
        intake: what keeps and counts the requests.
        settings: what to take.
    """

    def __init__(self, intake: Intake, settings: HttpReceiverSettings) -> None:
        self._intake, self._settings = intake, settings
        self._kept_headers = frozenset(name.lower() for name in settings.keep_headers)
        self._under_way, self._is_ending = 0, False
        self._idle = anyio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self._under_way += 1
        began_s = time.perf_counter()
        try:
            response = await self._answer(request, began_s)
        except anyio.get_cancelled_exc_class():
            self._intake.lose(UNANSWERED, "http")
            self._tell(request, None, UNANSWERED, began_s)
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

    def refuse(self, refusal: Refusal, request: web.BaseRequest, began_s: float) -> web.Response:
        """Count a refusal, and say it in the encoding of the request."""
        self._intake.refuse(refusal, "http")
        status, code = answer_to(refusal)
        self._tell(request, status, type(refusal).__name__, began_s)
        encoding = encoding_of(request)
        body = otlp.encode_status(code, refusal.message[:_MAX_MESSAGE], encoding)
        response = _response(status, body, request)
        wait_s = returns_after_s(refusal, self._settings.retry_after_s)
        if wait_s is not None:
            response.headers["Retry-After"] = str(wait_s)
        if isinstance(refusal, MethodNotAllowed):
            response.headers["Allow"] = "POST"
        if status is HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = "Bearer"
        if isinstance(refusal, UnsupportedContentEncoding):
            response.headers["Accept-Encoding"] = ", ".join(_CONTENT_ENCODINGS)
        return response

    def _tell(
        self,
        request: web.BaseRequest,
        status: HTTPStatus | None,
        error: str | None,
        began_s: float,
    ) -> None:
        self._intake.telemetry.answered_http(
            request.scheme,
            request.method,
            request.path if request.path in self._settings.paths else None,
            status,
            error,
            time.perf_counter() - began_s,
        )

    async def _answer(self, request: web.BaseRequest, began_s: float) -> web.Response:
        match await self._take(request):
            case Success((kept, size_bytes)):
                reference = kept.reference
                self._intake.accept(reference, size_bytes, "http")
                body = otlp.encode_response(
                    reference.signal_type, encoding_of(request), kept.partial_success
                )
                response = _response(HTTPStatus.OK, body, request)
                response.headers["X-Durability"] = reference.durability
                self._tell(request, HTTPStatus.OK, None, began_s)
                return response
            case Failure(refusal):
                response = self.refuse(refusal, request, began_s)
                if isinstance(refusal, Unauthenticated) or not request.content.at_eof():
                    response.force_close()
                return response

    def _admit(self, request: web.BaseRequest) -> Outcome[str, Unauthenticated]:
        transport = request.transport
        certificate = None if transport is None else transport.get_extra_info("peercert")
        authorizations = request.headers.getall("Authorization", [])
        names = names_in_certificate(certificate)
        return self._intake.admit(authorizations, names, request.remote or UNKNOWN_ADDRESS)

    async def _take(self, request: web.BaseRequest) -> Outcome[tuple[Kept, int], Refusal]:
        """Read a request and keep it; tell also how large it was on the wire."""
        session_id = self._admit(request)
        if isinstance(session_id, Failure):
            return session_id
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
        headers = kept_headers(request.headers.items(), self._kept_headers)
        hops = forwarded_by(request.headers.items())
        with Reservation(self._intake.budget) as held:
            body = await read_body(request, held, self._settings)
            if isinstance(body, Failure):
                return body
            size_bytes = len(body.unwrap())
            read = ReadRequest(body.unwrap(), signal, encoding, content_encoding, headers, hops)
            kept = await self._intake.keep(read, session_id.unwrap())
        return kept if isinstance(kept, Failure) else Success((kept.unwrap(), size_bytes))


def encoding_of(request: web.BaseRequest) -> Encoding:
    """Return what an answer is written in: the request's encoding, where it has one."""
    return _ENCODINGS.get(request.content_type, "protobuf")


def _content_encoding(request: web.BaseRequest) -> str:
    """Return the codings that were applied; an empty element of the list is none."""
    values = ",".join(request.headers.getall("Content-Encoding", [])).lower().split(",")
    return ", ".join(value.strip() for value in values if value.strip()) or "identity"


def _response(status: HTTPStatus, body: bytes, request: web.BaseRequest) -> web.Response:
    headers = dict[str, str]()
    # What is no HTTP has its headers, which are none, in a plain dictionary.
    accepted = (each for name, each in request.headers.items() if name.lower() == "accept-encoding")
    if body and wants_gzip(",".join(accepted)):
        body, headers["Content-Encoding"] = gzip.compress(body, mtime=0), "gzip"
    content_type = _CONTENT_TYPES[encoding_of(request)]
    return web.Response(status=status, body=body, headers=headers, content_type=content_type)
