"""The requests of a session, read back. Each is checked as it is used."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Final, TypeAlias

import anyio.to_thread
import attrs

from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions.frame_header import frame_headers
from otlp_capture.sessions.frame_reading import open_frame
from otlp_capture.sessions.frames import Frame, Headers, SegmentCorrupted
from otlp_capture.sessions.index import FrameRef
from otlp_capture.storage import ByteRange, S3Storage, StorageError

_CACHE_BYTES: Final = 64 << 20
_WHOLE_SEGMENT_BYTES: Final = 16 << 20
_INLINE_BYTES: Final = 262_144


@attrs.frozen
class StoredRequest:
    """A request as it was recorded: canonical protobuf, and the facts of its arrival.

    Attributes:
        signal: what it is.
        request: the bytes.
        key: the segment that holds it.
        frame: where it lies there, and when it came.
        headers: what was kept of its headers.
    """

    signal: Signal
    request: bytes
    key: str
    frame: Frame
    headers: Headers = ()


ReadError: TypeAlias = SegmentCorrupted | StorageError


class RequestReader:
    """Reads requests by reference; segments that were read are kept for a while.

    Args:
        storage: where the segments are.
        cache_bytes: how much of them is kept, in bytes; the one in use is kept in any case.
    """

    def __init__(self, storage: S3Storage, *, cache_bytes: int = _CACHE_BYTES) -> None:
        self._storage = storage
        self._cache_bytes = cache_bytes
        self._segments: OrderedDict[str, bytes] = OrderedDict()

    async def read(self, ref: FrameRef) -> Outcome[StoredRequest, ReadError]:
        """Return the request of *ref*, its CRC checked.

        Fails with:
            SegmentCorrupted: the frame is damaged.
            StorageError: the store did not answer well.
        """
        member = await self._member(ref)
        if isinstance(member, Failure):
            return member
        segment, frame = ref.segment, ref.frame
        work = partial(open_frame, segment.key, member.unwrap(), frame, segment.signal)
        is_small = frame.raw_size_bytes <= _INLINE_BYTES
        opened = work() if is_small else await anyio.to_thread.run_sync(work)
        if isinstance(opened, Failure):
            return opened
        headers = frame_headers(member.unwrap())
        return Success(StoredRequest(segment.signal, opened.unwrap(), segment.key, frame, headers))

    async def read_all(
        self, refs: Iterable[FrameRef]
    ) -> AsyncIterator[Outcome[StoredRequest, ReadError]]:
        """Yield the requests of *refs*, in their order; the first `Failure` is the last item.

        Fails with:
            SegmentCorrupted: a frame is damaged.
            StorageError: the store did not answer well.
        """
        for ref in refs:
            found = await self.read(ref)
            yield found
            if isinstance(found, Failure):
                return

    async def _member(self, ref: FrameRef) -> Outcome[bytes | memoryview, StorageError]:
        key, frame = ref.segment.key, ref.frame
        if ref.segment.size_bytes > _WHOLE_SEGMENT_BYTES:
            within = ByteRange(frame.offset, frame.size_bytes)
            return await self._storage.retrieve_raw_data(key, byte_range=within)
        segment = self._segments.pop(key, None)
        if segment is None:
            read = await self._storage.retrieve_raw_data(key)
            if isinstance(read, Failure):
                return read
            segment = read.unwrap()
            self._make_room(len(segment))
        self._segments[key] = segment
        return Success(memoryview(segment)[frame.offset : frame.offset + frame.size_bytes])

    def _make_room(self, size_bytes: int) -> None:
        held = sum(map(len, self._segments.values()))
        while self._segments and held + size_bytes > self._cache_bytes:
            _, oldest = self._segments.popitem(last=False)
            held -= len(oldest)
