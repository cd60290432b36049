"""Capture services for tests, over a store that is open already."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs

from otlp_capture.capture import (
    CaptureConfig,
    CapturedDataReference,
    CaptureSettings,
    OtlpCaptureService,
    OtlpCaptureServiceTag,
    capture_service,
)
from otlp_capture.capture.service import _CaptureService
from otlp_capture.clock import Clock, ClockTag
from otlp_capture.layer import open_runtime, succeed, wire
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    RequestReader,
    SessionIndex,
    counted,
    in_order,
    index_session,
    load_session,
    uncounted,
)
from otlp_capture.storage import S3Storage, S3StorageTag
from tests.small_requests import small_request

TRACES, METRICS, LOGS = (small_request(signal) for signal in SIGNALS)
CONFIG = CaptureConfig(session_id="s", created_by="tests")

AT_ONCE = CaptureSettings(linger_s=0.0)
"""Requests do not wait for company."""

PATIENT = CaptureSettings(linger_s=3_600.0)
"""Requests wait for company until something ends the wait."""


@asynccontextmanager
async def opened_capture(
    storage: S3Storage, clock: Clock, settings: CaptureSettings = AT_ONCE
) -> AsyncIterator[OtlpCaptureService]:
    """Open a capture service, and close it in good order."""
    layer = wire(
        capture_service(settings), succeed(S3StorageTag, storage), succeed(ClockTag, clock)
    )
    async with open_runtime(layer, OtlpCaptureServiceTag) as opened:
        (service,) = or_raise(opened)
        yield service


@asynccontextmanager
async def crashing_capture(
    storage: S3Storage, clock: Clock, settings: CaptureSettings = AT_ONCE
) -> AsyncIterator[OtlpCaptureService]:
    """Open a capture service, and end it as a killed process does: nothing more is written."""
    async with anyio.create_task_group() as tasks:
        service = _CaptureService(storage, clock, tasks, settings)
        yield service
        tasks.cancel_scope.cancel()
    forget_locks(service)


def forget_locks(service: _CaptureService) -> None:
    """Let go of what the end of a process lets go of."""
    for recording in service._recordings:
        if recording._place is not None:
            recording._place.claim.release()
    for ring in service._rings._rings.values():
        ring.place.claim.release()


@attrs.frozen
class Held:
    """A request that a session holds."""

    signal: Signal
    request: bytes
    sequence: int


async def indexed(storage: S3Storage, session_id: str = "s") -> SessionIndex:
    """Index the segments of a session, whatever its manifest says."""
    return or_raise(await index_session(storage, session_id, known={}))


async def held(storage: S3Storage, session_id: str = "s") -> list[Held]:
    """Read all that a session holds, in the order of arrival."""
    index = await indexed(storage, session_id)
    assert index.damages == ()
    reader = RequestReader(storage)
    read = [or_raise(each) async for each in reader.read_all(in_order(index))]
    return [Held(each.signal, each.request, each.frame.sequence) for each in read]


async def stored(storage: S3Storage, session_id: str = "s") -> CaptureSessionMetadata:
    return or_raise(await load_session(storage, session_id)).metadata


async def recounted(storage: S3Storage, metadata: CaptureSessionMetadata) -> Any:
    index = await indexed(storage, metadata.session_id)
    return counted(uncounted(metadata), index.segments)


async def keep(
    capture: OtlpCaptureService, request: bytes = LOGS, signal: Signal = "logs"
) -> CapturedDataReference:
    return or_raise(await capture.capture_otlp_data("s", request, signal))


class Background:
    """Calls that run while the test goes on."""

    def __init__(self, tasks: Any) -> None:
        self._tasks = tasks

    def start(self, call: Callable[[], Awaitable[Any]]) -> list[Any]:
        outcomes: list[Any] = []

        async def run() -> None:
            outcomes.append(await call())

        self._tasks.start_soon(run)
        return outcomes
