"""A session is moved to another store: copied, read back, and only then deleted here.

At every moment the session is whole in one place: the archive sees it once its copy is whole, and
here it is marked and deleted only after that. What was interrupted is done again.
"""

import uuid
from collections.abc import Callable

import anyio
import attrs

from otlp_capture.clock import Clock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention.copying import copy_object
from otlp_capture.retention.errors import (
    ArchiveConflict,
    ArchiveError,
    ArchiveIsSource,
    CopyDiffers,
)
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    Freed,
    MetadataCorrupted,
    SessionNotFound,
    load_session,
    metadata_key,
    session_prefix,
)
from otlp_capture.storage import (
    IfAbsent,
    ObjectNotFound,
    PreconditionFailed,
    S3Storage,
    StorageError,
)
from otlp_capture.upkeep import SessionActive, SessionChanged, SessionHeld, delete_session


def _untold(_freed: Freed) -> None:
    """Tell nobody."""


async def archive_session(
    storage: S3Storage,
    archive: S3Storage,
    clock: Clock,
    session_id: str,
    *,
    expected: CaptureSessionMetadata | None = None,
    told: Callable[[Freed], None] = _untold,
) -> Outcome[Freed, ArchiveError]:
    """Move a session to another store and return what that frees here.

    Each object's copy is read back and compared by size and CRC-32, the copy's objects are
    counted, and its metadata are written last. A copy that an interrupted call left is gone on
    with. A session whose deletion was begun here is deleted: its copy was whole before.

    Args:
        storage: where it is.
        archive: where it goes; another store, or another prefix.
        clock: what dates the deletion.
        session_id: which one.
        expected: its metadata as they were when this was decided; any others refuse.
        told: told of what is freed as it goes, also before a failure.

    Fails with:
        InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
        SessionHeld, SessionActive: it is not to be touched.
        SessionChanged: it is not as *expected*, or changed meanwhile.
        ArchiveIsSource: both are one place.
        ArchiveConflict: the archive holds something else under its id.
        CopyDiffers: what was read back is not what was written.
        StorageError: one of the stores did not answer well; it can be done again.
    """
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure):
        return loaded
    metadata = loaded.unwrap().metadata
    if metadata.hold is not None:
        return Failure(SessionHeld(session_id, metadata.hold.reason))
    if metadata.status == "active":
        return Failure(SessionActive(session_id))
    if metadata.deleting_since is None:
        if expected is not None and metadata != expected:
            return Failure(SessionChanged(session_id))
        copied = await _copy_session(storage, archive, metadata)
        if isinstance(copied, Failure):
            return copied
    return await delete_session(storage, clock, session_id, expected=metadata, told=told)


async def _copy_session(
    storage: S3Storage, archive: S3Storage, metadata: CaptureSessionMetadata
) -> Outcome[None, ArchiveError]:
    apart = await _are_apart(storage, archive)
    if isinstance(apart, Failure):
        return apart
    session_id = metadata.session_id
    is_free = await _has_room(archive, metadata)
    if isinstance(is_free, Failure):
        return is_free
    listed = await _sizes(storage, session_id)
    if isinstance(listed, Failure):
        return listed
    originals = listed.unwrap()
    there = await _sizes(archive, session_id)
    if isinstance(there, Failure):
        return there
    for key in there.unwrap():
        if key not in originals:
            return Failure(ArchiveConflict(session_id, key))
    last = metadata_key(session_id)
    for key, size_bytes in originals.items():
        if key != last:
            copied = await copy_object(storage, archive, session_id, key, size_bytes)
            if isinstance(copied, Failure):
                return copied
    sealed = await _seal(storage, archive, metadata)
    if isinstance(sealed, Failure):
        return sealed
    return await _compare(archive, metadata, originals)


async def _are_apart(
    storage: S3Storage, archive: S3Storage
) -> Outcome[None, ArchiveIsSource | StorageError]:
    """See that what is written to the archive does not show up here."""
    key = f"archive-probe-{uuid.uuid4()}"
    try:
        written = await archive.store_raw_data(b"otlp-capture", key)
        if isinstance(written, Failure):
            return written
        found = await storage.head(key)
    finally:
        with anyio.CancelScope(shield=True):
            await archive.delete_raw_data(key)
    if isinstance(found, Success):
        return Failure(ArchiveIsSource())
    return Success(None) if isinstance(found.failure(), ObjectNotFound) else found


async def _has_room(
    archive: S3Storage, metadata: CaptureSessionMetadata
) -> Outcome[None, ArchiveError]:
    """See that the archive has no session of this id, or a copy of this one."""
    session_id = metadata.session_id
    loaded = await load_session(archive, session_id)
    if isinstance(loaded, Success):
        is_copy = _content(loaded.unwrap().metadata) == _content(metadata)
        conflict = ArchiveConflict(session_id, metadata_key(session_id))
        return Success(None) if is_copy else Failure(conflict)
    match loaded.failure():
        case SessionNotFound():
            return Success(None)
        case MetadataCorrupted():
            return Failure(ArchiveConflict(session_id, metadata_key(session_id)))
        case error:
            return Failure(error)


async def _sizes(storage: S3Storage, session_id: str) -> Outcome[dict[str, int], StorageError]:
    sizes: dict[str, int] = {}
    async for found in storage.list_objects(f"{session_prefix(session_id)}/"):
        if isinstance(found, Failure):
            return found
        sizes[found.unwrap().key] = found.unwrap().size_bytes
    return Success(sizes)


async def _seal(
    storage: S3Storage, archive: S3Storage, metadata: CaptureSessionMetadata
) -> Outcome[None, SessionChanged | ArchiveConflict | StorageError]:
    """Write the copy's metadata, byte for byte the original's: it is a session from then on."""
    key = metadata_key(metadata.session_id)
    document = await storage.retrieve_raw_data(key)
    if isinstance(document, Failure):
        return document
    now = await load_session(storage, metadata.session_id)
    if now.map(lambda stored: stored.metadata) != Success(metadata):
        return Failure(SessionChanged(metadata.session_id))
    there = await load_session(archive, metadata.session_id)
    if isinstance(there, Success):
        return Success(None)
    exact = await archive.honours_conditions()
    if isinstance(exact, Failure):
        return exact
    condition = IfAbsent() if exact.unwrap() else None
    written = await archive.store_raw_data(document.unwrap(), key, condition=condition)
    if isinstance(written, Success):
        return Success(None)
    is_taken = isinstance(written.failure(), PreconditionFailed)
    return Failure(ArchiveConflict(metadata.session_id, key)) if is_taken else written


async def _compare(
    archive: S3Storage, metadata: CaptureSessionMetadata, originals: dict[str, int]
) -> Outcome[None, ArchiveError]:
    """Count the copy: the same objects, of the same sizes, and metadata that say the same."""
    session_id, key = metadata.session_id, metadata_key(metadata.session_id)
    there = await load_session(archive, session_id)
    if isinstance(there, Failure):
        return there
    if _content(there.unwrap().metadata) != _content(metadata):
        return Failure(CopyDiffers(session_id, key, "it says something else"))
    listed = await _sizes(archive, session_id)
    if isinstance(listed, Failure):
        return listed
    copies = listed.unwrap()
    for name in originals.keys() ^ copies.keys():
        where = "the archive" if name in originals else "the original"
        return Failure(CopyDiffers(session_id, name, f"it is missing in {where}"))
    for name, size_bytes in originals.items():
        if name != key and copies[name] != size_bytes:
            detail = f"it has {copies[name]:,} bytes and not {size_bytes:,}"
            return Failure(CopyDiffers(session_id, name, detail))
    return Success(None)


def _content(metadata: CaptureSessionMetadata) -> CaptureSessionMetadata:
    """Return what does not depend on holds, which were put or lifted between two attempts."""
    return attrs.evolve(metadata, hold=None)
