"""The documented `ReplayOrchestrator`: a session is chosen, and its replay steered as a whole."""

from typing import ClassVar, Final, Never, Protocol, TypeAlias, runtime_checkable

import anyio
import attrs
from anyio.abc import TaskGroup

from otlp_capture.clock import Clock, ClockTag
from otlp_capture.layer import Scope, Tag, scoped
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata
from otlp_replay.errors import ReplayError
from otlp_replay.orchestrator.manager import SelectionError, SessionManager, SessionManagerTag
from otlp_replay.orchestrator.model import (
    AUTO,
    OrchestratorConfig,
    OrchestratorState,
    OrchestratorStatus,
    check_orchestration,
)
from otlp_replay.orchestrator.run import Run
from otlp_replay.service import OtlpReplayService, OtlpReplayServiceTag


@attrs.frozen
class WrongState:
    """The orchestrator cannot do this now.

    Attributes:
        asked: what it was to do: start, pause, resume or stop.
        state: how it stands.
        session_id: what it replays; None: nothing was started.
    """

    asked: str
    state: OrchestratorState
    session_id: str | None
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What cannot be done, why, and what to do."""
        what = f" of {self.session_id!r}" if self.session_id else ""
        return f"The replay{what} is {self.state}: it cannot {self.asked}. {self._advice}"

    @property
    def _advice(self) -> str:
        if self.asked == "start":
            return "Stop it first, or wait until it has stopped."
        return "Start one first."


OrchestratorError: TypeAlias = ReplayError | SelectionError | WrongState
"""Everything that `ReplayOrchestrator` answers in place of a result."""


@runtime_checkable
class ReplayOrchestrator(Protocol):
    """Replays one session at a time: idle, running, paused, stopping, stopped.

    What it was asked for already is done already: a pause of what is paused, or a stop of what
    has stopped, succeeds.
    """

    async def start(
        self, config: OrchestratorConfig
    ) -> Outcome[OrchestratorStatus, OrchestratorError]:
        """Choose the session, begin its replay, and return its status, `running`.

        Fails with:
            InvalidConfig: the configuration cannot be.
            InvalidSessionId, SessionNotFound, NoSessionMatches: there is no such session.
            WrongState: the replay before has not stopped.
            ReplayError: the replay cannot be started.
        """
        ...

    async def pause(self) -> Outcome[OrchestratorStatus, OrchestratorError]:
        """Send nothing until `resume`; what is on its way may still be answered.

        The session's clock stands meanwhile: what follows keeps its distances.

        Fails with:
            WrongState: nothing runs.
        """
        ...

    async def resume(self) -> Outcome[OrchestratorStatus, OrchestratorError]:
        """Go on where it was paused.

        Fails with:
            WrongState: nothing is paused.
        """
        ...

    async def stop(self) -> Outcome[OrchestratorStatus, OrchestratorError]:
        """Send nothing more, wait for what is on its way, and return the status, `stopped`.

        It goes on stopping when the caller is cancelled meanwhile.

        Fails with:
            WrongState: nothing was started.
        """
        ...

    async def get_status(self) -> OrchestratorStatus:
        """Return how it stands; `idle` before the first start."""
        ...

    async def wait(self) -> OrchestratorStatus:
        """Wait until it has stopped, and return its status; at once where nothing runs."""
        ...


ReplayOrchestratorTag: Final = Tag[ReplayOrchestrator]("otlp_replay.ReplayOrchestrator")


class _Orchestrator:
    def __init__(
        self,
        sessions: SessionManager,
        replays: OtlpReplayService,
        clock: Clock,
        tasks: TaskGroup,
    ) -> None:
        self._sessions, self._replays = sessions, replays
        self._clock, self._tasks = clock, tasks
        self._starting = anyio.Lock()
        self._run: Run | None = None

    async def start(
        self, config: OrchestratorConfig
    ) -> Outcome[OrchestratorStatus, OrchestratorError]:
        checked = check_orchestration(config)
        if isinstance(checked, Failure):
            return checked
        async with self._starting:
            if self._run is not None and self._run.state != "stopped":
                return Failure(await self._wrong("start"))
            session = await self._session(config)
            if isinstance(session, Failure):
                return session
            run = Run(self._replays, self._clock, self._tasks, config, session.unwrap())
            begun = await run.begin()
            if isinstance(begun, Failure):
                return begun
            self._run = run
        return Success(await run.status())

    async def pause(self) -> Outcome[OrchestratorStatus, OrchestratorError]:
        run = self._run
        if run is None or run.state not in {"running", "paused"}:
            return Failure(await self._wrong("pause"))
        await run.pause()
        return Success(await run.status())

    async def resume(self) -> Outcome[OrchestratorStatus, OrchestratorError]:
        run = self._run
        if run is None or run.state not in {"running", "paused"}:
            return Failure(await self._wrong("resume"))
        await run.resume()
        return Success(await run.status())

    async def stop(self) -> Outcome[OrchestratorStatus, OrchestratorError]:
        run = self._run
        if run is None:
            return Failure(await self._wrong("stop"))
        await run.stop()
        return Success(await run.status())

    async def get_status(self) -> OrchestratorStatus:
        return OrchestratorStatus() if self._run is None else await self._run.status()

    async def wait(self) -> OrchestratorStatus:
        if self._run is not None:
            await self._run.over.wait()
        return await self.get_status()

    async def close(self) -> None:
        """Break off what runs; the replay service waits for what is on its way."""
        self._tasks.cancel_scope.cancel()

    async def _session(
        self, config: OrchestratorConfig
    ) -> Outcome[CaptureSessionMetadata, SelectionError]:
        if config.session_id != AUTO:
            return await self._sessions.get(config.session_id)
        return await self._sessions.select(
            config.selection_strategy, config.session_filter, seed=config.selection_seed
        )

    async def _wrong(self, asked: str) -> WrongState:
        status = await self.get_status()
        return WrongState(asked, status.status, status.session_id)


async def _open_orchestrator(
    scope: Scope, sessions: SessionManager, replays: OtlpReplayService, clock: Clock
) -> Outcome[ReplayOrchestrator, Never]:
    tasks = await scope.enter(anyio.create_task_group())
    orchestrator = _Orchestrator(sessions, replays, clock, tasks)
    scope.defer(orchestrator.close)
    return Success(orchestrator)


ReplayOrchestratorLive: Final = scoped(
    ReplayOrchestratorTag, _open_orchestrator, SessionManagerTag, OtlpReplayServiceTag, ClockTag
)
"""The orchestrator. A replay that is under way when its runtime closes is broken off."""
