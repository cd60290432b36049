"""What a session holds, by its manifest where that is right and by its segments where not."""

import logging
from collections.abc import Collection, Iterable, Mapping

import anyio.to_thread
import attrs

from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions.frames import Frame, SegmentCorrupted
from otlp_capture.sessions.keys import (
    manifest_key,
    manifest_prefix,
    parse_segment_key,
    raw_prefix,
)
from otlp_capture.sessions.manifest import (
    SegmentIndex,
    by_hour,
    decode_manifest,
    encode_manifest,
    index_segment,
)
from otlp_capture.storage import S3Storage, StorageError, StoredObject

_log = logging.getLogger(__name__)


@attrs.frozen
class SessionIndex:
    """All segments of a session, and those that are damaged.

    Attributes:
        segments: in the order of their keys; of a damaged one, the frames before the damage.
        damages: where segments stop making sense.
    """

    segments: tuple[SegmentIndex, ...]
    damages: tuple[SegmentCorrupted, ...] = ()

    @property
    def sound_segments(self) -> tuple[SegmentIndex, ...]:
        """Those that make sense to their end: what a manifest may speak for."""
        damaged = {damage.key for damage in self.damages}
        return tuple(segment for segment in self.segments if segment.key not in damaged)


@attrs.frozen
class FrameRef:
    """A frame, and the segment that holds it."""

    segment: SegmentIndex
    frame: Frame


async def index_session(
    storage: S3Storage, session_id: str, *, known: Mapping[str, SegmentIndex] | None = None
) -> Outcome[SessionIndex, StorageError]:
    """Index all segments that a session has in the store.

    A segment that is known with the same size is taken as it is known; others are read.

    Args:
        storage: where the session is.
        session_id: which one.
        known: indexes of segments by key; without it, what the manifest says.

    Fails with:
        StorageError: the store did not answer well.
    """
    if known is None:
        manifest = await _read_manifest(storage, session_id)
        if isinstance(manifest, Failure):
            return manifest
        known = manifest.unwrap()
    segments: list[SegmentIndex] = []
    damages: list[SegmentCorrupted] = []
    async for found in storage.list_objects(raw_prefix(session_id)):
        if isinstance(found, Failure):
            return found
        stored = found.unwrap()
        name = parse_segment_key(stored.key)
        if name is None:
            continue
        entry = known.get(stored.key)
        if entry is not None and entry.size_bytes == stored.size_bytes:
            segments.append(entry)
            continue
        content = await storage.retrieve_raw_data(stored.key)
        if isinstance(content, Failure):
            return content
        fallback_ns = _own_time(stored, name.timestamp_ms)
        indexed = await anyio.to_thread.run_sync(
            index_segment, stored.key, content.unwrap(), name.signal, fallback_ns
        )
        segments.append(indexed.index)
        if indexed.damage is not None:
            damages.append(indexed.damage)
    return Success(SessionIndex(tuple(segments), tuple(damages)))


async def _read_manifest(
    storage: S3Storage, session_id: str
) -> Outcome[dict[str, SegmentIndex], StorageError]:
    known: dict[str, SegmentIndex] = {}
    async for found in storage.list_objects(manifest_prefix(session_id)):
        if isinstance(found, Failure):
            return found
        part = await storage.retrieve_raw_data(found.unwrap().key)
        if isinstance(part, Failure):
            return part
        key = found.unwrap().key
        decoded = await anyio.to_thread.run_sync(decode_manifest, key, part.unwrap())
        if isinstance(decoded, Failure):
            _log.warning("%s The segments are read instead.", decoded.failure().message)
            continue
        known.update((segment.key, segment) for segment in decoded.unwrap())
    return Success(known)


def _own_time(stored: StoredObject, timestamp_ms: int | None) -> int:
    return stored.modified_unix_nano if timestamp_ms is None else timestamp_ms * 1_000_000


def in_order(index: SessionIndex, signals: Collection[Signal] = SIGNALS) -> list[FrameRef]:
    """Return the frames of *signals* by (arrival, sequence, key, offset)."""
    refs = [
        FrameRef(segment, frame)
        for segment in index.segments
        if segment.signal in signals
        for frame in segment.frames
    ]
    refs.sort(
        key=lambda ref: (
            ref.frame.received_unix_nano,
            ref.frame.sequence,
            ref.segment.key,
            ref.frame.offset,
        )
    )
    return refs


async def save_manifest(
    storage: S3Storage, session_id: str, segments: Iterable[SegmentIndex]
) -> Outcome[None, StorageError]:
    """Write the manifest of a session, one part an hour folder.

    Leave damaged segments out of it, so that their damage is found again: `sound_segments`.

    Fails with:
        StorageError: the store did not answer well.
    """
    for hour, members in by_hour(segments).items():
        part = await anyio.to_thread.run_sync(encode_manifest, members)
        stored = await storage.store_raw_data(part, manifest_key(session_id, hour))
        if isinstance(stored, Failure):
            return stored
    return Success(None)
