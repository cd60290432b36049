"""How a session becomes a recording: read in batches, fingerprinted beside the event loop."""

from collections.abc import Collection, Iterable
from typing import Final

import anyio.to_thread

from otlp_capture.otlp import Signal, canonical_records
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    RequestReader,
    SegmentCorrupted,
    StoredRequest,
    in_order,
    index_session,
    load_session,
)
from otlp_capture.storage import S3Storage
from otlp_replay.errors import ReplayError, as_replay_error
from otlp_replay.verify.recording import Recording

_BATCH_BYTES: Final = 1 << 20
_BATCH_REQUESTS: Final = 256


async def read_recording(
    storage: S3Storage, session_id: str, signals: Collection[Signal], reader: RequestReader
) -> Outcome[Recording, ReplayError]:
    """Read the records of a session.

    Args:
        storage: where the session is.
        session_id: which one.
        signals: what to read of it.
        reader: reads its requests.

    Fails with:
        InvalidSessionId, SessionNotFound: there is no such session.
        DataCorrupted, DecompressionFailure: it is damaged, so what it holds cannot be told.
        StorageFailure: the store did not answer well.
    """
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure):
        return Failure(as_replay_error(session_id, loaded.failure()))
    indexed = await index_session(storage, session_id)
    if isinstance(indexed, Failure):
        return Failure(as_replay_error(session_id, indexed.failure()))
    index = indexed.unwrap()
    if index.damages:
        return Failure(as_replay_error(session_id, index.damages[0]))
    recording = Recording(session_id, in_order(index, signals))
    return await _fill(recording, reader)


async def _fill(recording: Recording, reader: RequestReader) -> Outcome[Recording, ReplayError]:
    batch: list[StoredRequest] = []
    size_bytes = 0
    async for found in reader.read_all(recording.refs):
        if isinstance(found, Failure):
            return Failure(as_replay_error(recording.session_id, found.failure()))
        batch.append(found.unwrap())
        size_bytes += len(batch[-1].request)
        if size_bytes < _BATCH_BYTES and len(batch) < _BATCH_REQUESTS:
            continue
        damage = await anyio.to_thread.run_sync(_append_all, recording, batch)
        if damage is not None:
            return Failure(as_replay_error(recording.session_id, damage))
        batch, size_bytes = [], 0
    damage = await anyio.to_thread.run_sync(_append_all, recording, batch)
    if damage is not None:
        return Failure(as_replay_error(recording.session_id, damage))
    return Success(recording)


def _append_all(recording: Recording, batch: Iterable[StoredRequest]) -> SegmentCorrupted | None:
    for stored in batch:
        canonical = canonical_records(stored.request, stored.signal)
        if isinstance(canonical, Failure):
            return content_damage(stored, canonical.failure().message)
        recording.append(canonical.unwrap())
    return None


def content_damage(stored: StoredRequest, reason: str) -> SegmentCorrupted:
    """Say that a frame is whole, and what it holds makes no sense."""
    return SegmentCorrupted(stored.key, stored.frame.offset, reason, "content")
