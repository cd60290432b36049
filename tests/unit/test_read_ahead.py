"""Requests are read before they are due."""

from typing import Any

import pytest

from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.sessions import FrameRef, RequestReader, in_order, index_session
from otlp_capture.storage import S3Storage
from otlp_replay.read_ahead import Read, reading_ahead
from tests.clocks import settled
from tests.replays import SESSION, numbered
from tests.sessions import arriving, opened_memory, write_session

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


async def refs_of(storage: S3Storage, count: int, size: int = 0) -> list[FrameRef]:
    await write_session(storage, SESSION, arriving(numbered(count, size=size)))
    return in_order(or_raise(await index_session(storage, SESSION)))


async def test_all_comes_in_its_order() -> None:
    async with opened_memory() as storage:
        refs = await refs_of(storage, 100)
        async with reading_ahead(RequestReader(storage), refs) as ahead:
            read = [or_raise(each).request async for each in ahead]

        assert read == [request for _, request in numbered(100)]


async def test_it_reads_no_further_ahead_than_it_may() -> None:
    async with opened_memory() as storage:
        refs = await refs_of(storage, 40, size=1_000_000)
        reader: Any = Counting(storage)
        async with reading_ahead(reader, refs) as ahead:
            await ahead.filled.wait()
            await settled()
            assert reader.read_bytes <= 16 << 20
            assert reader.count == 16
            or_raise(await anext(ahead))
            await settled()
            assert reader.count == 17


async def test_it_is_filled_when_all_is_read() -> None:
    async with opened_memory() as storage:
        refs = await refs_of(storage, 3)
        async with reading_ahead(RequestReader(storage), refs) as ahead:
            await settled()

            assert ahead.filled.is_set()


async def test_a_failure_is_the_last_item() -> None:
    async with opened_memory() as storage:
        reader: Any = Counting(storage, stumbles_at=2)
        async with reading_ahead(reader, await refs_of(storage, 9)) as ahead:
            read: list[Read] = [each async for each in ahead]

        assert [isinstance(each, Success) for each in read] == [True, True, False]


async def test_leaving_ends_the_reading() -> None:
    async with opened_memory() as storage:
        refs = await refs_of(storage, 40, size=1_000_000)
        reader: Any = Counting(storage)
        async with reading_ahead(reader, refs) as ahead:
            await anext(ahead)
        count = reader.count
        await settled()

        assert reader.count == count
