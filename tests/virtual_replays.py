"""Replays by a clock that jumps from deadline to deadline, to a target that answers at once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import anyio
import attrs

from otlp_capture.result import or_raise
from otlp_capture.sending import Accepted, Answer, Parcel
from otlp_capture.storage import S3Storage
from otlp_replay import OtlpReplayService, ReplayConfig, ReplayStatus
from otlp_replay.events import Event, Settled
from tests.clocks import HANGS_AFTER_S, VirtualClock, settled
from tests.replays import SESSION, opened_service


class Taking:
    """A transport whose target takes everything at once."""

    target = "nowhere"

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        self.parcels.append(parcel)
        depart()
        return Accepted()


class Noting:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.intended: list[Event] = []
        self.settled: list[Settled] = []

    def intend(self, event: Event) -> None:
        self.intended.append(event)

    def settle(self, settled: Settled) -> None:
        self.settled.append(settled)

    @property
    def dispatched(self) -> list[tuple[int, int, int | None]]:
        """Number, planned and achieved time of all that was dispatched, in order of dispatch."""
        by_event = {id(each.event): each.stamps for each in self.settled}
        return [
            (event.number, by_event[id(event)].planned_ns, by_event[id(event)].dispatched_ns)
            for event in self.intended
        ]


@attrs.frozen
class VirtualReplay:
    """A replay that is under way."""

    service: OtlpReplayService
    clock: VirtualClock
    noting: Noting
    transport: Any

    async def until(self, seconds: float) -> None:
        """Let the clock go to that time, and do what is due until then."""
        await self.clock.advance(seconds - self.clock.monotonic_ns() / 1e9)
        await settled()

    async def run_out(self) -> ReplayStatus:
        """Let time pass until the replay is over."""
        with anyio.fail_after(HANGS_AFTER_S):
            while not (status := or_raise(await self.service.get_replay_status(SESSION))).is_over:
                await settled()
                for deadline_ns in self.clock.deadlines_ns[:1]:
                    self.clock.step((deadline_ns - self.clock.monotonic_ns()) / 1e9)
        return status


@asynccontextmanager
async def virtual_replay(
    storage: S3Storage, transport: Any = None, **settings: Any
) -> AsyncIterator[VirtualReplay]:
    """Start a replay of the usual session, which is written already."""
    transport = transport or Taking()

    @asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[Any]:
        yield transport

    clock, noting = VirtualClock(), Noting()
    with patch("otlp_replay.replay.open_transport", opened):
        async with opened_service(storage, clock) as service:
            config = ReplayConfig(session_id=SESSION, **settings)
            or_raise(await service.start_replay(config, observers=(noting,)))
            await settled()
            yield VirtualReplay(service, clock, noting, transport)
