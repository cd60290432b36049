"""How a replay is shown and steered from a terminal while it runs."""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

import anyio
import attrs
from anyio.abc import TaskStatus
from rich.progress import Progress, TaskID

from otlp_capture.cli.terminal import people, tell
from otlp_capture.clock import Clock
from otlp_capture.result import Failure
from otlp_replay.commands.keys import Keyboard, has_keys, pressed, single_keys
from otlp_replay.config import FASTEST, SLOWEST
from otlp_replay.events import Event, Settled
from otlp_replay.fidelity import duration_text, rate_text
from otlp_replay.service import OtlpReplayService
from otlp_replay.status import ReplayStatus

T = TypeVar("T")

KEYS: Final = "Keys: space pauses and goes on, + - change the speed, s sends one, q stops."

_SIGNAL_BASE: Final = 128
_FASTER: Final = 2.0
_STOPPING: Final = "Stopping: what is on its way is waited for. Once more ends it at once."
_FACTORS: Final[Mapping[str, float]] = MappingProxyType(
    {"+": _FASTER, "=": _FASTER, "-": 1 / _FASTER}
)


class Pace:
    """How fast a replay is, and how late, lately. An `otlp_replay.events.Observer`."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._since_ns = clock, clock.monotonic_ns()
        self._count = self._latest_ns = 0
        self._text = ""

    def intend(self, event: Event) -> None:
        """Hear that an event is dispatched next."""

    def settle(self, settled: Settled) -> None:
        """Hear what became of an event."""
        lateness_ns = settled.stamps.lateness_ns
        if lateness_ns is None:
            return
        self._count += 1
        self._latest_ns = max(self._latest_ns, lateness_ns)

    @property
    def text(self) -> str:
        """The rate of the last stretch of a second or so, and its greatest lateness."""
        lasted_ns = self._clock.monotonic_ns() - self._since_ns
        if lasted_ns < 1_000_000_000:  # noqa: PLR2004 - a second
            return self._text
        late = f", {duration_text(self._latest_ns)} late" if self._count else ""
        self._text = f"{rate_text(self._count * 1e9 / lasted_ns)}{late}"
        self._since_ns += lasted_ns
        self._count = self._latest_ns = 0
        return self._text


class Reasons:
    """What was first told of a request, for each outcome. An observer.

    Of a delivered one that is a doubt, such as of an answer that is not OTLP's.
    """

    def __init__(self) -> None:
        self._first = dict[str, str]()

    @property
    def first(self) -> Mapping[str, str]:
        """The first reason by its outcome."""
        return self._first

    def intend(self, event: Event) -> None:
        """Hear that an event is dispatched next."""

    def settle(self, settled: Settled) -> None:
        """Hear what became of an event."""
        if settled.reason and settled.outcome != "not_sent":
            self._first.setdefault(settled.outcome, settled.reason)


@attrs.define
class Steered:
    """How somebody has steered a replay.

    Attributes:
        speed: how fast it is.
        is_paused: whether it stands still.
        interruption: the signal that stops it; 0: none.
    """

    speed: float | str
    is_paused: bool = False
    interruption: int = 0

    @property
    def code(self) -> int | None:
        """The exit code of an interruption; None: there was none."""
        return _SIGNAL_BASE + self.interruption if self.interruption else None

    @property
    def text(self) -> str:
        """How it goes on."""
        if self.interruption:
            return "stopping"
        if self.is_paused:
            return "paused"
        return "at max" if self.speed == "max" else f"at {self.speed:g}x"


class Display:
    """A line at the terminal that says how a replay stands."""

    def __init__(self, bar: Progress, session_id: str, steered: Steered, pace: Pace) -> None:
        self._bar, self._session_id = bar, session_id
        self._steered, self._pace = steered, pace
        self._task: TaskID = bar.add_task("", total=None, unit="requests", visible=False)

    def show(self, status: ReplayStatus) -> None:
        """Say how it stands."""
        parts = [f"{self._session_id} {self._steered.text}", self._pace.text]
        self._bar.update(
            self._task,
            description=", ".join(part for part in parts if part),
            completed=status.delivery.total,
            total=status.total_records,
            visible=True,
        )


async def steered_to_its_end(
    replays: OtlpReplayService,
    replay_id: str,
    steered: Steered,
    work: Callable[[], Awaitable[T]],
    *,
    as_json: bool,
) -> T | None:
    """Do *work*, which replays; meanwhile keys and signals steer the replay.

    The first signal stops it, so that *work* ends by itself; the second ends the process at once.
    None: it was interrupted before there was a replay.
    """
    wanted = has_keys(as_json=as_json)
    done: list[T] = []
    with single_keys(wanted=wanted) as keyboard:
        async with anyio.create_task_group() as tasks:
            await tasks.start(
                _hear_signals, replays, replay_id, steered, tasks.cancel_scope, keyboard
            )
            if keyboard is not None:
                await tasks.start(_hear_stops, keyboard)
                tell(KEYS)
                tasks.start_soon(_hear_keys, replays, replay_id, steered, tasks.cancel_scope)
            done.append(await work())
            tasks.cancel_scope.cancel()
    return done[0] if done else None


async def _hear_signals(
    replays: OtlpReplayService,
    replay_id: str,
    steered: Steered,
    scope: anyio.CancelScope,
    keyboard: Keyboard | None,
    *,
    task_status: TaskStatus[None],
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        steered.interruption = await anext(signals)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop, replays, replay_id, scope)
            again = await anext(signals)
            if keyboard is not None:
                keyboard.restore()
            os._exit(_SIGNAL_BASE + again)


async def _hear_stops(keyboard: Keyboard, *, task_status: TaskStatus[None]) -> None:
    """Hand the terminal back while the process is stopped, as by Ctrl-Z."""
    with anyio.open_signal_receiver(signal.SIGTSTP, signal.SIGCONT) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGTSTP:
                keyboard.restore()
                os.kill(os.getpid(), signal.SIGSTOP)
            else:
                keyboard.take()


async def _stop(replays: OtlpReplayService, replay_id: str, scope: anyio.CancelScope) -> None:
    """End the replay; before its first request and after its last, all that is done."""
    found = await replays.get_replay_status(replay_id)
    if isinstance(found, Failure) or found.unwrap().is_over:
        scope.cancel()
        return
    if people.is_terminal:
        tell(_STOPPING)
    await replays.cancel(replay_id)


async def _hear_keys(
    replays: OtlpReplayService, replay_id: str, steered: Steered, scope: anyio.CancelScope
) -> None:
    async for key in pressed():
        if key == "q":
            await _stop(replays, replay_id, scope)
        else:
            await _act(key, replays, replay_id, steered)


async def _act(key: str, replays: OtlpReplayService, replay_id: str, steered: Steered) -> None:
    """Do what a key says; one that says nothing, or comes too late, does nothing."""
    done: Any = None
    match key:
        case " " if steered.is_paused:
            done = await replays.resume(replay_id)
            steered.is_paused = isinstance(done, Failure)
        case " ":
            done = await replays.pause(replay_id)
            steered.is_paused = not isinstance(done, Failure)
        case "+" | "=" | "-" if isinstance(steered.speed, float | int):
            speed = min(FASTEST, max(SLOWEST, steered.speed * _FACTORS[key]))
            done = await replays.set_speed(replay_id, speed)
            steered.speed = steered.speed if isinstance(done, Failure) else speed
        case "s":
            done = await replays.pause(replay_id)
            steered.is_paused = steered.is_paused or not isinstance(done, Failure)
            await replays.step(replay_id)
        case _:
            pass
