"""A ring: what came in the last minutes, kept in the spool until somebody wants it as a session."""

import math
from collections.abc import Iterable

import anyio
import anyio.to_thread
import attrs
from anyio.abc import TaskGroup

from otlp_capture.capture.errors import (
    InvalidConfig,
    RequestRefused,
    SessionEnded,
    SignalNotEnabled,
    StorageFailure,
)
from otlp_capture.capture.framing import Framer
from otlp_capture.capture.intake import ClientRequest
from otlp_capture.capture.model import (
    CaptureConfig,
    CapturedDataReference,
    CaptureSettings,
    check_config,
)
from otlp_capture.capture.spooling import SpoolPlace
from otlp_capture.clock import Clock
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    Frame,
    InvalidSessionId,
    LiveCounts,
    SegmentIndex,
    key_in_session,
)
from otlp_capture.spool import FileSegment, MovedSegment, Shelf, Shelved, SpoolWriter
from otlp_capture.storage import StorageError, local_error

_PARTS = 20
"""Into how many segments of each signal the time of a ring is divided, about."""

_SHORTEST_PART_S = 0.5


@attrs.frozen(kw_only=True)
class RingConfig:
    """What a ring keeps, and what it makes of it.

    Attributes:
        session: how its sessions are described; its `session_id` is the ring's name, with which
            their ids begin. Limits of size and age are not for rings.
        keep_s: for how long requests are kept, in seconds. They go by segments, so some are kept
            longer by a twentieth of that.
    """

    session: CaptureConfig
    keep_s: float


def check_ring(
    config: RingConfig,
) -> Outcome[RingConfig, InvalidSessionId | InvalidConfig]:
    """Return *config* if there can be such a ring.

    Fails with:
        InvalidSessionId, InvalidConfig: there cannot.
    """
    checked = check_config(config.session)
    if isinstance(checked, Failure):
        return checked
    for field in ("max_size_mb", "max_duration_minutes"):
        if (value := getattr(config.session, field)) is not None:
            return Failure(InvalidConfig(field, value, "a ring has no such limit"))
    if not (math.isfinite(config.keep_s) and config.keep_s > 0):
        return Failure(InvalidConfig("keep_s", config.keep_s, "it is a positive number of seconds"))
    return Success(config)


@attrs.frozen
class RingStatus:
    """How a ring stands.

    Attributes:
        name: which one.
        kept_requests: how many requests it has taken since it was started.
        expired_requests: how many of those, and of what it found, it has let go.
        published_requests: how many have become part of sessions.
        held_requests: how many it holds.
        held_bytes: how many bytes it holds.
        sessions: the sessions it has made, in their order.
    """

    name: str
    kept_requests: int
    expired_requests: int
    published_requests: int
    held_requests: int
    held_bytes: int
    sessions: tuple[str, ...]


class Ring:
    """Requests of the last minutes.

    Args:
        clock: what dates them.
        tasks: owns the work.
        workers: bounds how many large requests are worked on at once.
        settings: what a request may cost, and how much the ring may hold.
        config: what is kept.
        place: the ring's folder in the spool.
        found: what was in it.
    """

    def __init__(
        self,
        clock: Clock,
        tasks: TaskGroup,
        workers: anyio.Semaphore,
        settings: CaptureSettings,
        config: RingConfig,
        place: SpoolPlace,
        found: Iterable[Shelved] = (),
    ) -> None:
        self.config, self.place = config, place
        self.sessions: list[str] = []
        self.publishing = anyio.Lock()
        self._counts, self._expired, self._published, self._found = LiveCounts(), 0, 0, 0
        self._is_closed = False
        self._shelf = Shelf(
            place.claim,
            tasks,
            clock,
            config.keep_s,
            settings.spool_budget_bytes,
            self._expire,
        )
        found = tuple(found)
        self._shelf.used_bytes = sum(each.index.size_bytes for each in found)
        self._found = sum(len(each.index.frames) for each in found)
        self._shelf.keep(found)
        self._framer = Framer(
            clock,
            workers,
            settings,
            1 + max((max(each.index.frames.column("sequence")) for each in found), default=-1),
            is_compressed=config.session.compression_enabled,
        )
        self._writer = SpoolWriter(
            self._shelf,
            lambda first: FileSegment(place.claim, first),
            tasks,
            clock,
            self._shelf,
            self._keep,
            seal_after_s=max(config.keep_s / _PARTS, _SHORTEST_PART_S),
            seal_bytes=settings.publish_bytes,
            telemetry=settings.telemetry,
        )
        shelf = self._shelf
        self._unwatch = settings.telemetry.watch_spool(
            "ring", lambda: shelf.used_bytes, shelf.limit_bytes
        )

    @property
    def name(self) -> str:
        """What it is called."""
        return self.config.session.session_id

    @property
    def status(self) -> RingStatus:
        """How it stands now."""
        kept = sum(self._counts.requests.values())
        return RingStatus(
            name=self.name,
            kept_requests=kept,
            expired_requests=self._expired,
            published_requests=self._published,
            held_requests=self._found + kept - self._expired - self._published,
            held_bytes=self._shelf.used_bytes,
            sessions=tuple(self.sessions),
        )

    async def keep(
        self, came: ClientRequest
    ) -> Outcome[
        CapturedDataReference,
        RequestRefused | SignalNotEnabled | SessionEnded | StorageFailure,
    ]:
        """Keep a request for a while."""
        if self._is_closed:
            return Failure(SessionEnded(self.name, "the ring is closed"))
        if not self.config.session.switches.records(came.signal):
            return Failure(SignalNotEnabled(self.name, came.signal))
        framed = await self._framer.frame(came)
        if isinstance(framed, Failure):
            return framed
        new = framed.unwrap()
        kept = await self._writer.append(new)
        if isinstance(kept, Failure):
            return Failure(StorageFailure(self.name, kept.failure()))
        return Success(self._framer.reference(new, kept.unwrap(), "spool"))

    async def take_all(self) -> list[Shelved]:
        """Hand over all that is kept until now, the oldest first."""
        await self._writer.drain()
        return self._shelf.take_all()

    def put_back(self, segments: Iterable[Shelved]) -> None:
        """Keep what was handed over after all."""
        self._shelf.keep(segments)

    async def move(
        self, segments: Iterable[Shelved], session_id: str, place: SpoolPlace
    ) -> tuple[list[tuple[MovedSegment, SegmentIndex]], StorageError | None]:
        """Move segments that were handed over into the folder of a session.

        Returns:
            What is moved, and belongs to the session; and why the rest is kept, if it is.
        """
        moved: list[tuple[MovedSegment, SegmentIndex]] = []
        left = list(segments)
        while left:
            index = attrs.evolve(left[0].index, key=key_in_session(left[0].index.key, session_id))
            try:
                segment = await anyio.to_thread.run_sync(
                    MovedSegment, place.claim, left[0].path, index
                )
            except OSError as error:
                self.put_back(left)
                return moved, local_error(error, place.spool.name, index.key)
            moved.append((segment, index))
            left.pop(0)
            # From here on it is the session's, also in the budget.
            self._shelf.give_back(index.size_bytes)
            place.budget.used_bytes += index.size_bytes
            self._published += len(index.frames)
        return moved, None

    async def close(self) -> None:
        """Take no more; what is kept stays in the spool, for the next ring of this name."""
        self._is_closed = True
        self._unwatch()
        await self._writer.close()
        await self.place.leave()

    def _keep(self, signal: Signal, frame: Frame) -> None:
        self._counts.add(signal, frame)

    def _expire(self, index: SegmentIndex) -> None:
        self._expired += len(index.frames)
