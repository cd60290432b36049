"""What a process left in the spool, and what becomes of it when recovery itself ends early."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from otlp_capture.capture import CaptureSettings, StorageFailure
from otlp_capture.clock import moment
from otlp_capture.layer import open_runtime
from otlp_capture.result import or_raise
from otlp_capture.sessions import discard_session, load_session, save_session
from otlp_capture.spool import open_spool
from otlp_capture.storage import S3StorageTag, local_storage
from tests.captures import (
    CONFIG,
    LOGS,
    TRACES,
    crashing_capture,
    held,
    keep,
    opened_capture,
    recounted,
    stored,
)
from tests.clocks import VirtualClock
from tests.faulty_storage import FaultyStorage, When
from tests.receiving import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[FaultyStorage]:
    async with open_runtime(local_storage(tmp_path / "store"), S3StorageTag) as opened:
        (inner,) = or_raise(opened)
        yield FaultyStorage(inner)


async def left_behind(storage: FaultyStorage, clock: VirtualClock) -> None:
    """Keep two requests in the spool, and die."""
    async with crashing_capture(storage, clock) as service:
        or_raise(await service.start_capture(CONFIG))
        await keep(service, LOGS, "logs")
        await keep(service, TRACES, "traces")


class TestRecoveryThatEndsEarly:
    @pytest.mark.parametrize("within", ["/manifest/", "metadata.json"])
    async def test_a_session_that_has_ended_is_counted_by_the_next_process(
        self, storage: FaultyStorage, clock: VirtualClock, within: str
    ) -> None:
        await left_behind(storage, clock)
        # Somebody elsewhere, who sees the store and not the spool, has ended it.
        loaded = or_raise(await load_session(storage, "s"))
        ended = attrs.evolve(
            loaded.metadata,
            status="completed",
            end_reason="stopped",
            end_time=moment(clock.time_ns()),
            recorder_id=None,
        )
        or_raise(await save_session(storage, ended, loaded.etag))
        spool = or_raise(open_spool(storage))
        assert spool is not None
        folder = spool.segments / "s"

        storage.fail("store_raw_data", within=within)
        async with crashing_capture(storage, clock) as dying:
            or_raise(await dying.stop_capture("s"))
            await until(lambda: not storage.still_fails)
        assert folder.exists()
        async with crashing_capture(storage, clock) as service:
            or_raise(await service.stop_capture("s"))
            await until(lambda: not folder.exists())

        metadata = await stored(storage)
        assert (metadata.captured_logs, metadata.captured_traces) == (1, 1)
        assert metadata == await recounted(storage, metadata)

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_a_session_is_taken_up_at_once_after_a_death_while_taking_it_up(
        self, storage: FaultyStorage, clock: VirtualClock, when: When
    ) -> None:
        await left_behind(storage, clock)
        for _ in range(3):
            storage.fail("store_raw_data", within="metadata.json", when=when)
            async with crashing_capture(storage, clock) as dying:
                failed = await dying.resume_capture("s")
                assert isinstance(failed.failure(), StorageFailure)

        async with opened_capture(storage, clock) as service:
            or_raise(await service.resume_capture("s"))
            stopped = or_raise(await service.stop_capture("s"))

        kept = Counter((each.signal, each.request) for each in await held(storage))
        assert kept == Counter([("logs", LOGS), ("traces", TRACES)])
        assert stopped.captured_requests == 2

    async def test_a_session_is_taken_up_at_once_after_a_death_while_it_began(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        storage.fail("store_raw_data", within="metadata.json", when="after")
        async with crashing_capture(storage, clock) as dying:
            failed = await dying.start_capture(CONFIG)
            assert isinstance(failed.failure(), StorageFailure)

        async with opened_capture(storage, clock) as service:
            or_raise(await service.resume_capture("s"))


class TestSetAside:
    async def test_what_belongs_to_no_session_any_more_takes_no_room(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        await left_behind(storage, clock)
        or_raise(await discard_session(storage, "s"))
        settings = CaptureSettings(spool_budget_bytes=500)

        async with opened_capture(storage, clock, settings) as service:
            or_raise(await service.start_capture(CONFIG))
            for _ in range(3):
                await keep(service, LOGS, "logs")
            stopped = or_raise(await service.stop_capture("s"))

        assert 300 < stopped.total_size_bytes < 500
