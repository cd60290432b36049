"""When a replay sends, and how it moves timestamps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from otlp_capture import otlp
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.result import Success, or_raise
from otlp_capture.storage import (
    S3Storage,
)
from otlp_replay import DeliveryCounts, ReplayConfig
from tests.clocks import VirtualClock, settled
from tests.replays import (
    SESSION,
    at_once,
    numbered,
    opened_service,
    over,
    replayed,
)
from tests.servers.target import (
    Reply,
    by_number,
    open_target,
)
from tests.sessions import SECOND, START, Recorded, arriving, write_session

pytestmark = pytest.mark.anyio

SHIFTS = (0, -1, -1.25, -4.75, -2, -2.5, -9.5)


class TestTime:
    """The replay's clock stands still but for what the tests let pass."""

    @asynccontextmanager
    async def under_way(
        self, storage: S3Storage, clock: VirtualClock, config: ReplayConfig, *seconds: float
    ) -> AsyncIterator[Any]:
        requests = [
            Recorded(signal, request, START - 1000 * SECOND + round(after_s * SECOND))
            for (signal, request), after_s in zip(numbered(len(seconds)), seconds, strict=True)
        ]
        await write_session(storage, SESSION, requests)
        async with opened_service(storage, clock) as service:
            or_raise(await service.start_replay(config))
            yield service

    @pytest.mark.parametrize(
        ("speed", "passing_s"),
        [(1.0, [0, 2, 0.5, 7]), (2.0, [0, 1, 0.25, 3.5]), (0.1, [0, 20, 5, 70])],
    )
    async def test_requests_leave_when_they_are_due(
        self, memory: S3Storage, speed: float, passing_s: list[float]
    ) -> None:
        clock = VirtualClock()
        async with open_target() as target:
            config = at_once(target.url, speed_multiplier=speed)
            async with self.under_way(memory, clock, config, 0, 2, 2.5, 9.5) as service:
                await target.has_received(1)
                for count, seconds in enumerate(passing_s[1:], start=1):
                    await clock.has_sleepers()
                    await clock.advance(seconds - 0.01)
                    await settled()
                    assert len(target.received) == count
                    await clock.advance(0.01)
                    await target.has_received(count + 1)
                status = await over(service)

        assert status.completed_at is not None
        assert status.started_at is not None
        passed = (status.completed_at - status.started_at).total_seconds()
        assert passed == pytest.approx(sum(passing_s), abs=1e-6)

    async def times_sent(self, storage: S3Storage, **settings: Any) -> list[int]:
        """Return by how much the timestamps of four requests were moved."""
        clock = VirtualClock()
        after_s = (0, 2, 2.5, 9.5)
        async with open_target() as target:
            config = at_once(target.url, **settings)
            async with self.under_way(storage, clock, config, *after_s) as service:
                for count in range(1, 5):
                    await target.has_received(count)
                    if settings.get("speed_multiplier") != "max" and count < 4:
                        await clock.has_sleepers()
                        await clock.advance((clock.deadlines_ns[0] - clock.monotonic_ns()) / 1e9)
                await over(service)
        recorded = [request for _, request in numbered(4)]
        return [
            next(
                shift
                for shift in (1000 * SECOND + round(seconds * SECOND) for seconds in SHIFTS)
                if otlp.shift_timestamps(request, "logs", shift) == Success(received.body)
            )
            - 1000 * SECOND
            for request, received in zip(recorded, target.received, strict=True)
        ]

    async def test_relative_moves_all_by_one_constant(self, memory: S3Storage) -> None:
        moved = await self.times_sent(memory, timestamp_adjustment="relative", speed_multiplier=2.0)

        assert moved == [0, 0, 0, 0]

    async def test_current_moves_each_to_when_it_is_planned(self, memory: S3Storage) -> None:
        moved = await self.times_sent(memory, timestamp_adjustment="current", speed_multiplier=2.0)

        assert moved == [0, -1 * SECOND, -1.25 * SECOND, -4.75 * SECOND]

    async def test_current_at_full_speed_moves_each_to_when_it_is_dispatched(
        self, memory: S3Storage
    ) -> None:
        moved = await self.times_sent(
            memory, timestamp_adjustment="current", speed_multiplier="max"
        )

        assert moved == [0, -2 * SECOND, -2.5 * SECOND, -9.5 * SECOND]

    async def test_current_at_full_speed_looks_at_the_clock_when_there_is_room_again(
        self, memory: S3Storage
    ) -> None:
        clock, later = VirtualClock(), asyncio.Event()
        async with open_target(by_number({0: Reply(after=later)})) as target:
            config = at_once(target.url, timestamp_adjustment="current", max_in_flight=1)
            async with self.under_way(memory, clock, config, 0, 0) as service:
                await target.has_received(1)
                await clock.advance(5)
                later.set()
                await over(service)

        (_, first), (_, second) = numbered(2)
        shifts = [(first, 1000 * SECOND), (second, 1005 * SECOND)]
        assert target.bodies == [
            or_raise(otlp.shift_timestamps(request, "logs", shift)) for request, shift in shifts
        ]

    async def test_an_offset_takes_the_place_of_the_constant(self, memory: S3Storage) -> None:
        requests = arriving([*numbered(3), *numbered(1, "traces", size=100_000)])
        async with open_target() as target:
            config = at_once(target.url, timestamp_adjustment="relative", base_time_offset=-77)
            await replayed(memory, SYSTEM_CLOCK, requests, config)

        assert target.bodies == [
            or_raise(otlp.shift_timestamps(each.request, each.signal, -77)) for each in requests
        ]

    async def test_what_cannot_be_moved_is_not_sent_and_the_rest_is(
        self, memory: S3Storage
    ) -> None:
        late = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"%d"},{}]}]}]}'
        too_late = or_raise(otlp.decode(late % (2**64 - 5), "logs", "json"))
        requests = arriving([*numbered(2), ("logs", too_late), *numbered(2, "traces")])
        async with open_target() as target:
            config = at_once(target.url, timestamp_adjustment="relative", base_time_offset=10)
            status = await replayed(memory, SYSTEM_CLOCK, requests, config)

        assert status.status == "completed"
        assert status.delivery == DeliveryCounts(delivered=4, not_sent=1)
        assert status.delivery_records == DeliveryCounts(delivered=4, not_sent=2)
        assert status.not_sent_reasons == {"TimestampOutOfRange": 1}

    async def test_what_is_too_large_is_not_sent(self, memory: S3Storage) -> None:
        requests = arriving([*numbered(1), *numbered(1, size=5_000)])
        async with open_target() as target:
            config = at_once(target.url, max_request_bytes=5_000)
            status = await replayed(memory, SYSTEM_CLOCK, requests, config)

        assert status.delivery == DeliveryCounts(delivered=1, not_sent=1)
        assert status.not_sent_reasons == {"RequestTooLarge": 1}
