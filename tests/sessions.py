"""Sessions for tests: a store in memory, and recordings written straight into a store.

`opened_memory()` opens the store, `write_session()` puts a session there as a recorder would have
left it, at arrivals that the test chooses.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

import attrs

from otlp_capture import otlp
from otlp_capture.clock import moment
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import RequestFacts, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    Arrival,
    CaptureSessionMetadata,
    NewFrame,
    OpenSegment,
    SegmentIndex,
    SessionStatus,
    counted,
    create_session,
    encode_frame,
    save_manifest,
    save_session,
    session_prefix,
)
from otlp_capture.storage import S3Storage, S3StorageTag, memory_storage

START = 1_763_861_000_000_000_000
SECOND = 1_000_000_000

FrameEncoder = Callable[[bytes, RequestFacts, Arrival], bytes]


@attrs.frozen
class Recorded:
    """A request as a session is to hold it."""

    signal: Signal
    request: bytes
    received_unix_nano: int


def arriving(
    requests: Iterable[tuple[Signal, bytes]], *, start: int = START, every: int = SECOND
) -> list[Recorded]:
    """Let requests arrive at regular intervals of *every* nanoseconds."""
    return [
        Recorded(signal, request, start + index * every)
        for index, (signal, request) in enumerate(requests)
    ]


@asynccontextmanager
async def opened_memory() -> AsyncIterator[S3Storage]:
    """Open an empty store in memory."""
    async with open_runtime(memory_storage(), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        yield storage


async def write_session(
    storage: S3Storage,
    session_id: str,
    requests: Sequence[Recorded],
    *,
    status: SessionStatus = "completed",
    requests_per_segment: int = 3,
    has_manifest: bool = True,
    encode: FrameEncoder = encode_frame,
) -> CaptureSessionMetadata:
    """Write a session that holds *requests*, which arrived in their order.

    Args:
        storage: where to.
        session_id: its id.
        requests: what it holds.
        status: as what its metadata describe it.
        requests_per_segment: how many requests of one signal share an object.
        has_manifest: whether it was indexed when it ended.
        encode: `encode_frame`, or `encode_frame_stored` for one that is not compressed.
    """
    times = [each.received_unix_nano for each in requests] or [START]
    metadata = CaptureSessionMetadata(
        session_id=session_id,
        start_time=moment(min(times)),
        end_time=None if status == "active" else moment(max(times) + SECOND),
        status=status,
        s3_prefix=session_prefix(session_id),
        created_by="tests",
    )
    created = or_raise(await create_session(storage, metadata))
    segments = [
        await _write_segment(storage, session_id, frames)
        for frames in _segments(requests, requests_per_segment, encode)
    ]
    if has_manifest:
        or_raise(await save_manifest(storage, session_id, segments))
    saved = await save_session(storage, counted(metadata, segments), created.etag)
    return or_raise(saved).metadata


def _segments(
    requests: Sequence[Recorded], requests_per_segment: int, encode: FrameEncoder
) -> list[list[NewFrame]]:
    frames = [_new_frame(recorded, sequence, encode) for sequence, recorded in enumerate(requests)]
    by_signal = groupby(sorted(frames, key=lambda new: new.signal), key=lambda new: new.signal)
    return [
        members[first : first + requests_per_segment]
        for members in (list(group) for _, group in by_signal)
        for first in range(0, len(members), requests_per_segment)
    ]


def _new_frame(recorded: Recorded, sequence: int, encode: FrameEncoder) -> NewFrame:
    facts = or_raise(otlp.scan(recorded.request, recorded.signal))
    arrival = Arrival(recorded.received_unix_nano, sequence)
    return NewFrame(
        recorded.signal,
        encode(recorded.request, facts, arrival),
        len(recorded.request),
        facts,
        arrival,
    )


async def _write_segment(
    storage: S3Storage, session_id: str, frames: Sequence[NewFrame]
) -> SegmentIndex:
    segment = OpenSegment(session_id, frames[0])
    for frame in frames:
        segment.add(frame)
    sealed = segment.seal()
    or_raise(await storage.store_raw_data(sealed.content, sealed.index.key))
    return sealed.index
