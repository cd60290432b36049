"""How the capture service works: which sessions it has, and what becomes of each call."""

import logging
from typing import Final
from weakref import WeakValueDictionary

import anyio
import attrs
from anyio.abc import TaskGroup

from otlp_capture.capture.errors import (
    CaptureError,
    InvalidConfig,
    SessionAlreadyActive,
    SessionEnded,
    StorageFailure,
    capture_error,
)
from otlp_capture.capture.intake import ClientRequest, Witness
from otlp_capture.capture.leftovers import Leftovers
from otlp_capture.capture.model import (
    DEFAULT_SETTINGS,
    CaptureConfig,
    CapturedDataReference,
    CaptureSettings,
    SpoolStatus,
    check_config,
    check_settings,
)
from otlp_capture.capture.protocol import OtlpCaptureService, OtlpCaptureServiceTag
from otlp_capture.capture.recording import Recording
from otlp_capture.capture.ring import RingConfig, RingStatus
from otlp_capture.capture.rings import CLOSED, Rings
from otlp_capture.capture.spooling import (
    NO_SPOOL,
    HeldElsewhere,
    Spooling,
    SpoolPlace,
    given_up,
)
from otlp_capture.capture.telling import told
from otlp_capture.clock import Clock, ClockTag, moment
from otlp_capture.layer import Layer, Scope, scoped
from otlp_capture.otlp import Encoding, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    ORPHANED_NS,
    CaptureSessionMetadata,
    Headers,
    SessionAlreadyExists,
    SessionIndex,
    SessionNotFound,
    SessionTakenOver,
    StoredSession,
    check_session_id,
    counted,
    create_session,
    idle_ns,
    index_session,
    list_sessions,
    load_session,
    save_session,
    session_prefix,
    uncounted,
)
from otlp_capture.spool import Recovered
from otlp_capture.storage import S3Storage, S3StorageTag, StorageError
from otlp_capture.upkeep import SessionBeingDeleted

_log = logging.getLogger(__name__)

_CLOSES_WITHIN_S: Final = 60.0
_WORKERS: Final = 4
"""Each may hold a request of the largest size several times over."""

_MOST_ENDED: Final = 256
"""How many sessions that have ended are remembered; of the others the store is asked."""

_EMPTY: Final = SessionIndex(())


class _CaptureService:
    def __init__(
        self, storage: S3Storage, clock: Clock, tasks: TaskGroup, settings: CaptureSettings
    ) -> None:
        self._storage, self._clock = storage, clock
        self._tasks, self._settings = tasks, settings
        self._spooling = Spooling(
            storage, settings.spool_directory, settings.spool_budget_bytes, clock
        )
        self._leftovers = Leftovers(
            self._spooling,
            self._opening,
            lambda session_id: self._live(session_id) is not None,
            settings.telemetry,
        )
        budget = self._spooling.budget
        self._unwatch = settings.telemetry.watch_spool(
            "sessions", lambda: budget.used_bytes, budget.limit_bytes
        )
        self._workers = anyio.Semaphore(_WORKERS)
        self._recordings: dict[str, Recording] = {}
        self._closed = anyio.Event()
        self._rings = Rings(
            clock, tasks, self._workers, settings, self._spooling, self._begin_from_ring
        )
        self._locks = WeakValueDictionary[str, anyio.Lock]()

    async def start_capture(
        self, config: CaptureConfig
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        checked = check_config(config)
        if isinstance(checked, Failure):
            return checked
        session_id = config.session_id
        async with self._opening(session_id):
            if self._rings.get(session_id) is not None:
                return Failure(SessionAlreadyActive(session_id, 0.0, is_held_here=True))
            metadata = self._described(config, self._clock.time_ns())
            return await self._start(metadata, self._settings)

    def _described(self, config: CaptureConfig, start_ns: int) -> CaptureSessionMetadata:
        return CaptureSessionMetadata(
            session_id=config.session_id,
            diagnostic_session_id=config.diagnostic_session_id,
            start_time=moment(start_ns),
            status="active",
            enabled_flags=config.enabled_flags,
            s3_prefix=session_prefix(config.session_id),
            created_by=config.created_by,
            description=config.description,
            last_checkpoint_time=moment(self._clock.time_ns()),
            labels=config.labels,
            capture=config.switches,
        )

    async def _begin_from_ring(
        self, config: CaptureConfig, start_ns: int
    ) -> Outcome[Recording, CaptureError]:
        """Begin a session for what a ring has, which lies in the spool whatever is usual here."""
        checked = check_config(config)
        if isinstance(checked, Failure):
            return checked
        settings = attrs.evolve(self._settings, durability="spool")
        async with self._opening(config.session_id):
            begun = await self._start(self._described(config, start_ns), settings)
        if isinstance(begun, Failure):
            return begun
        return Success(self._recordings[config.session_id])

    async def _start(
        self, metadata: CaptureSessionMetadata, settings: CaptureSettings
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        session_id = metadata.session_id
        if self._closed.is_set():
            return Failure(SessionEnded(session_id, CLOSED))
        placed = await self._spooling.place(session_id)
        if isinstance(placed, Failure):
            error = placed.failure()
            if isinstance(error, HeldElsewhere):
                return Failure(await self._held_elsewhere(session_id))
            return Failure(StorageFailure(session_id, error))
        place = placed.unwrap()
        async with given_up(place) as ending:
            if place is None and settings.durability == "spool":
                return Failure(NO_SPOOL)
            if place is not None:
                announced = await self._announced(place)
                if isinstance(announced, Failure):
                    return Failure(StorageFailure(session_id, announced.failure()))
                metadata = attrs.evolve(metadata, recorder_id=place.claim.recorder_id)
            created = await create_session(self._storage, metadata)
            if isinstance(created, Failure):
                failed = created.failure()
                if isinstance(failed, SessionAlreadyExists):
                    return Failure(failed)
                # It may stand in the store all the same, and is to be taken up then.
                ending.removes = False
                return Failure(StorageFailure(session_id, failed))
            if place is not None:
                readied = await self._ready(place)
                if isinstance(readied, Failure):
                    return Failure(StorageFailure(session_id, readied.failure()))
            if self._closed.is_set():
                # It stands in the store, for another process to take up.
                ending.removes = False
                return Failure(SessionEnded(session_id, CLOSED))
            ending.keep()
            self._enlist(self._record(created.unwrap(), settings, place))
        self._recover_leftovers()
        return Success(metadata)

    async def _announced(self, place: SpoolPlace) -> Outcome[None, StorageError]:
        """Say in the spool that a session is to begin, where nothing is said there yet."""
        return Success(None) if place.claim.is_inherited else await place.announce(None)

    async def _ready(self, place: SpoolPlace) -> Outcome[None, StorageError]:
        """Make a session's folder ready for a session that begins.

        What is in it belonged to another one of its name, which is gone.
        """
        moved = await self._spooling.set_aside(place)
        if isinstance(moved, Failure):
            return moved
        return await place.sign()

    async def resume_capture(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        if self._live(session_id) is not None:
            return Failure(SessionAlreadyActive(session_id, 0.0))
        async with self._opening(session_id):
            if self._rings.get(session_id) is not None:
                return Failure(SessionAlreadyActive(session_id, 0.0, is_held_here=True))
            taken = await self._take_up(session_id)
        return taken if isinstance(taken, Failure) else Success(taken.unwrap().metadata)

    async def stop_capture(self, session_id: str) -> Outcome[CaptureSessionMetadata, CaptureError]:
        recording = await self._hold(session_id)
        if isinstance(recording, Success):
            return await recording.unwrap().finish("stopped")
        is_over = isinstance(recording.failure(), SessionEnded)
        return await self.get_capture_status(session_id) if is_over else recording

    async def recover_capture(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        checked = check_session_id(session_id)
        if isinstance(checked, Failure):
            return checked
        recovered = await self._leftovers.recover(session_id)
        if isinstance(recovered, Failure):
            return recovered
        return await self.stop_capture(session_id)

    async def recover_leftovers(self) -> tuple[Outcome[Recovered, CaptureError], ...]:
        return tuple(await self._leftovers.recover_each())

    async def capture_otlp_data(
        self,
        session_id: str,
        data: bytes,
        signal_type: Signal,
        *,
        encoding: Encoding = "protobuf",
        content_encoding: str = "identity",
        headers: Headers = (),
        witness: Witness | None = None,
    ) -> Outcome[CapturedDataReference, CaptureError]:
        # The ring first: a session of its name has ended then, and would only say so.
        keeper = self._rings.get(session_id) or self._recordings.get(session_id)
        if keeper is None:
            return Failure(await self._why_not_recorded(session_id))
        return await keeper.keep(
            ClientRequest(data, signal_type, encoding, content_encoding, headers, witness)
        )

    async def start_ring(self, config: RingConfig) -> Outcome[RingStatus, CaptureError]:
        name = config.session.session_id
        async with self._opening(name):
            if self._live(name) is not None:
                return Failure(SessionAlreadyActive(name, 0.0, is_held_here=True))
            started = await self._rings.start(config)
        self._recover_leftovers()
        return started

    async def publish_ring(
        self, name: str, session_id: str | None = None
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        return await self._rings.publish(name, session_id)

    def get_ring_status(self, name: str) -> Outcome[RingStatus, SessionNotFound]:
        ring = self._rings.get(name)
        return Failure(SessionNotFound(name)) if ring is None else Success(ring.status)

    def get_live_sessions(self) -> tuple[CaptureSessionMetadata, ...]:
        return tuple(held.metadata for held in self._recordings.values() if held.is_live)

    def get_spool_status(self) -> SpoolStatus:
        return self._spooling.status(self._clock.monotonic_ns())

    async def get_capture_status(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        recording = self._live(session_id)
        if recording is not None:
            return Success(recording.metadata)
        loaded = await load_session(self._storage, session_id)
        if isinstance(loaded, Failure):
            return Failure(capture_error(session_id, loaded.failure()))
        return Success(loaded.unwrap().metadata)

    async def list_capture_sessions(
        self,
    ) -> Outcome[tuple[CaptureSessionMetadata, ...], CaptureError]:
        listed = await list_sessions(self._storage)
        if isinstance(listed, Failure):
            return Failure(StorageFailure(None, listed.failure()))
        live = {metadata.session_id: metadata for metadata in self.get_live_sessions()}
        return Success(
            tuple(live.get(metadata.session_id, metadata) for metadata in listed.unwrap())
        )

    async def close(self) -> None:
        """Settle what came; active sessions stay active, for another process to take up."""
        self._unwatch()
        try:
            # They may be making sessions, which can be released then.
            with anyio.move_on_after(_CLOSES_WITHIN_S / 2):
                await self._rings.close()
            self._closed.set()
            async with anyio.create_task_group() as releasing:
                for recording in self._recordings.values():
                    releasing.start_soon(recording.release)
        finally:
            self._tasks.cancel_scope.cancel()

    def _recover_leftovers(self) -> None:
        """See to what others left in the spool, beside what goes on; not while this closes."""
        if not self._closed.is_set():
            self._tasks.start_soon(self._leftovers.recover_once)

    def _opening(self, session_id: str) -> anyio.Lock:
        """Return what keeps two openings of one session apart."""
        return self._locks.setdefault(session_id, anyio.Lock())

    def _live(self, session_id: str) -> Recording | None:
        recording = self._recordings.get(session_id)
        return recording if recording is not None and recording.is_live else None

    async def _why_not_recorded(self, session_id: str) -> CaptureError:
        loaded = await load_session(self._storage, session_id)
        if isinstance(loaded, Failure):
            return capture_error(session_id, loaded.failure())
        metadata = loaded.unwrap().metadata
        if metadata.status != "active":
            return SessionEnded(session_id, metadata.end_reason or metadata.status)
        return SessionAlreadyActive(session_id, idle_ns(metadata, self._clock.time_ns()) / 1e9)

    def _enlist(self, recording: Recording) -> None:
        """Have a recording from now on, and forget the oldest of many that have ended."""
        session_id = recording.metadata.session_id
        self._recordings.pop(session_id, None)
        self._recordings[session_id] = recording
        ended = [name for name, each in self._recordings.items() if each.has_ended]
        for name in ended[:-_MOST_ENDED]:
            del self._recordings[name]

    def _record(
        self,
        stored: StoredSession,
        settings: CaptureSettings,
        place: SpoolPlace | None,
        index: SessionIndex = _EMPTY,
    ) -> Recording:
        return Recording(
            self._storage,
            self._clock,
            self._tasks,
            self._workers,
            settings,
            stored,
            place,
            index.segments,
        )

    async def _hold(self, session_id: str) -> Outcome[Recording, CaptureError]:
        """Return the recording of a session, which is taken up where nobody has it."""
        async with self._opening(session_id):
            recording = self._live(session_id)
            return await self._take_up(session_id) if recording is None else Success(recording)

    async def _take_up(self, session_id: str) -> Outcome[Recording, CaptureError]:
        checked = check_session_id(session_id)
        if isinstance(checked, Failure):
            return checked
        if self._closed.is_set():
            return Failure(SessionEnded(session_id, CLOSED))
        placed = await self._spooling.place(session_id)
        if isinstance(placed, Failure):
            error = placed.failure()
            if isinstance(error, HeldElsewhere):
                why = await self._why_not_recorded(session_id)
                if isinstance(why, SessionAlreadyActive):
                    return Failure(attrs.evolve(why, is_held_here=True))
                return Failure(why)
            return Failure(StorageFailure(session_id, error))
        place = placed.unwrap()
        async with given_up(place) as ending:
            taken = await self._take_up_in(session_id, place)
            if isinstance(taken, Success):
                ending.keep()
        self._recover_leftovers()
        return taken

    async def _take_up_in(
        self, session_id: str, place: SpoolPlace | None
    ) -> Outcome[Recording, CaptureError]:
        loaded = await load_session(self._storage, session_id)
        if isinstance(loaded, Failure):
            return Failure(capture_error(session_id, loaded.failure()))
        metadata = loaded.unwrap().metadata
        if metadata.status != "active":
            return Failure(SessionEnded(session_id, metadata.end_reason or metadata.status))
        if metadata.deleting_since is not None:
            return Failure(SessionBeingDeleted(session_id))
        silent_ns = idle_ns(metadata, self._clock.time_ns())
        if silent_ns < ORPHANED_NS and not _died_here(metadata, place):
            return Failure(SessionAlreadyActive(session_id, silent_ns / 1e9))
        if place is not None:
            published = await self._spooling.publish(place)
            if isinstance(published, Failure):
                return Failure(StorageFailure(session_id, published.failure()))
        indexed = await index_session(self._storage, session_id)
        if isinstance(indexed, Failure):
            return Failure(StorageFailure(session_id, indexed.failure()))
        index = indexed.unwrap()
        for damage in index.damages:
            _log.error("%s", damage.message)
        claim = attrs.evolve(
            counted(uncounted(metadata), index.segments),
            last_checkpoint_time=moment(self._clock.time_ns()),
            recorder_id=place.claim.recorder_id if place is not None else None,
        )
        if place is not None:
            announced = await place.announce(metadata.recorder_id)
            if isinstance(announced, Failure):
                return Failure(StorageFailure(session_id, announced.failure()))
        claimed = await save_session(self._storage, claim, loaded.unwrap().etag)
        if isinstance(claimed, Failure):
            error = claimed.failure()
            if isinstance(error, SessionTakenOver):
                return Failure(error)
            return Failure(StorageFailure(session_id, error))
        if place is not None:
            signed = await place.sign()
            if isinstance(signed, Failure):
                return Failure(StorageFailure(session_id, signed.failure()))
        if self._closed.is_set():
            return Failure(SessionEnded(session_id, CLOSED))
        recording = self._record(claimed.unwrap(), self._settings, place, index)
        self._enlist(recording)
        return Success(recording)

    async def _held_elsewhere(self, session_id: str) -> CaptureError:
        loaded = await load_session(self._storage, session_id)
        if isinstance(loaded, Success):
            return SessionAlreadyExists(session_id, loaded.unwrap().metadata.status)
        if isinstance(loaded.failure(), SessionNotFound):
            return SessionAlreadyActive(session_id, 0.0, is_held_here=True)
        return capture_error(session_id, loaded.failure())


def _died_here(metadata: CaptureSessionMetadata, place: SpoolPlace | None) -> bool:
    """Tell whether who recorded the session last is a process of this machine that has ended."""
    return (
        place is not None
        and metadata.recorder_id is not None
        and place.claim.was_of(metadata.recorder_id)
    )


def capture_service(settings: CaptureSettings = DEFAULT_SETTINGS) -> Layer[InvalidConfig]:
    """Return the layer of a capture service that works by *settings*.

    Opening it fails with `InvalidConfig` where a setting is not in its range.
    """

    async def open_capture(
        scope: Scope, storage: S3Storage, clock: Clock
    ) -> Outcome[OtlpCaptureService, InvalidConfig]:
        checked = check_settings(settings)
        if isinstance(checked, Failure):
            return checked
        tasks = await scope.enter(anyio.create_task_group())
        service = _CaptureService(storage, clock, tasks, settings)
        scope.defer(service.close, deadline_s=_CLOSES_WITHIN_S)
        return Success(told(service, settings.telemetry))

    return scoped(OtlpCaptureServiceTag, open_capture, S3StorageTag, ClockTag)


OtlpCaptureServiceLive: Final = capture_service()
"""The capture service with the default settings."""
