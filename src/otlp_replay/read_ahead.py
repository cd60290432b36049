"""Requests are read and written before they are due, so that no store makes a replay late."""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self, TypeAlias

import anyio
import anyio.lowlevel
import attrs

from otlp_capture.result import Fault, Outcome, Success
from otlp_capture.sending import Parcel
from otlp_capture.sessions import ReadError, RequestReader, StoredRequest
from otlp_replay.events import Event
from otlp_replay.parcels import NotWritten

_MAX_REQUESTS: Final = 4_096
_MAX_BYTES: Final = 8 << 20
_MAX_LINE_NS: Final = 60_000_000_000
_TURN_BYTES: Final = 65_536


@attrs.frozen
class Draft:
    """A request that was read, and is due next.

    Attributes:
        event: which.
        request: what of it is sent.
        record_count: how many records that has.
        fault: why it is not sent; None: it is.
        shift_ns: how far its timestamps were moved for *written*; None: that is not known yet.
        written: each copy as it is sent.
    """

    event: Event
    request: bytes
    record_count: int
    fault: Fault | None = None
    shift_ns: int | None = None
    written: Sequence[Outcome[Parcel, NotWritten]] = ()


Read: TypeAlias = Outcome[Draft, ReadError]
Prepare: TypeAlias = Callable[[Event, StoredRequest], Awaitable[Draft]]


class ReadAhead:
    """An iterator over requests in their order; the first `Failure` is the last item.

    What lies ahead is bounded in requests, in bytes, and in time: a request that is due much later
    is read when it comes next. One is read in any case.

    Attributes:
        filled: set once as much is read as may be read ahead, or all.
    """

    def __init__(self, reader: RequestReader, prepare: Prepare, max_line_ns: int) -> None:
        self.filled = anyio.Event()
        self._reader, self._prepare, self._max_line_ns = reader, prepare, max_line_ns
        self._read = deque[tuple[Read, int]]()
        self._bytes = self._line_ns = 0
        self._is_ended = False
        self._moved = anyio.Event()

    async def fill(self, events: Iterator[Event]) -> None:
        """Read until all is read, as far ahead as it may be."""
        since_turn = 0
        for event in events:
            size_bytes = event.ref.frame.raw_size_bytes
            while not self._has_room(size_bytes, event.offset_ns):
                self.filled.set()
                await self._move()
            read = await self._reader.read(event.ref)
            if isinstance(read, Success):
                self._add(Success(await self._prepare(event, read.unwrap())), size_bytes)
            else:
                self._add(read, size_bytes)
                break
            since_turn += size_bytes
            if since_turn >= _TURN_BYTES:
                since_turn = 0
                await anyio.lowlevel.checkpoint()
        self._is_ended = True
        self.filled.set()
        self._tell()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Read:
        while not self._read:
            if self._is_ended:
                raise StopAsyncIteration
            await self._move()
        read, size_bytes = self._read.popleft()
        self._bytes -= size_bytes
        if isinstance(read, Success):
            self._line_ns = read.unwrap().event.offset_ns
        self._tell()
        return read

    def _has_room(self, size_bytes: int, line_ns: int) -> bool:
        if not self._read:
            return True
        is_soon = line_ns - self._line_ns <= self._max_line_ns
        return (
            is_soon and len(self._read) < _MAX_REQUESTS and self._bytes + size_bytes <= _MAX_BYTES
        )

    def _add(self, read: Read, size_bytes: int) -> None:
        self._read.append((read, size_bytes))
        self._bytes += size_bytes
        self._tell()

    async def _move(self) -> None:
        """Wait until something was read, or taken."""
        self._moved = anyio.Event()
        await self._moved.wait()

    def _tell(self) -> None:
        self._moved.set()


@asynccontextmanager
async def reading_ahead(
    reader: RequestReader,
    events: Iterator[Event],
    prepare: Prepare,
    *,
    max_line_ns: int = _MAX_LINE_NS,
) -> AsyncGenerator[ReadAhead]:
    """Read requests in a task of its own, until the block ends.

    Args:
        reader: what reads them.
        events: which, in order.
        prepare: makes of what was read what is sent.
        max_line_ns: how far ahead on the replay's line they are read, in nanoseconds.
    """
    ahead = ReadAhead(reader, prepare, max_line_ns)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ahead.fill, events)
        yield ahead
        tasks.cancel_scope.cancel()
