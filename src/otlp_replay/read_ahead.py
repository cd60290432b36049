"""Requests are read before they are due, so that no store makes a replay late."""

import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self, TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from otlp_capture.result import Failure, Outcome
from otlp_capture.sessions import FrameRef, ReadError, RequestReader, StoredRequest
from otlp_replay.room import Room

_MAX_REQUESTS: Final = 4_096
_MAX_BYTES: Final = 16 << 20

Read: TypeAlias = Outcome[StoredRequest, ReadError]


class ReadAhead:
    """An iterator over requests in their order; the first `Failure` is the last item.

    Attributes:
        filled: set once as much is read as may be read ahead, or all.
    """

    def __init__(
        self,
        reader: RequestReader,
        refs: Sequence[FrameRef],
        received: MemoryObjectReceiveStream[tuple[Read, int]],
    ) -> None:
        self.filled = anyio.Event()
        self._reader, self._refs, self._received = reader, refs, received
        self._room = Room(_MAX_REQUESTS, _MAX_BYTES)

    async def fill(self, sending: MemoryObjectSendStream[tuple[Read, int]]) -> None:
        """Read until all is read, as far ahead as there is room."""
        async with sending:
            for ref in self._refs:
                size_bytes = ref.frame.raw_size_bytes
                if not self._room.has_room(size_bytes):
                    self.filled.set()
                await self._room.enter(size_bytes)
                read = await self._reader.read(ref)
                sending.send_nowait((read, size_bytes))
                if isinstance(read, Failure):
                    break
        self.filled.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Read:
        try:
            read, size_bytes = await self._received.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None
        self._room.leave(size_bytes)
        return read


@asynccontextmanager
async def reading_ahead(
    reader: RequestReader, refs: Sequence[FrameRef]
) -> AsyncGenerator[ReadAhead]:
    """Read *refs* in a task of its own, until the block ends."""
    sending, received = anyio.create_memory_object_stream[tuple[Read, int]](math.inf)
    ahead = ReadAhead(reader, refs, received)
    async with anyio.create_task_group() as tasks, received, sending:
        tasks.start_soon(ahead.fill, sending)
        yield ahead
        tasks.cancel_scope.cancel()
