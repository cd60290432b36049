"""Sessions that nobody records any more, and two who record one."""

import gzip

import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture.capture import (
    OtlpCaptureService,
    SessionAlreadyActive,
    SessionEnded,
    SignalNotEnabled,
    StorageFailure,
)
from otlp_capture.clock import moment
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    SessionNotFound,
    SessionTakenOver,
    discard_session,
    load_session,
    save_session,
)
from otlp_capture.upkeep import SessionBeingDeleted
from tests.captures import (
    CONFIG,
    LOGS,
    TRACES,
    Background,
    crashing_capture,
    keep,
    opened_capture,
    stored,
)
from tests.clocks import START, VirtualClock, settled
from tests.faulty_storage import FaultyStorage

pytestmark = pytest.mark.anyio


async def test_a_session_whose_deletion_was_begun_is_not_taken_up(
    storage: FaultyStorage, clock: VirtualClock
) -> None:
    async with crashing_capture(storage, clock) as crashed:
        or_raise(await crashed.start_capture(CONFIG))
    loaded = or_raise(await load_session(storage, "s"))
    begun = attrs.evolve(loaded.metadata, deleting_since=loaded.metadata.start_time)
    or_raise(await save_session(storage, begun, loaded.etag))
    await clock.advance(60)

    async with opened_capture(storage, clock) as capture:
        assert await capture.resume_capture("s") == Failure(SessionBeingDeleted("s"))
        assert await capture.stop_capture("s") == Failure(SessionBeingDeleted("s"))


class TestTakingUp:
    async def crash(self, storage: FaultyStorage, clock: VirtualClock, count: int = 2) -> None:
        async with crashing_capture(storage, clock) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            for _ in range(count):
                await keep(crashed)

    async def test_it_needs_a_minute_without_a_checkpoint(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await self.crash(storage, clock)
        async with opened_capture(storage, clock) as capture:
            await clock.advance(59.5)
            early = await capture.resume_capture("s")
            await clock.advance(0.5)
            in_time = await capture.resume_capture("s")

        assert early == Failure(SessionAlreadyActive("s", 59.5))
        assert or_raise(in_time).captured_logs == 2
        assert or_raise(in_time).last_checkpoint_time == moment(START + 60_000_000_000)

    async def test_a_clock_that_is_behind_waits_too(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await self.crash(storage, clock)
        async with opened_capture(storage, VirtualClock(START - 10**12)) as capture:
            assert await capture.resume_capture("s") == Failure(SessionAlreadyActive("s", 0.0))

    async def test_a_session_without_checkpoints_is_as_old_as_its_start(
        self, storage: FaultyStorage
    ) -> None:
        foreign = (
            b'{"sessionId":"s","startTime":"2025-11-23T01:23:20Z","status":"active",'
            b'"s3Prefix":"sessions/s","createdBy":"others"}'
        )
        or_raise(await storage.store_raw_data(foreign, "sessions/s/metadata.json"))
        key = "sessions/s/raw/2025-11-23/01/logs-1763861000123-x.otlp.gz"
        or_raise(await storage.store_raw_data(gzip.compress(LOGS), key))
        async with opened_capture(storage, VirtualClock(START + 60_000_000_000)) as capture:
            resumed = or_raise(await capture.resume_capture("s"))
            await keep(capture)
            stopped = or_raise(await capture.stop_capture("s"))

        assert (resumed.captured_logs, stopped.captured_logs) == (1, 2)
        assert stopped.created_by == "others"

    async def test_what_is_recorded_here_cannot_be_taken_up_here(
        self, capture: OtlpCaptureService
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))

        assert await capture.resume_capture("s") == Failure(SessionAlreadyActive("s", 0.0))

    async def test_what_has_ended_cannot_be_taken_up(self, capture: OtlpCaptureService) -> None:
        or_raise(await capture.start_capture(CONFIG))
        or_raise(await capture.stop_capture("s"))

        assert await capture.resume_capture("s") == Failure(SessionEnded("s", "stopped"))
        assert await capture.resume_capture("t") == Failure(SessionNotFound("t"))

    async def test_of_two_calls_one_is_faster(
        self, storage: FaultyStorage, clock: VirtualClock, background: Background
    ) -> None:
        await self.crash(storage, clock)
        async with opened_capture(storage, VirtualClock(START + 60_000_000_000)) as capture:
            resumed = [background.start(lambda: capture.resume_capture("s")) for _ in range(2)]
            await settled()
            stopped = [background.start(lambda: capture.stop_capture("s")) for _ in range(2)]
            await settled()

        assert isinstance(resumed[0][0], Success)
        assert resumed[1][0] == Failure(SessionAlreadyActive("s", 0.0))
        assert [call[0] for call in stopped] == [Success(await stored(storage))] * 2

    async def test_an_orphan_that_two_calls_stop_is_stopped_once(
        self, storage: FaultyStorage, clock: VirtualClock, background: Background
    ) -> None:
        await self.crash(storage, clock)
        async with opened_capture(storage, VirtualClock(START + 60_000_000_000)) as capture:
            calls = [background.start(lambda: capture.stop_capture("s")) for _ in range(2)]
            await settled()

        assert [call[0] for call in calls] == [Success(await stored(storage))] * 2

    async def test_each_of_many_stops_is_told_that_another_process_has_it(
        self, storage: FaultyStorage, clock: VirtualClock, background: Background
    ) -> None:
        later = VirtualClock(START + 60_000_000_000)
        async with (
            opened_capture(storage, clock) as stale,
            opened_capture(storage, later) as capture,
        ):
            or_raise(await stale.start_capture(CONFIG))
            or_raise(await capture.resume_capture("s"))
            calls = [background.start(lambda: stale.stop_capture("s")) for _ in range(3)]
            await settled()

        assert [call[0] for call in calls] == [Failure(SessionTakenOver("s"))] * 3

    async def test_of_two_processes_one_is_faster(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await self.crash(storage, clock)
        later = VirtualClock(START + 60_000_000_000)
        later_still = VirtualClock(START + 61_000_000_000)
        async with (
            opened_capture(storage, later) as first,
            opened_capture(storage, later_still) as second,
        ):
            storage.interrupt_read("/raw/", lambda: second.resume_capture("s"))

            assert await first.resume_capture("s") == Failure(SessionTakenOver("s"))
            await keep(second)

    @pytest.mark.parametrize(
        ("method", "within"),
        [("head", ""), ("list_objects", "/raw/"), ("store_raw_data", "metadata.json")],
    )
    async def test_where_the_store_fails_it_can_be_done_again(
        self, storage: FaultyStorage, clock: VirtualClock, method: str, within: str
    ) -> None:
        await self.crash(storage, clock)
        async with opened_capture(storage, VirtualClock(START + 60_000_000_000)) as capture:
            storage.fail(method, within=within)

            failed = await capture.stop_capture("s")
            stopped = or_raise(await capture.stop_capture("s"))

        assert failed == Failure(StorageFailure("s", storage.error))
        assert stopped.captured_logs == 2

    async def test_damage_is_logged_and_what_is_sound_is_counted(
        self, storage: FaultyStorage, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        await self.crash(storage, clock)
        key = "sessions/s/raw/2025-11-23/01/logs-1763861000123-x.otlp.gz"
        or_raise(await storage.store_raw_data(b"torn", key))
        async with opened_capture(storage, VirtualClock(START + 60_000_000_000)) as capture:
            resumed = or_raise(await capture.resume_capture("s"))

        assert resumed.captured_logs == 2
        assert f"{key} is damaged at byte 0" in caplog.text

    async def test_its_switches_are_those_it_was_started_with(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        async with crashing_capture(storage, clock) as crashed:
            or_raise(
                await crashed.start_capture(
                    attrs.evolve(CONFIG, capture_traces=False, max_size_mb=1e-6)
                )
            )
        async with opened_capture(storage, VirtualClock(START + 60_000_000_000)) as capture:
            or_raise(await capture.resume_capture("s"))

            assert await capture.capture_otlp_data("s", TRACES, "traces") == Failure(
                SignalNotEnabled("s", "traces")
            )
            await keep(capture)
            assert isinstance(await capture.capture_otlp_data("s", LOGS, "logs"), Failure)

    async def test_a_checkpoint_notices_that_another_process_has_it(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        later = VirtualClock(START + 60_000_000_000)
        async with (
            opened_capture(storage, clock) as stale,
            opened_capture(storage, later) as capture,
        ):
            or_raise(await stale.start_capture(CONFIG))
            or_raise(await capture.resume_capture("s"))
            await keep(stale)
            await clock.advance(10)

            assert await stale.capture_otlp_data("s", LOGS, "logs") == Failure(
                SessionTakenOver("s")
            )
            assert SessionTakenOver("s").message in caplog.text
            assert clock.deadlines_ns == []
            assert await stale.get_capture_status("s") == Success(await stored(storage))
            assert await stale.stop_capture("s") == Failure(SessionAlreadyActive("s", 0.0))
            stopped = await capture.stop_capture("s")
            assert await stale.stop_capture("s") == stopped
            assert await stale.list_capture_sessions() == Success((or_raise(stopped),))

    async def test_a_session_that_was_deleted_meanwhile_is_not_written_again(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        or_raise(await discard_session(storage, "s"))
        await clock.advance(10)

        assert await capture.get_capture_status("s") == Failure(SessionNotFound("s"))
        assert isinstance(await capture.start_capture(CONFIG), Success)
