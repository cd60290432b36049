"""The demonstration: a real application is recorded, replayed, and compared with what arrived."""

import os
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, ClassVar, Final, Never

import anyio
import attrs

from otlp_capture.capture import (
    CaptureConfig,
    OtlpCaptureService,
    OtlpCaptureServiceLive,
    OtlpCaptureServiceTag,
)
from otlp_capture.layer import Scope, Tag, scoped, wire
from otlp_capture.receiver import (
    HttpReceiverSettings,
    exporter_environment,
    open_http_receiver,
)
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay.config import ReplayConfig
from otlp_replay.service import (
    OtlpReplayService,
    OtlpReplayServiceLive,
    OtlpReplayServiceTag,
)
from otlp_replay.status import ReplayStatus
from otlp_replay.verify import Comparison, verify

_APPLICATION: Final = "otlp_replay.demo_app"
_GLANCE_S: Final = 0.05


@attrs.frozen
class SdkMissing:
    """The demonstration's application needs the OpenTelemetry SDK."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What to install."""
        return "The demo needs the OpenTelemetry SDK: pip install 'otlp-capture[demo]'."


@attrs.frozen
class ApplicationFailed:
    """The demonstration's application ended badly."""

    code: int
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """How it ended."""
        return f"The demo's application ended with {self.code}; its messages are above."


@attrs.frozen
class Demonstration:
    """What a demonstration made, and found."""

    recorded: CaptureSessionMetadata
    replayed: CaptureSessionMetadata
    status: ReplayStatus
    comparison: Comparison


class Demo:
    """Records, replays and compares, each by the service that does it for users."""

    def __init__(
        self, capture: OtlpCaptureService, replay: OtlpReplayService, storage: S3Storage
    ) -> None:
        self._capture, self._replay, self._storage = capture, replay, storage

    async def run(self, tell: Callable[[str], None]) -> Outcome[Demonstration, Any]:
        """Do it all in two new sessions; *tell* is told of each step before it is done.

        Fails with:
            SdkMissing, ApplicationFailed: the application cannot be recorded.
            CaptureError, ReplayError, CannotListen: as the services fail.
        """
        if find_spec("opentelemetry.sdk") is None:
            return Failure(SdkMissing())
        original = f"demo-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        tell(f"Recording a small shop into session {original}: traces, metrics and logs")
        recorded = await self._into(original, self._run_application)
        if isinstance(recorded, Failure):
            return recorded
        copy = f"{original}-replayed"
        tell(f"Replaying it at its own pace into {copy}, its timestamps moved to now")
        statuses: list[ReplayStatus] = []
        replayed = await self._into(copy, lambda url: self._send(original, url, statuses))
        if isinstance(replayed, Failure):
            return replayed
        tell("Comparing the two, record by record, the shift undone")
        compared = await verify(self._storage, original, copy, shift="constant")
        if isinstance(compared, Failure):
            return compared
        return Success(
            Demonstration(recorded.unwrap(), replayed.unwrap(), statuses[-1], compared.unwrap())
        )

    async def _into(
        self, session_id: str, feed: Callable[[str], Awaitable[Outcome[None, Any]]]
    ) -> Outcome[CaptureSessionMetadata, Any]:
        """Record what *feed* sends to the URL that it is given."""
        config = CaptureConfig(
            session_id=session_id, created_by="otlp-capture demo", labels={"demo": "shop"}
        )
        started = await self._capture.start_capture(config)
        if isinstance(started, Failure):
            return started
        settings = HttpReceiverSettings(port=0)
        async with open_http_receiver(self._capture, session_id, settings) as opened:
            if isinstance(opened, Failure):
                return opened
            fed = await feed(opened.unwrap().url)
        stopped = await self._capture.stop_capture(session_id)
        return fed if isinstance(fed, Failure) else stopped

    async def _run_application(self, url: str) -> Outcome[None, ApplicationFailed]:
        process = await anyio.run_process(
            [sys.executable, "-m", _APPLICATION],
            check=False,
            stdout=None,
            stderr=None,
            env=exporter_environment(os.environ, url),
        )
        if process.returncode:
            return Failure(ApplicationFailed(process.returncode))
        return Success(None)

    async def _send(
        self, session_id: str, url: str, statuses: list[ReplayStatus]
    ) -> Outcome[None, Any]:
        config = ReplayConfig(
            session_id=session_id, target_endpoint=url, timestamp_adjustment="relative"
        )
        started = await self._replay.start_replay(config)
        if isinstance(started, Failure):
            return started
        statuses.append(started.unwrap())
        while not statuses[-1].is_over:
            await anyio.sleep(_GLANCE_S)
            status = await self._replay.get_replay_status(session_id)
            if isinstance(status, Failure):
                return status
            statuses.append(status.unwrap())
        error = statuses[-1].error
        return Success(None) if error is None else Failure(error)


async def _open_demo(
    _scope: Scope, capture: OtlpCaptureService, replay: OtlpReplayService, storage: S3Storage
) -> Outcome[Demo, Never]:
    return Success(Demo(capture, replay, storage))


DemoTag: Final = Tag[Demo]("otlp_replay.Demo")
DemoLive: Final = wire(
    scoped(DemoTag, _open_demo, OtlpCaptureServiceTag, OtlpReplayServiceTag, S3StorageTag),
    OtlpCaptureServiceLive,
    OtlpReplayServiceLive,
)
"""The demonstration; it needs a store and a clock."""
