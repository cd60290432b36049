"""A replay service whose replays are all told to the same observers."""

from collections.abc import AsyncIterator, Sequence

from otlp_capture.otlp import Signal
from otlp_capture.result import Outcome
from otlp_capture.sessions import CaptureSessionMetadata
from otlp_replay.config import ReplayConfig
from otlp_replay.errors import ReplayError
from otlp_replay.events import Observer
from otlp_replay.fidelity import FidelityCertificate, ReadCertificateError
from otlp_replay.pacing import Speed
from otlp_replay.selection import Moment
from otlp_replay.service import OtlpReplayService
from otlp_replay.status import ReplayStatus


class ObservedReplays:
    """An `OtlpReplayService` that starts each replay with observers of its own, besides others.

    Args:
        replays: what carries them out.
        observers: hear of each request of every replay that is started here.
    """

    def __init__(self, replays: OtlpReplayService, observers: Sequence[Observer]) -> None:
        self._replays, self._observers = replays, tuple(observers)

    async def start_replay(
        self, config: ReplayConfig, *, observers: Sequence[Observer] = ()
    ) -> Outcome[ReplayStatus, ReplayError]:
        """Begin a replay that is observed."""
        all_of_them = (*self._observers, *observers)
        return await self._replays.start_replay(config, observers=all_of_them)

    async def get_replay_status(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        """Return how a replay stands."""
        return await self._replays.get_replay_status(replay_id)

    async def get_certificate(
        self, replay_id: str
    ) -> Outcome[FidelityCertificate, ReplayError | ReadCertificateError]:
        """Return how close a replay came to its plan."""
        return await self._replays.get_certificate(replay_id)

    def watch(self, replay_id: str) -> AsyncIterator[ReplayStatus]:
        """Yield how a replay stands, until it has ended."""
        return self._replays.watch(replay_id)

    async def cancel(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        """End a replay."""
        return await self._replays.cancel(replay_id)

    async def pause(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        """Let a replay stand still."""
        return await self._replays.pause(replay_id)

    async def resume(self, replay_id: str) -> Outcome[ReplayStatus, ReplayError]:
        """Let a replay go on."""
        return await self._replays.resume(replay_id)

    async def seek(self, replay_id: str, to: Moment) -> Outcome[ReplayStatus, ReplayError]:
        """Let a replay go on elsewhere."""
        return await self._replays.seek(replay_id, to)

    async def set_speed(self, replay_id: str, speed: Speed) -> Outcome[ReplayStatus, ReplayError]:
        """Change how fast a replay is."""
        return await self._replays.set_speed(replay_id, speed)

    async def step(self, replay_id: str, requests: int = 1) -> Outcome[ReplayStatus, ReplayError]:
        """Send the next requests of a replay that stands still."""
        return await self._replays.step(replay_id, requests)

    async def list_available_replays(
        self,
    ) -> Outcome[tuple[CaptureSessionMetadata, ...], ReplayError]:
        """Return the sessions that can be replayed whole."""
        return await self._replays.list_available_replays()

    def replay_data_stream(
        self, session_id: str, signal_type: Signal
    ) -> AsyncIterator[Outcome[bytes, ReplayError]]:
        """Yield the requests of a session."""
        return self._replays.replay_data_stream(session_id, signal_type)
