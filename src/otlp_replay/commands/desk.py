"""What the command `replay` works with, opened together."""

from typing import Final, Never

import attrs

from otlp_capture.capture import (
    OtlpCaptureService,
    OtlpCaptureServiceLive,
    OtlpCaptureServiceTag,
)
from otlp_capture.clock import Clock, ClockTag
from otlp_capture.layer import Scope, Tag, scoped, wire
from otlp_capture.result import Outcome, Success
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay.orchestrator import SessionManager, SessionManagerLive, SessionManagerTag
from otlp_replay.service import (
    OtlpReplayService,
    OtlpReplayServiceLive,
    OtlpReplayServiceTag,
)


@attrs.frozen
class Desk:
    """Services over one store."""

    replays: OtlpReplayService
    capture: OtlpCaptureService
    sessions: SessionManager
    storage: S3Storage
    clock: Clock


async def _open_desk(
    _scope: Scope,
    replays: OtlpReplayService,
    capture: OtlpCaptureService,
    sessions: SessionManager,
    storage: S3Storage,
    clock: Clock,
) -> Outcome[Desk, Never]:
    return Success(Desk(replays, capture, sessions, storage, clock))


DeskTag: Final = Tag[Desk]("otlp_replay.Desk")
DeskLive: Final = wire(
    scoped(
        DeskTag,
        _open_desk,
        OtlpReplayServiceTag,
        OtlpCaptureServiceTag,
        SessionManagerTag,
        S3StorageTag,
        ClockTag,
    ),
    OtlpReplayServiceLive,
    OtlpCaptureServiceLive,
    SessionManagerLive,
)
"""All of it; it needs a store and a clock."""
