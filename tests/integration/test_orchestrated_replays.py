"""The orchestrator over the real replay service, by a clock that only the test moves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import anyio
import attrs
import pytest

from otlp_capture.clock import ClockTag
from otlp_capture.layer import open_runtime, succeed, wire
from otlp_capture.result import or_raise
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay import DeliveryCounts, OtlpReplayServiceLive
from otlp_replay.errors import ReplayCancelled
from otlp_replay.fidelity import list_certificates
from otlp_replay.orchestrator import (
    OrchestratorConfig,
    OrchestratorStatus,
    ReplayOrchestrator,
    ReplayOrchestratorLive,
    ReplayOrchestratorTag,
    SessionManagerLive,
)
from tests.clocks import HANGS_AFTER_S, VirtualClock, settled
from tests.replays import numbered
from tests.sessions import arriving, write_session
from tests.virtual_replays import Taking

pytestmark = pytest.mark.anyio

SESSION = "seed-1"


@attrs.frozen
class Orchestrated:
    """An orchestrator, its clock, and what its target has got."""

    orchestrator: ReplayOrchestrator
    clock: VirtualClock
    transport: Taking

    async def until(self, seconds: float) -> OrchestratorStatus:
        """Let the clock go to that time, and what is due until then be done."""
        await settled()
        await self.clock.advance(seconds - self.clock.monotonic_ns() / 1e9)
        await settled()
        return await self.orchestrator.get_status()

    async def has_sent(self, requests: int) -> None:
        """Wait, while time stands, until that many requests have been sent."""
        with anyio.fail_after(HANGS_AFTER_S):
            while len(self.transport.parcels) < requests:
                await settled()

    async def begins_pass(self, number: int) -> None:
        """Wait, while time stands, until a pass has begun."""
        with anyio.fail_after(HANGS_AFTER_S):
            while (await self.orchestrator.get_status()).passes < number:
                await settled()


@asynccontextmanager
async def orchestrated(storage: S3Storage, **settings: Any) -> AsyncIterator[Orchestrated]:
    """Start a replay of five requests, a second apart, by a clock that stands at 0."""
    await write_session(storage, SESSION, arriving(numbered(5)))
    clock, transport = VirtualClock(), Taking()

    @asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[Taking]:
        yield transport

    layer = wire(
        ReplayOrchestratorLive,
        SessionManagerLive,
        OtlpReplayServiceLive,
        succeed(S3StorageTag, storage),
        succeed(ClockTag, clock),
    )
    with patch("otlp_replay.replay.open_transport", opened):
        async with open_runtime(layer, ReplayOrchestratorTag) as found:
            (orchestrator,) = or_raise(found)
            or_raise(await orchestrator.start(OrchestratorConfig(**settings)))
            replay = Orchestrated(orchestrator, clock, transport)
            await replay.has_sent(1)
            yield replay


async def test_the_session_that_is_chosen_is_sent_to_its_end(memory: S3Storage) -> None:
    async with orchestrated(memory) as replay:
        await replay.until(2.5)
        assert len(replay.transport.parcels) == 3
        await replay.until(4)
        with anyio.fail_after(HANGS_AFTER_S):
            status = await replay.orchestrator.wait()

    assert (status.session_id, status.status, status.passes) == (SESSION, "stopped", 1)
    assert (status.run_duration_s, status.remaining_duration_s) == (4, 0)
    assert status.replay_status is not None
    assert status.replay_status.delivery == DeliveryCounts(delivered=5)


async def test_while_it_is_paused_nothing_is_sent_and_time_does_not_count(
    memory: S3Storage,
) -> None:
    async with orchestrated(memory, session_id=SESSION) as replay:
        await replay.until(1.5)
        assert or_raise(await replay.orchestrator.pause()).status == "paused"
        paused = await replay.until(3600)
        assert (len(replay.transport.parcels), paused.run_duration_s) == (2, 1.5)
        assert paused.replay_status is not None
        assert paused.replay_status.is_paused
        assert or_raise(await replay.orchestrator.resume()).status == "running"
        await replay.until(3600.25)
        assert len(replay.transport.parcels) == 2
        await replay.until(3602.5)
        with anyio.fail_after(HANGS_AFTER_S):
            status = await replay.orchestrator.wait()

    assert (status.status, status.run_duration_s) == ("stopped", 4)
    assert len(replay.transport.parcels) == 5


async def test_each_pass_of_a_loop_is_a_replay_of_its_own(memory: S3Storage) -> None:
    async with orchestrated(memory, session_id=SESSION, loop_enabled=True) as replay:
        await replay.until(4)
        await replay.begins_pass(2)
        await replay.has_sent(6)
        await replay.until(5.5)
        assert len(replay.transport.parcels) == 7
        status = or_raise(await replay.orchestrator.stop())

    assert (status.status, status.passes) == ("stopped", 2)
    assert status.replay_status is not None
    assert status.replay_status.error == ReplayCancelled(SESSION)
    assert status.replay_status.delivery == DeliveryCounts(delivered=2, not_sent=3)
    assert len(or_raise(await list_certificates(memory, SESSION))) == 2


@pytest.mark.parametrize("is_looping", [False, True])
async def test_it_is_stopped_when_it_has_run_so_long_without_its_pauses(
    memory: S3Storage, *, is_looping: bool
) -> None:
    async with orchestrated(
        memory, session_id=SESSION, loop_enabled=is_looping, max_duration_s=2.5
    ) as replay:
        await replay.until(1.5)
        await replay.orchestrator.pause()
        await replay.until(100)
        await replay.orchestrator.resume()
        status = await replay.until(100.9)
        assert status.status == "running"
        assert status.remaining_duration_s == pytest.approx(0.1)
        await replay.until(101)
        with anyio.fail_after(HANGS_AFTER_S):
            status = await replay.orchestrator.wait()

    assert (status.status, status.run_duration_s, status.passes) == ("stopped", 2.5, 1)
    assert status.replay_status is not None
    assert status.replay_status.delivery == DeliveryCounts(delivered=3, not_sent=2)
