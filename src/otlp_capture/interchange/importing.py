"""From documents to a session: all of them, or nothing."""

import logging
from contextlib import aclosing
from pathlib import Path
from typing import Final

import anyio

from otlp_capture.clock import Clock
from otlp_capture.interchange.documents import Choice, Documents, one_file
from otlp_capture.interchange.errors import PartitionFormatInvalid
from otlp_capture.interchange.filling import Filling, ImportFailure, ImportReport, Target, Watcher
from otlp_capture.interchange.folder import files_of_folder
from otlp_capture.interchange.names import check_partition_format
from otlp_capture.interchange.stored_tree import objects_of_store
from otlp_capture.redaction import Redactor
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import SessionTakenOver, check_session_id, discard_session
from otlp_capture.storage import S3Storage

_log = logging.getLogger(__name__)

_ANYTHING: Final = Choice()
_NOBODY: Final = Watcher()


async def import_file(
    storage: S3Storage,
    clock: Clock,
    path: Path,
    session_id: str,
    *,
    choice: Choice = _ANYTHING,
    skip_invalid: bool = False,
    watcher: Watcher = _NOBODY,
    redactor: Redactor | None = None,
) -> Outcome[ImportReport, ImportFailure]:
    """Make a session of a file of export requests; on a `Failure` or cancelled there is none.

    A request arrived at the latest of its records' times, one without any with the request before
    it; the order of the file decides between equals. Memory is bounded by a segment of each
    signal, whatever the size of the file.

    Args:
        storage: where the session goes.
        clock: what dates the import itself.
        path: JSON Lines (or one JSON document), protobuf or JSON behind 4-byte lengths, or one
            request; any of them may be compressed with gzip or zstd.
        session_id: its name.
        choice: its signal says what the requests are; protobuf needs it, unless the name of the
            file does, of JSON it selects.
        skip_invalid: leave out what is broken, in place of importing nothing.
        watcher: told how it goes on.
        redactor: takes out of requests what must not be kept; None: nothing has to be. A request
            that it cannot redact is as an entry that is broken.

    Fails with:
        InvalidSessionId, SessionAlreadyExists: the session cannot be made.
        FileUnreadable, SignalMissing: the file cannot be imported.
        EntryBroken: an entry is no request, and *skip_invalid* was not asked for.
        StorageError: the store did not answer well.
        SessionTakenOver: another process has taken up the session meanwhile, which is left alone.
    """
    found = one_file(path, choice)
    into = Target(storage, clock, session_id, str(path), skip_invalid, watcher, redactor)
    return await _import(into, found)


async def import_folder(
    storage: S3Storage,
    clock: Clock,
    path: Path,
    session_id: str,
    *,
    choice: Choice = _ANYTHING,
    skip_invalid: bool = False,
    watcher: Watcher = _NOBODY,
    redactor: Redactor | None = None,
) -> Outcome[ImportReport, ImportFailure]:
    """Make a session of the files of a folder and its folders; on a `Failure` there is none.

    Each is read as `import_file` reads it, in the order of their paths. Where no request of a file
    has a time, they arrived when the partition began that its folders name, which is taken as
    UTC, or else when the file was last written. Links are not followed. The files of the
    collector's awss3 exporter are such a folder.

    Args:
        storage: where the session goes.
        clock: what dates the import itself.
        path: the folder.
        session_id: the session's name.
        choice: which files, and how they are taken.
        skip_invalid: leave out what is broken or cannot be read, in place of importing nothing.
        watcher: told how it goes on.
        redactor: takes out of requests what must not be kept; None: nothing has to be. A request
            that it cannot redact is as an entry that is broken.

    Fails with:
        PartitionFormatInvalid: no times can be read back from the format.
        FileUnreadable: the folder cannot be read, or holds no request.
        EntryBroken: an entry is no request, or a file cannot be read, and *skip_invalid* was not
            asked for.
        InvalidSessionId, SessionAlreadyExists, SessionTakenOver, StorageError: as `import_file`.
    """
    checked = _check(choice)
    if isinstance(checked, Failure):
        return checked
    into = Target(storage, clock, session_id, str(path), skip_invalid, watcher, redactor)
    return await _import(into, files_of_folder(path, choice))


async def import_objects(
    storage: S3Storage,
    clock: Clock,
    source: S3Storage,
    session_id: str,
    *,
    name: str,
    prefix: str = "",
    choice: Choice = _ANYTHING,
    skip_invalid: bool = False,
    watcher: Watcher = _NOBODY,
    redactor: Redactor | None = None,
) -> Outcome[ImportReport, ImportFailure]:
    """Make a session of the objects of a store, as `import_folder` does of files.

    Args:
        storage: where the session goes.
        clock: what dates the import itself.
        source: where the objects are; nothing is written there.
        session_id: the session's name.
        name: how messages call the source.
        prefix: where the source begins in its bucket; it may tell the time of a partition.
        choice: which objects, and how they are taken.
        skip_invalid: leave out what is broken or cannot be read, in place of importing nothing.
        watcher: told how it goes on.
        redactor: takes out of requests what must not be kept; None: nothing has to be. A request
            that it cannot redact is as an entry that is broken.

    Fails with:
        StorageError: one of the stores did not answer well.
        PartitionFormatInvalid, FileUnreadable, EntryBroken, InvalidSessionId,
            SessionAlreadyExists, SessionTakenOver: as `import_folder`.
    """
    checked = _check(choice)
    if isinstance(checked, Failure):
        return checked
    into = Target(storage, clock, session_id, name, skip_invalid, watcher, redactor)
    return await _import(into, objects_of_store(source, choice, prefix))


def _check(choice: Choice) -> Outcome[None, PartitionFormatInvalid]:
    if choice.partition_format is None:
        return Success(None)
    return check_partition_format(choice.partition_format)


async def _import(into: Target, found: Documents) -> Outcome[ImportReport, ImportFailure]:
    checked = check_session_id(into.session_id)
    if isinstance(checked, Failure):
        return checked
    filling, is_left = Filling(into), False
    try:
        async with aclosing(found):
            filled = await filling.fill(found)
        is_left = isinstance(filled, Success) or isinstance(filled.failure(), SessionTakenOver)
        return filled
    finally:
        if filling.is_begun and not is_left:
            await _discard(into.storage, into.session_id)


async def _discard(storage: S3Storage, session_id: str) -> None:
    with anyio.CancelScope(shield=True):
        discarded = await discard_session(storage, session_id)
        if isinstance(discarded, Failure):
            _log.error("Parts of %s are left: %s", session_id, discarded.failure().message)
