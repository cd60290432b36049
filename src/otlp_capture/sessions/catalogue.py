"""Which sessions a store holds: created once, read, written, listed, deleted."""

import logging
from typing import ClassVar, TypeAlias

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions.keys import (
    SESSIONS,
    InvalidSessionId,
    check_session_id,
    metadata_key,
    session_prefix,
)
from otlp_capture.sessions.metadata import (
    CaptureSessionMetadata,
    MetadataCorrupted,
    SessionStatus,
    decode_metadata,
    encode_metadata,
)
from otlp_capture.storage import (
    IfAbsent,
    IfMatch,
    ObjectNotFound,
    PreconditionFailed,
    S3Storage,
    StorageError,
)

_log = logging.getLogger(__name__)


@attrs.frozen
class SessionNotFound:
    """The store holds no session *session_id*."""

    session_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing, and how to see what is there."""
        return (
            f"There is no session {self.session_id!r} in this store. "
            f"`otlp-capture sessions list` shows those that are."
        )


@attrs.frozen
class SessionAlreadyExists:
    """The store holds a session *session_id* already."""

    session_id: str
    status: SessionStatus | None = None
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is in the way, and what to do."""
        status = f", {self.status}" if self.status else ""
        return (
            f"There is a session {self.session_id!r} in this store already{status}. "
            f"A recording is never overwritten: choose another id."
        )


@attrs.frozen
class SessionTakenOver:
    """Another process writes the metadata of *session_id*."""

    session_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened."""
        return (
            f"Another process has taken over session {self.session_id!r}: its metadata changed "
            f"under this one. Record into a session of its own."
        )


@attrs.frozen
class StoredSession:
    """A session's metadata as it stands in the store, and the ETag that says so."""

    metadata: CaptureSessionMetadata
    etag: str


LoadError: TypeAlias = InvalidSessionId | SessionNotFound | MetadataCorrupted | StorageError


async def load_session(storage: S3Storage, session_id: str) -> Outcome[StoredSession, LoadError]:
    """Read a session's metadata.

    Fails with:
        InvalidSessionId: no session can have this id.
        SessionNotFound: none has.
        MetadataCorrupted: its document cannot be read.
        StorageError: the store did not answer well.
    """
    checked = check_session_id(session_id)
    if isinstance(checked, Failure):
        return checked
    # The ETag first: if the document changes meanwhile, saving over that ETag fails.
    head = await storage.head(metadata_key(session_id))
    if isinstance(head, Failure):
        return _not_loaded(session_id, head.failure())
    metadata = await _read(storage, session_id)
    if isinstance(metadata, Failure):
        return metadata
    return Success(StoredSession(metadata.unwrap(), head.unwrap().etag))


async def _read(storage: S3Storage, session_id: str) -> Outcome[CaptureSessionMetadata, LoadError]:
    key = metadata_key(session_id)
    document = await storage.retrieve_raw_data(key)
    if isinstance(document, Failure):
        return _not_loaded(session_id, document.failure())
    decoded = decode_metadata(key, document.unwrap())
    if isinstance(decoded, Success) and decoded.unwrap().session_id != session_id:
        reason = f"sessionId is {decoded.unwrap().session_id[:200]!r}, not {session_id!r}"
        return Failure(MetadataCorrupted(key, reason))
    return decoded


def _not_loaded(session_id: str, error: StorageError) -> Failure[SessionNotFound | StorageError]:
    missing = isinstance(error, ObjectNotFound)
    return Failure(SessionNotFound(session_id) if missing else error)


async def create_session(
    storage: S3Storage, metadata: CaptureSessionMetadata
) -> Outcome[StoredSession, SessionAlreadyExists | StorageError]:
    """Write the metadata of a session of which nothing may exist yet.

    Where the store has conditional writes, of several processes that try exactly one succeeds;
    where it has not, this looks first, and two processes can race.

    Fails with:
        SessionAlreadyExists: the id is taken, if only by objects without metadata.
        StorageError: the store did not answer well.
    """
    key, document = metadata_key(metadata.session_id), encode_metadata(metadata)
    exact = await storage.honours_conditions()
    if isinstance(exact, Failure):
        return exact
    if not exact.unwrap():
        _log.warning(
            "The store has no conditional writes: two processes that start session %s at once "
            "are not told apart",
            metadata.session_id,
        )
    async for found in storage.list_objects(f"{session_prefix(metadata.session_id)}/"):
        if isinstance(found, Failure):
            return found
        return await _already_exists(storage, metadata.session_id)
    stored = await storage.store_raw_data(
        document, key, condition=IfAbsent() if exact.unwrap() else None
    )
    if isinstance(stored, Success):
        return Success(StoredSession(metadata, stored.unwrap().etag))
    if isinstance(stored.failure(), PreconditionFailed):
        return await _already_exists(storage, metadata.session_id)
    return stored


async def _already_exists(storage: S3Storage, session_id: str) -> Failure[SessionAlreadyExists]:
    loaded = await _read(storage, session_id)
    status = loaded.unwrap().status if isinstance(loaded, Success) else None
    return Failure(SessionAlreadyExists(session_id, status))


async def save_session(
    storage: S3Storage, metadata: CaptureSessionMetadata, etag: str
) -> Outcome[StoredSession, SessionTakenOver | StorageError]:
    """Write the metadata of a session over the state that *etag* names.

    Fails with:
        SessionTakenOver: the document is not the one of *etag* any more. Only a store with
            conditional writes can tell.
        StorageError: the store did not answer well.
    """
    exact = await storage.honours_conditions()
    if isinstance(exact, Failure):
        return exact
    stored = await storage.store_raw_data(
        encode_metadata(metadata),
        metadata_key(metadata.session_id),
        condition=IfMatch(etag) if exact.unwrap() else None,
    )
    if isinstance(stored, Success):
        return Success(StoredSession(metadata, stored.unwrap().etag))
    if isinstance(stored.failure(), PreconditionFailed):
        return Failure(SessionTakenOver(metadata.session_id))
    return stored


async def list_sessions(
    storage: S3Storage,
) -> Outcome[tuple[CaptureSessionMetadata, ...], StorageError]:
    """Return the metadata of all sessions, in the order of their start.

    A session whose metadata cannot be read is left out, and the log says so.

    Fails with:
        StorageError: the store did not answer well.
    """
    sessions: list[CaptureSessionMetadata] = []
    async for folder in storage.list_folders(SESSIONS):
        if isinstance(folder, Failure):
            return folder
        session_id = folder.unwrap().removeprefix(SESSIONS).rstrip("/")
        checked = check_session_id(session_id)
        loaded = checked if isinstance(checked, Failure) else await _read(storage, session_id)
        if isinstance(loaded, Success):
            sessions.append(loaded.unwrap())
            continue
        error = loaded.failure()
        if not isinstance(error, InvalidSessionId | SessionNotFound | MetadataCorrupted):
            return Failure(error)
        _log.warning("%s is left out: %s", folder.unwrap(), error.message)
    return Success(tuple(sorted(sessions, key=lambda m: (m.start_time, m.session_id))))
