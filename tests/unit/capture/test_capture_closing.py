"""Cancelled callers, and services that close or crash."""

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture.capture import (
    CaptureSettings,
    CompressionFailure,
    InvalidConfig,
    OtlpCaptureService,
    SessionAlreadyActive,
    SessionEnded,
    SignalNotEnabled,
    StorageFailure,
    UnsupportedContentEncoding,
)
from otlp_capture.clock import moment
from otlp_capture.result import Fault, or_raise
from otlp_capture.storage import (
    StorageFault,
)
from tests.captures import (
    CONFIG,
    LOGS,
    PATIENT,
    Background,
    crashing_capture,
    held,
    keep,
    opened_capture,
    recounted,
    stored,
)
from tests.clocks import START, VirtualClock, settled
from tests.faulty_storage import FaultyStorage

pytestmark = pytest.mark.anyio


class TestCancellation:
    async def test_a_cancelled_caller_does_not_lose_what_others_wait_for(
        self, storage: FaultyStorage, clock: VirtualClock, background: Background
    ) -> None:
        async with opened_capture(storage, clock, PATIENT) as capture:
            or_raise(await capture.start_capture(CONFIG))
            with anyio.CancelScope() as scope:
                scope.cancel()
                await capture.capture_otlp_data("s", LOGS, "logs")
            other = background.start(lambda: capture.capture_otlp_data("s", LOGS, "logs"))
            await settled()
            stopped = or_raise(await capture.stop_capture("s"))
            await settled()

        assert scope.cancelled_caught
        assert isinstance(other[0], Success)
        assert stopped.captured_logs == 2

    async def test_a_cancelled_stop_can_be_done_again(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        with anyio.CancelScope() as scope:
            storage.follow_write("metadata.json", scope.cancel)
            await capture.stop_capture("s")
        assert scope.cancelled_caught

        stopped = or_raise(await capture.stop_capture("s"))

        assert stopped == await stored(storage) == await recounted(storage, stopped)


class TestClosing:
    async def test_an_active_session_stays_active_with_a_fresh_checkpoint(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        async with opened_capture(storage, clock) as capture:
            or_raise(await capture.start_capture(CONFIG))
            await keep(capture)
            await clock.advance(3)

        left = await stored(storage)
        assert (left.status, left.captured_logs) == ("active", 1)
        assert left.last_checkpoint_time == moment(START + 3_000_000_000)
        assert left == await recounted(storage, left)

    async def test_what_came_is_settled_and_what_comes_is_told_to_come_again(
        self, storage: FaultyStorage, clock: VirtualClock, background: Background
    ) -> None:
        async with opened_capture(storage, clock, PATIENT) as capture:
            or_raise(await capture.start_capture(CONFIG))
            waiting = background.start(lambda: capture.capture_otlp_data("s", LOGS, "logs"))
            await settled()

        late = await capture.capture_otlp_data("s", LOGS, "logs")

        assert isinstance(waiting[0], Success)
        assert (await stored(storage)).captured_logs == 1
        fault = StorageFault(
            "The recorder", "", "Cancelled", "it was shut down before this was stored"
        )
        assert late == Failure(StorageFailure("s", fault))
        assert late.failure().retryable

    async def test_an_end_that_could_not_be_written_is_written(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        async with opened_capture(storage, clock) as capture:
            or_raise(await capture.start_capture(CONFIG))
            await keep(capture)
            storage.fail("store_raw_data", within="metadata.json")
            assert isinstance(await capture.stop_capture("s"), Failure)

        assert (await stored(storage)).status == "completed"

    async def test_sessions_that_have_ended_or_went_to_others_are_left_alone(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        later = VirtualClock(START + 60_000_000_000)
        async with opened_capture(storage, later) as other:
            async with opened_capture(storage, clock) as capture:
                or_raise(await capture.start_capture(CONFIG))
                or_raise(await capture.start_capture(attrs.evolve(CONFIG, session_id="t")))
                or_raise(await capture.stop_capture("t"))
                or_raise(await other.resume_capture("s"))
                assert isinstance(await capture.stop_capture("s"), Failure)
                written = len(storage.written)
            assert len(storage.written) == written

    async def test_a_killed_service_acknowledges_nothing_that_it_lost(
        self, storage: FaultyStorage, clock: VirtualClock, background: Background
    ) -> None:
        async with crashing_capture(storage, clock, PATIENT) as capture:
            or_raise(await capture.start_capture(CONFIG))
            waiting = background.start(lambda: capture.capture_otlp_data("s", LOGS, "logs"))
            await settled()
        await settled()

        assert isinstance(waiting[0], Failure)
        assert await held(storage) == []

    async def test_cancelling_its_runtime_keeps_what_was_acknowledged(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        with anyio.CancelScope() as scope:
            async with opened_capture(storage, clock) as capture:
                or_raise(await capture.start_capture(CONFIG))
                await keep(capture)
                scope.cancel()
                await capture.capture_otlp_data("s", LOGS, "logs")

        left = await stored(storage)
        assert (left.status, left.captured_logs) == ("active", 1)
        assert left == await recounted(storage, left)


class TestErrors:
    def test_each_says_what_happened(self) -> None:
        cause = StorageFault("s3", "k", "Slow", "down")
        errors: list[Any] = [
            InvalidConfig("field", 1, "it is two"),
            SessionAlreadyActive("s", 12.4),
            SessionEnded("s", "maxSize"),
            SignalNotEnabled("s", "logs"),
            UnsupportedContentEncoding("x" * 1_000_000),
            CompressionFailure("it is cut short"),
            StorageFailure("s", cause),
            StorageFailure(None, cause),
        ]

        assert all(isinstance(error, Fault) for error in errors)
        assert all(10 < len(error.message) < 400 for error in errors)
        assert [error.retryable for error in errors] == [False] * 6 + [True] * 2


class TestWhatIsUnderWayAtTheEnd:
    @pytest.fixture
    def spooled(self, tmp_path: Path) -> CaptureSettings:
        return CaptureSettings(spool_directory=tmp_path, linger_s=0.0)

    async def test_a_session_that_is_being_started_is_left_for_another_process(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        spooled: CaptureSettings,
        background: Background,
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            gate = storage.hold("metadata")
            started = background.start(lambda: capture.start_capture(CONFIG))
            await settled()
        gate.set()
        await settled()
        async with opened_capture(storage, clock, spooled) as capture:
            taken = await capture.resume_capture("s")
            or_raise(await capture.capture_otlp_data("s", LOGS, "logs"))
            stopped = or_raise(await capture.stop_capture("s"))

        assert started == [Failure(SessionEnded("s", "the recorder is shut down"))]
        assert or_raise(taken).status == "active"
        assert stopped.captured_logs == 1

    async def test_a_session_that_is_being_taken_up_is_left_for_another_process(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        spooled: CaptureSettings,
        background: Background,
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_capture(CONFIG))
            or_raise(await capture.capture_otlp_data("s", LOGS, "logs"))
        async with opened_capture(storage, clock, spooled) as capture:
            gate = storage.hold("metadata")
            resumed = background.start(lambda: capture.resume_capture("s"))
            await settled()
        gate.set()
        await settled()
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.resume_capture("s"))
            stopped = or_raise(await capture.stop_capture("s"))

        assert resumed == [Failure(SessionEnded("s", "the recorder is shut down"))]
        assert stopped.captured_logs == 1

    async def test_afterwards_nothing_is_begun(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            pass
        started = await capture.start_capture(CONFIG)
        resumed = await capture.resume_capture("s")

        assert started == resumed == Failure(SessionEnded("s", "the recorder is shut down"))
        assert storage.written == []


async def test_of_very_many_sessions_that_have_ended_the_last_are_remembered(
    storage: FaultyStorage, clock: VirtualClock
) -> None:
    async with opened_capture(storage, clock) as capture:
        for number in range(270):
            config = attrs.evolve(CONFIG, session_id=f"s{number}")
            or_raise(await capture.start_capture(config))
            or_raise(await capture.stop_capture(f"s{number}"))
        storage.read.clear()
        first = await capture.capture_otlp_data("s0", LOGS, "logs")
        reads = len(storage.read)
        last = await capture.capture_otlp_data("s269", LOGS, "logs")
        status = or_raise(await capture.get_capture_status("s0"))

    assert first == Failure(SessionEnded("s0", "stopped"))
    assert last == Failure(SessionEnded("s269", "stopped"))
    assert reads == len(storage.read) - 1 == 1
    assert status.status == "completed"
