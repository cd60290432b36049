"""Sessions to replay, in a local store: one request so often, at even distances."""

import gzip
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import attrs

from benchmarks.requests import sample
from otlp_capture import otlp
from otlp_capture.clock import moment
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    DEFAULT_SEGMENT_BYTES,
    Arrival,
    CaptureSessionMetadata,
    NewFrame,
    OpenSegment,
    SegmentIndex,
    adopt_member,
    counted,
    create_session,
    save_manifest,
    save_session,
    session_prefix,
)
from otlp_capture.storage import S3Storage, S3StorageTag, local_storage

SIGNAL: Final[Signal] = "traces"

_START_NS: Final = 1_763_861_000_000_000_000
_CLIENT_LEVEL: Final = 6
_NS: Final = 1_000_000_000
_BYTES_A_SPAN: Final = 330


def request_of(size_bytes: int) -> bytes:
    """Return a request of spans that is about so long."""
    return sample(SIGNAL, max(1, size_bytes // _BYTES_A_SPAN)).request


def record(store: Path, session_id: str, request: bytes, count: int, rate: float) -> None:
    """Write a session as a capture does, in segments of the usual size, with its manifest.

    Args:
        store: the directory of the store.
        session_id: its name.
        request: what arrived, as a client's gzip.
        count: how often.
        rate: how many times a second.
    """
    anyio.run(partial(_record, store, session_id, request, count, rate))


async def _record(store: Path, session_id: str, request: bytes, count: int, rate: float) -> None:
    async with open_runtime(local_storage(store), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        metadata = CaptureSessionMetadata(
            session_id=session_id,
            start_time=moment(_START_NS),
            end_time=moment(_START_NS + round(count / rate * _NS)),
            status="completed",
            s3_prefix=session_prefix(session_id),
            created_by="benchmarks",
        )
        created = or_raise(await create_session(storage, metadata))
        segments = await _Recorder(storage, session_id, request).record(count, rate)
        or_raise(await save_manifest(storage, session_id, segments))
        or_raise(await save_session(storage, counted(metadata, segments), created.etag))


@attrs.frozen
class _Recorder:
    storage: S3Storage
    session_id: str
    request: bytes

    async def record(self, count: int, rate: float) -> list[SegmentIndex]:
        facts = or_raise(otlp.scan(self.request, SIGNAL))
        gzipped = gzip.compress(self.request, _CLIENT_LEVEL, mtime=0)
        segments: list[SegmentIndex] = []
        segment: OpenSegment | None = None
        for number in range(count):
            arrival = Arrival(_START_NS + round(number / rate * _NS), number)
            member = adopt_member(gzipped, self.request, facts, arrival)
            frame = NewFrame(SIGNAL, member, len(self.request), facts, arrival)
            segment = segment or OpenSegment(self.session_id, frame)
            segment.add(frame)
            if segment.size_bytes >= DEFAULT_SEGMENT_BYTES or number == count - 1:
                segments.append(await self._stored(segment))
                segment = None
        return segments

    async def _stored(self, segment: OpenSegment) -> SegmentIndex:
        sealed = segment.seal()
        or_raise(await self.storage.store_raw_data(sealed.content, sealed.index.key))
        return sealed.index
