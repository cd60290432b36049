"""Sessions whose requests are acknowledged from the spool, or from memory."""

from pathlib import Path

import anyio
import attrs
import pytest
from returns.result import Failure, Success

from otlp_capture.capture import (
    CaptureSettings,
    InvalidConfig,
    OtlpCaptureService,
    SessionAlreadyActive,
    SessionEnded,
    StorageFailure,
)
from otlp_capture.otlp import Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    SessionAlreadyExists,
    SessionNotFound,
    discard_session,
    index_session,
    session_prefix,
)
from otlp_capture.storage import S3Storage
from tests.captures import (
    CONFIG,
    crashing_capture,
    held,
    keep,
    opened_capture,
    recounted,
    stored,
)
from tests.clocks import VirtualClock, settled
from tests.faulty_storage import FaultyStorage
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio


@pytest.fixture
def spooled(tmp_path: Path) -> CaptureSettings:
    return CaptureSettings(durability="spool", spool_directory=tmp_path)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.otlp.gz") if path.is_file()]


def numbered(number: int, signal: Signal = "logs") -> bytes:
    return small_request(signal, text=str(number))


async def requests_in(storage: S3Storage, session_id: str = "s") -> list[bytes]:
    return [each.request for each in await held(storage, session_id)]


class TestDurability:
    async def test_a_request_is_acknowledged_before_it_is_in_the_store(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        spooled: CaptureSettings,
        tmp_path: Path,
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_capture(CONFIG))
            reference = await keep(capture)
            running = or_raise(await capture.get_capture_status("s"))

            assert reference.durability == "spool"
            assert [key for key in storage.written if "/raw/" in key] == []
            assert len(files(tmp_path)) == 1
            assert running.captured_logs == 1
            stopped = or_raise(await capture.stop_capture("s"))

        assert storage.written[1:2] == [reference.key]
        assert stopped == await recounted(storage, stopped)
        assert files(tmp_path) == []
        assert not list(tmp_path.rglob("owner"))

    async def test_memory_acknowledges_at_once_and_publishes_later(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        async with opened_capture(storage, clock, CaptureSettings(durability="memory")) as capture:
            or_raise(await capture.start_capture(CONFIG))
            references = [await keep(capture, numbered(number)) for number in range(3)]
            assert [key for key in storage.written if "/raw/" in key] == []
            await clock.advance(30)
            assert await requests_in(storage) == [numbered(number) for number in range(3)]
            await keep(capture, numbered(3))
            or_raise(await capture.stop_capture("s"))

        assert {reference.durability for reference in references} == {"memory"}
        assert await requests_in(storage) == [numbered(number) for number in range(4)]

    async def test_memory_has_objects_unless_told_otherwise(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        async with opened_capture(storage, clock) as capture:
            or_raise(await capture.start_capture(CONFIG))

            assert (await keep(capture)).durability == "object"

    async def test_memory_has_no_spool(self, storage: FaultyStorage, clock: VirtualClock) -> None:
        async with opened_capture(storage, clock, CaptureSettings(durability="spool")) as capture:
            error = (await capture.start_capture(CONFIG)).failure()

        assert isinstance(error, InvalidConfig)
        assert (error.field, error.value) == ("durability", "spool")
        assert storage.written == []

    async def test_a_checkpoint_counts_what_is_in_the_spool(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_capture(CONFIG))
            await keep(capture)
            await clock.advance(10)

            assert (await stored(storage)).captured_logs == 1

    async def test_an_outage_costs_nothing_until_the_budget_is_used_up(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        little = attrs.evolve(spooled, spool_budget_bytes=2_000, publish_bytes=100)
        async with opened_capture(storage, clock, little) as capture:
            or_raise(await capture.start_capture(CONFIG))
            storage.fail("publish_file", times=10_000)
            outcomes = [
                await capture.capture_otlp_data("s", numbered(number), "logs")
                for number in range(30)
            ]
            taken = [number for number, each in enumerate(outcomes) if isinstance(each, Success)]
            refusals = {type(each.failure()) for each in outcomes[len(taken) :]}
            storage.mend()
            await clock.advance(60)
            or_raise(await capture.capture_otlp_data("s", numbered(30), "logs"))
            stopped = or_raise(await capture.stop_capture("s"))

        assert taken == [*range(len(taken))]
        assert 10 < len(taken) < 30
        assert refusals == {StorageFailure}
        assert await requests_in(storage) == [numbered(number) for number in [*taken, 30]]
        assert stopped == await recounted(storage, stopped)

    async def test_the_end_waits_for_what_is_not_published(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_capture(CONFIG))
            await keep(capture)
            storage.fail("publish_file", times=2)

            refused = await capture.stop_capture("s")
            assert refused == Failure(StorageFailure("s", storage.error))
            assert isinstance(
                (await capture.capture_otlp_data("s", numbered(1), "logs")).failure(), SessionEnded
            )
            await clock.advance(30)
            status = or_raise(await capture.get_capture_status("s"))

        assert (status.status, status.captured_logs) == ("completed", 1)
        assert len(await held(storage)) == 1

    async def test_a_service_that_closes_publishes_what_it_can(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        spooled: CaptureSettings,
        tmp_path: Path,
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_capture(CONFIG))
            await keep(capture)
        assert len(await held(storage)) == 1

        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.resume_capture("s"))
            await keep(capture)
            storage.fail("publish_file")
        assert len(files(tmp_path)) == 1

        async with opened_capture(storage, clock, spooled) as capture:
            stopped = or_raise(await capture.stop_capture("s"))
        assert stopped.captured_logs == len(await held(storage)) == 2


class TestAfterACrash:
    async def test_a_session_is_taken_up_at_once_where_its_process_died(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with crashing_capture(storage, clock, spooled) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            for number in range(3):
                await keep(crashed, numbered(number))
        assert await held(storage) == []

        async with opened_capture(storage, clock, spooled) as capture:
            resumed = or_raise(await capture.resume_capture("s"))
            await keep(capture, numbered(3))
            stopped = or_raise(await capture.stop_capture("s"))

        assert resumed.captured_logs == 3
        assert [each.sequence for each in await held(storage)] == [0, 1, 2, 3]
        assert stopped == await recounted(storage, stopped)

    async def test_another_machine_has_to_wait(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings, tmp_path: Path
    ) -> None:
        elsewhere = attrs.evolve(spooled, spool_directory=tmp_path / "elsewhere")
        async with crashing_capture(storage, clock, spooled) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            await keep(crashed)

        async with opened_capture(storage, clock, elsewhere) as capture:
            error = (await capture.resume_capture("s")).failure()
            assert error == SessionAlreadyActive("s", 0.0)
            await clock.advance(60)
            or_raise(await capture.resume_capture("s"))

            # The machine that lost it does not take it back while it is recorded.
            async with opened_capture(storage, clock, spooled) as back:
                error = (await back.resume_capture("s")).failure()
                assert error == SessionAlreadyActive("s", 0.0)
                await settled()
            stopped = or_raise(await capture.stop_capture("s"))

        assert stopped.captured_logs == 1, (
            "what it had left is published by the machine that has it"
        )

    async def test_what_is_left_of_an_ended_session_is_published_and_counted(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings, tmp_path: Path
    ) -> None:
        elsewhere = attrs.evolve(spooled, spool_directory=tmp_path / "elsewhere")
        async with crashing_capture(storage, clock, spooled) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            await keep(crashed)
        await clock.advance(60)
        async with opened_capture(storage, clock, elsewhere) as capture:
            assert or_raise(await capture.stop_capture("s")).captured_logs == 0

        async with opened_capture(storage, clock, spooled) as capture:
            (recovered,) = map(or_raise, await capture.recover_leftovers())

        assert (recovered.requests, recovered.is_over) == (1, True)
        metadata = await stored(storage)
        assert (metadata.status, metadata.captured_logs) == ("completed", 1)
        assert metadata == await recounted(storage, metadata)
        assert or_raise(await index_session(storage, "s")).segments[0].services == ("cart",)

    async def test_what_is_left_of_a_session_that_is_gone_is_kept_aside(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        spooled: CaptureSettings,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async with crashing_capture(storage, clock, spooled) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            await keep(crashed)
        or_raise(await discard_session(storage, "s"))

        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_capture(attrs.evolve(CONFIG, session_id="another")))
            await settled()

        assert [path.parent.parent.name for path in files(tmp_path)] == ["quarantine"]
        assert "belongs to no session" in caplog.text
        assert [
            or_raise(found).key async for found in storage.list_objects(f"{session_prefix('s')}/")
        ] == []

    async def test_a_new_session_of_that_name_begins_empty(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings, tmp_path: Path
    ) -> None:
        async with crashing_capture(storage, clock, spooled) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            await keep(crashed, numbered(0))
        or_raise(await discard_session(storage, "s"))

        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_capture(CONFIG))
            await keep(capture, numbered(1))
            stopped = or_raise(await capture.stop_capture("s"))

        assert stopped.captured_logs == 1
        assert await requests_in(storage) == [numbered(1)]
        assert [path.parent.parent.name for path in files(tmp_path)] == ["quarantine"]

    async def test_starting_over_an_orphan_says_that_it_is_there(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with crashing_capture(storage, clock, spooled) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            await keep(crashed)

        async with opened_capture(storage, clock, spooled) as capture:
            assert await capture.start_capture(CONFIG) == Failure(
                SessionAlreadyExists("s", "active")
            )
            assert or_raise(await capture.resume_capture("s")).captured_logs == 1

    async def test_a_store_that_is_away_leaves_it_in_the_spool(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings, tmp_path: Path
    ) -> None:
        async with crashing_capture(storage, clock, spooled) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            await keep(crashed)

        async with opened_capture(storage, clock, spooled) as capture:
            storage.fail("publish_file")
            assert await capture.resume_capture("s") == Failure(StorageFailure("s", storage.error))
            assert len(files(tmp_path)) == 1
            assert or_raise(await capture.resume_capture("s")).captured_logs == 1


class TestRecovering:
    @pytest.fixture
    async def orphan(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with crashing_capture(storage, clock, spooled) as crashed:
            or_raise(await crashed.start_capture(CONFIG))
            await keep(crashed)

    @pytest.mark.usefixtures("orphan")
    async def test_an_orphan_is_brought_to_its_end(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings, tmp_path: Path
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            recovered = or_raise(await capture.recover_capture("s"))
            again = or_raise(await capture.recover_capture("s"))

        assert (recovered.status, recovered.captured_logs) == ("completed", 1)
        assert again == recovered == await recounted(storage, recovered)
        assert list(tmp_path.rglob("owner")) == []

    @pytest.mark.usefixtures("orphan")
    async def test_all_leftovers_are_published_and_the_session_waits(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            (recovered,) = map(or_raise, await capture.recover_leftovers())
            status = or_raise(await capture.get_capture_status("s"))
            resumed = or_raise(await capture.resume_capture("s"))

        assert (recovered.session_id, recovered.requests, recovered.is_over) == ("s", 1, False)
        assert status.status == "active"
        assert resumed.captured_logs == 1

    async def test_a_session_that_is_recorded_is_left_alone(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with (
            opened_capture(storage, clock, spooled) as recording,
            opened_capture(storage, clock, spooled) as other,
        ):
            or_raise(await recording.start_capture(CONFIG))
            await keep(recording)

            assert await other.recover_leftovers() == ()
            assert await other.recover_capture("s") == Failure(
                SessionAlreadyActive("s", 0.0, is_held_here=True)
            )

    async def test_no_session_is_no_session(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            assert await capture.recover_capture("s") == Failure(SessionNotFound("s"))


async def test_two_services_of_a_machine_do_not_record_one_session(
    storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
) -> None:
    started: list[object] = []

    async def start(capture: OtlpCaptureService) -> None:
        started.append(await capture.start_capture(CONFIG))

    storage.is_exact = False
    async with (
        opened_capture(storage, clock, spooled) as one,
        opened_capture(storage, clock, spooled) as other,
    ):
        async with anyio.create_task_group() as starting:
            starting.start_soon(start, one)
            starting.start_soon(start, other)

        assert sorted(isinstance(each, Success) for each in started) == [False, True]


async def test_room_that_another_process_gives_back_can_be_used(
    storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
) -> None:
    """What it held is looked at again where there is no room, at most once a second."""
    little = attrs.evolve(spooled, spool_budget_bytes=2_000)
    body = numbered(1)
    async with opened_capture(storage, clock, spooled) as other:
        or_raise(await other.start_capture(CONFIG))
        for _ in range(10):
            or_raise(await other.capture_otlp_data("s", body, "logs"))
        config = attrs.evolve(CONFIG, session_id="t")
        async with opened_capture(storage, clock, little) as capture:
            or_raise(await capture.start_capture(config))
            used = capture.get_spool_status().used_bytes
            outcomes = [await capture.capture_otlp_data("t", body, "logs") for _ in range(15)]
            or_raise(await other.stop_capture("s"))
            too_soon = await capture.capture_otlp_data("t", body, "logs")
            await clock.advance(1)
            later = await capture.capture_otlp_data("t", body, "logs")
            left = capture.get_spool_status().used_bytes
            or_raise(await capture.stop_capture("t"))
            at_the_end = capture.get_spool_status().used_bytes

    size = used // 10
    kept = sum(isinstance(outcome, Success) for outcome in outcomes)
    assert 0 < kept == (2_000 - used) // size < 15
    assert isinstance(too_soon, Failure)
    assert isinstance(later, Success)
    assert left == size * (kept + 1)
    assert at_the_end == 0
