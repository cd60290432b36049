"""The documented service: replays are started, and watched."""

from collections.abc import AsyncIterator
from typing import Final, Never, Protocol, runtime_checkable

import anyio
from anyio.abc import TaskGroup

from otlp_capture.capture import InvalidConfig, StorageFailure
from otlp_capture.clock import Clock, ClockTag
from otlp_capture.layer import Scope, Tag, scoped
from otlp_capture.otlp import SIGNALS, Signal, is_signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    FrameRef,
    RequestReader,
    in_order,
    index_session,
    list_sessions,
    load_session,
)
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay.config import ReplayConfig, check_config
from otlp_replay.errors import (
    ReplayAlreadyRunning,
    ReplayError,
    ReplayNotFound,
    as_replay_error,
)
from otlp_replay.replay import Replay
from otlp_replay.status import ReplayStatus
from otlp_replay.target import target_of

_LAST_ANSWERS_S: Final = 5.0


@runtime_checkable
class OtlpReplayService(Protocol):
    """Sends recorded sessions to OTLP endpoints."""

    async def start_replay(self, config: ReplayConfig) -> Outcome[ReplayStatus, ReplayError]:
        """Begin a replay and return its status, `pending`; it goes on by itself.

        Nothing is sent where segments of the chosen signals are known to be damaged.

        Fails with:
            InvalidConfig, InvalidSessionId: the configuration cannot be.
            TargetNotAllowed: the target is neither loopback nor on the allow-list.
            SessionNotFound: there is no such session.
            ReplayAlreadyRunning: it is being replayed by this service.
            DataCorrupted, DecompressionFailure: it is damaged.
            StorageFailure: the store did not answer well.
        """
        ...

    async def get_replay_status(self, session_id: str) -> Outcome[ReplayStatus, ReplayError]:
        """Return how the latest replay of a session stands.

        Fails with:
            ReplayNotFound: this service has not replayed it.
        """
        ...

    async def list_available_replays(
        self,
    ) -> Outcome[tuple[CaptureSessionMetadata, ...], ReplayError]:
        """Return the sessions that can be replayed whole: those that have ended.

        Fails with:
            StorageFailure: the store did not answer well.
        """
        ...

    def replay_data_stream(
        self, session_id: str, signal_type: Signal
    ) -> AsyncIterator[Outcome[bytes, ReplayError]]:
        """Yield the requests of a session as they were recorded, in the order of their arrival.

        They are protobuf, decompressed, with their own timestamps. The first `Failure` is the
        last item. Nothing is yielded where segments of the signal are known to be damaged.

        Fails with:
            InvalidConfig: there is no such signal.
            InvalidSessionId, SessionNotFound: there is no such session.
            DataCorrupted, DecompressionFailure: it is damaged here; all before it was sound.
            StorageFailure: the store did not answer well.
        """
        ...


OtlpReplayServiceTag: Final = Tag[OtlpReplayService]("otlp_replay.OtlpReplayService")


class _ReplayService:
    def __init__(self, storage: S3Storage, clock: Clock, tasks: TaskGroup) -> None:
        self._storage, self._clock, self._tasks = storage, clock, tasks
        self._replays: dict[str, Replay] = {}

    async def start_replay(self, config: ReplayConfig) -> Outcome[ReplayStatus, ReplayError]:
        checked = check_config(config)
        if isinstance(checked, Failure):
            return checked
        target = await target_of(config)
        if isinstance(target, Failure):
            return target
        found = await self._frames(config.session_id, config.signals)
        if isinstance(found, Failure):
            return found
        earlier = self._replays.get(config.session_id)
        if earlier is not None and not earlier.status.is_over:
            return Failure(ReplayAlreadyRunning(config.session_id))
        replay = Replay(self._storage, self._clock, config, target.unwrap(), found.unwrap())
        self._replays[config.session_id] = replay
        self._tasks.start_soon(replay.run)
        return Success(replay.status)

    async def get_replay_status(self, session_id: str) -> Outcome[ReplayStatus, ReplayError]:
        replay = self._replays.get(session_id)
        return Success(replay.status) if replay else Failure(ReplayNotFound(session_id))

    async def list_available_replays(
        self,
    ) -> Outcome[tuple[CaptureSessionMetadata, ...], ReplayError]:
        listed = await list_sessions(self._storage)
        if isinstance(listed, Failure):
            return Failure(StorageFailure(None, listed.failure()))
        return Success(tuple(session for session in listed.unwrap() if session.status != "active"))

    async def replay_data_stream(
        self, session_id: str, signal_type: Signal
    ) -> AsyncIterator[Outcome[bytes, ReplayError]]:
        if not is_signal(signal_type):
            yield Failure(InvalidConfig("signal_type", signal_type, f"it is one of {SIGNALS}"))
            return
        found = await self._frames(session_id, (signal_type,))
        if isinstance(found, Failure):
            yield found
            return
        async for read in RequestReader(self._storage).read_all(found.unwrap()):
            match read:
                case Success(stored):
                    yield Success(stored.request)
                case Failure(error):
                    yield Failure(as_replay_error(session_id, error))

    async def close(self) -> None:
        """Break off what is under way; requests that have left may still be answered for a while.

        Source: OTLP specification, OTLP/gRPC Concurrent Requests, of shutting down.
        """
        running = [replay for replay in self._replays.values() if not replay.status.is_over]
        for replay in running:
            replay.stop()
        with anyio.move_on_after(_LAST_ANSWERS_S):
            for replay in running:
                await replay.over.wait()
        self._tasks.cancel_scope.cancel()

    async def _frames(
        self, session_id: str, signals: tuple[Signal, ...]
    ) -> Outcome[list[FrameRef], ReplayError]:
        loaded = await load_session(self._storage, session_id)
        if isinstance(loaded, Failure):
            return Failure(as_replay_error(session_id, loaded.failure()))
        indexed = await index_session(self._storage, session_id)
        if isinstance(indexed, Failure):
            return Failure(as_replay_error(session_id, indexed.failure()))
        index = indexed.unwrap()
        chosen = {segment.key for segment in index.segments if segment.signal in signals}
        damage = next((each for each in index.damages if each.key in chosen), None)
        if damage is not None:
            return Failure(as_replay_error(session_id, damage))
        return Success(in_order(index, signals))


async def _open_replay(
    scope: Scope, storage: S3Storage, clock: Clock
) -> Outcome[OtlpReplayService, Never]:
    tasks = await scope.enter(anyio.create_task_group())
    service = _ReplayService(storage, clock, tasks)
    scope.defer(service.close)
    return Success(service)


OtlpReplayServiceLive: Final = scoped(OtlpReplayServiceTag, _open_replay, S3StorageTag, ClockTag)
"""The replay service. Replays that are under way when its runtime closes are broken off; answers
to what has left are waited for up to 5 s."""
