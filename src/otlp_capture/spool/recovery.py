"""What a process that died left in the spool: cut at the last whole frame, and published."""

import fcntl
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    SegmentCorrupted,
    index_segment,
    key_of_spool_name,
    parse_segment_key,
    read_frames,
)
from otlp_capture.spool.claims import SpoolClaim, sync_folder
from otlp_capture.spool.folder import SpoolFolder
from otlp_capture.spool.segment import write_whole
from otlp_capture.spool.shelf import Shelved
from otlp_capture.storage import S3Storage, StorageError, local_error, make_root

_log = logging.getLogger(__name__)


@attrs.frozen
class Recovered:
    """What came of the leftovers of a session.

    Attributes:
        session_id: whose they were.
        segments: how many were published.
        requests: how many requests they hold.
        size_bytes: how many bytes they have.
        dropped_bytes: bytes behind the last whole frame, which were never acknowledged.
        quarantined: files that are kept aside: they are no segments, or are damaged inside.
        is_over: the session has ended or is gone, so that nothing more is to come.
    """

    session_id: str
    segments: int = 0
    requests: int = 0
    size_bytes: int = 0
    dropped_bytes: int = 0
    quarantined: tuple[Path, ...] = ()
    is_over: bool = False


@attrs.frozen
class _Cut:
    """A leftover segment, cut at its last whole frame."""

    requests: int
    size_bytes: int
    dropped_bytes: int
    quarantined: Path | None = None


async def publish_leftovers(
    storage: S3Storage,
    spool: SpoolFolder,
    claim: SpoolClaim,
    *,
    left: Callable[[int], object] = lambda _bytes: None,
) -> Outcome[Recovered, StorageError]:
    """Publish all that a session has in the spool and that nobody holds.

    It can be done again: a segment has one key, whoever publishes it.

    Args:
        storage: where to.
        spool: the spool.
        claim: the session's folder in it.
        left: told of the bytes that have left the session's folder, also before a failure.

    Fails with:
        StorageError: the store or the spool did not answer well; the rest is still in the spool.
    """
    found = Recovered(claim.session_id)
    try:
        names = await anyio.to_thread.run_sync(claim.names)
    except OSError as error:
        return Failure(local_error(error, spool.name, claim.session_id))
    for name in names:
        path = claim.folder / name
        key = key_of_spool_name(claim.session_id, name)
        try:
            if key is None:
                aside = await anyio.to_thread.run_sync(_set_aside, spool, claim.session_id, path)
                left(aside.lstat().st_size)
                found = attrs.evolve(found, quarantined=(*found.quarantined, aside))
                continue
            cut = await anyio.to_thread.run_sync(_cut, spool, claim.session_id, path, key)
        except OSError as error:
            return Failure(local_error(error, spool.name, name))
        if cut is None:
            continue
        left(cut.dropped_bytes)
        if cut.requests:
            published = await storage.publish_file(path, key)
            if isinstance(published, Failure):
                return published
            left(cut.size_bytes)
        found = _added(found, cut)
    return Success(found)


def ring_leftovers(spool: SpoolFolder, claim: SpoolClaim) -> list[Shelved]:
    """Return what the last process that had a ring left of it, each cut at its last whole frame.

    Blocks.

    Raises:
        OSError: the file system refused.
    """
    found: list[Shelved] = []
    for name in claim.names():
        path, key = claim.folder / name, key_of_spool_name(claim.session_id, name)
        segment = None if key is None else parse_segment_key(key)
        if key is None or segment is None:
            _set_aside(spool, claim.session_id, path)
            continue
        cut = _cut(spool, claim.session_id, path, key)
        if cut is not None and cut.requests:
            indexed = index_segment(key, path.read_bytes(), segment.signal, 0)
            found.append(Shelved(path, indexed.index))
    return found


def _added(found: Recovered, cut: _Cut) -> Recovered:
    aside = () if cut.quarantined is None else (cut.quarantined,)
    return attrs.evolve(
        found,
        segments=found.segments + bool(cut.requests),
        requests=found.requests + cut.requests,
        size_bytes=found.size_bytes + cut.size_bytes,
        dropped_bytes=found.dropped_bytes + cut.dropped_bytes,
        quarantined=(*found.quarantined, *aside),
    )


def quarantine(spool: SpoolFolder, claim: SpoolClaim) -> Outcome[tuple[Path, ...], StorageError]:
    """Keep aside all that a session which is gone has in the spool, and say so.

    Blocks.

    Fails with:
        StorageError: the file system refused.
    """
    try:
        aside = tuple(
            _set_aside(spool, claim.session_id, claim.folder / name) for name in claim.names()
        )
    except OSError as error:
        return Failure(local_error(error, spool.name, claim.session_id))
    return Success(aside)


def _cut(spool: SpoolFolder, session_id: str, path: Path, key: str) -> _Cut | None:
    """Cut a leftover file at its last whole frame; None where somebody has it still."""
    name = parse_segment_key(key)
    assert name is not None, "the key was made from a segment's"
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        content = _whole(descriptor)
        requests, end = 0, 0
        damage: SegmentCorrupted | None = None
        for found in read_frames(key, content, name.signal, 0):
            if isinstance(found, Failure):
                damage = found.failure()
                break
            frame = found.unwrap().frame
            requests, end = requests + 1, frame.offset + frame.size_bytes
        tail = content[end:]
        aside = None
        if damage is not None and any(tail):
            _log.warning("%s The %d bytes behind are cut off.", damage.message, len(tail))
            if damage.part != "tail":
                aside = _kept_aside(spool, session_id, path.name, tail)
        if tail:
            os.ftruncate(descriptor, end)
        os.fsync(descriptor)
        if not requests:
            path.unlink()
            sync_folder(path.parent)
        return _Cut(requests, end, len(tail), aside)
    finally:
        os.close(descriptor)


def _whole(descriptor: int) -> bytes:
    pieces: list[bytes] = []
    offset = 0
    while piece := os.pread(descriptor, 1 << 24, offset):
        pieces.append(piece)
        offset += len(piece)
    return b"".join(pieces)


def _kept_aside(spool: SpoolFolder, session_id: str, name: str, tail: bytes) -> Path:
    """Keep the bytes behind a damage: they may hold what was acknowledged."""
    folder = _aside(spool, session_id)
    path = folder / f"{name}.tail"
    # It is cut off behind this, so it has to be on the disk before.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        write_whole(descriptor, [tail])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(folder)
    _log.error("%d bytes behind a damage in the spool are kept in %s", len(tail), path)
    return path


def _set_aside(spool: SpoolFolder, session_id: str, path: Path) -> Path:
    """Move a file out of the way, never in silence."""
    folder = _aside(spool, session_id)
    target = folder / path.name
    path.rename(target)
    for each in (folder, path.parent):
        sync_folder(each)
    _log.error("%s belongs to no session: it is kept in %s", path.name, folder)
    return target


def _aside(spool: SpoolFolder, session_id: str) -> Path:
    folder = spool.quarantine / f"{session_id}-{time.time_ns() // 1_000_000}"
    make_root(str(folder))
    return folder
