"""Where frames are kept: each is acknowledged once the object that holds it is stored.

Requests that arrive within a short linger share an object.
"""

from collections.abc import Callable
from typing import Final, Protocol

import anyio
from anyio.abc import TaskGroup

from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions.frames import Frame
from otlp_capture.sessions.manifest import SegmentIndex
from otlp_capture.sessions.segments import KeptFrame, NewFrame, OpenSegment
from otlp_capture.storage import S3Storage, StorageError, StorageFault

DEFAULT_LINGER_S: Final = 0.020
DEFAULT_SEGMENT_BYTES: Final = 4 << 20
_PARALLEL_PUTS: Final = 4


class FrameWriter(Protocol):
    """Keeps frames, in one way or another, and publishes the segments that they make."""

    @property
    def unsettled_bytes(self) -> int:
        """Bytes of frames that are neither kept nor refused yet."""
        ...

    async def append(self, new: NewFrame) -> Outcome[KeptFrame, StorageError]:
        """Return once the frame is kept, as durably as this writer keeps it.

        Cancelling the caller does not take the frame back: it may be kept all the same.

        Fails with:
            StorageError: it could not be kept.
        """
        ...

    async def drain(self) -> Outcome[None, StorageError]:
        """Publish all that was appended until now.

        Fails with:
            StorageError: something that was acknowledged is not published yet.
        """
        ...

    async def close(self) -> Outcome[None, StorageError]:
        """Take no more, and publish all that was appended.

        Fails with:
            StorageError: something that was acknowledged is not published.
        """
        ...


class _Batch:
    """An open segment, and the fate that those who wait for it share."""

    def __init__(self, segment: OpenSegment) -> None:
        self.segment = segment
        self.kept: list[KeptFrame] = []
        self.sealed = anyio.Event()
        self.settled = anyio.Event()
        self.error: StorageError | None = None


class ObjectWriter:
    """Keeps each frame in a published object before it is acknowledged.

    Args:
        storage: where the objects go.
        session_id: whose they are.
        tasks: owns the publishing, so that a caller who is cancelled leaves it alone.
        kept: told of each frame that is stored, before those who wait for it.
        published: told of each segment that is stored.
        linger_s: how long a segment waits for company, in seconds.
        segment_bytes: the size that ends the wait.
    """

    def __init__(
        self,
        storage: S3Storage,
        session_id: str,
        tasks: TaskGroup,
        kept: Callable[[Signal, Frame], None],
        published: Callable[[SegmentIndex], None],
        *,
        linger_s: float = DEFAULT_LINGER_S,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    ) -> None:
        self._storage, self._session_id, self._tasks = storage, session_id, tasks
        self._kept, self._published = kept, published
        self._linger_s, self._segment_bytes = linger_s, segment_bytes
        self._open: dict[Signal, _Batch] = {}
        self._unsettled: set[_Batch] = set()
        self._puts = anyio.Semaphore(_PARALLEL_PUTS)
        self._is_closed = False

    @property
    def unsettled_bytes(self) -> int:
        """Bytes of frames that are neither stored nor refused yet."""
        return sum(batch.segment.size_bytes for batch in self._unsettled)

    async def append(self, new: NewFrame) -> Outcome[KeptFrame, StorageError]:
        """Return once the object that holds the frame is stored.

        Cancelling the caller does not take the frame back: it may be stored all the same.

        Fails with:
            StorageError: it could not be stored.
        """
        if self._is_closed:
            return Failure(_cut_short(""))
        batch = self._open.get(new.signal) or self._begin(new)
        kept = batch.segment.add(new)
        batch.kept.append(kept)
        if batch.segment.size_bytes >= self._segment_bytes:
            self._seal(batch)
        await batch.settled.wait()
        return Success(kept) if batch.error is None else Failure(batch.error)

    async def close(self) -> Outcome[None, StorageError]:
        """Take no more, and return when all that was appended is settled."""
        self._is_closed = True
        return await self.drain()

    async def drain(self) -> Outcome[None, StorageError]:
        """Seal what is open, and return when all that was appended until now is settled.

        It never fails: nothing is acknowledged that is not stored.
        """
        for batch in tuple(self._open.values()):
            self._seal(batch)
        for batch in tuple(self._unsettled):
            await batch.settled.wait()
        return Success(None)

    def _begin(self, new: NewFrame) -> _Batch:
        batch = _Batch(OpenSegment(self._session_id, new))
        self._open[new.signal] = batch
        self._unsettled.add(batch)
        self._tasks.start_soon(self._publish, batch)
        return batch

    def _seal(self, batch: _Batch) -> None:
        if self._open.get(batch.segment.signal) is batch:
            del self._open[batch.segment.signal]
        batch.sealed.set()

    async def _publish(self, batch: _Batch) -> None:
        batch.error = _cut_short(batch.segment.key)
        try:
            with anyio.move_on_after(self._linger_s):
                await batch.sealed.wait()
            async with self._puts:
                self._seal(batch)
                sealed = batch.segment.seal()
                stored = await self._storage.store_raw_data(sealed.content, sealed.index.key)
            if isinstance(stored, Failure):
                batch.error = stored.failure()
                return
            batch.error = None
            for each in batch.kept:
                self._kept(batch.segment.signal, each.frame)
            self._published(sealed.index)
        finally:
            self._seal(batch)
            self._unsettled.discard(batch)
            batch.settled.set()


def _cut_short(key: str) -> StorageFault:
    return StorageFault("The recorder", key, "Cancelled", "it was shut down before this was stored")
