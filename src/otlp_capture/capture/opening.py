"""How a session comes to be recorded: it is new, or it was left active and is taken up."""

import logging
from collections.abc import Callable
from typing import Final

import anyio
import attrs
from anyio.abc import TaskGroup

from otlp_capture.capture.errors import (
    CaptureError,
    SessionAlreadyActive,
    SessionEnded,
    StorageFailure,
    capture_error,
)
from otlp_capture.capture.model import CaptureSettings
from otlp_capture.capture.recording import Recording
from otlp_capture.capture.recordings import Recordings
from otlp_capture.capture.rings import CLOSED
from otlp_capture.capture.spooling import (
    NO_SPOOL,
    HeldElsewhere,
    Spooling,
    SpoolPlace,
    given_up,
)
from otlp_capture.clock import Clock, moment
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    ORPHANED_NS,
    CaptureSessionMetadata,
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
    load_session,
    save_session,
    uncounted,
)
from otlp_capture.storage import S3Storage, StorageError
from otlp_capture.upkeep import SessionBeingDeleted

_log = logging.getLogger(__name__)

_EMPTY: Final = SessionIndex(())


class Openings:
    """What opens recordings; whoever calls it has the session's `Recordings.opening`.

    Args:
        storage: where sessions are.
        clock: tells the time.
        tasks: where recordings work.
        workers: how many requests may be worked on at once.
        settings: how sessions are recorded that are taken up.
        spooling: the spool.
        recordings: where what is opened is enlisted.
        recover_leftovers: called when something was opened, to see to what others left.
    """

    def __init__(
        self,
        storage: S3Storage,
        clock: Clock,
        tasks: TaskGroup,
        workers: anyio.Semaphore,
        settings: CaptureSettings,
        spooling: Spooling,
        recordings: Recordings,
        recover_leftovers: Callable[[], None],
    ) -> None:
        self._storage, self._clock = storage, clock
        self._tasks, self._workers, self._settings = tasks, workers, settings
        self._spooling, self._recordings = spooling, recordings
        self._recover_leftovers = recover_leftovers

    async def begin(
        self, metadata: CaptureSessionMetadata, settings: CaptureSettings
    ) -> Outcome[Recording, CaptureError]:
        """Begin a new session, and record it from now on."""
        session_id = metadata.session_id
        if self._recordings.has_closed():
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
            if self._recordings.has_closed():
                # It stands in the store, for another process to take up.
                ending.removes = False
                return Failure(SessionEnded(session_id, CLOSED))
            ending.keep()
            recording = self._record(created.unwrap(), settings, place)
            self._recordings.enlist(recording)
        self._recover_leftovers()
        return Success(recording)

    async def take_up(self, session_id: str) -> Outcome[Recording, CaptureError]:
        """Go on with a session that is active in the store, and that nobody records any more."""
        checked = check_session_id(session_id)
        if isinstance(checked, Failure):
            return checked
        if self._recordings.has_closed():
            return Failure(SessionEnded(session_id, CLOSED))
        placed = await self._spooling.place(session_id)
        if isinstance(placed, Failure):
            error = placed.failure()
            if isinstance(error, HeldElsewhere):
                why = await self.why_not_recorded(session_id)
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

    async def why_not_recorded(self, session_id: str) -> CaptureError:
        """Say what stands in the way of keeping a request in a session that is not had here."""
        loaded = await load_session(self._storage, session_id)
        if isinstance(loaded, Failure):
            return capture_error(session_id, loaded.failure())
        metadata = loaded.unwrap().metadata
        if metadata.status != "active":
            return SessionEnded(session_id, metadata.end_reason or metadata.status)
        return SessionAlreadyActive(session_id, idle_ns(metadata, self._clock.time_ns()) / 1e9)

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
        if self._recordings.has_closed():
            return Failure(SessionEnded(session_id, CLOSED))
        recording = self._record(claimed.unwrap(), self._settings, place, index)
        self._recordings.enlist(recording)
        return Success(recording)

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
