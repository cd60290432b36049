"""The documented service: replays are started, steered, and watched."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final, Never, Protocol, runtime_checkable

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from otlp_capture.capture import InvalidConfig, StorageFailure
from otlp_capture.clock import Clock, ClockTag
from otlp_capture.layer import Scope, Tag, scoped
from otlp_capture.otlp import SIGNALS, Signal, is_signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata, RequestReader, list_sessions
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay.config import SPEED_ALLOWED, ReplayConfig, check_config, check_moment, is_speed
from otlp_replay.deliveries import DeliveryLedger, LedgerError, identity_of, open_ledger
from otlp_replay.errors import (
    ReplayAlreadyExists,
    ReplayCancelled,
    ReplayError,
    ReplayNotFound,
    ReplayNotSteerable,
    as_replay_error,
)
from otlp_replay.events import Observer
from otlp_replay.fidelity import (
    CertificateNotFound,
    FidelityCertificate,
    ReadCertificateError,
    load_certificate,
)
from otlp_replay.naming import new_replay_id
from otlp_replay.opening import open_course, open_index
from otlp_replay.pacing import Speed
from otlp_replay.replay import Replay
from otlp_replay.selection import Moment, Selection
from otlp_replay.shelf import Shelf
from otlp_replay.status import ReplayStatus
from otlp_replay.target import target_of

_LAST_ANSWERS_S: Final = 5.0
_GLANCE_S: Final = 0.05


@runtime_checkable
class OtlpReplayService(Protocol):
    """Sends recorded sessions to OTLP endpoints, many at once.

    A replay is named by its own id, or by the id of its session: then the latest of it is meant.
    """

    async def start_replay(
        self, config: ReplayConfig, *, observers: Sequence[Observer] = ()
    ) -> Outcome[ReplayStatus, ReplayError]:
        """Begin a replay and return its status, `pending`; it goes on by itself.

        Nothing is sent where segments that were chosen are known to be damaged.

        Args:
            config: what to send, where, and when.
            observers: hear of each of its requests.

        Fails with:
            InvalidConfig, InvalidSessionId: the configuration cannot be.
            TargetNotAllowed: the target is neither loopback nor on the allow-list.
            SessionNotFound: there is no such session.
            NothingSelected: nothing that it holds is to be sent.
            ReplayAlreadyExists: its replay_id is taken, or the replay of its ledger runs here.
            LedgerError: its ledger cannot be begun, or gone on with.
            DataCorrupted, DecompressionFailure: it is damaged.
            StorageFailure: the store did not answer well.
        """
        ...

    async def get_replay_status(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        """Return how a replay stands.

        The last 256 that have ended are remembered.

        Fails with:
            ReplayNotFound: this service has no such replay.
        """
        ...

    async def get_certificate(
        self, replay_id: str
    ) -> Outcome[FidelityCertificate, ReplayError | ReadCertificateError]:
        """Return how close a replay came to its plan, once it has ended.

        Fails with:
            ReplayNotFound: this service has no such replay.
            CertificateNotFound: it has not ended; or 16 others have since, and it was not stored.
            CertificateCorrupted: it was stored, and cannot be read.
            StorageError: the store did not answer well.
        """
        ...

    def watch(self, replay_id: str) -> AsyncIterator[ReplayStatus]:
        """Yield how a replay stands, now and whenever that has changed; the last item is final.

        Changes that follow each other quickly are told together, so nobody who listens slowly
        holds up the replay. Of a replay that is not known here, nothing is yielded.
        """
        ...

    async def cancel(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        """End a replay, and return how it ended.

        Nothing more is sent, and nothing is tried again; answers to what has left are waited for
        up to 5 s. One that has ended stays as it is.

        Fails with:
            ReplayNotFound: this service has no such replay.
        """
        ...

    async def pause(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        """Let a replay stand still; what is on its way is still answered. Idempotent.

        Fails with:
            ReplayNotFound: this service has no such replay.
            ReplayNotSteerable: all of it was sent, or it has ended.
        """
        ...

    async def resume(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        """Let a replay go on that stands still, from where it stands. Idempotent.

        Fails with:
            ReplayNotFound: this service has no such replay.
            ReplayNotSteerable: all of it was sent, or it has ended.
        """
        ...

    async def seek(self, replay_id: str, to: Moment) -> Outcome[ReplayStatus, ReplayError]:
        """Let a replay go on with the first request that arrived at *to* or later, in this loop.

        What is jumped over is not sent, for the reason `Skipped`. What lies ahead again is planned
        once more: `ReplayStatus.total_records` grows by it. So the ledgers close either way.

        Fails with:
            ReplayNotFound: this service has no such replay.
            ReplayNotSteerable: all of it was sent, or it has ended.
            InvalidConfig: that is no moment.
        """
        ...

    async def set_speed(self, replay_id: str, speed: Speed) -> Outcome[ReplayStatus, ReplayError]:
        """Change how fast a replay is, from here on.

        Fails with:
            ReplayNotFound: this service has no such replay.
            ReplayNotSteerable: all of it was sent, or it has ended.
            InvalidConfig: that is no speed.
        """
        ...

    async def step(self, replay_id: str, requests: int = 1) -> Outcome[ReplayStatus, ReplayError]:
        """Send the next requests of a replay that stands still, each with all its copies.

        Fails with:
            ReplayNotFound: this service has no such replay.
            ReplayNotSteerable: it does not stand still, all of it was sent, or it has ended.
            InvalidConfig: that is no number of requests.
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
        self._shelf, self._beginning = Shelf(), set[str]()

    async def start_replay(
        self, config: ReplayConfig, *, observers: Sequence[Observer] = ()
    ) -> Outcome[ReplayStatus, ReplayError]:
        checked = check_config(config)
        if isinstance(checked, Failure):
            return checked
        target = await target_of(config)
        if isinstance(target, Failure):
            return target
        opened = await open_course(self._storage, config)
        if isinstance(opened, Failure):
            return opened
        course, selection = opened.unwrap().course, opened.unwrap().selection
        replay_id = config.replay_id or new_replay_id(self._clock.time_ns())
        is_taken = replay_id in self._shelf or replay_id in self._beginning
        if is_taken and not config.resume:
            return Failure(ReplayAlreadyExists(replay_id))
        self._beginning.add(replay_id)
        try:
            kept = await _open_ledger(config, replay_id, course.request_count)
        finally:
            self._beginning.discard(replay_id)
        if isinstance(kept, Failure):
            return kept
        ledger = kept.unwrap()
        replay_id = ledger.replay_id if ledger else replay_id
        if ledger is not None and self._shelf.is_running(replay_id):
            ledger.close()
            return Failure(ReplayAlreadyExists(replay_id))
        self._shelf.forget(replay_id)
        replay = Replay(
            self._storage,
            self._clock,
            config,
            target.unwrap(),
            course,
            replay_id,
            selection,
            observers,
            ledger,
        )
        self._shelf.put(replay)
        self._tasks.start_soon(self._carry_out, replay)
        return Success(replay.status)

    async def get_replay_status(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        status = self._shelf.status(replay_id)
        return Failure(ReplayNotFound(replay_id)) if status is None else Success(status)

    async def get_certificate(
        self, replay_id: str
    ) -> Outcome[FidelityCertificate, ReplayError | ReadCertificateError]:
        status = self._shelf.status(replay_id)
        if status is None:
            return Failure(ReplayNotFound(replay_id))
        if status.certificate is not None:
            return Success(status.certificate)
        if not status.is_over:
            return Failure(CertificateNotFound(status.session_id, status.replay_id))
        return await load_certificate(self._storage, status.session_id, status.replay_id)

    async def watch(self, replay_id: str) -> AsyncIterator[ReplayStatus]:
        replay = self._shelf.running(replay_id)
        while replay is not None and not replay.over.is_set():
            changed = replay.next_change()
            yield replay.status
            await changed.wait()
            with anyio.move_on_after(_GLANCE_S):
                await replay.over.wait()
        status = replay.status if replay else self._shelf.status(replay_id)
        if status is not None:
            yield status

    async def cancel(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        replay = self._shelf.running(replay_id)
        if replay is None:
            return await self.get_replay_status(replay_id)
        replay.stop(ReplayCancelled(replay.status.session_id))
        with anyio.move_on_after(_LAST_ANSWERS_S):
            await replay.over.wait()
        replay.cut()
        await replay.over.wait()
        return Success(replay.status)

    async def pause(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        return self._steered(replay_id, Replay.pause)

    async def resume(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        return self._steered(replay_id, Replay.resume)

    async def seek(self, replay_id: str, to: Moment) -> Outcome[ReplayStatus, ReplayError]:
        problem = check_moment("to", to)
        if problem is not None:
            return Failure(problem)
        return self._steered(replay_id, lambda replay: replay.seek(to))

    async def set_speed(self, replay_id: str, speed: Speed) -> Outcome[ReplayStatus, ReplayError]:
        if not is_speed(speed):
            return Failure(InvalidConfig("speed", speed, SPEED_ALLOWED))
        return self._steered(replay_id, lambda replay: replay.set_speed(speed))

    async def step(self, replay_id: str, requests: int = 1) -> Outcome[ReplayStatus, ReplayError]:
        if type(requests) is not int or requests < 1:
            return Failure(InvalidConfig("requests", requests, "it is a whole number from 1"))
        return self._steered(replay_id, lambda replay: replay.step(requests))

    def _steered(
        self, replay_id: str, do: Callable[[Replay], Outcome[ReplayStatus, ReplayNotSteerable]]
    ) -> Outcome[ReplayStatus, ReplayError]:
        replay = self._shelf.running(replay_id)
        if replay is not None:
            return do(replay)
        status = self._shelf.status(replay_id)
        if status is None:
            return Failure(ReplayNotFound(replay_id))
        return Failure(ReplayNotSteerable(status.replay_id, "be steered", "it has ended"))

    async def _carry_out(self, replay: Replay) -> None:
        try:
            await replay.run()
        finally:
            self._shelf.retire(replay)

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
        selection = Selection(signals=(signal_type,))
        found = await open_index(self._storage, session_id, selection)
        if isinstance(found, Failure):
            yield found
            return
        refs = selection.frames(found.unwrap())
        async for read in RequestReader(self._storage).read_all(refs):
            match read:
                case Success(stored):
                    yield Success(stored.request)
                case Failure(error):
                    yield Failure(as_replay_error(session_id, error))

    async def close(self) -> None:
        """Break off what is under way; requests that have left may still be answered for a while.

        Source: OTLP specification, OTLP/gRPC Concurrent Requests, of shutting down.
        """
        running = self._shelf.all_running()
        for replay in running:
            replay.stop()
        with anyio.move_on_after(_LAST_ANSWERS_S):
            for replay in running:
                await replay.over.wait()
        self._tasks.cancel_scope.cancel()


async def _open_ledger(
    config: ReplayConfig, replay_id: str, requests: int
) -> Outcome[DeliveryLedger | None, LedgerError]:
    if config.ledger is None:
        return Success(None)
    work = partial(
        open_ledger,
        config.ledger,
        replay_id=replay_id,
        identity=identity_of(config, requests),
        resume=config.resume,
        resume_unknown=config.resume_unknown,
    )
    return await anyio.to_thread.run_sync(work)


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
