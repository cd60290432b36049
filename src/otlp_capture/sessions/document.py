"""The metadata document of a session while this process is the one that writes it."""

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions.catalogue import (
    SessionNotFound,
    SessionTakenOver,
    StoredSession,
    load_session,
    save_session,
)
from otlp_capture.sessions.keys import InvalidSessionId
from otlp_capture.sessions.metadata import CaptureSessionMetadata, MetadataCorrupted
from otlp_capture.storage import S3Storage, StorageError


class SessionDocument:
    """Writes a session's metadata over its own writes only.

    A write whose answer was lost, or that was cancelled, may stand in the store all the same; it
    is recognised by what it says. On a store without conditional writes each write looks first,
    and two processes can still race. A hold is not the writer's: what somebody else puts or takes
    away meanwhile stays so.

    Args:
        storage: where the session is.
        stored: its metadata as they stand there.
    """

    def __init__(self, storage: S3Storage, stored: StoredSession) -> None:
        self._storage, self._etag = storage, stored.etag
        self._session_id = stored.metadata.session_id
        self._hold = stored.metadata.hold
        self._ours = [_without_hold(stored.metadata)]

    async def save(
        self, metadata: CaptureSessionMetadata
    ) -> Outcome[None, SessionTakenOver | StorageError]:
        """Write *metadata* over what this process wrote last.

        Fails with:
            SessionTakenOver: what stands in the store is somebody else's, or gone.
            StorageError: the store did not answer well.
        """
        exact = await self._storage.honours_conditions()
        if isinstance(exact, Failure):
            return exact
        if not exact.unwrap():
            looked = await self._look()
            if isinstance(looked, Failure):
                return looked
        self._ours.append(_without_hold(metadata))
        saved = await self._write(metadata)
        if isinstance(saved, Failure) and isinstance(saved.failure(), SessionTakenOver):
            looked = await self._look()
            if isinstance(looked, Failure):
                return looked
            saved = await self._write(metadata)
        if isinstance(saved, Failure):
            return saved
        self._etag, self._ours = saved.unwrap().etag, [_without_hold(metadata)]
        return Success(None)

    async def _write(
        self, metadata: CaptureSessionMetadata
    ) -> Outcome[StoredSession, SessionTakenOver | StorageError]:
        held = attrs.evolve(metadata, hold=self._hold)
        return await save_session(self._storage, held, self._etag)

    async def _look(self) -> Outcome[None, SessionTakenOver | StorageError]:
        """See whether what stands in the store is ours, and under which ETag."""
        loaded = await load_session(self._storage, self._session_id)
        if isinstance(loaded, Success):
            found = loaded.unwrap()
            if _without_hold(found.metadata) not in self._ours:
                return Failure(SessionTakenOver(self._session_id))
            self._etag, self._hold = found.etag, found.metadata.hold
            return Success(None)
        error = loaded.failure()
        if isinstance(error, InvalidSessionId | SessionNotFound | MetadataCorrupted):
            return Failure(SessionTakenOver(self._session_id))
        return Failure(error)


def _without_hold(metadata: CaptureSessionMetadata) -> CaptureSessionMetadata:
    return attrs.evolve(metadata, hold=None)
