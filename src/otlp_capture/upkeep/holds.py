"""Holds: what protects a session from being deleted or archived, until it is released."""

from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from otlp_capture.clock import Clock, moment
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    Hold,
    LoadError,
    SessionTakenOver,
    load_session,
    save_session,
)
from otlp_capture.storage import S3Storage
from otlp_capture.upkeep.errors import SessionBeingDeleted, SessionChanged

HoldError: TypeAlias = LoadError | SessionBeingDeleted | SessionChanged

_ATTEMPTS: Final = 5


async def hold_session(
    storage: S3Storage, clock: Clock, session_id: str, reason: str | None = None
) -> Outcome[CaptureSessionMetadata, HoldError]:
    """Protect a session from deletion, retention and archiving; it may be active.

    A session that is held already keeps the time since when, and its reason where none is given.

    Args:
        storage: where it is.
        clock: what dates the hold.
        session_id: which one.
        reason: a sentence for people.

    Fails with:
        InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
        SessionBeingDeleted: it is too late.
        SessionChanged: others kept writing its metadata.
        StorageError: the store did not answer well.
    """
    now = moment(clock.time_ns())

    def put(
        metadata: CaptureSessionMetadata,
    ) -> Outcome[CaptureSessionMetadata, SessionBeingDeleted]:
        if metadata.deleting_since is not None:
            return Failure(SessionBeingDeleted(session_id))
        hold = metadata.hold or Hold(since=now)
        held = attrs.evolve(hold, reason=hold.reason if reason is None else reason)
        return Success(attrs.evolve(metadata, hold=held))

    return await _change(storage, session_id, put)


async def release_session(
    storage: S3Storage, session_id: str
) -> Outcome[CaptureSessionMetadata, HoldError]:
    """Lift the hold of a session; one that is under none stays as it is.

    Fails with:
        InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
        SessionChanged: others kept writing its metadata.
        StorageError: the store did not answer well.
    """
    return await _change(
        storage, session_id, lambda metadata: Success(attrs.evolve(metadata, hold=None))
    )


async def _change(
    storage: S3Storage,
    session_id: str,
    change: Callable[
        [CaptureSessionMetadata], Outcome[CaptureSessionMetadata, SessionBeingDeleted]
    ],
) -> Outcome[CaptureSessionMetadata, HoldError]:
    for _ in range(_ATTEMPTS):
        loaded = await load_session(storage, session_id)
        if isinstance(loaded, Failure):
            return loaded
        stored = loaded.unwrap()
        changed = change(stored.metadata)
        if isinstance(changed, Failure) or changed.unwrap() == stored.metadata:
            return changed
        saved = await save_session(storage, changed.unwrap(), stored.etag)
        if isinstance(saved, Success):
            return changed
        error = saved.failure()
        if not isinstance(error, SessionTakenOver):
            return Failure(error)
    return Failure(SessionChanged(session_id))
