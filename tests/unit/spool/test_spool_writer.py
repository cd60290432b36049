"""The writer of a spool: what is acknowledged is synced, and what is sealed is published."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from returns.result import Failure, Success

from otlp_capture.result import or_raise
from otlp_capture.sessions import KeptFrame, NewFrame
from otlp_capture.spool import (
    MemorySegment,
    Publisher,
    SpoolBudget,
    SpoolFolder,
    publish_leftovers,
)
from otlp_capture.storage import S3Storage, StorageFault, StorageFull
from tests.clocks import VirtualClock, settled
from tests.faulty_storage import FaultyStorage
from tests.sessions import opened_memory
from tests.spools import BROKEN, FULL, SystemCalls, Writing, new_frame, writing

pytestmark = pytest.mark.anyio


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> SystemCalls:
    return SystemCalls(monkeypatch, "writev", "fdatasync", "ftruncate")


async def content_of(storage: S3Storage) -> dict[str, bytes]:
    keys = [or_raise(found).key async for found in storage.list_objects("sessions/s/raw/")]
    return {key: or_raise(await storage.retrieve_raw_data(key)) for key in keys}


async def append(at_work: Writing, *frames: NewFrame) -> list[Any]:
    outcomes: list[Any] = [None] * len(frames)

    async def one(place: int, new: NewFrame) -> None:
        outcomes[place] = await at_work.writer.append(new)

    async with anyio.create_task_group() as appending:
        for place, new in enumerate(frames):
            appending.start_soon(one, place, new)
    return outcomes


class TestAcknowledging:
    async def test_a_frame_is_in_a_synced_file_before_it_is_acknowledged(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path, calls: SystemCalls
    ) -> None:
        async with writing(storage, tmp_path, clock) as at_work:
            kept = or_raise(await at_work.writer.append(new_frame(1)))

            assert calls.made == ["writev", "fdatasync"]
            assert [*at_work.files.values()] == [new_frame(1).member]
            assert at_work.kept == [kept.frame]
            assert storage.written == []

    async def test_frames_that_come_during_a_sync_share_the_next_one(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path, calls: SystemCalls
    ) -> None:
        is_free = threading.Event()
        calls.before["fdatasync"] = is_free.wait
        async with writing(storage, tmp_path, clock) as at_work, anyio.create_task_group() as first:
            first.start_soon(at_work.writer.append, new_frame(0))
            while "fdatasync" not in calls.made:
                await anyio.lowlevel.checkpoint()
            async with anyio.create_task_group() as others:
                for number in range(1, 6):
                    others.start_soon(at_work.writer.append, new_frame(number))
                await anyio.lowlevel.checkpoint()
                assert at_work.kept == []
                assert at_work.writer.unsettled_bytes == sum(
                    len(new_frame(number).member) for number in range(6)
                )
                is_free.set()

            assert calls.made == ["writev", "fdatasync", "writev", "fdatasync"]
            assert len(at_work.kept) == 6
            assert at_work.writer.unsettled_bytes == 0

    async def test_each_signal_has_a_file_of_its_own(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        frames = [new_frame(0, "traces"), new_frame(1, "logs"), new_frame(2, "traces")]
        async with writing(storage, tmp_path, clock) as at_work:
            outcomes = [or_raise(each) for each in await append(at_work, *frames)]

            assert sorted(at_work.files.values()) == sorted(
                [frames[0].member + frames[2].member, frames[1].member]
            )
            assert [each.frame.offset for each in outcomes] == [0, 0, len(frames[0].member)]

    async def test_a_caller_who_leaves_does_not_take_the_frame_back(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        async with writing(storage, tmp_path, clock) as at_work:
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(at_work.writer.append, new_frame(1))
                await anyio.lowlevel.checkpoint()
                leaving.cancel_scope.cancel()
            or_raise(await at_work.writer.append(new_frame(2)))

            assert len(at_work.kept) == 2
            assert [*at_work.files.values()] == [new_frame(1).member + new_frame(2).member]

    async def test_what_waits_when_the_writer_is_cut_off_is_refused(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        async with writing(storage, tmp_path, clock) as at_work:
            pass

        outcome = await at_work.writer.append(new_frame(1))

        assert isinstance(outcome.failure(), StorageFault)
        assert at_work.budget.used_bytes == 0

    async def test_a_writer_that_closes_takes_no_more_and_lets_go(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        storage.fail("publish_file", times=9)
        async with writing(storage, tmp_path, clock) as at_work, anyio.create_task_group() as tasks:
            or_raise(await at_work.writer.append(new_frame(0)))
            is_free = storage.hold("/raw/")
            tasks.start_soon(at_work.writer.close)
            await settled()
            late = await at_work.writer.append(new_frame(1))
            is_free.set()
            await settled()

            assert isinstance(late.failure(), StorageFault)
            found = await publish_leftovers(storage, SpoolFolder(tmp_path), at_work.claim)
            assert found == Failure(storage.error), "nobody holds the file any more"
            assert [*at_work.files.values()] == [new_frame(0).member]


class TestADiskThatFails:
    async def test_it_is_told_once_a_minute(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        tmp_path: Path,
        calls: SystemCalls,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async with writing(storage, tmp_path, clock) as at_work:
            for wait_s in (0, 0, 59, 1, 0):
                await clock.advance(wait_s)
                calls.fail("writev", FULL)
                assert isinstance(await at_work.writer.append(new_frame(1)), Failure)

        assert caplog.text.count("No space left on device") == 2

    @pytest.mark.parametrize("name", ["writev", "fdatasync"])
    @pytest.mark.parametrize("number", [FULL, BROKEN])
    async def test_what_it_did_not_take_is_refused_and_gone(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        tmp_path: Path,
        calls: SystemCalls,
        name: str,
        number: int,
    ) -> None:
        async with writing(storage, tmp_path, clock) as at_work:
            or_raise(await at_work.writer.append(new_frame(0)))
            calls.fail(name, number)
            refused = await append(at_work, new_frame(1), new_frame(2))
            await settled()
            or_raise(await at_work.writer.append(new_frame(3)))
            or_raise(await at_work.writer.drain())

            expected = StorageFull if number == FULL else StorageFault
            assert [type(each.failure()) for each in refused] == [expected, expected]
            contents = (await content_of(storage)).values()
            assert sorted(contents) == sorted([new_frame(0).member, new_frame(3).member])
            assert at_work.budget.used_bytes == 0

    async def test_a_sync_that_failed_is_not_tried_again_on_its_file(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        import os  # noqa: PLC0415 - what is watched

        synced: list[str] = []
        sync = os.fdatasync

        def failing(descriptor: int) -> None:
            # By its name: the number of a file that was published is given to another.
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
            if len(synced) == 2:
                raise OSError(BROKEN, "it is broken")
            sync(descriptor)

        monkeypatch.setattr(os, "fdatasync", failing)
        async with writing(storage, tmp_path, clock) as at_work:
            for number in range(4):
                await at_work.writer.append(new_frame(number))

        assert synced[0] == synced[1]
        assert synced[2] == synced[3] != synced[0]

    async def test_a_file_that_cannot_be_cut_is_cut_before_it_is_published(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path, calls: SystemCalls
    ) -> None:
        async with writing(storage, tmp_path, clock) as at_work:
            kept: KeptFrame = or_raise(await at_work.writer.append(new_frame(0)))
            calls.fail("fdatasync", BROKEN)
            calls.fail("ftruncate", *[BROKEN] * 100)
            assert isinstance(await at_work.writer.append(new_frame(1)), Failure)
            assert isinstance(await at_work.writer.drain(), Failure)
            calls.failures.clear()
            or_raise(await at_work.writer.drain())

            assert await content_of(storage) == {kept.key: new_frame(0).member}
            assert [[*index.frames] for index in at_work.published] == [[kept.frame]]

    async def test_a_file_that_holds_nothing_is_removed(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path, calls: SystemCalls
    ) -> None:
        calls.fail("fdatasync", BROKEN)
        async with writing(storage, tmp_path, clock) as at_work:
            assert isinstance(await at_work.writer.append(new_frame(0)), Failure)
            or_raise(await at_work.writer.drain())

            assert at_work.files == {}
            assert await content_of(storage) == {}


class TestBudget:
    async def test_beyond_it_requests_are_refused_until_something_is_published(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        size = len(new_frame(0).member)
        async with writing(storage, tmp_path, clock, limit_bytes=2 * size) as at_work:
            or_raise(await at_work.writer.append(new_frame(0)))
            or_raise(await at_work.writer.append(new_frame(1)))
            refused = await at_work.writer.append(new_frame(2))
            or_raise(await at_work.writer.drain())
            again = await at_work.writer.append(new_frame(2))

            assert refused == Failure(
                StorageFull(
                    "the spool", "another request", f"its budget of {2 * size} bytes is used up"
                )
            )
            assert isinstance(again, Success)
            assert at_work.budget.used_bytes == size


class TestPublishing:
    async def test_a_segment_is_published_at_its_age(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        async with writing(storage, tmp_path, clock, seal_after_s=30.0) as at_work:
            kept: KeptFrame = or_raise(await at_work.writer.append(new_frame(0)))
            await clock.advance(29.9)
            assert storage.written == []
            await clock.advance(0.1)

            assert await content_of(storage) == {kept.key: new_frame(0).member}
            assert at_work.files == {}
            (index,) = at_work.published
            assert (index.key, [*index.frames]) == (kept.key, [kept.frame])

    async def test_a_segment_is_published_at_its_size(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        size = len(new_frame(0).member)
        async with writing(storage, tmp_path, clock, seal_bytes=2 * size) as at_work:
            for number in range(4):
                or_raise(await at_work.writer.append(new_frame(number)))
            await settled()

            assert sorted((await content_of(storage)).values()) == sorted(
                new_frame(first).member + new_frame(first + 1).member for first in (0, 2)
            )

    async def test_it_is_tried_until_the_store_takes_it(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        storage.fail("publish_file", times=5)
        async with writing(storage, tmp_path, clock, seal_after_s=1.0) as at_work:
            or_raise(await at_work.writer.append(new_frame(0)))
            await clock.advance(1)
            assert len(storage.written) == 1
            await clock.advance(60)

            assert len(storage.written) == 6
            assert [*(await content_of(storage)).values()] == [new_frame(0).member]
            assert at_work.budget.used_bytes == 0

    async def test_a_drain_tries_at_once_and_says_what_is_left(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        storage.fail("publish_file", times=2)
        async with writing(storage, tmp_path, clock) as at_work:
            or_raise(await at_work.writer.append(new_frame(0)))

            assert await at_work.writer.drain() == Failure(storage.error)
            assert await at_work.writer.drain() == Failure(storage.error)
            assert [*at_work.files.values()] == [new_frame(0).member]
            assert await at_work.writer.drain() == Success(None)
            assert [*(await content_of(storage)).values()] == [new_frame(0).member]

    async def test_a_store_that_took_it_and_said_no_has_it_once(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        async with writing(storage, tmp_path, clock) as at_work:
            or_raise(await at_work.writer.append(new_frame(0)))
            storage.fail("store_file", when="after")
            storage.fail("publish_file", when="before")
            assert isinstance(await at_work.writer.drain(), Failure)
            or_raise(await at_work.writer.drain())

            assert [*(await content_of(storage)).values()] == [new_frame(0).member]

    async def test_a_file_that_somebody_removed_does_not_hold_up_the_end(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        async with writing(storage, tmp_path, clock) as at_work:
            or_raise(await at_work.writer.append(new_frame(0)))
            for name in at_work.claim.names():
                (at_work.claim.folder / name).unlink()

            assert isinstance(await at_work.writer.drain(), Failure)
            assert await at_work.writer.drain() == Success(None)
            assert at_work.budget.used_bytes == 0

    async def test_what_is_let_go_while_it_waits_for_its_turn_is_not_published(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        gate = storage.hold("raw")
        async with anyio.create_task_group() as tasks:
            publisher = Publisher(storage, tasks, clock, SpoolBudget(), lambda _: None)
            for number in range(5):
                segment = MemorySegment("s", new_frame(number))
                segment.append([new_frame(number)])
                publisher.put(segment, segment.seal())
            await settled()
            publisher.close()
            gate.set()

        assert b"" not in (await content_of(storage)).values()
        assert len(await content_of(storage)) == 4

    async def test_nothing_works_on_behind_a_writer_that_is_closed(
        self, storage: FaultyStorage, clock: VirtualClock, tmp_path: Path
    ) -> None:
        async with writing(storage, tmp_path, clock) as at_work:
            before = len(anyio.get_running_tasks())
            or_raise(await at_work.writer.close())
            await settled()

            assert len(anyio.get_running_tasks()) < before
