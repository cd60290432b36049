"""One orchestrated replay, from its start until it has stopped."""

from typing import Literal

import anyio
import attrs
from anyio.abc import TaskGroup

from otlp_capture.clock import Clock, moment
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata
from otlp_replay.errors import ReplayError
from otlp_replay.orchestrator.model import OrchestratorConfig, OrchestratorStatus
from otlp_replay.service import OtlpReplayService
from otlp_replay.status import ReplayStatus

_S_NS = 1_000_000_000


class Stopwatch:
    """How long something has run, without its pauses, on the monotonic clock in nanoseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._before_ns = clock, 0
        self._since_ns: int | None = None

    @property
    def elapsed_ns(self) -> int:
        """How long it has run."""
        running = 0 if self._since_ns is None else self._clock.monotonic_ns() - self._since_ns
        return self._before_ns + running

    def go(self) -> None:
        """Let it run."""
        if self._since_ns is None:
            self._since_ns = self._clock.monotonic_ns()

    def halt(self) -> None:
        """Let it stand."""
        self._before_ns, self._since_ns = self.elapsed_ns, None


class Run:
    """A replay, or one after the other of the same session, steered as a whole.

    Args:
        replays: what carries them out.
        clock: the time.
        tasks: own what happens in the background.
        config: what is asked for; it was checked.
        session: what is replayed.

    Attributes:
        over: set when it has stopped.
    """

    def __init__(
        self,
        replays: OtlpReplayService,
        clock: Clock,
        tasks: TaskGroup,
        config: OrchestratorConfig,
        session: CaptureSessionMetadata,
    ) -> None:
        self._replays, self._clock, self._tasks = replays, clock, tasks
        self._config, self._session = config, session
        self._watch = Stopwatch(clock)
        self._steering = anyio.Lock()
        self._moving = anyio.Event()
        self._limit = anyio.CancelScope()
        self._latest: ReplayStatus | None = None
        self._status = OrchestratorStatus(session_id=session.session_id)
        self.over = anyio.Event()

    @property
    def state(self) -> Literal["idle", "running", "paused", "stopping", "stopped"]:
        """How it stands."""
        return self._status.status

    async def begin(self) -> Outcome[None, ReplayError]:
        """Start the first pass.

        Fails with:
            ReplayError: it cannot be started.
        """
        started = await self._start_pass()
        if isinstance(started, Failure):
            return started
        self._status = attrs.evolve(
            self._status, status="running", started_at=moment(self._clock.time_ns())
        )
        self._move()
        self._tasks.start_soon(self._follow)
        return Success(None)

    async def pause(self) -> None:
        """Send nothing until `resume`; nothing happens unless it runs."""
        async with self._steering:
            if self.state != "running":
                return
            self._become("paused")
            self._moving = anyio.Event()
            await self._replays.pause(self._replay_id)

    async def resume(self) -> None:
        """Go on; nothing happens unless it is paused."""
        async with self._steering:
            if self.state != "paused":
                return
            await self._replays.resume(self._replay_id)
            self._status = attrs.evolve(self._status, status="running")
            self._move()

    async def stop(self) -> None:
        """Send nothing more, and return when what is on its way is settled."""
        async with self._steering:
            if self.state in {"running", "paused"}:
                self._become("stopping")
                self._moving.set()
                await self._replays.cancel(self._replay_id)
        await self.over.wait()

    async def status(self) -> OrchestratorStatus:
        """Return how it stands."""
        if self.state != "stopped":
            await self._look()
        return attrs.evolve(
            self._status,
            replay_status=self._latest,
            run_duration_s=self._watch.elapsed_ns / _S_NS,
            remaining_duration_s=self._remaining_s(),
        )

    def abandon(self) -> None:
        """Note that nobody follows it any more."""
        if not self.over.is_set():
            self._become("stopped")
            self._status = attrs.evolve(self._status, stopped_at=moment(self._clock.time_ns()))
            self.over.set()

    @property
    def _replay_id(self) -> str:
        return "" if self._latest is None else self._latest.replay_id

    async def _start_pass(self) -> Outcome[None, ReplayError]:
        config = self._config.replay_config(self._session.session_id, self._status.passes)
        started = await self._replays.start_replay(config)
        if isinstance(started, Failure):
            return started
        self._latest = started.unwrap()
        self._status = attrs.evolve(self._status, passes=self._status.passes + 1)
        return Success(None)

    async def _follow(self) -> None:
        """Begin again with the session, as often as it is to be, until it has stopped."""
        try:
            is_going_on = True
            while is_going_on:
                async for status in self._replays.watch(self._replay_id):
                    self._latest = status
                await self._moving.wait()
                async with self._steering:
                    is_going_on = self.state == "paused" or await self._begin_again()
        finally:
            self.abandon()

    async def _begin_again(self) -> bool:
        """Start the next pass, if there is to be one."""
        latest = self._latest
        is_through = self.state != "running" or not self._config.loop_enabled
        if is_through or latest is None or latest.error is not None or not latest.total_records:
            return False
        return isinstance(await self._start_pass(), Success)

    async def _look(self) -> None:
        found = await self._replays.get_replay_status(self._replay_id)
        if isinstance(found, Success):
            self._latest = found.unwrap()

    def _move(self) -> None:
        """Let time count from now on."""
        self._watch.go()
        self._moving.set()
        longest_s = self._config.max_duration_s
        if longest_s is None:
            return
        left_ns = round(longest_s * _S_NS) - self._watch.elapsed_ns
        self._limit = anyio.CancelScope()
        deadline_ns = self._clock.monotonic_ns() + left_ns
        self._tasks.start_soon(self._stop_when_due, deadline_ns, self._limit)

    def _become(self, state: Literal["paused", "stopping", "stopped"]) -> None:
        """Let time count no longer."""
        self._watch.halt()
        self._limit.cancel()
        self._status = attrs.evolve(self._status, status=state)

    async def _stop_when_due(self, deadline_ns: int, limit: anyio.CancelScope) -> None:
        with limit:
            await self._clock.sleep_until(deadline_ns)
        if not limit.cancel_called:
            await self.stop()

    def _remaining_s(self) -> float | None:
        if self.state in {"stopping", "stopped"}:
            return 0.0
        lengths = [self._config.max_duration_s, self._session_s()]
        known = [length for length in lengths if length is not None]
        if not known:
            return None
        return max(0.0, min(known) - self._watch.elapsed_ns / _S_NS)

    def _session_s(self) -> float | None:
        """Return how long the session takes at the most, where that can be told."""
        config, end = self._config, self._session.end_time
        speed, further = config.speed_multiplier, config.further
        if config.loop_enabled or speed == "max" or end is None:
            return None
        if further is not None and (further.max_rate or further.late_policy == "stretch"):
            return None
        return (end - self._session.start_time).total_seconds() / speed
