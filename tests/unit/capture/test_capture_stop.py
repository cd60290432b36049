"""How a session ends."""

import gzip
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture.capture import (
    OtlpCaptureService,
    SessionAlreadyActive,
    SessionEnded,
    StorageFailure,
)
from otlp_capture.clock import moment
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    InvalidSessionId,
    MetadataCorrupted,
    RecordCounts,
    SessionNotFound,
    index_session,
)
from tests.captures import (
    CONFIG,
    LOGS,
    TRACES,
    Background,
    crashing_capture,
    held,
    indexed,
    keep,
    opened_capture,
    recounted,
    stored,
)
from tests.clocks import START, VirtualClock, settled
from tests.faulty_storage import FaultyStorage

pytestmark = pytest.mark.anyio


class TestStop:
    async def test_it_ends_the_session_once(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        await clock.advance(3)

        first = await capture.stop_capture("s")
        written = len(storage.written)
        second = await capture.stop_capture("s")

        now = moment(START + 3_000_000_000)
        assert first == Success(
            attrs.evolve(
                await recounted(storage, first.unwrap()),
                status="completed",
                end_reason="stopped",
                end_time=now,
                last_checkpoint_time=now,
                record_counts=RecordCounts(log_records=1),
            )
        )
        assert second == first == Success(await stored(storage))
        assert len(storage.written) == written

    async def test_many_at_once_get_one_answer(
        self, storage: FaultyStorage, capture: OtlpCaptureService, background: Background
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        calls = [background.start(lambda: capture.stop_capture("s")) for _ in range(5)]
        await settled()

        assert [call[0] for call in calls] == [Success(await stored(storage))] * 5

    async def test_afterwards_requests_are_refused(self, capture: OtlpCaptureService) -> None:
        or_raise(await capture.start_capture(CONFIG))
        or_raise(await capture.stop_capture("s"))

        assert await capture.capture_otlp_data("s", LOGS, "logs") == Failure(
            SessionEnded("s", "stopped")
        )

    async def test_a_request_that_is_being_prepared_meanwhile_is_refused(
        self, storage: FaultyStorage, capture: OtlpCaptureService, background: Background
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        body = gzip.compress(LOGS)
        sent = background.start(
            lambda: capture.capture_otlp_data("s", body, "logs", content_encoding="gzip")
        )
        await anyio.lowlevel.checkpoint()
        stopping = background.start(lambda: capture.stop_capture("s"))
        await settled()

        assert sent == [Failure(SessionEnded("s", "stopped"))]
        assert or_raise(stopping[0]).captured_requests == 0
        assert await held(storage) == []

    async def test_a_session_that_is_not_there_cannot_be_stopped(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        or_raise(await storage.store_raw_data(b"?", "sessions/odd/metadata.json"))

        assert await capture.stop_capture("s") == Failure(SessionNotFound("s"))
        assert await capture.stop_capture("../s") == Failure(InvalidSessionId("../s"))
        odd = await capture.stop_capture("odd")
        assert isinstance(odd.failure(), MetadataCorrupted)

    async def test_one_that_nobody_records_is_counted_and_closed(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        async with crashing_capture(storage, clock) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            for _ in range(3):
                await keep(crashed)
        later = VirtualClock(START + 61_000_000_000)

        async with opened_capture(storage, later) as capture:
            stopped = or_raise(await capture.stop_capture("s"))

        assert (stopped.status, stopped.captured_logs) == ("completed", 3)
        assert stopped == await stored(storage) == await recounted(storage, stopped)
        assert or_raise(await index_session(storage, "s")) == await indexed(storage)

    async def test_one_that_another_process_records_is_left_alone(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        other_clock = VirtualClock(START + 59_000_000_000)
        async with opened_capture(storage, other_clock) as other:
            refused = await other.stop_capture("s")

        assert refused == Failure(SessionAlreadyActive("s", 59.0))
        assert refused.failure().message == (
            "Session 's' is being recorded: its last checkpoint is 59 s old. "
            "It can be taken up once that is 60 s."
        )
        await keep(capture)

    @pytest.mark.parametrize(
        ("method", "within", "when"),
        [
            ("store_raw_data", "/manifest/", "before"),
            ("store_raw_data", "/manifest/", "after"),
            ("store_raw_data", "metadata.json", "before"),
            ("store_raw_data", "metadata.json", "after"),
            ("list_objects", "/raw/", "before"),
        ],
    )
    async def test_where_the_store_fails_it_can_be_done_again(
        self,
        storage: FaultyStorage,
        capture: OtlpCaptureService,
        method: str,
        within: str,
        when: Any,
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        storage.fail(method, within=within, when=when)

        failed = await capture.stop_capture("s")
        refused = await capture.capture_otlp_data("s", LOGS, "logs")
        stopped = or_raise(await capture.stop_capture("s"))

        assert failed == Failure(StorageFailure("s", storage.error))
        assert refused == Failure(SessionEnded("s", "stopped"))
        assert stopped == await stored(storage) == await recounted(storage, stopped)

    async def test_where_the_store_fails_it_is_done_again_by_itself(
        self, storage: FaultyStorage, capture: OtlpCaptureService, clock: VirtualClock
    ) -> None:
        or_raise(await capture.start_capture(attrs.evolve(CONFIG, max_duration_minutes=1)))
        await keep(capture)
        await clock.advance(55)
        storage.fail("store_raw_data", times=2, within="metadata.json")
        await clock.advance(14)
        before = await stored(storage)
        await clock.advance(11)

        assert before.status == "active"
        assert (await stored(storage)).end_reason == "maxDuration"

    async def test_a_segment_that_was_stored_though_the_store_said_otherwise_counts(
        self, storage: FaultyStorage, capture: OtlpCaptureService
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        storage.fail("store_raw_data", within="/raw/", when="after")
        failed = await capture.capture_otlp_data("s", TRACES, "traces")
        before = or_raise(await capture.get_capture_status("s"))

        stopped = or_raise(await capture.stop_capture("s"))

        assert failed == Failure(StorageFailure("s", storage.error))
        assert (before.captured_logs, before.captured_traces) == (1, 0)
        assert (stopped.captured_logs, stopped.captured_traces) == (1, 1)
        assert stopped == await recounted(storage, stopped)

    async def test_damage_is_logged_and_what_is_sound_is_counted(
        self,
        storage: FaultyStorage,
        capture: OtlpCaptureService,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        or_raise(await capture.start_capture(CONFIG))
        await keep(capture)
        key = "sessions/s/raw/2025-11-23/01/logs-1763861000123-x.otlp.gz"
        or_raise(await storage.store_raw_data(gzip.compress(LOGS) + b"torn", key))

        stopped = or_raise(await capture.stop_capture("s"))

        assert stopped.captured_logs == 2
        assert f"{key} is damaged at byte" in caplog.text
        assert [d.key for d in or_raise(await index_session(storage, "s")).damages] == [key]
