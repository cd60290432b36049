"""From a file to a session: all of it, or nothing."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, TypeAlias

import anyio
import anyio.to_thread
import attrs

from otlp_capture.clock import Clock, moment
from otlp_capture.interchange.source import (
    Entry,
    EntryBroken,
    FileUnreadable,
    FoundRequest,
    SignalMissing,
    Source,
    SourceError,
)
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    Arrival,
    CaptureSessionMetadata,
    InvalidSessionId,
    NewFrame,
    OpenSegment,
    SegmentIndex,
    SessionAlreadyExists,
    SessionDocument,
    SessionTakenOver,
    StoredSession,
    check_session_id,
    counted,
    create_session,
    discard_session,
    encode_frame,
    save_manifest,
    session_prefix,
)
from otlp_capture.storage import S3Storage, StorageError

_log = logging.getLogger(__name__)

_SEGMENT_BYTES: Final = 16 << 20
_BATCH_BYTES: Final = 4 << 20
_BATCH_ENTRIES: Final = 64
_SHOWN: Final = 20
_CHECKPOINT_NS: Final = 10_000_000_000
_DONE: Final = Success(None)

ImportFailure: TypeAlias = (
    FileUnreadable
    | SignalMissing
    | EntryBroken
    | InvalidSessionId
    | SessionAlreadyExists
    | SessionTakenOver
    | StorageError
)


@attrs.frozen
class ImportReport:
    """What an import made.

    Attributes:
        metadata: the new session's.
        skipped: entries that were left out.
        examples: the first of them.
    """

    metadata: CaptureSessionMetadata
    skipped: int
    examples: tuple[EntryBroken, ...]


async def import_file(
    storage: S3Storage,
    clock: Clock,
    path: Path,
    session_id: str,
    *,
    signal: Signal | None = None,
    skip_invalid: bool = False,
    advanced: Callable[[int], None] = lambda _bytes: None,
) -> Outcome[ImportReport, ImportFailure]:
    """Make a session of a file of export requests; on a `Failure` or cancelled there is none.

    A request arrived at the latest of its records' times, one without any with the request before
    it; the order of the file decides between equals. Memory is bounded by a segment of each
    signal, whatever the size of the file, which is read twice where no request has a time.

    Args:
        storage: where the session goes.
        clock: what dates it if no record does.
        path: JSON Lines (or one JSON document), protobuf behind 4-byte lengths, or one request.
        session_id: its name.
        signal: what the requests are; protobuf needs it, of JSON it selects.
        skip_invalid: leave out what is broken, in place of importing nothing.
        advanced: told how many bytes of the file have been read.

    Fails with:
        InvalidSessionId, SessionAlreadyExists: the session cannot be made.
        FileUnreadable, SignalMissing: the file cannot be imported.
        EntryBroken: an entry is no request, and *skip_invalid* was not asked for.
        StorageError: the store did not answer well.
        SessionTakenOver: another process has taken up the session meanwhile, which is left alone.
    """
    checked = check_session_id(session_id)
    if isinstance(checked, Failure):
        return checked
    source = Source(path, signal)
    first = await anyio.to_thread.run_sync(source.first_time_unix_nano)
    if isinstance(first, Failure):
        return first
    first_ns = first.unwrap() or clock.time_ns()
    metadata = CaptureSessionMetadata(
        session_id=session_id,
        start_time=moment(first_ns),
        status="active",
        s3_prefix=session_prefix(session_id),
        created_by="otlp-capture import",
        last_checkpoint_time=moment(clock.time_ns()),
    )
    created = await _create(storage, metadata)
    if isinstance(created, Failure):
        return created
    filling = _Filling(storage, clock, created.unwrap(), first_ns, skip_invalid=skip_invalid)
    is_left = False
    try:
        with closing(source.entries()) as entries:
            filled = await filling.fill(entries, lambda: advanced(source.position))
        if isinstance(filled, Failure):
            is_left = isinstance(filled.failure(), SessionTakenOver)
            return filled
        is_left = True
        return Success(ImportReport(filled.unwrap(), filling.skipped, tuple(filling.examples)))
    finally:
        if not is_left:
            await _discard(storage, session_id)


async def _create(
    storage: S3Storage, metadata: CaptureSessionMetadata
) -> Outcome[StoredSession, SessionAlreadyExists | StorageError]:
    """Create the session whole or not at all, so that a cancelled import knows what to undo."""
    created: Outcome[StoredSession, SessionAlreadyExists | StorageError] | None = None
    with anyio.CancelScope(shield=True):
        created = await create_session(storage, metadata)
    assert created is not None, "nobody else can cancel this scope"
    return created


async def _discard(storage: S3Storage, session_id: str) -> None:
    with anyio.CancelScope(shield=True):
        discarded = await discard_session(storage, session_id)
        if isinstance(discarded, Failure):
            _log.error("Parts of %s are left: %s", session_id, discarded.failure().message)


class _Filling:
    """A session while it is filled from a file."""

    def __init__(
        self,
        storage: S3Storage,
        clock: Clock,
        stored: StoredSession,
        first_ns: int,
        *,
        skip_invalid: bool,
    ) -> None:
        self._storage, self._clock = storage, clock
        self._metadata = stored.metadata
        self._document = SessionDocument(storage, stored)
        self._saved_at_ns = clock.monotonic_ns()
        self._skip_invalid = skip_invalid
        self._arrival_ns = first_ns
        self._sequence = 0
        self._arrivals: tuple[int, int] | None = None
        self._open: dict[Signal, OpenSegment] = {}
        self._segments: list[SegmentIndex] = []
        self.skipped = 0
        self.examples: list[EntryBroken] = []

    async def fill(
        self, entries: Iterator[Entry], advanced: Callable[[], None]
    ) -> Outcome[CaptureSessionMetadata, ImportFailure]:
        """Store all of *entries*, the manifest of what they became, and the metadata."""
        while (batch := await anyio.to_thread.run_sync(self._next_batch, entries)) is not None:
            for item in batch:
                if isinstance(item, Failure):
                    return item
                added = await self._add(item.unwrap())
                if isinstance(added, Failure):
                    return added
            advanced()
            kept_up = await self._keep_up()
            if isinstance(kept_up, Failure):
                return kept_up
        for signal in tuple(self._open):
            stored = await self._store(signal)
            if isinstance(stored, Failure):
                return stored
        saved = await save_manifest(self._storage, self._metadata.session_id, self._segments)
        if isinstance(saved, Failure):
            return saved
        ended = self._ended()
        written = await self._document.save(ended)
        return written if isinstance(written, Failure) else Success(ended)

    async def _keep_up(self) -> Outcome[None, SessionTakenOver | StorageError]:
        """Say from time to time that somebody is at work here."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._saved_at_ns < _CHECKPOINT_NS:
            return _DONE
        self._saved_at_ns = now_ns
        self._metadata = attrs.evolve(
            self._metadata, last_checkpoint_time=moment(self._clock.time_ns())
        )
        return await self._document.save(self._metadata)

    def _ended(self) -> CaptureSessionMetadata:
        first_ns, last_ns = self._arrivals or (self._arrival_ns, self._arrival_ns)
        return attrs.evolve(
            counted(self._metadata, self._segments),
            status="completed",
            start_time=moment(first_ns),
            end_time=moment(last_ns),
            end_reason="stopped",
            last_checkpoint_time=moment(self._clock.time_ns()),
        )

    def _next_batch(self, entries: Iterator[Entry]) -> list[Outcome[NewFrame, SourceError]] | None:
        """Read a few entries and encode their requests; None where there are no more."""
        batch: list[Outcome[NewFrame, SourceError]] = []
        size_bytes, count = 0, 0
        for entry in entries:
            count += 1
            if isinstance(entry, Success):
                batch += (Success(self._encoded(found)) for found in entry.unwrap())
                size_bytes += sum(len(found.request) for found in entry.unwrap())
            elif not self._is_skipped(entry.failure()):
                batch.append(entry)
            if size_bytes >= _BATCH_BYTES or count == _BATCH_ENTRIES:
                break
        return batch if count else None

    def _is_skipped(self, error: SourceError) -> bool:
        if not (self._skip_invalid and isinstance(error, EntryBroken)):
            return False
        self.skipped += 1
        if len(self.examples) < _SHOWN:
            self.examples.append(error)
        return True

    def _encoded(self, found: FoundRequest) -> NewFrame:
        self._arrival_ns = found.facts.max_time_unix_nano or self._arrival_ns
        first_ns, last_ns = self._arrivals or (self._arrival_ns, self._arrival_ns)
        self._arrivals = min(first_ns, self._arrival_ns), max(last_ns, self._arrival_ns)
        arrival = Arrival(self._arrival_ns, self._sequence)
        self._sequence += 1
        member = encode_frame(found.request, found.facts, arrival)
        return NewFrame(found.signal, member, len(found.request), found.facts, arrival)

    async def _add(self, new: NewFrame) -> Outcome[None, StorageError]:
        segment = self._open.get(new.signal)
        if segment is None:
            segment = OpenSegment(self._metadata.session_id, new)
            self._open[new.signal] = segment
        segment.add(new)
        return await self._store(new.signal) if segment.size_bytes >= _SEGMENT_BYTES else _DONE

    async def _store(self, signal: Signal) -> Outcome[None, StorageError]:
        sealed = self._open.pop(signal).seal()
        stored = await self._storage.store_raw_data(sealed.content, sealed.index.key)
        if isinstance(stored, Failure):
            return stored
        self._segments.append(sealed.index)
        return _DONE
