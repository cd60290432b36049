"""A session that has ended, indexed and counted anew from its segments."""

from otlp_capture.result import Failure, Outcome
from otlp_capture.sessions.catalogue import SessionTakenOver, StoredSession, save_session
from otlp_capture.sessions.counters import counted, uncounted
from otlp_capture.sessions.index import index_session, save_manifest
from otlp_capture.storage import S3Storage, StorageError


async def recount_session(
    storage: S3Storage, stored: StoredSession
) -> Outcome[StoredSession, SessionTakenOver | StorageError]:
    """Write the manifest and the counters of a session by what its segments hold.

    Args:
        storage: where the session is.
        stored: its metadata as they stand there; they are written over nothing else.

    Fails with:
        SessionTakenOver: its metadata changed meanwhile.
        StorageError: the store did not answer well.
    """
    session_id = stored.metadata.session_id
    indexed = await index_session(storage, session_id, known={})
    if isinstance(indexed, Failure):
        return indexed
    index = indexed.unwrap()
    saved = await save_manifest(storage, session_id, index.sound_segments)
    if isinstance(saved, Failure):
        return saved
    metadata = counted(uncounted(stored.metadata), index.segments)
    return await save_session(storage, metadata, stored.etag)
