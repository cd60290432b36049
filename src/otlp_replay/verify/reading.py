"""How sessions become records: read in batches, worked on beside the event loop."""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias

import anyio.to_thread
import attrs

from otlp_capture.otlp import Signal, canonical_records
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    FrameRef,
    RequestReader,
    SegmentCorrupted,
    SessionIndex,
    StoredRequest,
    index_session,
    load_session,
)
from otlp_capture.storage import S3Storage
from otlp_replay.errors import ReplayError, as_replay_error
from otlp_replay.verify.contents import Contents
from otlp_replay.verify.declared import Declarations, Variant
from otlp_replay.verify.progress import Progress
from otlp_replay.verify.recording import Recording
from otlp_replay.verify.refs import Refs, arriving, merged
from otlp_replay.verify.rows import Row, SortedRows, written_time

_BATCH_BYTES: Final = 1 << 20
_BATCH_REQUESTS: Final = 256
_CACHE_BYTES: Final = 16 << 20

Take: TypeAlias = Callable[[int, Signal, Variant], str | None]
"""Takes a request by its number; says what is wrong with it, None where nothing is."""


@attrs.frozen(kw_only=True)
class Source:
    """One side of a comparison.

    Attributes:
        refs: its stored requests.
        declared: what becomes of each before it is compared.
        reader: reads them.
        session_ids: the session of each segment.
        active: which of them were still recorded.
        progress: counts what is read.
    """

    refs: Refs
    declared: Declarations
    reader: RequestReader
    session_ids: dict[str, str]
    active: tuple[str, ...]
    progress: Progress = attrs.field(factory=Progress)

    @property
    def request_count(self) -> int:
        """How many requests there are at the most; each has a number below."""
        return len(self.refs) * self.declared.variant_count

    @property
    def record_count(self) -> int:
        """How many records there are at the most."""
        return self.refs.record_count * self.declared.variant_count

    def error(self, damage: object, key: str) -> ReplayError:
        """Say an error of reading in the words of a replay."""
        session_id = self.session_ids[key]
        return as_replay_error(session_id, damage)  # type: ignore[arg-type]  # a ReadError


async def open_source(
    storage: S3Storage,
    session_ids: Sequence[str],
    signals: Collection[Signal],
    declared: Declarations,
) -> Outcome[Source, ReplayError]:
    """Index some sessions, which are one recording together.

    Args:
        storage: where they are.
        session_ids: which.
        signals: what to read of them.
        declared: what becomes of each request before it is compared.

    Fails with:
        InvalidSessionId, SessionNotFound: there is no such session.
        DataCorrupted, DecompressionFailure: one is damaged, so what it holds cannot be told.
        StorageFailure: the store did not answer well.
    """
    indexes: list[SessionIndex] = []
    active: list[str] = []
    for session_id in session_ids:
        loaded = await load_session(storage, session_id)
        if isinstance(loaded, Failure):
            return Failure(as_replay_error(session_id, loaded.failure()))
        if loaded.unwrap().metadata.status == "active":
            active.append(session_id)
        indexed = await index_session(storage, session_id)
        if isinstance(indexed, Failure):
            return Failure(as_replay_error(session_id, indexed.failure()))
        indexes.append(indexed.unwrap())
    selected = declared.selected and declared.selected.resolved(*indexes)
    chosen = indexes if selected is None else list(map(selected.segments, indexes))
    for session_id, index in zip(session_ids, chosen, strict=True):
        if index.damages:
            return Failure(as_replay_error(session_id, index.damages[0]))
    streams = [
        arriving(index, signals) if selected is None else _of(signals, selected.frames(index))
        for index in chosen
    ]
    refs = islice(merged(streams), declared.limit)
    segments = [segment for index in chosen for segment in index.segments]
    return Success(
        Source(
            refs=await anyio.to_thread.run_sync(Refs, segments, refs),
            declared=declared,
            reader=RequestReader(storage, cache_bytes=_CACHE_BYTES),
            session_ids={
                segment.key: session_id
                for session_id, index in zip(session_ids, chosen, strict=True)
                for segment in index.segments
            },
            active=tuple(active),
        )
    )


def _of(signals: Collection[Signal], refs: Iterable[FrameRef]) -> Iterator[FrameRef]:
    return (ref for ref in refs if ref.segment.signal in signals)


async def read_requests(
    source: Source, take: Take, *, wanted: bytearray | None = None
) -> Outcome[None, ReplayError]:
    """Hand the requests of a source to *take*, in their order, beside the event loop.

    Args:
        source: what to read.
        take: takes them.
        wanted: by the number of a request, whether to hand it over; None: all.

    Fails with:
        DataCorrupted, DecompressionFailure: a session is damaged.
        StorageFailure: a store did not answer well.
    """
    batch: list[tuple[int, StoredRequest]] = []
    size_bytes = 0
    width = source.declared.variant_count
    places = _wanted_places(source, wanted)
    source.progress.begin(len(places))
    for place in places:
        first = place * width
        ref = source.refs[place]
        read = await source.reader.read(ref)
        if isinstance(read, Failure):
            return Failure(source.error(read.failure(), ref.segment.key))
        batch.append((first, read.unwrap()))
        size_bytes += len(read.unwrap().request)
        if size_bytes >= _BATCH_BYTES or len(batch) >= _BATCH_REQUESTS:
            damage = await anyio.to_thread.run_sync(_take_all, source, batch, take, wanted)
            if damage is not None:
                return Failure(source.error(damage, damage.key))
            source.progress.advance(len(batch))
            batch, size_bytes = [], 0
    damage = await anyio.to_thread.run_sync(_take_all, source, batch, take, wanted)
    source.progress.advance(len(batch))
    return Success(None) if damage is None else Failure(source.error(damage, damage.key))


def _wanted_places(source: Source, wanted: bytearray | None) -> Sequence[int]:
    """Return where the stored requests stand of which at least one variant is wanted."""
    places = range(len(source.refs))
    if wanted is None:
        return places
    width = source.declared.variant_count
    return array("Q", (at for at in places if any(wanted[at * width : (at + 1) * width])))


def _take_all(
    source: Source,
    batch: Iterable[tuple[int, StoredRequest]],
    take: Take,
    wanted: bytearray | None,
) -> SegmentCorrupted | None:
    for first, stored in batch:
        declared = source.declared.variants(stored.request, stored.signal, stored.frame.sequence)
        if isinstance(declared, Failure):
            return content_damage(stored, declared.failure().message)
        for number, variant in enumerate(declared.unwrap(), start=first):
            if wanted is not None and not wanted[number]:
                continue
            reason = take(number, stored.signal, variant)
            if reason is not None:
                return content_damage(stored, reason)
    return None


def content_damage(stored: StoredRequest, reason: str) -> SegmentCorrupted:
    """Say that a frame is whole, and what it holds makes no sense."""
    return SegmentCorrupted(stored.key, stored.frame.offset, reason, "content")


def into_recording(recording: Recording) -> Take:
    """Take the records of requests into columns."""

    def take(number: int, signal: Signal, variant: Variant) -> str | None:
        canonical = canonical_records(variant.request, signal)
        if isinstance(canonical, Failure):
            return canonical.failure().message
        recording.append(number, canonical.unwrap())
        return None

    return take


def into_rows(contents: Contents, rows: SortedRows) -> Take:
    """Take the records of requests into sorted rows, each in the group of its loop."""

    def take(number: int, signal: Signal, variant: Variant) -> str | None:
        canonical = canonical_records(variant.request, signal)
        if isinstance(canonical, Failure):
            return canonical.failure().message
        records = canonical.unwrap().records
        first = len(contents)
        for place, record in enumerate(records):
            row = Row(
                record.fingerprint,
                written_time(record.base_time),
                first + place,
                record.identity,
                contents.count(record),
                record.is_dated,
                variant.loop,
            )
            rows.add(row.packed())
        contents.append(number, len(records))
        return None

    return take
