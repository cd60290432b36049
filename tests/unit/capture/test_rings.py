"""Rings: the last minutes, and the sessions that are made of them."""

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture.capture import (
    CaptureConfig,
    CaptureSettings,
    InvalidConfig,
    OtlpCaptureService,
    RingConfig,
    SessionAlreadyActive,
    SessionEnded,
    SignalNotEnabled,
    StorageFailure,
)
from otlp_capture.result import or_raise
from otlp_capture.sessions import SessionAlreadyExists, SessionNotFound
from tests.captures import Background, crashing_capture, held, opened_capture, recounted
from tests.clocks import START, VirtualClock, settled
from tests.faulty_storage import FaultyStorage
from tests.sessions import opened_memory
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

KEEP_S = 60.0
RING = RingConfig(
    session=CaptureConfig(session_id="r", created_by="tests", labels={"team": "shop"}),
    keep_s=KEEP_S,
)


@pytest.fixture
def spooled(tmp_path: Path) -> CaptureSettings:
    return CaptureSettings(spool_directory=tmp_path)


def numbered(number: int) -> bytes:
    return small_request("logs", text=str(number))


async def send(capture: OtlpCaptureService, number: int, name: str = "r") -> Any:
    return await capture.capture_otlp_data(name, numbered(number), "logs")


async def open_later(gate: anyio.Event) -> None:
    await settled()
    gate.set()


def files_below(spooled: CaptureSettings) -> list[Path]:
    assert spooled.spool_directory is not None
    return [path for path in spooled.spool_directory.rglob("*.otlp.gz") if path.is_file()]


async def numbers_in(storage: Any, session_id: str) -> list[int]:
    texts = {numbered(number): number for number in range(1000)}
    return [texts[each.request] for each in await held(storage, session_id)]


class TestKeeping:
    async def test_what_is_older_expires_and_the_rest_becomes_a_session(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))
            for number in range(200):
                reference = or_raise(await send(capture, number))
                await clock.advance(1)
            before = or_raise(capture.get_ring_status("r"))
            session = or_raise(await capture.publish_ring("r"))
            after = or_raise(capture.get_ring_status("r"))

        assert reference.durability == "spool"
        kept = await numbers_in(storage, session.session_id)
        assert kept == [*range(kept[0], 200)]
        assert KEEP_S - 1 <= len(kept) <= KEEP_S * 1.05 + 1
        assert before.kept_requests == 200 == before.expired_requests + before.held_requests
        assert (before.held_requests, before.published_requests) == (len(kept), 0)
        assert (after.held_requests, after.held_bytes) == (0, 0)
        assert after.published_requests == len(kept)
        assert after.sessions == (session.session_id,) == ("r-20251123T012640.000000Z",)
        assert session == await recounted(storage, session)
        assert (session.status, session.labels) == ("completed", {"team": "shop"})
        assert session.start_time.timestamp() == START / 1e9 + kept[0]

    async def test_it_goes_on_and_nothing_is_published_twice(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))
            for number in range(3):
                or_raise(await send(capture, number))
            or_raise(await capture.publish_ring("r", "first"))
            for number in range(3, 5):
                or_raise(await send(capture, number))
            or_raise(await capture.publish_ring("r", "second"))
            or_raise(await capture.publish_ring("r", "empty"))

        assert await numbers_in(storage, "first") == [0, 1, 2]
        assert await numbers_in(storage, "second") == [3, 4]
        assert await numbers_in(storage, "empty") == []

    async def test_where_there_is_no_room_the_oldest_make_it(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        little = attrs.evolve(spooled, spool_budget_bytes=3_000, publish_bytes=300)
        async with opened_capture(storage, clock, little) as capture:
            or_raise(await capture.start_ring(RING))
            for number in range(100):
                or_raise(await send(capture, number))
                await settled()
            status = or_raise(capture.get_ring_status("r"))
            or_raise(await capture.publish_ring("r", "s"))

        kept = await numbers_in(storage, "s")
        assert kept == [*range(100 - len(kept), 100)]
        assert status.held_bytes <= 3_000
        assert status.expired_requests == 100 - len(kept) > 50

    async def test_a_ring_outlives_its_process(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with crashing_capture(storage, clock, spooled) as crashed:
            or_raise(await crashed.start_ring(RING))
            for number in range(30):
                or_raise(await send(crashed, number))
                await clock.advance(1)
        await clock.advance(45)

        async with opened_capture(storage, clock, spooled) as capture:
            found = or_raise(await capture.start_ring(RING))
            await settled()
            expired = or_raise(capture.get_ring_status("r")).expired_requests
            or_raise(await send(capture, 30))
            session = or_raise(await capture.publish_ring("r"))

        assert found.held_requests == 30
        assert 10 <= expired <= 15
        assert await numbers_in(storage, session.session_id) == [*range(expired, 31)]
        sequences = [each.sequence for each in await held(storage, session.session_id)]
        assert sequences == [*range(expired, 31)]

    async def test_a_ring_that_was_closed_keeps_what_it_has(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))
            or_raise(await send(capture, 7))
        assert storage.written == []

        async with opened_capture(storage, clock, spooled) as capture:
            assert or_raise(await capture.start_ring(RING)).held_requests == 1
            or_raise(await capture.publish_ring("r", "s"))
        assert await numbers_in(storage, "s") == [7]

    async def test_signals_that_it_does_not_record_are_refused(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        session = attrs.evolve(RING.session, capture_logs=False)
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(attrs.evolve(RING, session=session)))

            assert await send(capture, 0) == Failure(SignalNotEnabled("r", "logs"))

    @given(
        steps=st.lists(
            st.one_of(
                st.integers(1, 5).map(lambda count: ("send", count)),
                st.sampled_from([1, 7, 40]).map(lambda seconds: ("wait", seconds)),
                st.just(("publish", 0)),
                st.just(("crash", 0)),
            ),
            max_size=25,
        )
    )
    @settings(
        max_examples=40,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    async def test_each_request_is_held_or_published_or_has_expired(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
    ) -> None:
        clock = VirtualClock()
        spooled = CaptureSettings(spool_directory=tmp_path_factory.mktemp("spool"))
        sent, published = 0, list[int]()
        arrivals: list[int] = []
        async with opened_memory() as storage:
            while True:
                async with crashing_capture(storage, clock, spooled) as capture:
                    expired_before = sent - len(published)
                    expired_before -= or_raise(await capture.start_ring(RING)).held_requests
                    sent_before, published_before = sent, len(published)
                    kind = ""
                    while steps and kind != "crash":
                        kind, count = steps.pop(0)
                        if kind == "send":
                            for _ in range(count):
                                or_raise(await send(capture, sent))
                                arrivals.append(clock.time_ns())
                                sent += 1
                        elif kind == "wait":
                            await clock.advance(count)
                        elif kind == "publish":
                            name = f"p{len(published)}-{sent}-{len(steps)}"
                            or_raise(await capture.publish_ring("r", name))
                            published += await numbers_in(storage, name)
                    await settled()
                    status = or_raise(capture.get_ring_status("r"))
                    assert status.kept_requests == sent - sent_before
                    assert status.published_requests == len(published) - published_before
                    assert status.held_requests + status.expired_requests == (
                        sent - len(published) - expired_before
                    )
                    if not steps:
                        or_raise(await capture.publish_ring("r", "last"))
                        published += await numbers_in(storage, "last")
                        break
        assert len(set(published)) == len(published)
        recent = [n for n, at in enumerate(arrivals) if clock.time_ns() - at <= KEEP_S * 1e9]
        assert set(recent) <= set(published)


class TestWhatCannotBe:
    async def test_a_session_id_that_is_taken_leaves_everything_in_the_ring(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))
            or_raise(await capture.publish_ring("r", "taken"))
            or_raise(await send(capture, 0))

            refused = await capture.publish_ring("r", "taken")
            assert refused == Failure(SessionAlreadyExists("taken", "completed"))
            assert or_raise(capture.get_ring_status("r")).held_requests == 1
            or_raise(await capture.publish_ring("r", "free"))

        assert await numbers_in(storage, "free") == [0]

    async def test_a_store_that_is_away_gets_the_session_later(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))
            or_raise(await send(capture, 0))
            storage.fail("publish_file", times=2)

            assert await capture.publish_ring("r", "s") == Failure(
                StorageFailure("s", storage.error)
            )
            await clock.advance(30)

            status = or_raise(await capture.get_capture_status("s"))
            assert (status.status, status.captured_logs) == ("completed", 1)

    async def test_memory_alone_has_no_place_for_one(
        self, storage: FaultyStorage, clock: VirtualClock
    ) -> None:
        async with opened_capture(storage, clock) as capture:
            error = (await capture.start_ring(RING)).failure()

        assert isinstance(error, InvalidConfig)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"keep_s": 0.0}, "keep_s"),
            ({"keep_s": float("nan")}, "keep_s"),
            ({"session": attrs.evolve(RING.session, max_size_mb=1.0)}, "max_size_mb"),
            (
                {"session": attrs.evolve(RING.session, max_duration_minutes=1.0)},
                "max_duration_minutes",
            ),
        ],
    )
    async def test_what_cannot_be_is_named(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        spooled: CaptureSettings,
        changes: dict[str, Any],
        field: str,
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            error = (await capture.start_ring(attrs.evolve(RING, **changes))).failure()

        assert isinstance(error, InvalidConfig)
        assert error.field == field

    async def test_one_name_has_one_ring(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        active = Failure(SessionAlreadyActive("r", 0.0, is_held_here=True))
        async with (
            opened_capture(storage, clock, spooled) as capture,
            opened_capture(storage, clock, spooled) as other,
        ):
            or_raise(await capture.start_ring(RING))

            assert await capture.start_ring(RING) == active
            assert await other.start_ring(RING) == active
            assert await other.publish_ring("r") == Failure(SessionNotFound("r"))
            assert other.get_ring_status("r") == Failure(SessionNotFound("r"))

    async def test_two_that_want_a_session_at_once_get_two(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))
            for number in range(5):
                or_raise(await send(capture, number))
            async with anyio.create_task_group() as publishing:
                publishing.start_soon(capture.publish_ring, "r", "one")
                publishing.start_soon(capture.publish_ring, "r", "two")

            assert isinstance(await capture.get_capture_status("one"), Success)
        numbers = await numbers_in(storage, "one") + await numbers_in(storage, "two")
        assert sorted(numbers) == [*range(5)]


class TestNames:
    async def test_a_ring_takes_what_comes_also_where_a_session_of_its_name_has_ended(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_capture(RING.session))
            or_raise(await capture.stop_capture("r"))
            or_raise(await capture.start_ring(RING))

            assert or_raise(await send(capture, 1)).durability == "spool"

    async def test_no_session_begins_under_the_name_of_a_ring(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))

            taken = Failure(SessionAlreadyActive("r", 0.0, is_held_here=True))
            assert await capture.start_capture(RING.session) == taken
            assert await capture.resume_capture("r") == taken


class TestCutShort:
    async def test_a_caller_who_leaves_leaves_everything_in_the_ring(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))
            or_raise(await send(capture, 1))
            with anyio.CancelScope() as leaving:

                async def leave() -> None:
                    leaving.cancel()
                    await anyio.lowlevel.checkpoint()

                storage.interrupt_write("metadata", leave)
                await capture.publish_ring("r", "first")
            assert leaving.cancelled_caught
            or_raise(await capture.publish_ring("r", "second"))

        assert await numbers_in(storage, "second") == [1]

    async def test_a_session_that_is_being_made_is_made_before_the_end(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        spooled: CaptureSettings,
        background: Background,
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))
            or_raise(await send(capture, 1))
            gate = storage.hold("metadata")
            made = background.start(lambda: capture.publish_ring("r", "first"))
            await settled()
            background.start(partial(open_later, gate))

        assert or_raise(made[0]).captured_logs == 1
        assert await numbers_in(storage, "first") == [1]
        assert files_below(spooled) == []

    async def test_after_the_end_nothing_is_made_of_it(
        self, storage: FaultyStorage, clock: VirtualClock, spooled: CaptureSettings
    ) -> None:
        async with opened_capture(storage, clock, spooled) as capture:
            or_raise(await capture.start_ring(RING))
            or_raise(await send(capture, 1))
        published = await capture.publish_ring("r", "late")
        other = attrs.evolve(RING, session=attrs.evolve(RING.session, session_id="q"))
        started = await capture.start_ring(other)

        assert published == Failure(SessionEnded("r", "the recorder is shut down"))
        assert started == Failure(SessionEnded("q", "the recorder is shut down"))
        assert len(files_below(spooled)) == 1

    async def test_what_was_moved_is_the_sessions_and_the_rest_stays(
        self,
        storage: FaultyStorage,
        clock: VirtualClock,
        spooled: CaptureSettings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        small = attrs.evolve(spooled, publish_bytes=1)
        moves = list[Path]()
        rename = Path.rename

        def second_fails(path: Path, target: Path) -> Path:
            moves.append(path)
            if len(moves) == 2:
                raise OSError(5, "broken")
            return rename(path, target)

        async with opened_capture(storage, clock, small) as capture:
            or_raise(await capture.start_ring(RING))
            for number in range(2):
                or_raise(await send(capture, number))
            monkeypatch.setattr(Path, "rename", second_fails)
            assert isinstance(await capture.publish_ring("r", "first"), Failure)
            monkeypatch.undo()
            first = or_raise(await capture.get_capture_status("first"))
            or_raise(await capture.publish_ring("r", "second"))

        assert (first.status, first.captured_logs) == ("completed", 1)
        assert await numbers_in(storage, "first") == [0]
        assert await numbers_in(storage, "second") == [1]
