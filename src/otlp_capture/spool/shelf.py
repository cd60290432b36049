"""The sealed segments of a ring: kept for a while, and then removed."""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import attrs
from anyio.abc import TaskGroup

from otlp_capture.clock import Clock
from otlp_capture.result import Outcome, Success
from otlp_capture.sessions import SegmentIndex, spool_name
from otlp_capture.spool.budget import SpoolBudget
from otlp_capture.spool.claims import SpoolClaim
from otlp_capture.spool.segment import SealedSegment
from otlp_capture.storage import StorageError

_log = logging.getLogger(__name__)


@attrs.frozen(eq=False)
class Shelved:
    """A segment of a ring.

    Attributes:
        path: the file.
        index: what it holds.
    """

    path: Path
    index: SegmentIndex

    @property
    def last_unix_nano(self) -> int:
        """When its last request came."""
        return max(self.index.frames.column("received_unix_nano"), default=0)


class Shelf(SpoolBudget):
    """Keeps segments for some time, and within a number of bytes: the oldest go first.

    It is the ring's budget, too: where room is wanted, the oldest segment makes it.

    Args:
        claim: the ring's folder in the spool.
        tasks: owns the work.
        clock: tells how old a segment is.
        keep_s: how long each is kept after its last request, in seconds.
        limit_bytes: how much the ring may hold.
        expired: told of each segment that is removed.
    """

    def __init__(
        self,
        claim: SpoolClaim,
        tasks: TaskGroup,
        clock: Clock,
        keep_s: float,
        limit_bytes: int,
        expired: Callable[[SegmentIndex], None],
    ) -> None:
        super().__init__(limit_bytes)
        self._claim, self._tasks, self._clock = claim, tasks, clock
        self._keep_ns, self._expired = round(keep_s * 1e9), expired
        self._shelved, self._leaving = deque[Shelved](), set[Path]()
        self._filled = anyio.Event()
        tasks.start_soon(self._keep_time)

    @property
    def segments(self) -> tuple[Shelved, ...]:
        """What is kept, the oldest first."""
        return tuple(self._shelved)

    def take(self, size_bytes: int) -> bool:
        """Take room for *size_bytes*; the oldest segments are removed where there is none."""
        while not super().take(size_bytes):
            if not self._shelved:
                return False
            self._drop(self._shelved.popleft())
        return True

    def put(self, segment: SealedSegment, index: SegmentIndex) -> None:
        """Keep a segment from now on."""
        segment.close()
        self.keep([Shelved(self._claim.folder / spool_name(index.key), index)])

    def keep(self, segments: Iterable[Shelved]) -> None:
        """Keep segments, whose room is taken, in the order of their last request."""
        self._shelved = deque(
            sorted((*self._shelved, *segments), key=lambda each: each.last_unix_nano)
        )
        self._filled.set()

    def take_all(self) -> list[Shelved]:
        """Hand all segments over, the oldest first; their room stays taken."""
        taken = list(self._shelved)
        self._shelved.clear()
        return taken

    async def hurry(self) -> Outcome[None, StorageError]:
        """Wait until what has expired is removed, so that no later ring finds it."""
        await anyio.lowlevel.checkpoint()
        while self._leaving:
            await self._remove(next(iter(self._leaving)))
        return Success(None)

    def close(self) -> None:
        """Remove nothing more."""
        self._shelved.clear()

    async def _keep_time(self) -> None:
        while True:
            if not self._shelved:
                self._filled = anyio.Event()
                await self._filled.wait()
            oldest = self._shelved[0] if self._shelved else None
            if oldest is None:
                continue
            left_ns = oldest.last_unix_nano + self._keep_ns - self._clock.time_ns()
            if left_ns > 0:
                await self._clock.sleep_until(self._clock.monotonic_ns() + left_ns)
            elif self._shelved and self._shelved[0] is oldest:
                self._drop(self._shelved.popleft())

    def _drop(self, shelved: Shelved) -> None:
        self.give_back(shelved.index.size_bytes)
        self._expired(shelved.index)
        self._leaving.add(shelved.path)
        self._tasks.start_soon(self._remove, shelved.path)

    async def _remove(self, path: Path) -> None:
        try:
            # It may be tried twice at a time, here and while the ring is closed.
            await anyio.to_thread.run_sync(partial(path.unlink, missing_ok=True))
        except OSError as error:
            _log.warning("%s could not be removed from a ring: %s", path.name, error)
        self._leaving.discard(path)
