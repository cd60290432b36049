"""Replays that are steered while they run, by a clock that the tests move."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from otlp_capture import otlp
from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import IdMapping, Signal
from otlp_capture.result import Failure, or_raise
from otlp_capture.sending import Accepted, Answer, Parcel
from otlp_capture.storage import S3Storage
from otlp_replay import After, At, DeliveryCounts, Rate, ReplayConfig, ReplayStatus
from otlp_replay.errors import (
    ReplayCancelled,
    ReplayNotFound,
    ReplayNotSteerable,
    TargetTooSlow,
)
from tests.clocks import VirtualClock, settled
from tests.replays import SESSION, assert_closed, numbered, opened_service
from tests.sessions import SECOND, START, Recorded, arriving, write_session
from tests.virtual_replays import Taking, VirtualReplay, virtual_replay

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ten(memory: S3Storage) -> S3Storage:
    """A store with a session of ten requests, a second apart."""
    await write_session(memory, SESSION, arriving(numbered(10)))
    return memory


def sent_at(replay: VirtualReplay) -> list[tuple[int, float]]:
    """Return which requests left when, in seconds."""
    return [(number, (at or 0) / SECOND) for number, _, at in replay.noting.dispatched]


class Slow(Taking):
    """A transport whose answers come when a test opens the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = anyio.Event()

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        self.parcels.append(parcel)
        depart()
        await self.gate.wait()
        return Accepted()


class TestSteering:
    async def test_a_paused_replay_sends_nothing_and_goes_on_where_it_was(
        self, ten: S3Storage
    ) -> None:
        async with virtual_replay(ten) as replay:
            await replay.until(2.5)
            paused = or_raise(await replay.service.pause(SESSION))
            await replay.until(1000)
            before = sent_at(replay)
            or_raise(await replay.service.resume(SESSION))
            status = await replay.run_out()

        assert paused.is_paused
        assert before == [(0, 0), (1, 1), (2, 2)]
        assert sent_at(replay)[3:] == [(number, 997.5 + number) for number in range(3, 10)]
        assert not status.is_paused
        assert status.delivery == DeliveryCounts(delivered=10)

    async def test_one_that_is_paused_before_it_begins_begins_when_it_goes_on(
        self, ten: S3Storage
    ) -> None:
        async with virtual_replay(ten, speed_multiplier="max") as replay:
            assert isinstance(await replay.service.pause(SESSION), Failure)
        clock = VirtualClock()
        async with opened_service(ten, clock) as service:
            or_raise(await service.start_replay(ReplayConfig(session_id=SESSION)))
            or_raise(await service.pause(SESSION))
            await settled()
            status = or_raise(await service.cancel(SESSION))

        assert status.delivery == DeliveryCounts(not_sent=10)

    async def test_single_requests_leave_at_once(self, ten: S3Storage) -> None:
        async with virtual_replay(ten, copies=2, remap_ids=False) as replay:
            await replay.until(0.5)
            or_raise(await replay.service.pause(SESSION))
            await replay.until(100)
            or_raise(await replay.service.step(SESSION, 3))
            await settled()
            stepped = sent_at(replay)
            or_raise(await replay.service.resume(SESSION))
            await replay.run_out()

        assert stepped == [(0, 0), (1, 0), *((number, 100) for number in range(2, 8))]
        assert sent_at(replay)[8:10] == [(8, 101), (9, 101)]

    async def test_a_change_of_speed_holds_from_here_on(self, ten: S3Storage) -> None:
        async with virtual_replay(ten) as replay:
            await replay.until(2.5)
            or_raise(await replay.service.set_speed(SESSION, 0.5))
            await replay.until(5.5)
            or_raise(await replay.service.set_speed(SESSION, 10))
            await replay.until(5.6)
            or_raise(await replay.service.set_speed(SESSION, "max"))
            await replay.run_out()

        assert sent_at(replay) == [
            *[(0, 0), (1, 1), (2, 2), (3, 3.5), (4, 5.5), (5, 5.6)],
            *((number, 5.6) for number in range(6, 10)),
        ]

    async def test_from_full_speed_it_goes_on_behind_the_latest_request(
        self, ten: S3Storage
    ) -> None:
        slow = Slow()
        async with virtual_replay(ten, slow, speed_multiplier="max", max_in_flight=4) as replay:
            await replay.until(7)
            or_raise(await replay.service.set_speed(SESSION, 1))
            slow.gate.set()
            await replay.run_out()

        assert sent_at(replay) == [
            *((number, 0) for number in range(4)),
            *((number, 4 + number) for number in range(4, 10)),
        ]

    async def test_what_is_jumped_over_is_not_sent(self, ten: S3Storage) -> None:
        async with virtual_replay(ten, loops=2, remap_ids=False) as replay:
            await replay.until(1.5)
            moved = or_raise(await replay.service.seek(SESSION, At(START + 7 * SECOND - 1)))
            status = await replay.run_out()

        assert moved.not_sent_reasons == {"Skipped": 5}
        assert sent_at(replay)[:6] == [
            (0, 0),
            (1, 1),
            (7, pytest.approx(1.5)),
            (8, pytest.approx(2.5)),
            (9, pytest.approx(3.5)),
            (10, pytest.approx(4.5)),
        ]
        assert_closed(status, 20, 20)
        assert status.delivery == DeliveryCounts(delivered=15, not_sent=5)

    async def test_what_is_sent_again_is_planned_again(self, ten: S3Storage) -> None:
        async with virtual_replay(ten) as replay:
            await replay.until(8.5)
            moved = or_raise(await replay.service.seek(SESSION, After(6 * SECOND)))
            status = await replay.run_out()

        assert moved.total_records == 13
        assert sent_at(replay)[9:] == [(6, 8.5), (7, 9.5), (8, 10.5), (9, 11.5)]
        assert_closed(status, 13, 13)
        assert status.delivery == DeliveryCounts(delivered=13)

    async def test_a_paused_replay_is_moved_and_stands_there(self, ten: S3Storage) -> None:
        async with virtual_replay(ten) as replay:
            await replay.until(1.5)
            or_raise(await replay.service.pause(SESSION))
            or_raise(await replay.service.seek(SESSION, After(-2 * SECOND)))
            await replay.until(50)
            or_raise(await replay.service.resume(SESSION))
            await replay.run_out()

        assert sent_at(replay)[2:] == [(7, 50), (8, 51), (9, 52)]

    async def test_it_can_be_moved_to_its_end(self, ten: S3Storage) -> None:
        async with virtual_replay(ten) as replay:
            await replay.until(1.5)
            or_raise(await replay.service.seek(SESSION, At(START + 3600 * SECOND)))
            status = await replay.run_out()

        assert status.delivery == DeliveryCounts(delivered=2, not_sent=8)

    async def test_it_is_moved_while_it_waits_for_room(self, ten: S3Storage) -> None:
        slow = Slow()
        async with virtual_replay(ten, slow, max_in_flight=1, copies=3, remap_ids=False) as replay:
            await replay.until(4)
            or_raise(await replay.service.seek(SESSION, After(8 * SECOND)))
            slow.gate.set()
            status = await replay.run_out()

        assert [number for number, _ in sent_at(replay)] == [0, *range(24, 30)]
        assert_closed(status, 30, 30)
        assert status.delivery == DeliveryCounts(delivered=7, not_sent=23)

    async def test_one_that_has_ended_is_not_steered(self, ten: S3Storage) -> None:
        async with virtual_replay(ten) as replay:
            status = await replay.run_out()
            service = replay.service
            outcomes = [
                await service.pause(SESSION),
                await service.resume(status.replay_id),
                await service.seek(SESSION, After(0)),
                await service.set_speed(SESSION, 2),
                await service.step(SESSION),
            ]
            unknown = await service.pause("another")
            cancelled = or_raise(await service.cancel(SESSION))

        ended = Failure(ReplayNotSteerable(status.replay_id, "be steered", "it has ended"))
        assert outcomes == [ended] * 5
        assert unknown == Failure(ReplayNotFound("another"))
        assert cancelled == status

    async def test_a_running_one_takes_no_steps_and_no_nonsense(self, ten: S3Storage) -> None:
        nonsense: Any = "soon"
        async with virtual_replay(ten) as replay:
            service = replay.service
            errors = [
                (await service.step(SESSION)).failure(),
                (await service.step(SESSION, 0)).failure(),
                (await service.set_speed(SESSION, 0)).failure(),
                (await service.seek(SESSION, nonsense)).failure(),
            ]
            await replay.run_out()

        assert [type(each) for each in errors] == [ReplayNotSteerable, *[InvalidConfig] * 3]


class TestEnds:
    async def test_a_cancelled_replay_sends_no_more(self, ten: S3Storage) -> None:
        async with virtual_replay(ten) as replay:
            await replay.until(2.5)
            status = or_raise(await replay.service.cancel(SESSION))

        assert status.error == ReplayCancelled(SESSION)
        assert status.delivery == DeliveryCounts(delivered=3, not_sent=7)
        assert status.not_sent_reasons == {"ReplayCancelled": 7}

    async def test_what_is_not_sent_in_time_is_left_out(self, ten: S3Storage) -> None:
        async with virtual_replay(ten, max_duration_s=2.5) as replay:
            status = await replay.run_out()

        assert (status.status, status.error) == ("completed", None)
        assert status.delivery == DeliveryCounts(delivered=3, not_sent=7)
        assert status.not_sent_reasons == {"DurationReached": 7}

    async def test_one_that_is_done_in_time_does_not_wait(self, ten: S3Storage) -> None:
        async with virtual_replay(ten, max_duration_s=1000) as replay:
            await replay.run_out()

        assert replay.clock.monotonic_ns() == 9 * SECOND

    async def test_status_is_watched_to_the_end(self, ten: S3Storage) -> None:
        seen: list[ReplayStatus] = []

        async def watch(replay: VirtualReplay, name: str) -> None:
            seen.extend([status async for status in replay.service.watch(name)])

        async with virtual_replay(ten) as replay, anyio.create_task_group() as tasks:
            tasks.start_soon(watch, replay, SESSION)
            tasks.start_soon(watch, replay, "another")
            await replay.until(3)
            status = await replay.run_out()
        again = [each async for each in replay.service.watch(status.replay_id)]

        assert seen[0].status == "running"
        assert seen[-1] == status
        assert again == [status]
        totals = [each.delivery.total for each in seen]
        assert totals == sorted(totals)


class TestLateRequests:
    """A target that takes nothing for four seconds, with room for one request."""

    async def late(self, storage: S3Storage, **settings: Any) -> tuple[VirtualReplay, ReplayStatus]:
        slow = Slow()
        async with virtual_replay(storage, slow, max_in_flight=1, **settings) as replay:
            await replay.until(4.5)
            slow.gate.set()
            status = await replay.run_out()
        assert_closed(status, 10, 10)
        return replay, status

    async def test_they_are_sent_at_once(self, ten: S3Storage) -> None:
        replay, _ = await self.late(ten)

        assert sent_at(replay) == [
            (0, 0),
            *((number, max(4.5, number)) for number in range(1, 10)),
        ]
        lateness = [each.stamps.lateness_ns for each in replay.noting.settled]
        late_s = [0, 3.5, 2.5, 1.5, 0.5, 0, 0, 0, 0, 0]
        assert lateness == [round(each * SECOND) for each in late_s]

    async def test_what_follows_is_moved_by_as_much(self, ten: S3Storage) -> None:
        replay, _ = await self.late(ten, late_policy="stretch")

        assert sent_at(replay) == [(0, 0), *((number, 3.5 + number) for number in range(1, 10))]

    async def test_they_are_left_out(self, ten: S3Storage) -> None:
        replay, status = await self.late(ten, late_policy="skip", max_lateness_s=1.5)

        assert [number for number, _ in sent_at(replay)] == [0, *range(3, 10)]
        assert status.not_sent_reasons == {"TooLate": 2}

    async def test_they_end_the_replay(self, ten: S3Storage) -> None:
        _, status = await self.late(ten, late_policy="fail", max_lateness_s=2)

        assert status.error == TargetTooSlow("http://127.0.0.1:4318", 3.5, 2)
        assert status.delivery == DeliveryCounts(delivered=1, not_sent=9)
        assert status.not_sent_reasons == {"TargetTooSlow": 9}

    async def test_a_target_that_was_slow_gets_no_more_than_the_rate(self, ten: S3Storage) -> None:
        replay, _ = await self.late(ten, max_rate=Rate(2))

        assert sent_at(replay)[:4] == [(0, 0), (1, 4.5), (2, 4.9), (3, 5.4)]


class TestWhatIsSent:
    async def test_a_rate_spaces_what_is_due_at_once(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(4), every=0))
        async with virtual_replay(memory, max_rate=Rate(4, "records"), copies=2) as replay:
            await replay.run_out()

        assert sent_at(replay) == [(number, number // 2 / 2) for number in range(8)]

    async def test_sessions_are_merged_by_arrival(self, memory: S3Storage) -> None:
        requests = arriving(numbered(6))
        await write_session(memory, SESSION, requests[::2])
        await write_session(memory, "other", requests[1::2])
        async with virtual_replay(memory, merged_session_ids=("other",)) as replay:
            await replay.run_out()

        assert [parcel.body for parcel in replay.transport.parcels] == [
            request for _, request in numbered(6)
        ]
        assert {each.session_id for each in replay.noting.intended[1::2]} == {"other"}

    async def test_loops_and_copies_have_ids_of_their_own(self, memory: S3Storage) -> None:
        span = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%032x"}]}]}]}'
        requests: list[tuple[Signal, bytes]] = [
            ("traces", or_raise(otlp.decode(span % 7, "traces", "json")))
        ]
        await write_session(memory, SESSION, arriving(requests))
        async with virtual_replay(memory, loops=2, copies=2, seed=5) as replay:
            await replay.run_out()

        assert [parcel.body for parcel in replay.transport.parcels] == [
            or_raise(otlp.remap_ids(requests[0][1], "traces", IdMapping(5, loop, copy)))
            for loop in range(2)
            for copy in range(2)
        ]

    async def test_each_loop_moves_by_one_constant(self, memory: S3Storage) -> None:
        requests = arriving(numbered(3))
        await write_session(memory, SESSION, requests)
        async with virtual_replay(
            memory, loops=2, remap_ids=False, timestamp_adjustment="relative", speed_multiplier=2
        ) as replay:
            await replay.until(0.2)
            or_raise(await replay.service.pause(SESSION))
            await replay.until(100.2)
            or_raise(await replay.service.resume(SESSION))
            await replay.run_out()

        assert [parcel.body for parcel in replay.transport.parcels] == [
            or_raise(otlp.shift_timestamps(each.request, "logs", round(shift_s * SECOND)))
            for shift_s in (0, 101.5)
            for each in requests
        ]

    async def test_current_follows_a_pause(self, memory: S3Storage) -> None:
        requests = arriving(numbered(2))
        await write_session(memory, SESSION, requests)
        async with virtual_replay(memory, timestamp_adjustment="current") as replay:
            await replay.until(0.5)
            or_raise(await replay.service.pause(SESSION))
            await replay.until(10.5)
            or_raise(await replay.service.resume(SESSION))
            await replay.run_out()

        assert [parcel.body for parcel in replay.transport.parcels] == [
            requests[0].request,
            or_raise(otlp.shift_timestamps(requests[1].request, "logs", 10 * SECOND)),
        ]

    async def test_out_of_order_arrivals_are_counted(self, memory: S3Storage) -> None:
        late = [Recorded(*each, START - number) for number, each in enumerate(numbered(4))]
        await write_session(memory, SESSION, late)
        async with virtual_replay(memory) as replay:
            status = await replay.run_out()

        assert status.out_of_order == 2
        assert [parcel.body for parcel in replay.transport.parcels] == [
            each.request for each in reversed(late)
        ]

    async def test_what_is_filtered_out_is_accounted_for(self, memory: S3Storage) -> None:
        span = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%032x"}]}]}]}'
        requests: list[tuple[Signal, bytes]] = [
            ("traces", or_raise(otlp.decode(span % (7 + number), "traces", "json")))
            for number in range(40)
        ]
        await write_session(memory, SESSION, arriving(requests))
        async with virtual_replay(memory, trace_share=0.5) as replay:
            status = await replay.run_out()

        assert_closed(status, 40, 40)
        assert status.not_sent_reasons == {"FilteredOut": status.delivery.not_sent}
        assert 0 < status.delivery.delivered == len(replay.transport.parcels) < 40
