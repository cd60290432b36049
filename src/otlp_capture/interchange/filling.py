"""A session while it is filled from documents."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Final, TypeAlias

import anyio
import anyio.to_thread
import attrs

from otlp_capture.clock import Clock, moment
from otlp_capture.interchange.documents import Document, Documents
from otlp_capture.interchange.entries import (
    Entries,
    Entry,
    EntryError,
    FoundRequest,
    first_time_unix_nano,
)
from otlp_capture.interchange.errors import (
    EntryBroken,
    FileUnreadable,
    LeftOut,
    PartitionFormatInvalid,
    PassedOver,
    SignalMissing,
)
from otlp_capture.otlp import Signal
from otlp_capture.redaction import Redactor
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
    counted,
    create_session,
    encode_frame,
    save_manifest,
    session_prefix,
)
from otlp_capture.storage import S3Storage, StorageError

_SEGMENT_BYTES: Final = 16 << 20
_BATCH_BYTES: Final = 4 << 20
_BATCH_ENTRIES: Final = 64
_GROUP: Final = 16
_SHOWN: Final = 20
_CHECKPOINT_NS: Final = 10_000_000_000
_DONE: Final = Success(None)

ImportFailure: TypeAlias = (
    FileUnreadable
    | SignalMissing
    | EntryBroken
    | PartitionFormatInvalid
    | InvalidSessionId
    | SessionAlreadyExists
    | SessionTakenOver
    | StorageError
)


@attrs.frozen
class ImportReport:
    """What an import made. What went in is what the session holds and what is counted here.

    Attributes:
        metadata: the new session's.
        files: how many files, or objects, were read.
        skipped: entries that were left out because they are broken.
        passed_over: files that were not read: not asked for, empty, or no regular files.
        unselected: requests of other signals than the one that was asked for.
        examples: the first of what was skipped and passed over.
    """

    metadata: CaptureSessionMetadata
    files: int
    skipped: int
    passed_over: int
    unselected: int
    examples: tuple[LeftOut, ...]


@attrs.frozen
class Watcher:
    """Whom an import tells how it goes on.

    Attributes:
        advanced: told how many bytes of the source have been read, and of how many files.
        left_out: told of each entry and file that was left out, when it was.
    """

    advanced: Callable[[int, int], object] = lambda _bytes, _files: None
    left_out: Callable[[LeftOut], object] = lambda _left: None


@attrs.frozen
class Target:
    """The session that is to be made, and how.

    Attributes:
        storage: where it goes.
        clock: what dates the import itself.
        session_id: its name.
        source: how messages call where it comes from.
        skip_invalid: whether what is broken is left out.
        watcher: told how it goes on.
        redactor: takes out of requests what must not be kept; None: nothing has to be.
    """

    storage: S3Storage
    clock: Clock
    session_id: str
    source: str
    skip_invalid: bool
    watcher: Watcher
    redactor: Redactor | None = None


class Filling:
    """A session while it is filled from documents.

    Args:
        into: what is to be made.

    Attributes:
        is_begun: the session stands in the store. It is made once there is a request for it, so
            that a source which cannot be imported touches nothing.
    """

    def __init__(self, into: Target) -> None:
        self._into, self._storage, self._clock = into, into.storage, into.clock
        now = moment(into.clock.time_ns())
        self._metadata = CaptureSessionMetadata(
            session_id=into.session_id,
            start_time=now,
            status="active",
            s3_prefix=session_prefix(into.session_id),
            created_by="otlp-capture import",
            last_checkpoint_time=now,
        )
        self.is_begun = False
        self._document: SessionDocument | None = None
        self._saved_at_ns = into.clock.monotonic_ns()
        self._arrival_ns: int | None = None
        self._sequence = 0
        self._arrivals: tuple[int, int] | None = None
        self._open: dict[Signal, OpenSegment] = {}
        self._segments: list[SegmentIndex] = []
        self._files, self._bytes, self._position = 0, 0, 0
        self._skipped, self._passed_over, self._unselected = 0, 0, 0
        self._examples: list[LeftOut] = []

    async def fill(self, found: Documents) -> Outcome[ImportReport, ImportFailure]:
        """Store what *found* holds, the manifest of what it became, and the metadata."""
        group: list[Document] = []
        async for each in found:
            document = each.unwrap() if isinstance(each, Success) else None
            if isinstance(document, Document):
                group.append(document)
                if len(group) < _GROUP:
                    continue
            taken = await self._take(group)
            if isinstance(taken, Failure):
                return taken
            group = []
            if isinstance(document, PassedOver):
                self._passed_over += 1
                self._leave_out(document)
            if isinstance(each, Failure) and not self._is_skipped(each.failure()):
                return each
        taken = await self._take(group)
        if isinstance(taken, Failure):
            return taken
        if not (self._sequence or self._skipped):
            return Failure(FileUnreadable(self._into.source, self._nothing()))
        return await self._finish()

    def _nothing(self) -> str:
        """Say of a source without requests what it has."""
        if self._passed_over and not self._files:
            return f"it holds no file to import, and {self._passed_over:,} were passed over"
        if self._unselected:
            return "it holds no export request of this signal"
        return "it holds no export request"

    async def _take(self, group: Sequence[Document]) -> Outcome[None, ImportFailure]:
        """Store the requests of some documents; small ones share a worker thread's time."""
        is_ended = not group
        with closing(self._read(group)) as reading:
            while not is_ended:
                batch, is_ended = await anyio.to_thread.run_sync(self._next_batch, reading)
                for item in batch:
                    if isinstance(item, Failure):
                        return item
                    added = await self._add(item.unwrap())
                    if isinstance(added, Failure):
                        return added
                if batch or not is_ended:
                    self._into.watcher.advanced(self._bytes + self._position, self._files)
                kept_up = await self._keep_up()
                if isinstance(kept_up, Failure):
                    return kept_up
        return _DONE

    def _read(self, group: Sequence[Document]) -> Generator[tuple[Document, Entry]]:
        """Yield the entries of documents, one document after the other. Blocks."""
        for document in group:
            self._arrival_ns = None
            entries = Entries(document, self._into.redactor)
            with closing(entries.read()) as reading:
                for entry in reading:
                    self._position = entries.position
                    yield document, entry
            self._files += 1
            self._bytes += entries.position
            self._position = 0
            self._unselected += entries.unselected

    async def _finish(
        self,
    ) -> Outcome[ImportReport, SessionAlreadyExists | SessionTakenOver | StorageError]:
        begun = await self._begin()
        if isinstance(begun, Failure):
            return begun
        for signal in tuple(self._open):
            stored = await self._store(signal)
            if isinstance(stored, Failure):
                return stored
        saved = await save_manifest(self._storage, self._metadata.session_id, self._segments)
        if isinstance(saved, Failure):
            return saved
        ended = self._ended()
        written = await begun.unwrap().save(ended)
        if isinstance(written, Failure):
            return written
        return Success(
            ImportReport(
                metadata=ended,
                files=self._files,
                skipped=self._skipped,
                passed_over=self._passed_over,
                unselected=self._unselected,
                examples=tuple(self._examples),
            )
        )

    async def _keep_up(self) -> Outcome[None, SessionTakenOver | StorageError]:
        """Say from time to time that somebody is at work here."""
        now_ns = self._clock.monotonic_ns()
        if self._document is None or now_ns - self._saved_at_ns < _CHECKPOINT_NS:
            return _DONE
        self._saved_at_ns = now_ns
        self._metadata = attrs.evolve(
            self._metadata, last_checkpoint_time=moment(self._clock.time_ns())
        )
        return await self._document.save(self._metadata)

    def _ended(self) -> CaptureSessionMetadata:
        now = moment(self._clock.time_ns())
        first, last = map(moment, self._arrivals) if self._arrivals else (now, now)
        return attrs.evolve(
            counted(self._metadata, self._segments),
            status="completed",
            start_time=first,
            end_time=last,
            end_reason="stopped",
            last_checkpoint_time=now,
        )

    def _next_batch(
        self, entries: Iterator[tuple[Document, Entry]]
    ) -> tuple[list[Outcome[NewFrame, EntryError]], bool]:
        """Read a few entries and encode their requests, and say whether they were the last."""
        batch: list[Outcome[NewFrame, EntryError]] = []
        size_bytes = 0
        for count, (document, entry) in enumerate(entries, 1):
            if isinstance(entry, Success):
                batch += (Success(self._encoded(document, found)) for found in entry.unwrap())
                size_bytes += sum(len(found.request) for found in entry.unwrap())
            elif not self._is_skipped(entry.failure()):
                batch.append(entry)
            if size_bytes >= _BATCH_BYTES or count == _BATCH_ENTRIES:
                return batch, False
        return batch, True

    def _is_skipped(self, error: EntryError | ImportFailure) -> bool:
        if not (self._into.skip_invalid and isinstance(error, EntryBroken)):
            return False
        self._skipped += 1
        self._leave_out(error)
        return True

    def _leave_out(self, left: LeftOut) -> None:
        self._into.watcher.left_out(left)
        if len(self._examples) < _SHOWN:
            self._examples.append(left)

    def _encoded(self, document: Document, found: FoundRequest) -> NewFrame:
        arrival_ns = found.facts.max_time_unix_nano or self._arrival_ns
        if arrival_ns is None:
            arrival_ns = first_time_unix_nano(document)
        self._arrival_ns = arrival_ns
        first_ns, last_ns = self._arrivals or (arrival_ns, arrival_ns)
        self._arrivals = min(first_ns, arrival_ns), max(last_ns, arrival_ns)
        arrival = Arrival(arrival_ns, self._sequence, is_redacted=found.is_redacted)
        self._sequence += 1
        member = encode_frame(found.request, found.facts, arrival)
        return NewFrame(found.signal, member, len(found.request), found.facts, arrival)

    async def _begin(self) -> Outcome[SessionDocument, SessionAlreadyExists | StorageError]:
        """Create the session whole or not at all, so that a cancelled import can be undone."""
        if self._document is not None:
            return Success(self._document)
        created: Outcome[StoredSession, SessionAlreadyExists | StorageError] | None = None
        with anyio.CancelScope(shield=True):
            created = await create_session(self._storage, self._metadata)
        assert created is not None, "nobody else can cancel this scope"
        if isinstance(created, Failure):
            return created
        self.is_begun = True
        self._document = SessionDocument(self._storage, created.unwrap())
        return Success(self._document)

    async def _add(self, new: NewFrame) -> Outcome[None, SessionAlreadyExists | StorageError]:
        begun = await self._begin()
        if isinstance(begun, Failure):
            return begun
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
