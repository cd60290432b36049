"""Whether a session is what it says: every frame, and every count of it. Nothing is changed."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

import anyio.to_thread
import attrs

from otlp_capture.clock import moment
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    InvalidSessionId,
    SegmentIndex,
    SessionNotFound,
    SessionStatus,
    check_session_id,
    counted,
    decode_manifest,
    decode_metadata,
    metadata_key,
    session_prefix,
)
from otlp_capture.storage import S3Storage, StorageError, StoredObject
from otlp_capture.upkeep.contents import SessionContents, StoredSegment, list_contents
from otlp_capture.upkeep.counts import counters, stated_counters
from otlp_capture.upkeep.findings import Findings, FindingsLog
from otlp_capture.upkeep.segments import inspect_segment
from otlp_capture.upkeep.sequences import SequenceCheck

VerifyError: TypeAlias = InvalidSessionId | SessionNotFound | StorageError

_OK: Final = Success(None)


@attrs.frozen(kw_only=True)
class VerifyReport:
    """What a session holds, and what is wrong with it.

    Attributes:
        session_id: which one.
        status: what its metadata say; None where they cannot be read.
        segments: objects with frames.
        frames: frames that can be read, also behind damaged ones.
        foreign_frames: how many of them other writers have left.
        size_bytes: bytes of the segments.
        manifest_parts: objects of the manifest.
        counters: what a recount gives, by the names in the metadata: of a damaged segment, the
            frames before the damage count.
        findings: damages and notes.
    """

    session_id: str
    status: SessionStatus | None
    segments: int
    frames: int
    foreign_frames: int
    size_bytes: int
    manifest_parts: int
    counters: Mapping[str, int]
    findings: Findings

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged and all counts agree."""
        return self.findings.damages == 0


def _untold(_done: int, _total: int) -> None:
    """Tell nobody."""


async def verify_session(
    storage: S3Storage,
    session_id: str,
    *,
    advanced: Callable[[int, int], None] = _untold,
) -> Outcome[VerifyReport, VerifyError]:
    """Read all of a session and tell what is wrong with it.

    One segment is in memory at a time, of a large one a window; 24 bytes for each frame beside.

    Args:
        storage: where it is.
        session_id: which one.
        advanced: told how many bytes have been looked through, of how many.

    Fails with:
        InvalidSessionId: no session can have this id.
        SessionNotFound: nothing lies under it.
        StorageError: the store did not answer well.
    """
    checked = check_session_id(session_id)
    if isinstance(checked, Failure):
        return checked
    listed = await list_contents(storage, session_id)
    if isinstance(listed, Failure):
        return listed
    if listed.unwrap().is_empty:
        return Failure(SessionNotFound(session_id))
    return await _Verification(storage, session_id, listed.unwrap(), advanced).run()


class _Verification:
    """One look through a session."""

    def __init__(
        self,
        storage: S3Storage,
        session_id: str,
        contents: SessionContents,
        advanced: Callable[[int, int], None],
    ) -> None:
        self._storage, self._session_id, self._contents = storage, session_id, contents
        self._advanced = advanced
        self._log, self._sequences = FindingsLog(), SequenceCheck()
        self._recount = CaptureSessionMetadata(
            session_id=session_id,
            start_time=moment(0),
            status="active",
            s3_prefix=session_prefix(session_id),
            created_by="",
        )
        self._segments = self._frames = self._foreign = self._read = 0

    async def run(self) -> Outcome[VerifyReport, StorageError]:
        document = await self._metadata()
        if isinstance(document, Failure):
            return document
        for hour in self._contents.hours:
            verified = await self._hour(hour)
            if isinstance(verified, Failure):
                return verified
        await anyio.to_thread.run_sync(self._sequences.tell, self._log, self._session_id)
        for stray in self._contents.strays:
            self._log.add("unknownObject", stray.key, None, "it is no part of a manifest")
        for unknown in self._contents.unknown:
            self._log.add("unknownObject", unknown.key, None, "it is no part of a session")
        status = self._compare_counts(document.unwrap())
        return Success(
            VerifyReport(
                session_id=self._session_id,
                status=status,
                segments=self._segments,
                frames=self._frames,
                foreign_frames=self._foreign,
                size_bytes=self._contents.raw_size_bytes,
                manifest_parts=len(self._contents.parts),
                counters=counters(self._recount),
                findings=self._log.findings,
            )
        )

    async def _metadata(self) -> Outcome[bytes | None, StorageError]:
        key = metadata_key(self._session_id)
        if self._contents.metadata is None:
            detail = "the session has no metadata, so nothing lists it"
            self._log.add("missingMetadata", key, None, detail)
            return Success(None)
        return await self._storage.retrieve_raw_data(key)

    async def _hour(self, hour: str) -> Outcome[None, StorageError]:
        part = self._contents.parts.get(hour)
        entries = await self._manifest(part) if part else Success(dict[str, SegmentIndex]())
        if isinstance(entries, Failure):
            return entries
        known = entries.unwrap()
        unlisted = 0
        for segment in self._contents.segments.get(hour, ()):
            entry = known.pop(segment.stored.key, None)
            inspected = await self._segment(segment, entry)
            if isinstance(inspected, Failure):
                return inspected
            unlisted += inspected.unwrap() and entry is None
        for key in known:
            assert part is not None, "what is known is known by a part"
            detail = f"{part.key} names it, and it is not in the store"
            self._log.add("missingSegment", key, None, detail)
        if unlisted:
            where = part.key if part else f"{session_prefix(self._session_id)}/raw/{hour}/"
            detail = f"the manifest does not know {unlisted} of the segments of {hour}"
            self._log.add("notInManifest", where, None, detail)
        return _OK

    async def _manifest(self, part: StoredObject) -> Outcome[dict[str, SegmentIndex], StorageError]:
        content = await self._storage.retrieve_raw_data(part.key)
        if isinstance(content, Failure):
            return content
        decoded = await anyio.to_thread.run_sync(decode_manifest, part.key, content.unwrap())
        if isinstance(decoded, Failure):
            self._log.add("damagedManifest", part.key, None, decoded.failure().reason)
            return Success({})
        return Success({entry.key: entry for entry in decoded.unwrap()})

    async def _segment(
        self, segment: StoredSegment, entry: SegmentIndex | None
    ) -> Outcome[bool, StorageError]:
        """Look through a segment; the result is whether it is sound."""
        inspected = await inspect_segment(
            self._storage, segment.stored, segment.name, self._log, read=self._progressed
        )
        if isinstance(inspected, Failure):
            return inspected
        found = inspected.unwrap()
        self._segments += 1
        self._frames += found.frames
        self._foreign += found.foreign_frames
        self._sequences.add(segment.stored.key, found.places)
        self._recount = counted(self._recount, (found.index,))
        if entry is not None and entry != found.index:
            detail = _difference(entry, found.index)
            self._log.add("manifestDisagrees", segment.stored.key, None, detail)
        return Success(found.is_sound)

    def _progressed(self, size_bytes: int) -> None:
        self._read += size_bytes
        self._advanced(self._read, self._contents.raw_size_bytes)

    def _compare_counts(self, document: bytes | None) -> SessionStatus | None:
        if document is None:
            return None
        key = metadata_key(self._session_id)
        decoded = decode_metadata(key, document)
        if isinstance(decoded, Failure):
            self._log.add("damagedMetadata", key, None, decoded.failure().reason)
            return None
        metadata = decoded.unwrap()
        if metadata.session_id != self._session_id:
            detail = f"sessionId is {metadata.session_id[:200]!r}, not {self._session_id!r}"
            self._log.add("damagedMetadata", key, None, detail)
        if metadata.deleting_since is not None:
            detail = f"its deletion was begun at {metadata.deleting_since.isoformat()}"
            self._log.add("deletionBegun", key, None, detail)
        held = counters(self._recount)
        for name, stated in stated_counters(cast("dict[str, Any]", json.loads(document))).items():
            if stated == held[name]:
                continue
            detail = f"{name} is {stated:,}, and the segments hold {held[name]:,}"
            if metadata.status == "active":
                detail += "; the session is active, and is counted at its checkpoints"
                self._log.add("countsLag", key, None, detail)
            else:
                self._log.add("countsDisagree", key, None, detail)
        return metadata.status


def _difference(entry: SegmentIndex, found: SegmentIndex) -> str:
    differences = [
        f"{name} is {told}, and the segment's is {held}"
        for name, told, held in (
            ("sizeBytes", entry.size_bytes, found.size_bytes),
            ("checksum", entry.checksum, found.checksum),
            ("signal", entry.signal, found.signal),
            ("services", list(entry.services), list(found.services)),
            ("the number of frames", len(entry.frames), len(found.frames)),
        )
        if told != held
    ]
    return "in the manifest " + ("; ".join(differences) or "a frame's columns are not the frame's")
