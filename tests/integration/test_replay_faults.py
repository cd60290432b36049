"""Targets and stores that fail: each request is accounted for, and nothing hangs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest

from otlp_capture import otlp
from otlp_capture.capture import StorageFailure
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.result import Failure, Outcome, or_raise
from otlp_capture.storage import (
    ByteRange,
    S3Storage,
    StorageError,
    StorageUnreachable,
)
from otlp_replay import DeliveryCounts, ReplayStatus, RetryPolicy
from otlp_replay.errors import (
    DataCorrupted,
    DecompressionFailure,
    IngestionFailure,
)
from tests.clocks import HANGS_AFTER_S, VirtualClock, skip
from tests.replays import (
    IMPATIENT,
    SESSION,
    assert_closed,
    at_once,
    damage_last_segment,
    interleaved,
    numbered,
    opened_service,
    over,
    replayed,
)
from tests.servers.processes import free_port
from tests.servers.target import (
    OK,
    Action,
    HangUp,
    Received,
    Reply,
    Silence,
    always,
    at_first,
    open_target,
    partly,
    refusal,
    unaccepting,
)
from tests.sessions import SECOND, arriving, write_session

pytestmark = pytest.mark.anyio

BUSY = refusal(503, "busy")


class TestAccounts:
    async def test_each_answer_has_its_column(self, memory: S3Storage) -> None:
        def script(received: Received) -> Action:
            actions: dict[int, Action] = {
                0: OK,
                1: partly("logs", 1),
                2: refusal(400, "no"),
                3: BUSY,
                4: HangUp(),
                5: partly("logs", 0, "warning"),
                6: refusal(302, Location="/elsewhere"),
            }
            return actions[len(received.body) % 7]

        candidates = [numbered(1, size=size)[0] for size in range(100, 107)]
        assert {len(request) % 7 for _, request in candidates} == set(range(7))
        requests = arriving(candidates)
        async with open_target(script) as target:
            status = await replayed(memory, SYSTEM_CLOCK, requests, at_once(target.url))

        counts = DeliveryCounts(delivered=2, rejected=3, failed=1, unknown=1)
        assert (status.status, status.delivery) == ("completed", counts)
        assert status.delivery_records == counts
        assert (status.processed_records, status.failed_records, status.retries) == (7, 5, 8)

    async def test_of_a_partial_success_the_accepted_records_are_delivered(
        self, memory: S3Storage
    ) -> None:
        five = otlp.decode(
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{},{},{},{},{}]}]}]}', "traces", "json"
        )
        requests = arriving([("traces", or_raise(five))])
        async with open_target(always(partly("traces", 2))) as target:
            status = await replayed(memory, SYSTEM_CLOCK, requests, at_once(target.url))

        assert status.delivery == DeliveryCounts(rejected=1)
        assert status.delivery_records == DeliveryCounts(delivered=3, rejected=2)

    async def test_a_target_that_is_busy_for_a_while_gets_everything(
        self, memory: S3Storage
    ) -> None:
        script = at_first(refusal(503, Retry_After="0"), refusal(429), refusal(504))
        async with open_target(script) as target:
            status = await replayed(
                memory, SYSTEM_CLOCK, arriving(numbered(50)), at_once(target.url)
            )

        assert (status.delivery, status.retries) == (DeliveryCounts(delivered=50), 150)

    async def test_the_time_that_a_target_asks_for_is_kept(self, memory: S3Storage) -> None:
        script = at_first(refusal(503, Retry_After="7"))
        clock = VirtualClock()
        await write_session(memory, SESSION, arriving(numbered(1)))
        async with open_target(script) as target, opened_service(memory, clock) as service:
            or_raise(await service.start_replay(at_once(target.url)))
            await clock.has_sleepers()
            deadlines_ns = clock.deadlines_ns
            await clock.advance(7)
            status = await over(service)

        assert deadlines_ns == [7 * SECOND]
        assert (status.delivery, status.retries) == (DeliveryCounts(delivered=1), 1)

    async def test_a_target_that_asks_for_too_much_time_is_not_waited_for(
        self, memory: S3Storage
    ) -> None:
        script = always(refusal(503, Retry_After="3600"))
        async with open_target(script) as target:
            status = await replayed(
                memory, SYSTEM_CLOCK, arriving(numbered(97)), at_once(target.url)
            )

        assert (status.status, status.delivery) == ("completed", DeliveryCounts(failed=97))
        assert len(target.received) == 97

    async def test_the_target_may_come_back_meanwhile(self, memory: S3Storage) -> None:
        requests = arriving(numbered(80))
        clock = VirtualClock()
        async with open_target() as target:
            await write_session(memory, SESSION, requests)
            async with opened_service(memory, clock) as service:
                config = at_once(target.url, max_in_flight=4, retry=RetryPolicy())
                or_raise(await service.start_replay(config))
                await target.has_received(10)
                await target.kill()
                await clock.has_sleepers(4)
                await target.start()
                await clock.advance(1)
                status = await over(service)

        assert (status.status, status.delivery) == ("completed", DeliveryCounts(delivered=80))
        assert set(target.bodies) == {recorded.request for recorded in requests}

    async def test_the_log_tells_the_first_of_each_kind(
        self, memory: S3Storage, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        async with open_target(always(refusal(400, "no"))) as target:
            await replayed(memory, SYSTEM_CLOCK, arriving(numbered(50)), at_once(target.url))

        assert caplog.messages == ["Replay of recorded: a request was rejected: 400: no"]


class TestLostTargets:
    async def test_where_nobody_listens_it_breaks_off(self, memory: S3Storage) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        status = await replayed(
            memory, SYSTEM_CLOCK, arriving(numbered(1_000), every=0), at_once(url)
        )

        assert isinstance(status.error, IngestionFailure)
        assert status.status == "failed"
        assert_closed(status, 1_000, 1_000)
        assert status.delivery.failed + status.delivery.not_sent == 1_000
        assert status.delivery.failed <= 64
        assert set(status.not_sent_reasons) == {"IngestionFailure"}

    async def test_where_connections_do_not_come_about_it_breaks_off(
        self, memory: S3Storage
    ) -> None:
        with unaccepting() as url:
            config = at_once(url, request_timeout_s=0.1)
            status = await replayed(
                memory, SYSTEM_CLOCK, arriving(numbered(1_000), every=0), config
            )

        assert isinstance(status.error, IngestionFailure)
        assert_closed(status, 1_000, 1_000)
        assert status.delivery.failed + status.delivery.not_sent == 1_000
        assert 1 <= status.delivery.failed <= 64

    def assert_given_up(self, status: ReplayStatus) -> None:
        """Assert that of 1,000 requests some have left, and nobody knows what became of them."""
        assert isinstance(status.error, IngestionFailure)
        assert_closed(status, 1_000, 1_000)
        assert status.delivery == DeliveryCounts(
            unknown=status.delivery.unknown, not_sent=1_000 - status.delivery.unknown
        )
        assert 1 <= status.delivery.unknown <= 128

    async def test_a_target_that_always_hangs_up_is_given_up(self, memory: S3Storage) -> None:
        requests = arriving(numbered(1_000), every=0)
        async with open_target(always(HangUp())) as target:
            status = await replayed(memory, SYSTEM_CLOCK, requests, at_once(target.url))

        self.assert_given_up(status)

    async def test_a_target_that_never_answers_is_given_up(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(1_000), every=0))
        async with (
            open_target(always(Silence())) as target,
            opened_service(memory, SYSTEM_CLOCK) as service,
        ):
            or_raise(await service.start_replay(at_once(target.url)))
            with anyio.fail_after(20 * HANGS_AFTER_S):
                for attempt in range(1, IMPATIENT.max_attempts + 1):
                    await target.has_received(64 * attempt)
                    skip(2 * HANGS_AFTER_S)
                status = await over(service)

        self.assert_given_up(status)

    async def test_a_target_that_is_always_busy_is_given_up_in_the_end(
        self, memory: S3Storage
    ) -> None:
        async with open_target(always(BUSY)) as target:
            config = at_once(target.url, max_in_flight=4)
            status = await replayed(
                memory, SYSTEM_CLOCK, arriving(numbered(2_000), every=0), config
            )

        assert isinstance(status.error, IngestionFailure)
        assert_closed(status, 2_000, 2_000)
        assert 64 <= status.delivery.failed <= 64 + 4

    @pytest.mark.parametrize("max_in_flight", [1, 64])
    async def test_killed_in_the_middle_each_request_is_accounted_for(
        self, memory: S3Storage, max_in_flight: int
    ) -> None:
        async with open_target(always(Reply(delay_s=0.005))) as target:
            await write_session(memory, SESSION, arriving(interleaved(100), every=0))
            async with opened_service(memory, SYSTEM_CLOCK) as service:
                config = at_once(target.url, max_in_flight=max_in_flight)
                or_raise(await service.start_replay(config))
                await target.has_received(60)
                await target.kill()
                with anyio.fail_after(HANGS_AFTER_S):
                    status = await over(service)

        assert_closed(status, 300, 300)
        assert isinstance(status.error, IngestionFailure)
        assert status.delivery.delivered <= len(target.received)
        assert status.delivery.delivered + status.delivery.unknown >= len(target.received)
        assert status.delivery.not_sent >= 300 - len(target.received) - max_in_flight

    async def test_another_replay_can_follow_one_that_failed(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(3)))
        async with open_target() as target, opened_service(memory, SYSTEM_CLOCK) as service:
            nowhere = at_once(f"http://127.0.0.1:{free_port()}")
            or_raise(await service.start_replay(nowhere))
            assert (await over(service)).status == "failed"
            or_raise(await service.start_replay(at_once(target.url)))

            assert (await over(service)).delivery == DeliveryCounts(delivered=3)


class Stumbling:
    """A store whose reads of segments fail once it is told to."""

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage
        self.reads_left = 1_000_000

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def retrieve_raw_data(
        self, key: str, *, byte_range: ByteRange | None = None
    ) -> Outcome[bytes, StorageError]:
        if "/raw/" in key:
            self.reads_left -= 1
        if self.reads_left < 0:
            return Failure(StorageUnreachable("memory:", "unplugged"))
        return await self._storage.retrieve_raw_data(key, byte_range=byte_range)


class TestDamage:
    async def test_a_store_that_fails_in_the_middle_ends_the_replay(
        self, memory: S3Storage
    ) -> None:
        await write_session(memory, SESSION, arriving(numbered(30)), requests_per_segment=10)
        stumbling: Any = Stumbling(memory)
        async with open_target() as target, opened_service(stumbling, SYSTEM_CLOCK) as service:
            stumbling.reads_left = 2
            or_raise(await service.start_replay(at_once(target.url)))
            status = await over(service)

        cause = StorageUnreachable("memory:", "unplugged")
        assert (status.status, status.error) == ("failed", StorageFailure(SESSION, cause))
        assert status.delivery == DeliveryCounts(delivered=20, not_sent=10)
        assert status.not_sent_reasons == {"StorageFailure": 10}
        assert len(target.received) == 20

    async def test_a_store_that_is_out_of_reach_is_told(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(3)), has_manifest=False)
        stumbling: Any = Stumbling(memory)
        stumbling.reads_left = 0
        async with opened_service(stumbling, SYSTEM_CLOCK) as service:
            started = await service.start_replay(at_once("http://127.0.0.1:1"))

        cause = StorageUnreachable("memory:", "unplugged")
        assert started == Failure(StorageFailure(SESSION, cause))

    async def test_a_store_that_lists_nothing_is_told(self, memory: S3Storage) -> None:
        cause = StorageUnreachable("memory:", "unplugged")

        async def list_folders(_: str) -> AsyncIterator[Outcome[str, StorageError]]:
            yield Failure(cause)

        stumbling: Any = Stumbling(memory)
        stumbling.list_folders = list_folders
        async with opened_service(stumbling, SYSTEM_CLOCK) as service:
            listed = await service.list_available_replays()

        assert listed == Failure(StorageFailure(None, cause))

    async def test_a_damaged_frame_in_the_middle_ends_the_replay(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(30)), requests_per_segment=30)
        key = await damage_last_segment(memory)
        async with open_target() as target, opened_service(memory, SYSTEM_CLOCK) as service:
            or_raise(await service.start_replay(at_once(target.url)))
            status = await over(service)

        assert isinstance(status.error, DecompressionFailure)
        assert status.error.cause.key == key
        assert (status.status, status.delivery) == (
            "failed",
            DeliveryCounts(delivered=29, not_sent=1),
        )
        assert status.not_sent_reasons == {"DecompressionFailure": 1}
        assert len(target.received) == 29

    async def test_what_is_known_to_be_damaged_is_not_begun(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(interleaved(2)), has_manifest=False)
        key = await damage_last_segment(memory)
        assert "/traces-" in key
        async with open_target() as target, opened_service(memory, SYSTEM_CLOCK) as service:
            config = at_once(target.url)
            whole = await service.start_replay(config)
            or_raise(await service.start_replay(attrs.evolve(config, replay_traces=False)))
            rest = await over(service)

        assert isinstance(whole.failure(), DataCorrupted | DecompressionFailure)
        assert rest.delivery == DeliveryCounts(delivered=4)

    async def test_what_had_left_before_is_waited_for(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(20)), requests_per_segment=10)
        stumbling: Any = Stumbling(memory)
        answers = asyncio.Event()
        script = at_first(BUSY, then=Reply(after=answers))
        async with (
            open_target(script) as target,
            opened_service(stumbling, SYSTEM_CLOCK) as service,
        ):
            stumbling.reads_left = 1
            or_raise(await service.start_replay(at_once(target.url)))
            await target.has_received(20)
            assert stumbling.reads_left < 0
            answers.set()
            status = await over(service)

        assert status.delivery == DeliveryCounts(delivered=10, not_sent=10)
