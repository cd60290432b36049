"""What others see of a session while it is recorded."""

import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture.capture import (
    OtlpCaptureService,
    StorageFailure,
)
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    InvalidSessionId,
    SessionNotFound,
)
from tests.captures import CONFIG, keep, opened_capture, stored
from tests.clocks import VirtualClock, settled
from tests.faulty_storage import FaultyStorage

pytestmark = pytest.mark.anyio


class TestCheckpoints:
    async def test_they_are_written_every_ten_seconds_while_requests_arrive(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        seen = []
        for _ in range(8):
            await keep(capture)
            await clock.advance(5)
            now = await stored(storage)
            assert now.last_checkpoint_time is not None
            age = (now.last_checkpoint_time - now.start_time).total_seconds()
            seen.append((age, now.captured_logs))

        assert seen == [(0, 0), (10, 2), (10, 2), (20, 4), (20, 4), (30, 6), (30, 6), (40, 8)]

    async def test_they_are_written_every_thirty_seconds_while_none_does(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        ages = []
        for _ in range(7):
            await clock.advance(10)
            now = await stored(storage)
            assert now.last_checkpoint_time is not None
            ages.append((now.last_checkpoint_time - now.start_time).total_seconds())

        assert ages == [0, 0, 30, 30, 30, 60, 60]

    async def test_the_status_knows_the_last_of_them(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        await clock.advance(10)

        assert await capture.get_capture_status("s") == Success(await stored(storage))

    async def test_one_that_fails_is_logged_and_made_up_for(
        self,
        storage: FaultyStorage,
        capture: OtlpCaptureService,
        clock: VirtualClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        storage.fail("store_raw_data", within="metadata.json", when="after")
        await clock.advance(10)
        await keep(capture)
        await clock.advance(10)

        assert f"The checkpoint is not written: {storage.error.message}" in caplog.text
        assert (await stored(storage)).captured_logs == 2
        assert isinstance(await capture.stop_capture("s"), Success)

    async def test_none_is_written_once_the_end_has_begun(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        await settled()
        written = storage.written.count("sessions/s/metadata.json")
        clock.step(10)

        stopped = or_raise(await capture.stop_capture("s"))
        await settled()

        assert await stored(storage) == stopped
        assert storage.written.count("sessions/s/metadata.json") == written + 1

    async def test_none_is_written_after_the_end(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        or_raise(await capture.stop_capture("s"))
        written = len(storage.written)
        await clock.advance(100)

        assert len(storage.written) == written
        assert clock.deadlines_ns == []


class TestStatusAndList:
    async def test_a_session_of_another_process_is_as_old_as_its_checkpoint(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        other_clock = VirtualClock()
        async with opened_capture(storage, other_clock) as other:
            before = or_raise(await other.get_capture_status("s"))
            await clock.advance(10)
            after = or_raise(await other.get_capture_status("s"))
            listed = or_raise(await other.list_capture_sessions())

        assert (before.captured_logs, after.captured_logs) == (0, 1)
        assert listed == (after,)

    async def test_sessions_of_ours_are_listed_as_they_stand(
        self, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await clock.advance(1)
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, session_id="a")))
        await keep(capture)

        listed = or_raise(await capture.list_capture_sessions())

        assert [(each.session_id, each.captured_logs) for each in listed] == [("s", 1), ("a", 0)]

    async def test_what_cannot_be_told_is_told(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        missing = await capture.get_capture_status("s")
        wrong = await capture.get_capture_status("../s")
        storage.fail("head")
        failed = await capture.get_capture_status("s")
        storage.fail("list_folders")
        unlisted = await capture.list_capture_sessions()

        assert missing == Failure(SessionNotFound("s"))
        assert wrong == Failure(InvalidSessionId("../s"))
        assert failed == Failure(StorageFailure("s", storage.error))
        assert unlisted == Failure(StorageFailure(None, storage.error))
        assert unlisted.failure().message == storage.error.message
