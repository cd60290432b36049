"""A receiver is opened: its transports share one intake, and end together."""

import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self, TypeAlias, TypeVar

import anyio
import anyio.to_thread
import attrs

from otlp_capture.capture import InvalidConfig, OtlpCaptureService
from otlp_capture.forward import Forwarding
from otlp_capture.receiver.access import (
    LOOPBACK_ONLY,
    Access,
    AccessError,
    AccessSettings,
    load_access,
)
from otlp_capture.receiver.exposure import ExposureRefused, check_exposure
from otlp_capture.receiver.grpc import GrpcReceiver, listen_grpc
from otlp_capture.receiver.http import HttpReceiver, listen_http
from otlp_capture.receiver.intake import Intake, Tally
from otlp_capture.receiver.listening import Listening
from otlp_capture.receiver.refusals import EarlyRefusals
from otlp_capture.receiver.settings import (
    DEFAULT_GRPC_SETTINGS,
    DEFAULT_HTTP_SETTINGS,
    CannotListen,
    GrpcReceiverSettings,
    HttpReceiverSettings,
    check_receiver_settings,
)
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.telemetry import SILENT, Telemetry

_log = logging.getLogger(__name__)

ReceiverError: TypeAlias = CannotListen | InvalidConfig | ExposureRefused | AccessError


@attrs.frozen
class Receiver:
    """What is listening.

    Attributes:
        http: the OTLP/HTTP server, unless it is off.
        grpc: the OTLP/gRPC server, unless it is off.
        tally: what became of the requests so far, whatever brought them.
        session_ids: where requests may go: the server's session, then those of credentials.
    """

    http: HttpReceiver | None
    grpc: GrpcReceiver | None
    tally: Tally
    session_ids: tuple[str, ...]


@asynccontextmanager
async def open_receiver(
    capture: OtlpCaptureService,
    session_id: str,
    *,
    http: HttpReceiverSettings | None = DEFAULT_HTTP_SETTINGS,
    grpc: GrpcReceiverSettings | None = DEFAULT_GRPC_SETTINGS,
    access: AccessSettings = LOOPBACK_ONLY,
    forwarding: Forwarding | None = None,
    telemetry: Telemetry = SILENT,
) -> AsyncGenerator[Outcome[Receiver, ReceiverError]]:
    """Listen until the block ends; requests that are under way then are answered first.

    The session may begin after the receiver: until then clients are told to come again.

    Args:
        capture: what keeps the requests.
        session_id: the session that they go to, unless a credential is for another one; nothing
            else in a request can choose it.
        http: how to take OTLP/HTTP; None: not at all.
        grpc: how to take OTLP/gRPC; None: not at all.
        access: who may send; by default anybody on this machine.
        forwarding: where requests go besides; None: nowhere.
        telemetry: what is told of each request. It must not export to this receiver: what it tells
            of would never end.

    Fails with:
        InvalidConfig: a setting is not in its range, the transports disagree about the budget that
            they share, or both are off.
        CannotListen: an address is not to be had.
        ExposureRefused: other machines reach an address, and TLS or authentication is missing.
        AccessError: what access depends on cannot be read, or is wrong.
    """
    checked = _check(http, grpc)
    if isinstance(checked, Failure):
        yield checked
        return
    allowed = await _access(http, grpc, access)
    if isinstance(allowed, Failure):
        yield allowed
        return
    intake = Intake(capture, session_id, checked.unwrap(), allowed.unwrap(), forwarding, telemetry)
    async with _Closing(intake.early) as closing:
        heard_http = None if http is None else closing.own(await listen_http(intake, http))
        if isinstance(heard_http, Failure):
            yield heard_http
            return
        heard_grpc = None if grpc is None else closing.own(await listen_grpc(intake, grpc))
        if isinstance(heard_grpc, Failure):
            yield heard_grpc
            return
        yield Success(
            Receiver(
                None if heard_http is None else heard_http.unwrap(),
                None if heard_grpc is None else heard_grpc.unwrap(),
                intake.tally,
                intake.session_ids,
            )
        )


@asynccontextmanager
async def open_http_receiver(
    capture: OtlpCaptureService,
    session_id: str,
    settings: HttpReceiverSettings = DEFAULT_HTTP_SETTINGS,
    access: AccessSettings = LOOPBACK_ONLY,
    *,
    telemetry: Telemetry = SILENT,
) -> AsyncGenerator[Outcome[HttpReceiver, ReceiverError]]:
    """Listen for OTLP/HTTP alone, until the block ends; see `open_receiver`.

    Fails with:
        InvalidConfig: a setting is not in its range.
        CannotListen: the address is not to be had.
        ExposureRefused: other machines reach it, and TLS or authentication is missing.
        AccessError: what access depends on cannot be read, or is wrong.
    """
    async with open_receiver(
        capture, session_id, http=settings, grpc=None, access=access, telemetry=telemetry
    ) as opened:
        if isinstance(opened, Failure):
            yield opened
            return
        receiver = opened.unwrap().http
        assert receiver is not None
        yield Success(receiver)


def _check(
    http: HttpReceiverSettings | None, grpc: GrpcReceiverSettings | None
) -> Outcome[int, InvalidConfig]:
    """Return the budget in bytes that the transports share."""
    chosen = [settings for settings in (http, grpc) if settings is not None]
    if not chosen:
        allowed = "at least one of OTLP/HTTP and OTLP/gRPC is on"
        return Failure(InvalidConfig("the choice of transports", "none", allowed))
    for settings in chosen:
        checked = check_receiver_settings(settings)
        if isinstance(checked, Failure):
            return checked
    budget, *others = (settings.max_in_flight_bytes for settings in chosen)
    if others and others[0] != budget:
        allowed = f"the transports share it, and OTLP/HTTP has {budget:,}"
        return Failure(InvalidConfig("max_in_flight_bytes", others[0], allowed))
    return Success(budget)


async def _access(
    http: HttpReceiverSettings | None, grpc: GrpcReceiverSettings | None, settings: AccessSettings
) -> Outcome[Access, AccessError | ExposureRefused | CannotListen]:
    """Read who may send, and see whether that is enough for where the transports listen."""
    loaded = await anyio.to_thread.run_sync(load_access, settings)
    if isinstance(loaded, Failure):
        return loaded
    for chosen in (http, grpc):
        if chosen is None:
            continue
        checked = await check_exposure(chosen.host, chosen.port, loaded.unwrap())
        if not isinstance(checked, Failure):
            continue
        error = checked.failure()
        if not (settings.is_insecure and isinstance(error, ExposureRefused)):
            return checked
        missing = " and no ".join(error.missing)
        _log.warning("Other machines reach %s, and there is no %s", error.beyond[0], missing)
    return loaded


_R = TypeVar("_R")
_E = TypeVar("_E")


class _Closing:
    """Ends all that it owns at once, so that each has its whole time."""

    def __init__(self, early: EarlyRefusals) -> None:
        self._early = early
        self._closes: list[Callable[[], Coroutine[Any, Any, None]]] = []

    def own(self, listening: Outcome[Listening[_R], _E]) -> Outcome[_R, _E]:
        """Take over the end of what listens."""
        if isinstance(listening, Failure):
            return listening
        self._closes.append(listening.unwrap().close)
        return Success(listening.unwrap().receiver)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for close in self._closes:
                    tasks.start_soon(close)
        self._early.end()
