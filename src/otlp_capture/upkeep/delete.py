"""A session is deleted whole: marked first, its metadata last."""

from collections.abc import Callable
from typing import TypeAlias

import attrs

from otlp_capture.clock import Clock, moment
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    Freed,
    LoadError,
    SessionNotFound,
    StoredSession,
    discard_session,
    encode_metadata,
    load_session,
    metadata_key,
    save_session,
)
from otlp_capture.storage import S3Storage, StorageError
from otlp_capture.upkeep.errors import SessionActive, SessionChanged, SessionHeld, as_changed

DeleteError: TypeAlias = LoadError | SessionHeld | SessionActive | SessionChanged


def _untold(_freed: Freed) -> None:
    """Tell nobody."""


async def delete_session(
    storage: S3Storage,
    clock: Clock,
    session_id: str,
    *,
    force: bool = False,
    expected: CaptureSessionMetadata | None = None,
    told: Callable[[Freed], None] = _untold,
) -> Outcome[Freed, DeleteError]:
    """Delete a session and return what was freed.

    The metadata say first that the deletion was begun, written over the state that was read: who
    records the session, or puts a hold on it, at that moment is found out or finds it out. They
    are deleted last, so that the session is seen until the end, and a deletion that was
    interrupted is finished by deleting again.

    Args:
        storage: where it is.
        clock: what dates the beginning.
        session_id: which one.
        force: delete it although it is active, or although it has objects and no metadata.
        expected: its metadata as they were when this was decided; any others refuse.
        told: told of what is freed as it goes, also before a failure. Their sum is exact: the
            mark itself takes a few bytes, which are told as less than nothing.

    Fails with:
        InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
        SessionHeld: a hold protects it, whatever *force* says.
        SessionActive: it is active, and *force* was not given.
        SessionChanged: it is not as *expected*, or somebody else has just written its metadata.
        StorageError: the store did not answer well; delete it again.
    """
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure):
        is_missing = isinstance(loaded.failure(), SessionNotFound)
        return await _delete_remains(storage, session_id, told) if is_missing and force else loaded
    stored = loaded.unwrap()
    refusal = _refusal(stored.metadata, expected, force=force)
    if refusal is not None:
        return Failure(refusal)
    mark = Freed()
    if stored.metadata.deleting_since is None:
        marked = await _mark(storage, clock, stored)
        if isinstance(marked, Failure):
            return marked
        mark = marked.unwrap()
        told(mark)
    discarded = await discard_session(storage, session_id, told=told)
    return Success(mark + discarded.unwrap()) if isinstance(discarded, Success) else discarded


def _refusal(
    metadata: CaptureSessionMetadata, expected: CaptureSessionMetadata | None, *, force: bool
) -> SessionHeld | SessionActive | SessionChanged | None:
    if metadata.hold is not None:
        return SessionHeld(metadata.session_id, metadata.hold.reason)
    if metadata.status == "active" and not force:
        return SessionActive(metadata.session_id)
    is_begun = metadata.deleting_since is not None
    if expected is not None and metadata != expected and not is_begun:
        return SessionChanged(metadata.session_id)
    return None


async def _mark(
    storage: S3Storage, clock: Clock, stored: StoredSession
) -> Outcome[Freed, SessionChanged | StorageError]:
    """Write that the deletion was begun, and return what that frees: less than nothing."""
    session_id = stored.metadata.session_id
    head = await storage.head(metadata_key(session_id))
    if isinstance(head, Failure):
        return head
    if head.unwrap().etag != stored.etag:
        return Failure(SessionChanged(session_id))
    begun = attrs.evolve(stored.metadata, deleting_since=moment(clock.time_ns()))
    saved = await save_session(storage, begun, stored.etag)
    if isinstance(saved, Failure):
        return Failure(as_changed(saved.failure()))
    return Success(Freed(0, head.unwrap().size_bytes - len(encode_metadata(begun))))


async def _delete_remains(
    storage: S3Storage, session_id: str, told: Callable[[Freed], None]
) -> Outcome[Freed, SessionNotFound | StorageError]:
    """Delete what lies under an id without metadata."""
    discarded = await discard_session(storage, session_id, told=told)
    is_nothing = discarded == Success(Freed())
    return Failure(SessionNotFound(session_id)) if is_nothing else discarded
