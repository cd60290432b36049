"""Sessions that end by themselves."""

import anyio
import anyio.lowlevel
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture.capture import (
    OtlpCaptureService,
    SessionEnded,
    StorageFailure,
)
from otlp_capture.clock import moment
from otlp_capture.result import or_raise
from tests.captures import (
    CONFIG,
    LOGS,
    Background,
    crashing_capture,
    keep,
    opened_capture,
    recounted,
    stored,
)
from tests.clocks import START, VirtualClock, settled
from tests.faulty_storage import FaultyStorage
from tests.sessions import opened_memory
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio


class TestLimits:
    async def test_the_request_that_crosses_the_size_is_kept_and_the_next_refused(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        size = (await self.size_of(capture)) / 1e6
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_size_mb=2.5 * size)))

        for _ in range(3):
            await keep(capture)
        refused = await capture.capture_otlp_data("s", LOGS, "logs")
        await settled()

        ended = await stored(storage)
        assert refused == Failure(SessionEnded("s", "maxSize"))
        assert refused.failure().message == (
            "Session 's' has ended (maxSize) and takes no more requests."
        )
        assert (ended.status, ended.end_reason, ended.captured_logs) == ("completed", "maxSize", 3)
        assert ended == await recounted(storage, ended)
        assert await capture.get_capture_status("s") == Success(ended)

    async def test_reaching_the_size_exactly_ends_it_too(self, capture: OtlpCaptureService) -> None:
        size = (await self.size_of(capture)) / 1e6
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_size_mb=2 * size)))

        for _ in range(2):
            await keep(capture)

        assert await capture.capture_otlp_data("s", LOGS, "logs") == Failure(
            SessionEnded("s", "maxSize")
        )

    async def test_what_is_under_way_counts_against_the_size(
        self, storage: FaultyStorage, capture: OtlpCaptureService, background: Background
    ) -> None:
        size = (await self.size_of(capture)) / 1e6
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_size_mb=1.5 * size)))
        gate = storage.hold("/raw/")
        calls = [
            background.start(lambda: capture.capture_otlp_data("s", LOGS, "logs")) for _ in range(4)
        ]
        await settled()
        gate.set()
        await settled()

        refused = [call[0] for call in calls if isinstance(call[0], Failure)]
        assert refused == [Failure(SessionEnded("s", "maxSize"))] * 2
        assert (await stored(storage)).captured_logs == 2

    async def test_what_could_not_be_stored_makes_room_again(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_size_mb=1e-6)))
        storage.fail("store_raw_data", within="/raw/")

        failed = await capture.capture_otlp_data("s", LOGS, "logs")
        await keep(capture)

        assert failed == Failure(StorageFailure("s", storage.error))

    async def test_a_cancelled_caller_whose_request_failed_makes_room_too(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_size_mb=1e-6)))
        gate = storage.hold("/raw/")
        storage.fail("store_raw_data", within="/raw/")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await capture.capture_otlp_data("s", LOGS, "logs")
        gate.set()
        await settled()

        await keep(capture)

    async def test_stopping_while_the_size_is_being_reached_says_one_reason(
        self, storage: FaultyStorage, capture: OtlpCaptureService, background: Background
    ) -> None:
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_size_mb=1e-6)))
        gate = storage.hold("/raw/")
        storage.fail("store_raw_data", within="/raw/")
        sent = background.start(lambda: capture.capture_otlp_data("s", LOGS, "logs"))
        await settled()
        stopping = background.start(lambda: capture.stop_capture("s"))
        await settled()
        gate.set()
        await settled()

        late = await capture.capture_otlp_data("s", LOGS, "logs")

        assert isinstance(sent[0], Failure)
        stopped = or_raise(stopping[0])
        assert (stopped.status, stopped.end_reason) == ("completed", "stopped")
        assert late == Failure(SessionEnded("s", "stopped"))
        assert stopped == await stored(storage) == await recounted(storage, stopped)

    async def test_the_age_ends_it(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_duration_minutes=1)))
        await keep(capture)
        await clock.advance(59.9)
        await keep(capture)
        await clock.advance(0.1)

        refused = await capture.capture_otlp_data("s", LOGS, "logs")

        ended = await stored(storage)
        assert refused == Failure(SessionEnded("s", "maxDuration"))
        assert (ended.status, ended.end_reason) == ("completed", "maxDuration")
        assert (ended.captured_logs, ended.end_time) == (2, moment(START + 60_000_000_000))

    async def test_an_age_that_passed_while_nobody_recorded_ends_it_at_once(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        async with crashing_capture(storage, clock) as crashed:
            or_raise(await crashed.start_capture(attrs.evolve(CONFIG, max_duration_minutes=2)))
            await keep(crashed)
        async with opened_capture(storage, VirtualClock(START + 180_000_000_000)) as capture:
            or_raise(await capture.resume_capture("s"))
            await settled()

            assert (await stored(storage)).end_reason == "maxDuration"

    async def test_no_age_is_too_long_to_count(
        self, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_duration_minutes=1e308)))
        await clock.advance(1_000)

        await keep(capture)

    async def size_of(self, capture: OtlpCaptureService) -> int:
        """Say how long the frame of a request is."""
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, session_id="probe")))
        return or_raise(await capture.capture_otlp_data("probe", LOGS, "logs")).size_bytes


@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=12), limit=st.integers(1, 2_000))
@settings(max_examples=25)
def test_a_size_limit_is_crossed_at_most_once(sizes: list[int], limit: int) -> None:
    async def run() -> None:
        async with opened_memory() as storage, opened_capture(storage, VirtualClock()) as capture:
            or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_size_mb=limit / 1e6)))
            kept: list[int] = []
            for size in sizes:
                request = small_request("logs", text="x" * size)
                outcome = await capture.capture_otlp_data("s", request, "logs")
                assert isinstance(outcome, Success) == (sum(kept) < limit)
                if isinstance(outcome, Success):
                    kept.append(outcome.unwrap().size_bytes)
            stopped = or_raise(await capture.stop_capture("s"))
            assert (stopped.captured_logs, stopped.total_size_bytes) == (len(kept), sum(kept))
            is_over = sum(kept) >= limit
            assert stopped.end_reason == ("maxSize" if is_over else "stopped")

    anyio.run(run)
