"""Whole replays over real connections: what arrives, in which order, and what is said of it."""

import asyncio
import gzip
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest

from otlp_capture import otlp
from otlp_capture.capture import InvalidConfig
from otlp_capture.clock import SYSTEM_CLOCK, moment
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import SIGNALS
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.sessions import InvalidSessionId, SegmentCorrupted, SessionNotFound
from otlp_capture.storage import (
    S3Storage,
    S3StorageTag,
    local_storage,
)
from otlp_replay import DeliveryCounts, ReplayConfig, ReplayStatus
from otlp_replay.errors import (
    DecompressionFailure,
    ReplayAlreadyExists,
    ReplayNotFound,
)
from tests.clocks import VirtualClock
from tests.replays import (
    SESSION,
    at_once,
    damage_last_segment,
    interleaved,
    numbered,
    opened_service,
    over,
    replayed,
)
from tests.servers.target import (
    Received,
    Reply,
    always,
    at_first,
    by_number,
    open_target,
    refusal,
)
from tests.sessions import START, arriving, opened_memory, write_session

pytestmark = pytest.mark.anyio

BUSY = refusal(503, "busy")
MS = 1_000_000


@pytest.fixture(params=["memory", "local"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[S3Storage]:
    if request.param == "memory":
        async with opened_memory() as opened:
            yield opened
    else:
        async with open_runtime(local_storage(tmp_path), S3StorageTag) as runtime:
            (opened,) = or_raise(runtime)
            yield opened


class TestDelivery:
    async def test_all_signals_arrive_as_they_were_recorded(self, storage: S3Storage) -> None:
        requests = arriving(interleaved(20))
        async with open_target() as target:
            status = await replayed(storage, SYSTEM_CLOCK, requests, at_once(target.url))

        assert [(received.signal, received.body) for received in target.received] == [
            (recorded.signal, recorded.request) for recorded in requests
        ]
        assert status == ReplayStatus(
            replay_id=status.replay_id,
            session_id=SESSION,
            status="completed",
            total_records=60,
            started_at=status.started_at,
            completed_at=status.completed_at,
            current_file=status.current_file,
            delivery=DeliveryCounts(delivered=60),
            delivery_records=DeliveryCounts(delivered=60),
            certificate=status.certificate,
        )

    async def test_only_the_chosen_signals_are_sent(self, memory: S3Storage) -> None:
        async with open_target() as target:
            config = at_once(target.url, replay_traces=False, replay_metrics=False)
            status = await replayed(memory, SYSTEM_CLOCK, arriving(interleaved(5)), config)

        assert status.delivery == DeliveryCounts(delivered=5)
        assert {received.path for received in target.received} == {"/v1/logs"}

    async def test_requests_can_be_sent_as_json(self, memory: S3Storage) -> None:
        requests = arriving(interleaved(4))
        async with open_target() as target:
            config = at_once(target.url, protocol="http/json")
            await replayed(memory, SYSTEM_CLOCK, requests, config)

        decoded = [otlp.decode(each.body, each.signal, "json") for each in target.received]
        assert decoded == [Success(recorded.request) for recorded in requests]

    async def test_an_empty_session_is_done_at_once(self, memory: S3Storage) -> None:
        status = await replayed(memory, VirtualClock(), [], at_once("http://127.0.0.1:1"))

        assert (status.status, status.total_records, status.delivery) == (
            "completed",
            0,
            DeliveryCounts(),
        )
        assert status.started_at == status.completed_at == moment(START)

    async def test_an_empty_request_is_a_request(self, memory: S3Storage) -> None:
        async with open_target() as target:
            status = await replayed(
                memory, SYSTEM_CLOCK, arriving([("traces", b"")]), at_once(target.url)
            )

        assert (target.bodies, status.delivery) == ([b""], DeliveryCounts(delivered=1))

    async def test_connections_are_shared_and_bounded(self, memory: S3Storage) -> None:
        async with open_target(always(Reply(delay_s=0.002))) as target:
            config = at_once(target.url, max_in_flight=3)
            await replayed(memory, SYSTEM_CLOCK, arriving(numbered(200)), config)

        assert target.connections <= 3

    async def test_targets_that_hang_up_after_each_answer_get_everything(
        self, memory: S3Storage
    ) -> None:
        requests = arriving(numbered(300))
        async with open_target(always(Reply(then_hang_up=True))) as target:
            status = await replayed(memory, SYSTEM_CLOCK, requests, at_once(target.url))

        assert status.delivery == DeliveryCounts(delivered=300)
        assert set(target.bodies) == {recorded.request for recorded in requests}


class TestOrder:
    @pytest.mark.parametrize("every", [0, 1_000])
    @pytest.mark.parametrize(("max_in_flight", "count"), [(1, 50), (64, 1_000), (500, 1_000)])
    async def test_thousands_of_requests_leave_in_the_order_of_arrival(
        self, memory: S3Storage, every: int, max_in_flight: int, count: int
    ) -> None:
        requests = arriving(interleaved(count), every=every)

        def jittery(received: Received) -> Reply:
            return Reply(delay_s=random.Random(received.number).choice([0, 0, 0.001, 0.01]))

        async with open_target(jittery) as target:
            config = at_once(target.url, max_in_flight=max_in_flight)
            await replayed(memory, SYSTEM_CLOCK, requests, config)

        assert target.bodies == [recorded.request for recorded in requests]

    async def test_what_is_tried_again_does_not_hold_up_what_follows(
        self, memory: S3Storage
    ) -> None:
        requests = arriving(numbered(100))
        async with open_target(by_number({3: BUSY, 50: BUSY})) as target:
            status = await replayed(memory, SYSTEM_CLOCK, requests, at_once(target.url))

        first = [received.body for received in target.received if received.attempt == 0]
        assert first == [recorded.request for recorded in requests]
        assert (status.delivery, status.retries) == (DeliveryCounts(delivered=100), 2)


class TestStatus:
    async def test_it_is_pending_then_running_then_completed_and_only_grows(
        self, memory: S3Storage
    ) -> None:
        script = at_first(BUSY, then=Reply(delay_s=0.001))
        async with open_target(script) as target:
            await write_session(memory, SESSION, arriving(interleaved(100)))
            async with opened_service(memory, SYSTEM_CLOCK) as service:
                config = at_once(target.url, max_in_flight=4)
                seen = [or_raise(await service.start_replay(config))]
                while not seen[-1].is_over:
                    await asyncio.sleep(0)
                    seen.append(or_raise(await service.get_replay_status(SESSION)))

        assert [state for state, _ in groupby(seen, lambda status: status.status)] == [
            "pending",
            "running",
            "completed",
        ]
        assert {status.total_records for status in seen} == {300}
        assert len({status.delivery.total for status in seen}) > 10
        for before, after in pairwise(seen):
            for counts in ("delivery", "delivery_records"):
                earlier, later = (attrs.astuple(getattr(each, counts)) for each in (before, after))
                assert all(one <= other for one, other in zip(earlier, later, strict=True))
            assert before.processed_records <= after.processed_records
            assert before.retries <= after.retries
            assert before.started_at in {None, after.started_at}
        assert isinstance(seen[-1].started_at, datetime)

    async def test_there_is_none_of_what_was_not_replayed(self, memory: S3Storage) -> None:
        async with opened_service(memory, SYSTEM_CLOCK) as service:
            status = await service.get_replay_status(SESSION)

        assert status == Failure(ReplayNotFound(SESSION))


class TestStarting:
    async def test_a_session_is_replayed_twice_at_once(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(2)))
        async with open_target() as target, opened_service(memory, SYSTEM_CLOCK) as service:
            config = at_once(target.url)
            first = or_raise(await service.start_replay(attrs.evolve(config, replay_id="first")))
            second = or_raise(await service.start_replay(config))
            ended = [await over(service, each.replay_id) for each in (first, second)]
            latest = or_raise(await service.get_replay_status(SESSION))

        assert [status.delivery.delivered for status in ended] == [2, 2]
        assert (ended[0].replay_id, latest) == ("first", ended[1])
        assert len(target.received) == 4

    async def test_the_name_of_a_replay_is_taken_once(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(2)))
        async with open_target() as target, opened_service(memory, SYSTEM_CLOCK) as service:
            config = at_once(target.url, replay_id="nightly")
            or_raise(await service.start_replay(config))
            again = await service.start_replay(config)
            await over(service)
            later = await service.start_replay(config)

        assert again == later == Failure(ReplayAlreadyExists("nightly"))

    async def test_a_session_that_is_not_there_is_not_replayed(self, memory: S3Storage) -> None:
        async with opened_service(memory, SYSTEM_CLOCK) as service:
            missing = await service.start_replay(ReplayConfig(session_id="missing"))
            outside = await service.start_replay(ReplayConfig(session_id="../outside"))
            wrong = await service.start_replay(ReplayConfig(session_id="a", max_in_flight=0))

        assert missing == Failure(SessionNotFound("missing"))
        assert outside == Failure(InvalidSessionId("../outside"))
        assert isinstance(wrong.failure(), InvalidConfig)

    async def test_several_sessions_are_replayed_at_once(self, memory: S3Storage) -> None:
        for name in "abc":
            await write_session(memory, name, arriving(numbered(30)))
        async with open_target() as target, opened_service(memory, SYSTEM_CLOCK) as service:
            for name in "abc":
                or_raise(await service.start_replay(at_once(target.url, session_id=name)))
            delivered = [(await over(service, name)).delivery.delivered for name in "abc"]

        assert delivered == [30, 30, 30]
        sources = Counter(each.headers["x-otlp-replay-session"] for each in target.received)
        assert sources == {"a": 30, "b": 30, "c": 30}

    async def test_sessions_that_have_ended_can_be_replayed_whole(self, memory: S3Storage) -> None:
        await write_session(memory, "ended", arriving(numbered(1)))
        await write_session(memory, "active", arriving(numbered(1)), status="active")
        async with opened_service(memory, SYSTEM_CLOCK) as service:
            available = or_raise(await service.list_available_replays())

        assert [metadata.session_id for metadata in available] == ["ended"]


class TestStream:
    async def test_it_yields_what_was_recorded_in_the_order_of_arrival(
        self, storage: S3Storage
    ) -> None:
        await write_session(storage, SESSION, arriving(interleaved(7)))
        async with opened_service(storage, SYSTEM_CLOCK) as service:
            for signal in SIGNALS:
                stream = service.replay_data_stream(SESSION, signal)
                assert [or_raise(each) async for each in stream] == [
                    request for _, request in numbered(7, signal)
                ]

    async def test_a_failure_is_the_last_item(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(3)))
        await damage_last_segment(memory)
        async with opened_service(memory, SYSTEM_CLOCK) as service:
            items = [each async for each in service.replay_data_stream(SESSION, "logs")]

        assert [isinstance(each, Success) for each in items] == [True, True, False]
        error = items[-1].failure()
        assert isinstance(error, DecompressionFailure)
        assert isinstance(error.cause, SegmentCorrupted)

    async def test_there_is_none_of_a_session_that_is_not_there(self, memory: S3Storage) -> None:
        async with opened_service(memory, SYSTEM_CLOCK) as service:
            items = [each async for each in service.replay_data_stream("missing", "logs")]

        assert items == [Failure(SessionNotFound("missing"))]

    async def test_there_is_none_of_a_signal_that_there_is_not(self, memory: S3Storage) -> None:
        signal: Any = "profiles"
        async with opened_service(memory, SYSTEM_CLOCK) as service:
            items = [each async for each in service.replay_data_stream(SESSION, signal)]

        allowed = f"it is one of {SIGNALS}"
        assert items == [Failure(InvalidConfig("signal_type", "profiles", allowed))]


class TestForeignSessions:
    """Sessions that another implementation of the layout wrote."""

    async def test_it_is_replayed_in_the_order_that_its_keys_say(self, memory: S3Storage) -> None:
        requests = interleaved(4)
        for number, (signal, request) in enumerate(requests):
            as_json = or_raise(otlp.encode(request, signal, "json"))
            content = gzip.compress(as_json if number % 2 else request)
            key = f"raw/2025-11-23/01/{signal}-{START // MS + number}-{number:08x}.otlp.gz"
            or_raise(await memory.store_raw_data(content, f"sessions/{SESSION}/{key}"))
        documented = {
            "sessionId": SESSION,
            "startTime": "2025-11-23T01:23:20.000Z",
            "endTime": "2025-11-23T01:23:21.000Z",
            "status": "completed",
            "enabledFlags": [],
            "capturedTraces": 4,
            "capturedMetrics": 4,
            "capturedLogs": 4,
            "totalSizeBytes": 12_345,
            "s3Prefix": f"sessions/{SESSION}",
            "createdBy": "somebody else",
        }
        document = json.dumps(documented).encode()
        or_raise(await memory.store_raw_data(document, f"sessions/{SESSION}/metadata.json"))
        async with open_target() as target, opened_service(memory, SYSTEM_CLOCK) as service:
            or_raise(await service.start_replay(at_once(target.url)))
            status = await over(service)

        assert status.delivery == status.delivery_records == DeliveryCounts(delivered=12)
        assert [(each.signal, each.body) for each in target.received] == requests
