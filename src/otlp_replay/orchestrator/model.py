"""What an orchestrated replay is asked for, and how it stands."""

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import attrs

from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import SIGNALS, Signal, is_signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.config import ReplayConfig, TimestampAdjustment, check_config
from otlp_replay.orchestrator.choosing import (
    SelectionStrategy,
    SessionFilter,
    choice_problems,
)
from otlp_replay.status import ReplayStatus

OrchestratorState: TypeAlias = Literal["idle", "running", "paused", "stopping", "stopped"]
AUTO: Final = "auto"
"""In place of a session's id: choose one."""

_LONGEST_S: Final = 366 * 86_400.0


@attrs.frozen(kw_only=True)
class OrchestratorConfig:
    """Which session to send, where, and for how long.

    Attributes:
        session_id: the session, or `auto`: one is chosen.
        selection_strategy: with `auto`, which one.
        session_filter: with `auto`, which may be chosen.
        selection_seed: with `auto` and `random`, makes the same choice of the same sessions;
            None: any.
        max_duration_s: it is stopped when it has run so long, in seconds; pauses do not count.
        loop_enabled: whether it begins again when it is through. Each pass is a replay of its
            own, with trace ids and span ids of its own.
        speed_multiplier: 1 keeps the session's pace; `max` sends as fast as the target takes it.
        target_endpoint: the base URL of an OTLP endpoint.
        signals: what is sent.
        timestamp_adjustment: how times are moved; each pass for itself.
        further: all other settings of the replay, such as TLS, headers and the allow-list; what
            it says of the settings above, of loops and of the longest duration is not looked at.
    """

    session_id: str = AUTO
    selection_strategy: SelectionStrategy = "latest"
    session_filter: SessionFilter = SessionFilter()  # noqa: RUF009 - it is frozen
    selection_seed: int | None = None
    max_duration_s: float | None = None
    loop_enabled: bool = False
    speed_multiplier: float | Literal["max"] = 1.0
    target_endpoint: str = "http://127.0.0.1:4318"
    signals: tuple[Signal, ...] = SIGNALS
    timestamp_adjustment: TimestampAdjustment = "none"
    further: ReplayConfig | None = None

    def replay_config(self, session_id: str, number: int) -> ReplayConfig:
        """Return what the pass of *number*, from 0, is asked for."""
        further = self.further or ReplayConfig(session_id=session_id)
        return attrs.evolve(
            further,
            session_id=session_id,
            target_endpoint=self.target_endpoint,
            timestamp_adjustment=self.timestamp_adjustment,
            speed_multiplier=self.speed_multiplier,
            replay_traces="traces" in self.signals,
            replay_metrics="metrics" in self.signals,
            replay_logs="logs" in self.signals,
            loops=1,
            max_duration_s=None,
            remap_ids=_is_remapping(further, loop_enabled=self.loop_enabled),
            seed=further.seed + number,
            replay_id=None,
        )


def _is_remapping(further: ReplayConfig, *, loop_enabled: bool) -> bool | None:
    return True if further.remap_ids is None and loop_enabled else further.remap_ids


def check_orchestration(
    config: OrchestratorConfig,
) -> Outcome[OrchestratorConfig, InvalidConfig]:
    """Return *config* if it can be carried out.

    Fails with:
        InvalidConfig: a setting has a value that it cannot have.
    """
    problem = next(_problems(config), None)
    if problem is not None:
        return Failure(problem)
    checked = check_config(config.replay_config(config.session_id, 0))
    return checked if isinstance(checked, Failure) else Success(config)


def _problems(config: OrchestratorConfig) -> Iterator[InvalidConfig]:
    yield from choice_problems(config.selection_strategy, config.session_filter)
    longest_s = config.max_duration_s
    if longest_s is not None and not (math.isfinite(longest_s) and 0 < longest_s <= _LONGEST_S):
        allowed = f"it is seconds, more than 0 and at most {_LONGEST_S:.0f}"
        yield InvalidConfig("max_duration_s", longest_s, allowed)
    if not all(map(is_signal, config.signals)):
        yield InvalidConfig("signals", config.signals, "they are traces, metrics and logs")
    if config.loop_enabled and config.further is not None and config.further.ledger is not None:
        allowed = "one ledger holds one replay, and each pass of a loop is one"
        yield InvalidConfig("further.ledger", str(config.further.ledger), allowed)


@attrs.frozen(kw_only=True)
class OrchestratorStatus:
    """How an orchestrated replay stands.

    Attributes:
        session_id: what is replayed; None while nothing was started.
        status: `idle`, `running`, `paused`, `stopping` or `stopped`.
        started_at: when it was started.
        stopped_at: when it had stopped.
        replay_status: how the latest pass stands.
        run_duration_s: how long it has run, without its pauses, in seconds.
        remaining_duration_s: how long it will run at the most, without pauses to come: until its
            longest duration, or the session's end; None: nobody can tell.
        passes: how often it began with the session.
    """

    session_id: str | None = None
    status: OrchestratorState = "idle"
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    replay_status: ReplayStatus | None = None
    run_duration_s: float = 0.0
    remaining_duration_s: float | None = None
    passes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the status as JSON values, under the documented names; durations in seconds."""
        document: dict[str, Any] = {
            "sessionId": self.session_id,
            "status": self.status,
            "startedAt": _iso(self.started_at),
            "stoppedAt": _iso(self.stopped_at),
            "replayStatus": self.replay_status.to_json() if self.replay_status else None,
            "runDuration": self.run_duration_s,
            "remainingDuration": self.remaining_duration_s,
            "passes": self.passes,
        }
        return {name: value for name, value in document.items() if value is not None}


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
