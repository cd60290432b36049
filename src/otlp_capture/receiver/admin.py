"""A port for those who run a receiver: is it alive, is it ready, how does it stand.

It is apart from what takes requests, and for this machine alone: it listens on a loopback address,
and refuses what a page in a browser here could send, by DNS rebinding or across sites.
"""

import ipaddress
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

import attrs

from otlp_capture.capture import InvalidConfig, OtlpCaptureService
from otlp_capture.receiver.listening import reason_of
from otlp_capture.receiver.opening import Receiver
from otlp_capture.receiver.settings import CannotListen, authority
from otlp_capture.receiver.standing import readiness, ring_of, standing
from otlp_capture.result import Failure, Fault, Outcome, Success
from otlp_capture.sessions import metadata_document

if TYPE_CHECKING:
    from aiohttp import web

_Answer: TypeAlias = tuple[HTTPStatus, Mapping[str, Any]]
_Road: TypeAlias = Callable[[], Awaitable[_Answer]]

_SHUTDOWN_S: Final = 5.0
_MOST_SHOWN: Final = 200


@attrs.frozen(kw_only=True)
class AdminSettings:
    """How an admin port works.

    Attributes:
        host: a loopback address.
        port: the port; 0: any that is free.
        unready_after_s: for how long publishing may fail before the receiver is not ready, in
            seconds.
    """

    host: str = "127.0.0.1"
    port: int = 0
    unready_after_s: float = 60.0


@attrs.frozen
class Admin:
    """An admin port that is listening.

    Attributes:
        host: the address.
        port: the port, also where the settings asked for any.
    """

    host: str
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{authority(self.host, self.port)}"


@asynccontextmanager
async def open_admin(
    capture: OtlpCaptureService, session_id: str, receiver: Receiver, settings: AdminSettings
) -> AsyncGenerator[Outcome[Admin, CannotListen | InvalidConfig]]:
    """Listen until the block ends.

    `GET /healthz` answers 200 while the event loop does. `GET /readyz` answers 200 while the
    session or ring is recorded, the spool has room and publishing works, else 503 with what is
    wrong. `GET /status` tells what was taken, and how spool, sessions and ring stand. `POST /ring`
    makes a session of the ring.

    Args:
        capture: what records.
        session_id: the session, or the ring, that the receiver records into.
        receiver: what is listening.
        settings: where to listen, and when the receiver is not ready any more.

    Fails with:
        InvalidConfig: the address is no loopback address, or the time makes no sense.
        CannotListen: the address is not to be had.
    """
    checked = _check(settings)
    if isinstance(checked, Failure):
        yield checked
        return
    from aiohttp import web  # noqa: PLC0415 - loaded where it is used

    desk = _Desk(capture, session_id, receiver, settings)
    server = web.Server(desk.answer, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except (OSError, OverflowError, ValueError) as error:
            yield Failure(CannotListen(settings.host, settings.port, reason_of(error)))
            return
        yield Success(Admin(settings.host, runner.addresses[0][1]))
    finally:
        await runner.cleanup()


def _check(settings: AdminSettings) -> Outcome[None, InvalidConfig]:
    if not _is_loopback(settings.host):
        allowed = "the admin port is for this machine: 127.0.0.1, ::1 or localhost"
        return Failure(InvalidConfig("host", settings.host, allowed))
    if not 0 <= settings.unready_after_s <= 86_400:  # noqa: PLR2004 - a day
        allowed = "it is a number of seconds, no more than a day"
        return Failure(InvalidConfig("unready_after_s", settings.unready_after_s, allowed))
    return Success(None)


class _Desk:
    """Answers questions."""

    def __init__(
        self,
        capture: OtlpCaptureService,
        session_id: str,
        receiver: Receiver,
        settings: AdminSettings,
    ) -> None:
        self._capture, self._session_id = capture, session_id
        self._receiver, self._settings = receiver, settings
        self._roads: dict[str, tuple[str, _Road]] = {
            "/healthz": ("GET", self._health),
            "/readyz": ("GET", self._readiness),
            "/status": ("GET", self._status),
            "/ring": ("POST", self._ring),
        }

    async def answer(self, request: "web.BaseRequest") -> "web.StreamResponse":
        """Answer one request."""
        from aiohttp import web  # noqa: PLC0415 - loaded where it is used

        status, document = await self._answer(request)
        response = web.Response(
            status=status,
            text=json.dumps(document, ensure_ascii=False) + "\n",
            content_type="application/json",
            headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        )
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = self._roads[request.path][0]
        return response

    async def _answer(self, request: "web.BaseRequest") -> _Answer:
        if not _is_local(request.headers.get("Host", "")):
            return _refused("ForeignHost", "The Host of a request is to be a loopback address.")
        if request.path not in self._roads:
            there = ", ".join(self._roads)
            message = f"Nothing is at {request.path[:_MOST_SHOWN]!r}; there is {there}."
            return HTTPStatus.NOT_FOUND, {"error": "UnknownPath", "message": message}
        method, road = self._roads[request.path]
        if request.method != method:
            message = f"Use {method}."
            return HTTPStatus.METHOD_NOT_ALLOWED, {"error": "MethodNotAllowed", "message": message}
        if method == "POST" and "Origin" in request.headers:
            return _refused("ForeignOrigin", "A page in a browser cannot ask for this.")
        return await road()

    async def _health(self) -> _Answer:
        return HTTPStatus.OK, {"status": "ok"}

    async def _readiness(self) -> _Answer:
        failing = readiness(self._capture, self._session_id, self._settings.unready_after_s)
        if failing:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "unready", "failing": failing}
        return HTTPStatus.OK, {"status": "ready"}

    async def _status(self) -> _Answer:
        return HTTPStatus.OK, standing(self._capture, self._session_id, self._receiver.tally)

    async def _ring(self) -> _Answer:
        if ring_of(self._capture, self._session_id) is None:
            message = "No ring is kept here: serve --ring keeps one."
            return HTTPStatus.NOT_FOUND, {"error": "NoRing", "message": message}
        published = await self._capture.publish_ring(self._session_id)
        if isinstance(published, Failure):
            error: Fault = published.failure()
            is_passing = error.retryable
            status = HTTPStatus.SERVICE_UNAVAILABLE if is_passing else HTTPStatus.CONFLICT
            return status, {"error": type(error).__name__, "message": error.message}
        return HTTPStatus.CREATED, metadata_document(published.unwrap())


def _refused(error: str, message: str) -> _Answer:
    return HTTPStatus.FORBIDDEN, {"error": error, "message": message}


def _is_local(host: str) -> bool:
    """Tell whether a Host header names this machine, with or without a port.

    >>> [_is_local(host) for host in ("localhost:80", "[::1]:8", "127.0.0.1", "evil.example", "")]
    [True, True, True, False, False]
    """
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and _is_loopback(name)


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
