"""Replays whose runtime closes before they are over."""

import asyncio
import gc
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskStatus

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.result import or_raise
from otlp_capture.storage import (
    S3Storage,
)
from otlp_replay import After, DeliveryCounts, ReplayStatus, RetryPolicy
from otlp_replay.errors import (
    ReplayInterrupted,
)
from otlp_replay.replay import Replay
from tests.clocks import HANGS_AFTER_S
from tests.replays import (
    SESSION,
    assert_closed,
    at_once,
    interleaved,
    numbered,
    opened_service,
)
from tests.servers.target import (
    OK,
    Reply,
    Silence,
    always,
    open_target,
    refusal,
)
from tests.sessions import SECOND, START, arriving, write_session

pytestmark = pytest.mark.anyio

BUSY = refusal(503, "busy")


class TestClosing:
    @pytest.fixture
    def is_patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a closing service wait for ever: what ends then has ended by itself."""
        monkeypatch.setattr("otlp_replay.service._LAST_ANSWERS_S", 10 * HANGS_AFTER_S)

    @pytest.fixture
    def stopped(self, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
        """Tell when the closing runtime has told a replay to stop."""
        stopped, stop = asyncio.Event(), Replay.stop

        def stop_and_tell(replay: Replay, *cause: Any) -> None:
            stop(replay, *cause)
            stopped.set()

        monkeypatch.setattr(Replay, "stop", stop_and_tell)
        return stopped

    async def closed_in_the_middle(
        self, storage: S3Storage, script: Any, requests: int, **settings: Any
    ) -> tuple[ReplayStatus, int]:
        """Close the runtime once the target has got 5 requests; tell how many it has got then."""
        await write_session(storage, SESSION, arriving(numbered(requests)))
        async with open_target(script) as target:
            with anyio.fail_after(HANGS_AFTER_S):
                async with opened_service(storage, SYSTEM_CLOCK) as service:
                    or_raise(await service.start_replay(at_once(target.url, **settings)))
                    await target.has_received(5)
            await target.is_alone()
            return or_raise(await service.get_replay_status(SESSION)), len(target.received)

    @pytest.mark.usefixtures("is_patient")
    async def test_what_is_on_its_way_may_still_be_answered(
        self, memory: S3Storage, stopped: asyncio.Event
    ) -> None:
        script = always(Reply(after=stopped))

        status, came = await self.closed_in_the_middle(memory, script, 100, max_in_flight=5)

        assert (status.error, came) == (ReplayInterrupted(SESSION), 5)
        assert status.delivery == DeliveryCounts(delivered=5, not_sent=95)
        assert status.not_sent_reasons == {"ReplayInterrupted": 95}

    @pytest.mark.usefixtures("is_patient")
    async def test_one_whose_last_answers_come_in_time_is_complete(
        self, memory: S3Storage, stopped: asyncio.Event
    ) -> None:
        status, _ = await self.closed_in_the_middle(memory, always(Reply(after=stopped)), 5)

        assert (status.status, status.error) == ("completed", None)
        assert status.delivery == DeliveryCounts(delivered=5)

    async def test_but_not_for_ever(
        self, memory: S3Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("otlp_replay.service._LAST_ANSWERS_S", 0.2)

        status, _ = await self.closed_in_the_middle(
            memory, always(Silence()), 100, max_in_flight=5, request_timeout_s=86_400
        )

        assert status.delivery == DeliveryCounts(unknown=5, not_sent=95)

    @pytest.mark.usefixtures("is_patient")
    async def test_nothing_is_tried_again(self, memory: S3Storage) -> None:
        patient = RetryPolicy(max_elapsed_s=86_400, initial_backoff_s=10_000, max_backoff_s=10_000)

        status, came = await self.closed_in_the_middle(
            memory, always(BUSY), 100, max_in_flight=5, retry=patient
        )

        assert (status.delivery, came) == (DeliveryCounts(failed=5, not_sent=95), 5)

    async def test_what_waits_for_its_time_is_not_sent(self, memory: S3Storage) -> None:
        requests = [
            *arriving(numbered(5), every=0),
            *arriving(numbered(1, "traces"), start=START + 3600 * SECOND),
        ]
        await write_session(memory, SESSION, requests)
        async with open_target() as target:
            async with opened_service(memory, SYSTEM_CLOCK) as service:
                or_raise(await service.start_replay(at_once(target.url, speed_multiplier=1)))
                await target.has_received(5)
            status = or_raise(await service.get_replay_status(SESSION))

        assert status.delivery == DeliveryCounts(delivered=5, not_sent=1)

    async def test_one_that_has_not_begun_is_accounted_for(self, memory: S3Storage) -> None:
        await write_session(memory, SESSION, arriving(numbered(5)))
        async with open_target() as target:
            async with opened_service(memory, SYSTEM_CLOCK) as service:
                or_raise(await service.start_replay(at_once(target.url)))
            status = or_raise(await service.get_replay_status(SESSION))

        assert_closed(status, 5, 5)
        assert status.error == ReplayInterrupted(SESSION)

    @pytest.mark.parametrize(
        ("script", "settings"),
        [
            (always(OK), {"speed_multiplier": 1.0, "copies": 2, "timestamp_adjustment": "current"}),
            (always(Silence()), {}),
            (always(BUSY), {"speed_multiplier": 1.0}),
        ],
    )
    async def test_cancelled_at_any_step_it_leaves_nothing_behind(
        self, memory: S3Storage, script: Any, settings: dict[str, Any]
    ) -> None:
        await write_session(memory, SESSION, arriving(interleaved(10), every=0))
        services: list[Any] = []

        async def replay(
            url: str, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
        ) -> None:
            async with opened_service(memory, SYSTEM_CLOCK) as service:
                services.append(service)
                or_raise(await service.start_replay(at_once(url, **settings)))
                task_status.started()
                await anyio.sleep_forever()

        async with open_target(script) as target:
            before = held()
            for steps in [*range(60), *range(60, 500, 23)]:
                async with anyio.create_task_group() as tasks:
                    await tasks.start(replay, target.url)
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    tasks.cancel_scope.cancel()
                await target.is_alone()
                assert held() == before, steps
        gc.collect()

        requests = 30 * settings.get("copies", 1)
        for service in services:
            status = or_raise(await service.get_replay_status(SESSION))
            assert_closed(status, requests, requests)

    async def test_cancelled_while_it_is_steered_it_leaves_nothing_behind(
        self, memory: S3Storage
    ) -> None:
        await write_session(memory, SESSION, arriving(interleaved(10), every=0))

        async def replay(url: str) -> None:
            async with opened_service(memory, SYSTEM_CLOCK) as service:
                config = at_once(url, speed_multiplier=1, max_in_flight=2, loops=2)
                or_raise(await service.start_replay(config))
                for place in (20, 3, 29, 0, 8):
                    await service.seek(SESSION, After(place))
                    await service.pause(SESSION)
                    await service.step(SESSION)
                    await asyncio.sleep(0)
                    await service.resume(SESSION)
                await service.cancel(SESSION)

        async with open_target() as target:
            before = held()
            for steps in range(0, 200, 3):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(replay, target.url)
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    tasks.cancel_scope.cancel()
                await target.is_alone()
                assert held() == before, steps


def held() -> tuple[set[asyncio.Task[Any]], int, list[str]]:
    """Return the tasks there are, how many files and sockets are open, and the alarms' threads."""
    threads = [each.name for each in threading.enumerate() if "replay" in each.name]
    return asyncio.all_tasks(), len(list(Path("/proc/self/fd").iterdir())), threads
