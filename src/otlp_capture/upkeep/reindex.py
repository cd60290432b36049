"""A session's manifest and counters made anew from its segments."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import anyio.to_thread
import attrs

from otlp_capture.clock import Clock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    ORPHANED_NS,
    CaptureSessionMetadata,
    LoadError,
    SegmentIndex,
    SessionDocument,
    StoredSession,
    counted,
    decode_manifest,
    encode_manifest,
    idle_ns,
    load_session,
    manifest_key,
    uncounted,
)
from otlp_capture.storage import S3Storage, StorageError
from otlp_capture.upkeep.contents import SessionContents, list_contents
from otlp_capture.upkeep.counts import counters
from otlp_capture.upkeep.errors import (
    SessionBeingDeleted,
    SessionChanged,
    SessionRecorded,
    as_changed,
)
from otlp_capture.upkeep.findings import Findings, FindingsLog
from otlp_capture.upkeep.segments import inspect_segment

ReindexError: TypeAlias = LoadError | SessionRecorded | SessionBeingDeleted | SessionChanged


@attrs.frozen(kw_only=True)
class ReindexReport:
    """What a reindex found, and what it changed.

    Attributes:
        metadata: the session's, as they are now.
        segments: objects with frames.
        damaged_segments: how many of them the manifest leaves out.
        written_parts: keys of the manifest's parts that were written.
        removed_parts: keys of objects that the manifest has no more.
        counters: those that changed, by their names in the metadata: before and after.
        findings: what is wrong with the segments.
    """

    metadata: CaptureSessionMetadata
    segments: int
    damaged_segments: int
    written_parts: tuple[str, ...]
    removed_parts: tuple[str, ...]
    counters: Mapping[str, tuple[int, int]]
    findings: Findings

    @property
    def has_changed(self) -> bool:
        """Whether anything was not as it is now."""
        return bool(self.written_parts or self.removed_parts or self.counters)


def _untold(_done: int, _total: int) -> None:
    """Tell nobody."""


async def reindex_session(
    storage: S3Storage,
    clock: Clock,
    session_id: str,
    *,
    advanced: Callable[[int, int], None] = _untold,
) -> Outcome[ReindexReport, ReindexError]:
    """Rebuild the manifest of a session from its segments, and count it anew.

    A second time nothing is written. Damaged segments stay out of the manifest, so that whoever
    reads the session meets the damage; their frames before it are counted. The metadata are
    written last, over the state that was read first.

    Args:
        storage: where the session is.
        clock: what tells whether somebody records it.
        session_id: which one.
        advanced: told how many bytes have been looked through, of how many.

    Fails with:
        InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
        SessionRecorded: it is active, and its last checkpoint is less than 60 s old.
        SessionBeingDeleted: its deletion was begun.
        SessionChanged: somebody else has written its metadata meanwhile.
        StorageError: the store did not answer well; it can be done again.
    """
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure):
        return loaded
    stored = loaded.unwrap()
    refusal = _refusal(stored.metadata, clock.time_ns())
    if refusal is not None:
        return Failure(refusal)
    listed = await list_contents(storage, session_id)
    if isinstance(listed, Failure):
        return listed
    return await _Reindexing(storage, stored, listed.unwrap(), advanced).run()


def _refusal(
    metadata: CaptureSessionMetadata, now_ns: int
) -> SessionRecorded | SessionBeingDeleted | None:
    if metadata.deleting_since is not None:
        return SessionBeingDeleted(metadata.session_id)
    silent_ns = idle_ns(metadata, now_ns)
    if metadata.status == "active" and silent_ns < ORPHANED_NS:
        return SessionRecorded(metadata.session_id, silent_ns / 1e9)
    return None


class _Reindexing:
    """One rebuilding of a session's manifest, an hour at a time."""

    def __init__(
        self,
        storage: S3Storage,
        stored: StoredSession,
        contents: SessionContents,
        advanced: Callable[[int, int], None],
    ) -> None:
        self._storage, self._stored, self._contents = storage, stored, contents
        self._advanced = advanced
        self._log = FindingsLog()
        self._recount = uncounted(stored.metadata)
        self._read = self._segments = self._damaged = 0
        self._written, self._removed = list[str](), list[str]()

    async def run(self) -> Outcome[ReindexReport, SessionChanged | StorageError]:
        for hour in self._contents.hours:
            indexed = await self._index_hour(hour)
            if isinstance(indexed, Failure):
                return indexed
            kept = await self._keep_part(hour, indexed.unwrap())
            if isinstance(kept, Failure):
                return kept
        for stray in self._contents.strays:
            removed = await self._remove(stray.key)
            if isinstance(removed, Failure):
                return removed
        before, after = counters(self._stored.metadata), counters(self._recount)
        changed = {
            name: (before[name], after[name]) for name in after if before[name] != after[name]
        }
        if changed:
            document = SessionDocument(self._storage, self._stored)
            saved = await document.save(self._recount)
            if isinstance(saved, Failure):
                return Failure(as_changed(saved.failure()))
        return Success(
            ReindexReport(
                metadata=self._recount,
                segments=self._segments,
                damaged_segments=self._damaged,
                written_parts=tuple(self._written),
                removed_parts=tuple(self._removed),
                counters=changed,
                findings=self._log.findings,
            )
        )

    async def _index_hour(self, hour: str) -> Outcome[list[SegmentIndex], StorageError]:
        sound = list[SegmentIndex]()
        for segment in self._contents.segments.get(hour, ()):
            inspected = await inspect_segment(
                self._storage, segment.stored, segment.name, self._log, read=self._progressed
            )
            if isinstance(inspected, Failure):
                return inspected
            found = inspected.unwrap()
            self._segments += 1
            self._damaged += not found.is_sound
            self._recount = counted(self._recount, (found.index,))
            if found.is_sound:
                sound.append(found.index)
        return Success(sound)

    async def _keep_part(self, hour: str, sound: list[SegmentIndex]) -> Outcome[None, StorageError]:
        key = manifest_key(self._stored.metadata.session_id, hour)
        if hour in self._contents.parts:
            if not sound:
                return await self._remove(key)
            content = await self._storage.retrieve_raw_data(key)
            if isinstance(content, Failure):
                return content
            known = await anyio.to_thread.run_sync(decode_manifest, key, content.unwrap())
            if known == Success(tuple(sorted(sound, key=lambda segment: segment.key))):
                return Success(None)
        if not sound:
            return Success(None)
        part = await anyio.to_thread.run_sync(encode_manifest, sound)
        written = await self._storage.store_raw_data(part, key)
        if isinstance(written, Failure):
            return written
        self._written.append(key)
        return Success(None)

    async def _remove(self, key: str) -> Outcome[None, StorageError]:
        removed = await self._storage.delete_raw_data(key)
        if isinstance(removed, Success):
            self._removed.append(key)
        return removed

    def _progressed(self, size_bytes: int) -> None:
        self._read += size_bytes
        self._advanced(self._read, self._contents.raw_size_bytes)
