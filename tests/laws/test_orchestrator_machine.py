"""An orchestrated replay under any order of commands, against a model that only counts."""

import asyncio
from typing import Any

import anyio
import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from returns.result import Failure, Success

from otlp_capture.clock import ClockTag
from otlp_capture.layer import open_runtime, succeed, wire
from otlp_capture.result import or_raise
from otlp_capture.storage import S3StorageTag
from otlp_replay import OtlpReplayServiceTag
from otlp_replay.errors import IngestionFailure
from otlp_replay.orchestrator import (
    OrchestratorConfig,
    OrchestratorState,
    ReplayOrchestrator,
    ReplayOrchestratorLive,
    ReplayOrchestratorTag,
    SessionManagerLive,
    WrongState,
)
from tests.clocks import HANGS_AFTER_S, VirtualClock, settled
from tests.replays import numbered
from tests.sessions import arriving, opened_memory, write_session
from tests.steered_replays import SteeredReplays

SESSION = "s"


@attrs.define
class Model:
    """What is known without asking.

    Attributes:
        state: how it stands.
        run_s: how long it has run.
        longest_s: when it is to be stopped.
        is_looping: whether it begins again.
        passes: how often it has begun.
    """

    state: OrchestratorState = "idle"
    run_s: int = 0
    longest_s: int | None = None
    is_looping: bool = False
    passes: int = 0


class Orchestration(RuleBasedStateMachine):
    """One orchestrator, one session, and a clock that only the machine moves."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = VirtualClock()
        self.replays = SteeredReplays()
        self.model = Model()

    @initialize()
    def begin(self) -> None:
        ready: asyncio.Future[ReplayOrchestrator] = self.runner.get_loop().create_future()
        self.closed = asyncio.Event()

        async def live() -> None:
            replays: Any = self.replays
            async with opened_memory() as storage:
                await write_session(storage, SESSION, arriving(numbered(3)))
                layer = wire(
                    ReplayOrchestratorLive,
                    SessionManagerLive,
                    succeed(OtlpReplayServiceTag, replays),
                    succeed(S3StorageTag, storage),
                    succeed(ClockTag, self.clock),
                )
                async with open_runtime(layer, ReplayOrchestratorTag) as opened:
                    (orchestrator,) = or_raise(opened)
                    ready.set_result(orchestrator)
                    await self.closed.wait()

        self.process = self.runner.get_loop().create_task(live())
        self.orchestrator: ReplayOrchestrator = self.run(ready)

    def run(self, work: Any) -> Any:
        async def bounded() -> Any:
            with anyio.fail_after(HANGS_AFTER_S):
                done = await work
                await settled()
                return done

        return self.runner.run(bounded())

    @rule(is_looping=st.booleans(), longest_s=st.none() | st.integers(1, 20))
    def start(self, *, is_looping: bool, longest_s: int | None) -> None:
        config = OrchestratorConfig(
            session_id=SESSION, loop_enabled=is_looping, max_duration_s=longest_s
        )
        started = self.run(self.orchestrator.start(config))
        if self.model.state in {"running", "paused"}:
            assert started == Failure(WrongState("start", self.model.state, SESSION))
            return
        assert isinstance(started, Success)
        self.model = Model("running", 0, longest_s, is_looping, 1)

    @rule()
    def pause(self) -> None:
        self.steer("pause", "paused")

    @rule()
    def resume(self) -> None:
        self.steer("resume", "running")

    def steer(self, name: str, state: OrchestratorState) -> None:
        steered = self.run(getattr(self.orchestrator, name)())
        if self.model.state not in {"running", "paused"}:
            session_id = None if self.model.state == "idle" else SESSION
            assert steered == Failure(WrongState(name, self.model.state, session_id))
            return
        assert or_raise(steered).status == state
        self.model.state = state

    @rule()
    def stop(self) -> None:
        stopped = self.run(self.orchestrator.stop())
        if self.model.state == "idle":
            assert stopped == Failure(WrongState("stop", "idle", None))
            return
        assert or_raise(stopped).status == "stopped"
        self.model.state = "stopped"

    @rule(seconds=st.integers(1, 10))
    def let_time_pass(self, seconds: int) -> None:
        self.run(self.clock.advance(seconds))
        if self.model.state != "running":
            return
        self.model.run_s += seconds
        longest_s = self.model.longest_s
        if longest_s is not None and self.model.run_s >= longest_s:
            self.model.run_s, self.model.state = longest_s, "stopped"

    @precondition(lambda self: self.model.state == "running")
    @rule()
    def end_a_pass(self) -> None:
        self.replays.end(self.replays.latest)
        self.run(settled())
        if self.model.is_looping:
            self.model.passes += 1
        else:
            self.model.state = "stopped"

    @precondition(lambda self: self.model.state == "running")
    @rule()
    def lose_the_target(self) -> None:
        self.replays.end(self.replays.latest, IngestionFailure("there", "it is gone"))
        self.run(settled())
        self.model.state = "stopped"

    @precondition(lambda self: self.model.state == "paused" and self.model.is_looping)
    @rule()
    def end_a_pass_while_it_is_paused(self) -> None:
        """What was on its way is answered, and nothing was left: the next pass waits."""
        if self.replays.latest.state == "over":
            return
        self.replays.end(self.replays.latest)
        self.run(settled())
        assert self.run(self.orchestrator.resume()).unwrap().status == "running"
        self.model.state = "running"
        self.model.passes += 1

    @invariant()
    def it_stands_as_it_should(self) -> None:
        status = self.run(self.orchestrator.get_status())
        assert (status.status, status.run_duration_s, status.passes) == (
            self.model.state,
            self.model.run_s,
            self.model.passes,
        )
        assert (status.started_at is None) == (self.model.state == "idle")
        assert (status.stopped_at is not None) == (self.model.state == "stopped")

    @invariant()
    def one_replay_goes_on_at_the_most(self) -> None:
        going_on = [each.state for each in self.replays.replays if each.state != "over"]
        is_going_on = self.model.state in {"running", "paused"}
        assert going_on == ([self.model.state] if is_going_on else [])

    @invariant()
    def it_says_when_it_will_have_stopped(self) -> None:
        status, model = self.run(self.orchestrator.get_status()), self.model
        if model.state == "idle":
            assert status.remaining_duration_s is None
        elif model.state == "stopped":
            assert status.remaining_duration_s == 0
        elif model.longest_s is not None:
            assert status.remaining_duration_s <= model.longest_s - model.run_s

    def teardown(self) -> None:
        self.closed.set()
        self.run(self.process)
        self.runner.close()


Orchestration.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
TestOrchestration = Orchestration.TestCase
