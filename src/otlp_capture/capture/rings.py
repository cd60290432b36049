"""The rings of a service: begun, and made sessions of."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
import attrs
from anyio.abc import TaskGroup

from otlp_capture.capture.errors import (
    CaptureError,
    SessionAlreadyActive,
    SessionEnded,
    StorageFailure,
)
from otlp_capture.capture.model import CaptureConfig, CaptureSettings
from otlp_capture.capture.recording import Recording
from otlp_capture.capture.ring import Ring, RingConfig, RingStatus, check_ring
from otlp_capture.capture.spooling import NO_SPOOL, HeldElsewhere, Spooling, given_up
from otlp_capture.clock import Clock, moment
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata, SegmentIndex, SessionNotFound
from otlp_capture.spool import MovedSegment, Shelved
from otlp_capture.storage import StorageError

CLOSED: Final = "the recorder is shut down"
"""Why nothing begins any more."""

SessionBeginner: TypeAlias = Callable[
    [CaptureConfig, int], Awaitable[Outcome[Recording, CaptureError]]
]


class Rings:
    """All rings of a service.

    Args:
        clock: what dates requests.
        tasks: owns the work.
        workers: bounds how many large requests are worked on at once.
        settings: how the service works.
        spooling: the spool.
        begin: begins a session that starts at a time, in nanoseconds since the Unix epoch.
    """

    def __init__(
        self,
        clock: Clock,
        tasks: TaskGroup,
        workers: anyio.Semaphore,
        settings: CaptureSettings,
        spooling: Spooling,
        begin: SessionBeginner,
    ) -> None:
        self._clock, self._tasks, self._workers = clock, tasks, workers
        self._settings, self._spooling, self._begin = settings, spooling, begin
        self._rings: dict[str, Ring] = {}
        self._closed = anyio.Event()

    def get(self, name: str) -> Ring | None:
        """Return the ring of a name."""
        return self._rings.get(name)

    async def start(self, config: RingConfig) -> Outcome[RingStatus, CaptureError]:
        """Begin a ring; what is left of one of its name is kept on."""
        checked = check_ring(config)
        if isinstance(checked, Failure):
            return checked
        name = config.session.session_id
        if name in self._rings:
            return Failure(SessionAlreadyActive(name, 0.0, is_held_here=True))
        placed = await self._spooling.place_of_ring(name)
        if isinstance(placed, Failure):
            error = placed.failure()
            if isinstance(error, HeldElsewhere):
                return Failure(SessionAlreadyActive(name, 0.0, is_held_here=True))
            return Failure(StorageFailure(name, error))
        place = placed.unwrap()
        if place is None:
            return Failure(NO_SPOOL)
        async with given_up(place) as ending:
            ending.removes = False
            found = await self._spooling.found_in_ring(place)
            if isinstance(found, Failure):
                return Failure(StorageFailure(name, found.failure()))
            if self._closed.is_set():
                return Failure(SessionEnded(name, CLOSED))
            ending.keep()
        ring = Ring(
            self._clock, self._tasks, self._workers, self._settings, config, place, found.unwrap()
        )
        self._rings[name] = ring
        return Success(ring.status)

    async def publish(
        self, name: str, session_id: str | None
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        """Make a session of all that a ring holds."""
        ring = self._rings.get(name)
        if ring is None:
            return Failure(SessionNotFound(name))
        # Two that want one at the same time get two, one after the other.
        async with ring.publishing:
            if self._closed.is_set():
                return Failure(SessionEnded(name, CLOSED))
            segments = await ring.take_all()
            now = moment(self._clock.time_ns())
            return await self._publish(
                ring, segments, session_id or f"{name}-{now:%Y%m%dT%H%M%S.%fZ}"
            )

    async def close(self) -> None:
        """Let all rings take no more; what they hold stays in the spool.

        A session that is being made of one is made first.
        """
        self._closed.set()
        for ring in self._rings.values():
            async with ring.publishing:
                await ring.close()

    async def _publish(
        self, ring: Ring, segments: list[Shelved], session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        first_ns = min(
            (min(each.index.frames.column("received_unix_nano")) for each in segments),
            default=self._clock.time_ns(),
        )
        config = attrs.evolve(ring.config.session, session_id=session_id)
        is_begun = False
        try:
            begun = await self._begin(config, first_ns)
            if isinstance(begun, Failure):
                return begun
            is_begun = True
        finally:
            # Also where the caller is cancelled: it is the ring's until it is moved.
            if not is_begun:
                ring.put_back(segments)
        recording = begun.unwrap()
        ring.sessions.append(session_id)
        error = await self._hand_over(ring, segments, recording)
        finished = await recording.finish("stopped")
        return finished if error is None else Failure(StorageFailure(session_id, error))

    async def _hand_over(
        self, ring: Ring, segments: list[Shelved], recording: Recording
    ) -> StorageError | None:
        """Move segments to a session, which has what is moved also where the rest is not."""
        assert recording.place is not None, "where there is a ring there is a spool"
        session_id = recording.metadata.session_id
        moved: list[tuple[MovedSegment, SegmentIndex]] = []
        error: StorageError | None = None
        with anyio.CancelScope(shield=True):
            moved, error = await ring.move(segments, session_id, recording.place)
        recording.adopt(moved)
        return error
