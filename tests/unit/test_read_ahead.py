"""Requests are read before they are due."""

from collections.abc import Iterator
from typing import Any

import pytest

from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.sessions import (
    FrameRef,
    RequestReader,
    StoredRequest,
    in_order,
    index_session,
)
from otlp_capture.storage import S3Storage
from otlp_replay.events import Event
from otlp_replay.read_ahead import Draft, Read, reading_ahead
from tests.clocks import settled
from tests.replays import SESSION, numbered
from tests.sessions import SECOND, START, arriving, opened_memory, write_session

pytestmark = pytest.mark.anyio


class Counting:
    """A reader that tells what it has read, and stumbles where it is told to."""

    def __init__(self, storage: S3Storage, stumbles_at: int | None = None) -> None:
        self.read_bytes = self.count = 0
        self._reader, self._stumbles_at = RequestReader(storage), stumbles_at

    async def read(self, ref: FrameRef) -> Any:
        if self.count == self._stumbles_at:
            return Failure("stumbled")
        self.count += 1
        self.read_bytes += ref.frame.raw_size_bytes
        return await self._reader.read(ref)


async def events_of(storage: S3Storage, count: int, size: int = 0) -> Iterator[Event]:
    await write_session(storage, SESSION, arriving(numbered(count, size=size)))
    refs = in_order(or_raise(await index_session(storage, SESSION)))
    return (
        Event(number, SESSION, ref, ref.frame.received_unix_nano - START)
        for number, ref in enumerate(refs)
    )


async def as_it_is(event: Event, stored: StoredRequest) -> Draft:
    return Draft(event, stored.request, stored.frame.record_count)


async def test_all_comes_in_its_order() -> None:
    async with opened_memory() as storage:
        events = await events_of(storage, 100)
        async with reading_ahead(RequestReader(storage), events, as_it_is) as ahead:
            read = [or_raise(each).request async for each in ahead]

        assert read == [request for _, request in numbered(100)]


async def test_it_reads_no_more_bytes_ahead_than_it_may() -> None:
    async with opened_memory() as storage:
        events = await events_of(storage, 40, size=1_000_000)
        reader: Any = Counting(storage)
        async with reading_ahead(reader, events, as_it_is) as ahead:
            await ahead.filled.wait()
            await settled()
            assert reader.read_bytes <= 8 << 20
            assert reader.count == 8
            or_raise(await anext(ahead))
            await settled()
            assert reader.count == 9


async def test_it_reads_no_further_ahead_in_time_than_it_may() -> None:
    async with opened_memory() as storage:
        events = await events_of(storage, 40)
        reader: Any = Counting(storage)
        ahead_ns = 5 * SECOND
        async with reading_ahead(reader, events, as_it_is, max_line_ns=ahead_ns) as ahead:
            await ahead.filled.wait()
            await settled()
            assert reader.count == 6
            or_raise(await anext(ahead))
            or_raise(await anext(ahead))
            await settled()
            assert reader.count == 7


async def test_what_comes_next_is_read_however_late_it_is_due() -> None:
    async with opened_memory() as storage:
        events = await events_of(storage, 9)
        async with reading_ahead(RequestReader(storage), events, as_it_is, max_line_ns=0) as ahead:
            read = [or_raise(each).request async for each in ahead]

        assert read == [request for _, request in numbered(9)]


async def test_it_is_filled_when_all_is_read() -> None:
    async with opened_memory() as storage:
        events = await events_of(storage, 3)
        async with reading_ahead(RequestReader(storage), events, as_it_is) as ahead:
            await settled()

            assert ahead.filled.is_set()


async def test_a_failure_is_the_last_item() -> None:
    async with opened_memory() as storage:
        reader: Any = Counting(storage, stumbles_at=2)
        async with reading_ahead(reader, await events_of(storage, 9), as_it_is) as ahead:
            read: list[Read] = [each async for each in ahead]

        assert [isinstance(each, Success) for each in read] == [True, True, False]


async def test_leaving_ends_the_reading() -> None:
    async with opened_memory() as storage:
        events = await events_of(storage, 40, size=1_000_000)
        reader: Any = Counting(storage)
        async with reading_ahead(reader, events, as_it_is) as ahead:
            await anext(ahead)
        count = reader.count
        await settled()

        assert reader.count == count
