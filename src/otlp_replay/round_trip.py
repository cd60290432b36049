"""A replay into a session of one's own, and the comparison of the two: replay, capture, diff."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import anyio
import attrs

from otlp_capture.capture import CaptureConfig, CaptureError, OtlpCaptureService
from otlp_capture.receiver import (
    GrpcReceiverSettings,
    HttpReceiverSettings,
    Receiver,
    ReceiverError,
    open_receiver,
)
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    SessionAlreadyExists,
    SessionNotFound,
    load_session,
)
from otlp_capture.storage import S3Storage
from otlp_replay.config import ReplayConfig, check_config
from otlp_replay.declaring import resent_by, selected_by, shift_declared_by
from otlp_replay.errors import ReplayError, as_replay_error
from otlp_replay.opening import open_course
from otlp_replay.service import OtlpReplayService
from otlp_replay.status import ReplayStatus
from otlp_replay.verify import (
    DEFAULT_MAX_EXAMPLES,
    DEFAULT_MEMORY_BYTES,
    Comparison,
    VerifyError,
    verify,
)

_GLANCE_S: Final = 0.05
_STOPPING_S: Final = 30.0

RoundTripError: TypeAlias = (
    VerifyError | CaptureError | ReceiverError | SessionAlreadyExists | ReplayError
)
"""Everything that `replay_and_verify` answers in place of a result."""


@attrs.frozen(kw_only=True)
class RoundTrip:
    """What a replay into a session of one's own found.

    Attributes:
        status: how the replay ended; it may have broken off.
        captured: the session that it went into.
        comparison: how that differs from what was to be replayed.
    """

    status: ReplayStatus
    captured: CaptureSessionMetadata
    comparison: Comparison

    @property
    def is_faithful(self) -> bool:
        """Whether all that was to arrive did, and nothing else."""
        return self.status.status == "completed" and self.comparison.equal

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "faithful": self.is_faithful,
            "replay": self.status.to_json(),
            "session": self.captured.session_id,
            "comparison": self.comparison.to_json(),
        }


async def replay_and_verify(
    storage: S3Storage,
    capture: OtlpCaptureService,
    replay: OtlpReplayService,
    config: ReplayConfig,
    into: str,
    *,
    watch: Callable[[ReplayStatus], None] | None = None,
    max_examples: int = DEFAULT_MAX_EXAMPLES,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> Outcome[RoundTrip, RoundTripError]:
    """Replay into a receiver of this process, and compare what it recorded with the original.

    The receiver listens on a free port of this machine, by the protocol of *config*, whose
    `target_endpoint` is not used. What is compared is what the configuration declares: its
    timestamps, its loops and copies with their ids, and its choice of signals, requests and
    records. A request that the replay leaves out, or that is not delivered, is missing.

    Args:
        storage: where the session is, and where the services keep theirs.
        capture: records what arrives.
        replay: sends.
        config: what to replay, and how.
        into: the id of a new session.
        watch: is told how the replay stands, a few times a second.
        max_examples: how many differences of each kind to describe.
        memory_bytes: how much memory the comparison may take.

    Fails with:
        SessionAlreadyExists: there is a session *into*; it is left as it is.
        ReplayError, CaptureError, ReceiverError: as what is used fails; what was recorded by then
            stays in the session *into*.
        VerifyError: the two cannot be compared.
    """
    unfit = await _unfit(storage, config, into)
    if unfit is not None:
        return Failure(unfit)
    started = await capture.start_capture(
        CaptureConfig(
            session_id=into,
            created_by="otlp-capture replay",
            description=f"A replay of {', '.join(config.session_ids)}",
        )
    )
    if isinstance(started, Failure):
        return started
    try:
        sent = await _received(
            capture, into, config, lambda url: _replay(replay, config, url, watch)
        )
    except anyio.get_cancelled_exc_class():
        with anyio.move_on_after(_STOPPING_S, shield=True):
            await capture.stop_capture(into)
        raise
    stopped = await capture.stop_capture(into)
    if isinstance(sent, Failure):
        return sent
    if isinstance(stopped, Failure):
        return stopped
    compared = await verify(
        storage,
        config.session_ids,
        into,
        shift=shift_declared_by(config),
        shift_ns=config.base_time_offset,
        signals=config.signals,
        remapped=resent_by(config),
        selected=selected_by(config),
        limit=config.limit,
        max_examples=max_examples,
        memory_bytes=memory_bytes,
    )
    if isinstance(compared, Failure):
        return compared
    return Success(
        RoundTrip(status=sent.unwrap(), captured=stopped.unwrap(), comparison=compared.unwrap())
    )


async def _unfit(storage: S3Storage, config: ReplayConfig, into: str) -> RoundTripError | None:
    """Return what stands in the way before anything is begun, so that no empty session stays."""
    checked = check_config(config)
    if isinstance(checked, Failure):
        return checked.failure()
    loaded = await load_session(storage, into)
    match loaded:
        case Success(found):
            return SessionAlreadyExists(into, found.metadata.status)
        case Failure(SessionNotFound()):
            pass
        case Failure(error):
            return as_replay_error(into, error)
    opened = await open_course(storage, config)
    return opened.failure() if isinstance(opened, Failure) else None


async def _received(
    capture: OtlpCaptureService,
    session_id: str,
    config: ReplayConfig,
    send: Callable[[str], Awaitable[Outcome[ReplayStatus, ReplayError]]],
) -> Outcome[ReplayStatus, RoundTripError]:
    """Record what *send* sends to the URL that it is given."""
    is_grpc = config.protocol == "grpc"
    async with open_receiver(
        capture,
        session_id,
        http=None if is_grpc else HttpReceiverSettings(port=0),
        grpc=GrpcReceiverSettings(port=0) if is_grpc else None,
    ) as opened:
        if isinstance(opened, Failure):
            return opened
        return await send(_url(opened.unwrap()))


def _url(receiver: Receiver) -> str:
    listening = receiver.http or receiver.grpc
    assert listening is not None
    return listening.url


async def _replay(
    service: OtlpReplayService,
    config: ReplayConfig,
    url: str,
    watch: Callable[[ReplayStatus], None] | None,
) -> Outcome[ReplayStatus, ReplayError]:
    started = await service.start_replay(attrs.evolve(config, target_endpoint=url))
    if isinstance(started, Failure):
        return started
    replay_id = started.unwrap().replay_id
    try:
        return await _followed(service, started.unwrap(), watch)
    except anyio.get_cancelled_exc_class():
        with anyio.move_on_after(_STOPPING_S, shield=True):
            await service.cancel(replay_id)
        raise


async def _followed(
    service: OtlpReplayService,
    status: ReplayStatus,
    watch: Callable[[ReplayStatus], None] | None,
) -> Outcome[ReplayStatus, ReplayError]:
    """Wait for the end of a replay, which its own id names: its session may have others."""
    while True:
        if watch is not None:
            watch(status)
        if status.is_over:
            return Success(status)
        await anyio.sleep(_GLANCE_S)
        found = await service.get_replay_status(status.replay_id)
        if isinstance(found, Failure):
            return found
        status = found.unwrap()
