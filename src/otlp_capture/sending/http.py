"""OTLP/HTTP, the client's side: one attempt to deliver one request.

Source: OTLP specification 1.11, OTLP/HTTP.
"""

import io
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import attrs

from otlp_capture import otlp
from otlp_capture.clock import Clock
from otlp_capture.deflate import InflatedTooLarge, deflate_with_trailer, header, inflate
from otlp_capture.otlp import Encoding, RequestTooLarge
from otlp_capture.result import Failure, Success
from otlp_capture.sending.answers import (
    MAX_REASON,
    Accepted,
    Answer,
    NoAnswer,
    Refused,
    Unreadable,
    kept_back,
    one_line,
)
from otlp_capture.sending.endpoint import USER_AGENT, Endpoint
from otlp_capture.sending.parcel import Parcel
from otlp_capture.sending.targets import TargetNotAllowed
from otlp_capture.sending.throttling import retry_after_s

if TYPE_CHECKING:
    import aiohttp

_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_CLOSING_TIMEOUT_S: Final = 2.0
_COPIED_AT_ONCE_BYTES: Final = 1 << 20
_INLINE_BYTES: Final = 32_768
_CONTENT_TYPES: Final[dict[Encoding, str]] = {
    "protobuf": "application/x-protobuf",
    "json": "application/json",
}
_ENCODINGS: Final[dict[str, Encoding]] = {
    name: encoding for encoding, name in _CONTENT_TYPES.items()
}


class HttpTransport:
    """Sends requests to one endpoint over connections that are kept alive."""

    def __init__(self, client: "aiohttp.ClientSession", endpoint: Endpoint, clock: Clock) -> None:
        self._client, self._endpoint, self._clock = client, endpoint, clock
        self._discretion = endpoint.discretion

    @property
    def target(self) -> str:
        """The endpoint's URL."""
        return self._endpoint.url

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        """Send a request once; see `Transport`."""
        has_left = False
        limit = self._endpoint.max_request_bytes
        if len(parcel.body) > limit:
            return kept_back(RequestTooLarge("bytes", limit))
        body = await self._compressed(parcel.body)

        def leave() -> None:
            nonlocal has_left
            has_left = True
            depart()

        try:
            async with self._client.post(
                self._endpoint.url_of(parcel.signal),
                data=_written(body),
                headers=self._headers(parcel),
                allow_redirects=False,
                trace_request_ctx=leave,
            ) as response:
                return await self._read_answer(parcel, response)
        except _broken() as error:
            refusal = _refusal_in(error)
            if refusal is not None:
                return kept_back(refusal)
            return NoAnswer(self._reason_of(error), may_have_arrived=has_left)

    def _headers(self, parcel: Parcel) -> dict[str, str]:
        """Return what goes before a body; what the protocol needs overrides what else is said."""
        return {
            **self._endpoint.said_with(parcel.headers),
            "content-type": _CONTENT_TYPES[parcel.encoding],
            "accept-encoding": "identity",
            "user-agent": USER_AGENT,
            **({"content-encoding": "gzip"} if self._endpoint.compression == "gzip" else {}),
        }

    async def _compressed(self, body: bytes) -> bytes:
        """Return a body as it goes on the wire; a long one is compressed in a thread."""
        if self._endpoint.compression == "identity":
            return body
        if len(body) <= _INLINE_BYTES:
            return _gzip(body)
        return await anyio.to_thread.run_sync(_gzip, body)

    async def _read_answer(self, parcel: Parcel, response: "aiohttp.ClientResponse") -> Answer:
        body = await self._read_body(response)
        if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            return self._taken(parcel, response, body)
        # The specification has an answer over the limit be an error that is not retried.
        is_too_long = isinstance(body, Unreadable) and body.is_too_long
        return Refused(
            str(response.status),
            body.reason if isinstance(body, Unreadable) else self._said(parcel, response, body),
            is_retryable=response.status in _RETRYABLE and not is_too_long,
            retry_after_s=retry_after_s(response.headers.get("Retry-After"), self._clock.time_ns()),
        )

    async def _read_body(self, response: "aiohttp.ClientResponse") -> bytes | Unreadable:
        """Read the body, decompressed, as far as it is allowed to be."""
        body, limit = bytearray(), self._endpoint.max_response_bytes
        try:
            async for piece in response.content.iter_any():
                if len(body) + len(piece) > limit:
                    return _too_long(limit)
                body += piece
        except _broken() as error:
            return Unreadable(f"the answer broke off: {self._reason_of(error)}")
        said = response.headers.get("Content-Encoding", "identity").strip()
        compression = said.lower()
        if not body or compression == "identity":
            return self._discretion.in_bytes(bytes(body))
        if compression not in {"gzip", "x-gzip"}:
            named = self._discretion.in_text(said)[:MAX_REASON]
            return Unreadable(f"the answer is compressed with {named!r}")
        inflated = inflate(body, max_bytes=limit)
        if isinstance(inflated, Failure) and isinstance(inflated.failure(), InflatedTooLarge):
            return _too_long(limit)
        if isinstance(inflated, Failure):
            return Unreadable(f"the answer cannot be read: {inflated.failure().message}")
        return self._discretion.in_bytes(inflated.unwrap().raw)

    def _taken(
        self, parcel: Parcel, response: "aiohttp.ClientResponse", body: bytes | Unreadable
    ) -> Accepted | Unreadable:
        status = str(response.status)
        if isinstance(body, Unreadable):
            return attrs.evolve(body, status=status)
        declared = _ENCODINGS.get(response.content_type)
        decoded = otlp.decode_response(body, parcel.signal, declared or parcel.encoding)
        if isinstance(decoded, Success):
            return Accepted(decoded.unwrap(), status=status)
        if not body:
            return Accepted(status=status)
        if declared is None:
            content_type = one_line(self._discretion.in_text(response.content_type))
            remark = f"it answers {status} with {content_type}, which is not OTLP"
            return Accepted(remark=remark, status=status)
        return Unreadable(decoded.failure().message, status=status)

    def _said(self, parcel: Parcel, response: "aiohttp.ClientResponse", body: bytes) -> str:
        encoding = _ENCODINGS.get(response.content_type) or parcel.encoding
        decoded = otlp.decode_status(body, encoding)
        said = decoded.unwrap().message if isinstance(decoded, Success) else ""
        return one_line(said or body[: 4 * MAX_REASON].decode(errors="replace"))

    def _reason_of(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return "it did not come in time"
        return (
            one_line(self._discretion.in_text(str(error).replace(" ssl:default", "")))
            or type(error).__name__
        )


def _broken() -> tuple[type[Exception], ...]:
    """Return what says that no answer comes, or that one breaks off.

    Not all that aiohttp's parser finds wrong becomes a ClientError, and a header may hold what
    is no text.
    """
    import aiohttp  # noqa: PLC0415 - loaded where it is used
    from aiohttp.http_exceptions import HttpProcessingError  # noqa: PLC0415 - likewise

    return (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError, UnicodeError)


def _refusal_in(error: Exception) -> TargetNotAllowed | None:
    """Return what kept a connection from being made, if nobody has allowed it."""
    from otlp_capture.sending.http_connecting import (  # noqa: PLC0415 - it loads aiohttp
        ConnectionNotAllowedError,
    )

    cause = getattr(error, "os_error", error)
    return cause.refusal if isinstance(cause, ConnectionNotAllowedError) else None


def _gzip(body: bytes) -> bytes:
    return header() + deflate_with_trailer(body)


def _written(body: bytes) -> bytes | io.BytesIO:
    """Return *body* as aiohttp likes it: it warns of long bytes, and writes a file in pieces."""
    return body if len(body) <= _COPIED_AT_ONCE_BYTES else io.BytesIO(body)


def _too_long(limit: int) -> Unreadable:
    return Unreadable(f"the answer holds more than {limit:,} bytes", is_too_long=True)


@asynccontextmanager
async def open_http_transport(endpoint: Endpoint, clock: Clock) -> AsyncGenerator[HttpTransport]:
    """Open connections to an endpoint, and close them when the block ends.

    The environment's proxies and credentials are not used, and no cookies are kept: what is sent
    is what was handed over. Each connection's address is held against what is allowed.
    """
    import aiohttp  # noqa: PLC0415 - loaded where it is used

    from otlp_capture.sending.http_connecting import (  # noqa: PLC0415 - it loads aiohttp
        connector,
        timeout,
    )

    async def depart(_session: object, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx()

    trace = aiohttp.TraceConfig()
    # The bytes follow in the same step of the event loop; the headers' signal comes steps before.
    trace.on_request_chunk_sent.append(depart)
    client = aiohttp.ClientSession(
        connector=connector(endpoint),
        timeout=timeout(endpoint),
        trace_configs=[trace],
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )
    try:
        yield HttpTransport(client, endpoint, clock)
    finally:
        with anyio.move_on_after(_CLOSING_TIMEOUT_S, shield=True):
            await client.close()
