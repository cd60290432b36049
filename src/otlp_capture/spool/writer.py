"""Where frames are kept until they are published: each is acknowledged once it is synced.

Frames that come while others are being synced wait for one sync together.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from otlp_capture.clock import Clock
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import Frame, KeptFrame, NewFrame, SegmentIndex
from otlp_capture.spool.budget import SpoolBudget
from otlp_capture.spool.segment import Destination, SegmentMaker, SpoolSegment
from otlp_capture.storage import StorageError, StorageFault, StorageFull, local_error
from otlp_capture.telemetry import SILENT, Telemetry

_log = logging.getLogger(__name__)

DEFAULT_PUBLISH_AFTER_S: Final = 30.0
DEFAULT_PUBLISH_BYTES: Final = 16 << 20

_TELLS_AFTER_NS: Final = 60_000_000_000

_NAME: Final = "the spool"


class _Commit:
    """Frames that are synced together, and what becomes of each."""

    def __init__(self) -> None:
        self.frames: list[NewFrame] = []
        self.outcomes: dict[int, Outcome[KeptFrame, StorageError]] = {}
        self.seals_all = False
        self.settled = anyio.Event()

    def add(self, new: NewFrame) -> int:
        self.frames.append(new)
        return len(self.frames) - 1


class SpoolWriter:
    """Keeps each frame in a segment of the spool before it is acknowledged.

    Args:
        sealed: where segments go that do not grow any more.
        make: begins a segment, in a file or in memory.
        tasks: owns the work, so that a caller who is cancelled leaves it alone.
        clock: tells how old a segment is.
        budget: how much may be unpublished.
        kept: told of each frame before it is acknowledged.
        seal_after_s: the age at which a segment grows no more, in seconds.
        seal_bytes: the size at which it does not.
        telemetry: told of each group commit.
    """

    def __init__(
        self,
        sealed: Destination,
        make: SegmentMaker,
        tasks: TaskGroup,
        clock: Clock,
        budget: SpoolBudget,
        kept: Callable[[Signal, Frame], None],
        *,
        seal_after_s: float = DEFAULT_PUBLISH_AFTER_S,
        seal_bytes: int = DEFAULT_PUBLISH_BYTES,
        telemetry: Telemetry = SILENT,
    ) -> None:
        self._sealed, self._make, self._clock = sealed, make, clock
        self._budget, self._kept, self._telemetry = budget, kept, telemetry
        self._seal_after_ns, self._seal_bytes = round(seal_after_s * 1e9), seal_bytes
        self._open: dict[Signal, SpoolSegment] = {}
        self._next = _Commit()
        self._woken, self._aging = anyio.Event(), anyio.Event()
        self._ages = deque[tuple[int, SpoolSegment]]()
        self._due: set[SpoolSegment] = set()
        self._is_closed = self._is_over = False
        self._silent_until_ns = clock.monotonic_ns()
        self._background = anyio.CancelScope()
        tasks.start_soon(self._run)
        self.unsettled_bytes = 0

    async def append(self, new: NewFrame) -> Outcome[KeptFrame, StorageError]:
        """Return once the frame is kept.

        Cancelling the caller does not take the frame back: it may be kept all the same.

        Fails with:
            StorageError: it is not kept: the budget is used up, the disk is full or fails.
        """
        if self._is_closed:
            return Failure(_cut_short())
        size_bytes = len(new.member)
        if not self._budget.take(size_bytes):
            detail = f"its budget of {self._budget.limit_bytes:,} bytes is used up"
            return Failure(StorageFull(_NAME, "another request", detail))
        self.unsettled_bytes += size_bytes
        commit = self._next
        at = commit.add(new)
        self._woken.set()
        await commit.settled.wait()
        return commit.outcomes[at]

    async def drain(self) -> Outcome[None, StorageError]:
        """Seal all that was appended until now, and hurry what is sealed on its way.

        Fails with:
            StorageError: something is not published yet. It stays in the spool, and is tried again.
        """
        if not self._is_over:
            commit = self._next
            commit.seals_all = True
            self._woken.set()
            await commit.settled.wait()
        return await self._sealed.hurry()

    async def close(self) -> Outcome[None, StorageError]:
        """Take no more, publish what can be published, and let go of the rest.

        Fails with:
            StorageError: something is not published; it stays in the spool.
        """
        self._is_closed = True
        drained = await self.drain()
        self._sealed.close()
        self._background.cancel()
        return drained

    async def _run(self) -> None:
        with self._background:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._work)
                tasks.start_soon(self._keep_time)

    async def _work(self) -> None:
        """Sync what has come, again and again."""
        try:
            while True:
                await self._woken.wait()
                self._woken = anyio.Event()
                with anyio.CancelScope(shield=True):
                    await self._settle_next()
        finally:
            self._is_closed = self._is_over = True
            self._finish(self._next)
            self._sealed.close()
            for segment in self._open.values():
                segment.close()
            self._open.clear()

    async def _settle_next(self) -> None:
        commit, self._next = self._next, _Commit()
        due, self._due = self._due, set()
        ended: list[tuple[SpoolSegment, SegmentIndex]] = []
        try:
            if commit.frames or commit.seals_all or due:
                began_ns = self._clock.monotonic_ns()
                await anyio.to_thread.run_sync(self._keep, commit, due, ended)
                self._tell(commit, self._clock.monotonic_ns() - began_ns)
        finally:
            self._finish(commit)
        if self._ages:
            self._aging.set()
        for segment, index in ended:
            if segment.size_bytes:
                self._sealed.put(segment, index)
            else:
                segment.close()

    def _tell(self, commit: _Commit, duration_ns: int) -> None:
        if not commit.frames or self._telemetry is SILENT:
            return
        kept_bytes, errors = list[int](), list[str]()
        for at, new in enumerate(commit.frames):
            outcome = commit.outcomes[at]
            if isinstance(outcome, Failure):
                errors.append(type(outcome.failure()).__name__)
            else:
                kept_bytes.append(len(new.member))
        error = errors[0] if errors else None
        self._telemetry.synced(len(kept_bytes), sum(kept_bytes), error, duration_ns / 1e9)

    def _finish(self, commit: _Commit) -> None:
        """Count what is kept, and let those who wait know."""
        for at, new in enumerate(commit.frames):
            outcome = commit.outcomes.setdefault(at, Failure(_cut_short()))
            self.unsettled_bytes -= len(new.member)
            if isinstance(outcome, Success):
                self._kept(new.signal, outcome.unwrap().frame)
            else:
                self._budget.give_back(len(new.member))
        commit.settled.set()

    def _keep(
        self,
        commit: _Commit,
        due: set[SpoolSegment],
        ended: list[tuple[SpoolSegment, SegmentIndex]],
    ) -> None:
        """Lay frames into the segments of their signals, and end segments. Blocks."""
        places: dict[Signal, list[int]] = {}
        for at, new in enumerate(commit.frames):
            places.setdefault(new.signal, []).append(at)
        for signal, ats in places.items():
            kept = self._append(signal, [commit.frames[at] for at in ats])
            if isinstance(kept, Failure):
                commit.outcomes.update((at, kept) for at in ats)
                if (segment := self._open.pop(signal, None)) is not None:
                    ended.append((segment, segment.seal()))
            else:
                commit.outcomes.update(zip(ats, map(Success, kept.unwrap()), strict=True))
        for signal, segment in tuple(self._open.items()):
            is_large = segment.size_bytes >= self._seal_bytes
            if is_large or commit.seals_all or segment in due:
                del self._open[signal]
                ended.append((segment, segment.seal()))

    def _append(
        self, signal: Signal, frames: Sequence[NewFrame]
    ) -> Outcome[list[KeptFrame], StorageError]:
        try:
            segment = self._open.get(signal)
            if segment is None:
                segment = self._open[signal] = self._make(frames[0])
                self._ages.append((self._clock.monotonic_ns() + self._seal_after_ns, segment))
            return Success(segment.append(frames))
        except OSError as error:
            self._tell_of(error)
            return Failure(local_error(error, _NAME, "a segment"))

    def _tell_of(self, error: OSError) -> None:
        """Let the log tell of a fault, once a minute: each request may meet it."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._silent_until_ns:
            _log.error("Requests are refused: %s", error)
            self._silent_until_ns = now_ns + _TELLS_AFTER_NS

    async def _keep_time(self) -> None:
        """See to it that segments end at their age."""
        while True:
            if not self._ages:
                self._aging = anyio.Event()
                await self._aging.wait()
            deadline_ns, segment = self._ages.popleft()
            await self._clock.sleep_until(deadline_ns)
            if segment in self._open.values():
                self._due.add(segment)
                self._woken.set()


def _cut_short() -> StorageFault:
    return StorageFault("The recorder", "", "Cancelled", "it was shut down before this was kept")
