"""A replay service whose replays end when a test says so, and which notes how it is steered."""

from collections.abc import AsyncIterator
from typing import Any, Literal

import anyio
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_replay import ReplayConfig, ReplayError, ReplayStatus
from otlp_replay.errors import ReplayInterrupted, ReplayNotFound


@attrs.define
class Steered:
    """One replay of it."""

    config: ReplayConfig
    status: ReplayStatus
    state: Literal["running", "paused", "over"] = "running"
    over: anyio.Event = attrs.Factory(anyio.Event)


class SteeredReplays:
    """What of `OtlpReplayService` an orchestrator uses.

    Attributes:
        replays: all that were started.
        refusal: in place of a replay, where a test wants it.
        total: how many requests a replay has.
    """

    def __init__(self) -> None:
        self.replays: list[Steered] = []
        self.refusal: ReplayError | None = None
        self.total = 3

    async def start_replay(self, config: ReplayConfig) -> Outcome[ReplayStatus, ReplayError]:
        if self.refusal is not None:
            return Failure(self.refusal)
        status = ReplayStatus(
            replay_id=f"replay-{len(self.replays)}",
            session_id=config.session_id,
            status="running",
            total_records=self.total,
        )
        self.replays.append(Steered(config, status))
        return Success(status)

    async def get_replay_status(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        replay = self._find(replay_id)
        return Success(replay.status) if replay else Failure(ReplayNotFound(replay_id))

    async def pause(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        return self._become(replay_id, "paused")

    async def resume(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        return self._become(replay_id, "running")

    async def cancel(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        replay = self._find(replay_id)
        if replay is not None and replay.state != "over":
            self.end(replay, ReplayInterrupted(replay.status.session_id))
        return await self.get_replay_status(replay_id)

    async def watch(self, replay_id: str) -> AsyncIterator[ReplayStatus]:
        replay = self._find(replay_id)
        assert replay is not None
        yield replay.status
        await replay.over.wait()
        yield replay.status

    @property
    def latest(self) -> Steered:
        """The replay that was started last."""
        return self.replays[-1]

    def end(self, replay: Steered, error: ReplayError | None = None) -> None:
        """Let a replay be over."""
        ended: Any = "completed" if error is None else "failed"
        replay.status = attrs.evolve(replay.status, status=ended, error=error)
        replay.state = "over"
        replay.over.set()

    def _become(
        self, replay_id: str, state: Literal["running", "paused"]
    ) -> Outcome[ReplayStatus, ReplayError]:
        replay = self._find(replay_id)
        if replay is None:
            return Failure(ReplayNotFound(replay_id))
        if replay.state != "over":
            replay.state = state
        return Success(replay.status)

    def _find(self, replay_id: str) -> Steered | None:
        return next((each for each in self.replays if each.status.replay_id == replay_id), None)
