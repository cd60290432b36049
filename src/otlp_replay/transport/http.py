"""OTLP/HTTP, the client's side: one attempt to deliver one request.

Source: OTLP specification 1.11, OTLP/HTTP.
"""

import io
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import anyio

from otlp_capture import otlp
from otlp_capture.clock import Clock
from otlp_capture.deflate import InflatedTooLarge, inflate
from otlp_capture.otlp import Encoding, Signal
from otlp_capture.result import Failure, Success
from otlp_replay.model import ENCODINGS, ReplayConfig, base_url
from otlp_replay.transport.answers import Accepted, Answer, NoAnswer, Refused, Unreadable
from otlp_replay.transport.throttling import retry_after_s

if TYPE_CHECKING:
    import aiohttp

_MAX_REASON: Final = 500
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_CONNECT_TIMEOUT_S: Final = 5.0
_CLOSING_TIMEOUT_S: Final = 2.0
_COPIED_AT_ONCE_BYTES: Final = 1 << 20
_CONTENT_TYPES: Final[dict[Encoding, str]] = {
    "protobuf": "application/x-protobuf",
    "json": "application/json",
}
_ENCODINGS: Final[dict[str, Encoding]] = {
    name: encoding for encoding, name in _CONTENT_TYPES.items()
}
SESSION_HEADER: Final = "x-otlp-replay-session"
"""Marks replayed traffic with the session that it comes from."""


class HttpTransport:
    """Sends requests to one endpoint over connections that are kept alive."""

    def __init__(self, client: "aiohttp.ClientSession", config: ReplayConfig, clock: Clock) -> None:
        self._target = base_url(config.target_endpoint)
        self._client, self._clock = client, clock
        self._max_answer_bytes = config.max_response_bytes
        self._encoding: Encoding = ENCODINGS[config.protocol]
        self._headers = {
            "Content-Type": _CONTENT_TYPES[self._encoding],
            "Accept-Encoding": "identity",
            "User-Agent": f"otlp-capture/{version('otlp-capture')}",
            SESSION_HEADER: config.session_id,
        }

    @property
    def target(self) -> str:
        """The endpoint's base URL."""
        return self._target

    @property
    def encoding(self) -> Encoding:
        """How the bodies are to be written."""
        return self._encoding

    async def attempt(self, signal: Signal, body: bytes, depart: Callable[[], None]) -> Answer:
        """Send *body* once; see `Transport`."""
        import aiohttp  # noqa: PLC0415 - loaded where it is used

        has_left = False

        def leave() -> None:
            nonlocal has_left
            has_left = True
            depart()

        try:
            async with self._client.post(
                f"{self._target}/v1/{signal}",
                # aiohttp writes bytes in one go and warns of long ones; a file it writes in pieces.
                data=body if len(body) <= _COPIED_AT_ONCE_BYTES else io.BytesIO(body),
                headers=self._headers,
                allow_redirects=False,
                trace_request_ctx=leave,
            ) as response:
                return await self._read_answer(signal, response)
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
            return NoAnswer(_reason_of(error), may_have_arrived=has_left)

    async def _read_answer(self, signal: Signal, response: "aiohttp.ClientResponse") -> Answer:
        body = await self._read_body(response)
        if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            return body if isinstance(body, Unreadable) else self._taken(signal, response, body)
        # The specification has an answer over the limit be an error that is not retried.
        is_too_long = isinstance(body, Unreadable) and body.is_too_long
        return Refused(
            str(response.status),
            body.reason if isinstance(body, Unreadable) else self._said(response, body),
            is_retryable=response.status in _RETRYABLE and not is_too_long,
            retry_after_s=retry_after_s(response.headers.get("Retry-After"), self._clock.time_ns()),
        )

    async def _read_body(self, response: "aiohttp.ClientResponse") -> bytes | Unreadable:
        """Read the body, decompressed, as far as it is allowed to be."""
        import aiohttp  # noqa: PLC0415 - loaded where it is used

        body, limit = bytearray(), self._max_answer_bytes
        try:
            async for piece in response.content.iter_any():
                if len(body) + len(piece) > limit:
                    return _too_long(limit)
                body += piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Unreadable(f"the answer broke off: {_reason_of(error)}")
        compression = response.headers.get("Content-Encoding", "identity").strip().lower()
        if not body or compression == "identity":
            return bytes(body)
        if compression not in {"gzip", "x-gzip"}:
            return Unreadable(f"the answer is compressed with {compression[:_MAX_REASON]!r}")
        inflated = inflate(body, max_bytes=limit)
        if isinstance(inflated, Failure) and isinstance(inflated.failure(), InflatedTooLarge):
            return _too_long(limit)
        if isinstance(inflated, Failure):
            return Unreadable(f"the answer cannot be read: {inflated.failure().message}")
        return inflated.unwrap().raw

    def _taken(
        self, signal: Signal, response: "aiohttp.ClientResponse", body: bytes
    ) -> Accepted | Unreadable:
        declared = _ENCODINGS.get(response.content_type)
        decoded = otlp.decode_response(body, signal, declared or self._encoding)
        if isinstance(decoded, Success):
            return Accepted(decoded.unwrap())
        if not body:
            return Accepted()
        if declared is None:
            remark = f"it answers {response.status} with {response.content_type}, which is not OTLP"
            return Accepted(remark=remark)
        return Unreadable(decoded.failure().message)

    def _said(self, response: "aiohttp.ClientResponse", body: bytes) -> str:
        encoding = _ENCODINGS.get(response.content_type) or self._encoding
        decoded = otlp.decode_status(body, encoding)
        said = decoded.unwrap().message if isinstance(decoded, Success) else ""
        text = said or body[: 4 * _MAX_REASON].decode(errors="replace")
        return "".join(char if char.isprintable() else " " for char in text)[:_MAX_REASON].strip()


def _too_long(limit: int) -> Unreadable:
    return Unreadable(f"the answer holds more than {limit:,} bytes", is_too_long=True)


def _reason_of(error: Exception) -> str:
    return str(error) or type(error).__name__


@asynccontextmanager
async def open_http_transport(config: ReplayConfig, clock: Clock) -> AsyncGenerator[HttpTransport]:
    """Open the connections that a replay needs, and close them when the block ends.

    The environment's proxies and credentials are not used, and no cookies are kept: what is sent
    is what was recorded.
    """
    import aiohttp  # noqa: PLC0415 - loaded where it is used

    async def depart(_session: object, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx()

    trace = aiohttp.TraceConfig()
    # The bytes follow in the same step of the event loop; the headers' signal comes steps before.
    trace.on_request_chunk_sent.append(depart)
    client = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=config.max_in_flight),
        timeout=aiohttp.ClientTimeout(
            total=config.request_timeout_s,
            sock_connect=min(_CONNECT_TIMEOUT_S, config.request_timeout_s),
        ),
        trace_configs=[trace],
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )
    try:
        yield HttpTransport(client, config, clock)
    finally:
        with anyio.move_on_after(_CLOSING_TIMEOUT_S, shield=True):
            await client.close()
