"""Forwarding for tests: a transport that does as it is told, and destinations of its kind."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import attrs

from otlp_capture.clock import Clock
from otlp_capture.forward import (
    Destination,
    ForwardCounts,
    Forwarding,
    ForwardSettings,
    ForwardStatus,
    KeptRequest,
)
from otlp_capture.forward.forwarder import Forwarder
from otlp_capture.otlp import Signal
from otlp_capture.sending import Accepted, Answer, Endpoint, Parcel, RetryPolicy
from tests.clocks import VirtualClock

IMPATIENT = RetryPolicy(initial_backoff_s=0.0)


@attrs.frozen
class Step:
    """What comes of one attempt, and after how long."""

    answer: Answer
    takes_s: int = 0


class Scripted:
    """A transport that does *steps*, one an attempt, and then takes everything."""

    def __init__(self, clock: VirtualClock, steps: Sequence[Step] = ()) -> None:
        self.target = "a script"
        self.sent: list[Parcel] = []
        self.sent_at_s: list[float] = []
        self._clock, self._steps = clock, steps

    @property
    def bodies(self) -> list[bytes]:
        return [parcel.body for parcel in self.sent]

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        done = len(self.sent)
        step = self._steps[done] if done < len(self._steps) else Step(Accepted())
        self.sent.append(parcel)
        self.sent_at_s.append(self._clock.monotonic_ns() / 1e9)
        depart()
        await self._clock.sleep_until(self._clock.monotonic_ns() + step.takes_s * 10**9)
        return step.answer


def kept(body: bytes = b"request", *, records: int = 1, signal: Signal = "logs") -> KeptRequest:
    """Return a request that is stored as it came."""
    return KeptRequest(signal=signal, record_count=records, stored=body, came=body)


@asynccontextmanager
async def forwarding_to(
    transports: Sequence[Scripted], clock: Clock, settings: ForwardSettings
) -> AsyncIterator[Forwarding]:
    """Forward to transports until the block ends; what waits then is let go."""
    async with anyio.create_task_group() as tasks:
        forwarders = [
            Forwarder(
                Destination(Endpoint(url=f"http://{number}")), transport, settings, clock, tasks
            )
            for number, transport in enumerate(transports)
        ]
        yield Forwarding(forwarders, settings)
        tasks.cancel_scope.cancel()
    for forwarder in forwarders:
        forwarder.close()


def counted(**counts: int) -> ForwardCounts:
    """Return counts that account for all."""
    return ForwardCounts(offered=sum(counts.values()), **counts)


def assert_accounted(status: ForwardStatus) -> None:
    """Assert that both ledgers account for all that was offered."""
    assert status.requests.is_closed
    assert status.records.is_closed
