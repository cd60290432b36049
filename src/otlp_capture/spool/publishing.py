"""From the spool into the store: tried until it is done, in the background."""

import logging
import os
import random
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import anyio.to_thread
import attrs
from anyio.abc import TaskGroup

from otlp_capture.clock import Clock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import SegmentIndex
from otlp_capture.spool.budget import SpoolBudget
from otlp_capture.spool.health import SpoolHealth
from otlp_capture.spool.segment import SealedSegment
from otlp_capture.storage import (
    ObjectNotFound,
    S3Storage,
    SourceUnreadable,
    StorageError,
    StorageFault,
    StoredObject,
)
from otlp_capture.telemetry import SILENT, Attributes, Telemetry

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 4
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


@attrs.define(eq=False)
class _Parcel:
    """A sealed segment, and how it fares."""

    segment: SealedSegment
    index: SegmentIndex
    attempts: int = 0
    error: StorageError | None = None
    is_over: bool = False
    tried: anyio.Event = attrs.Factory(anyio.Event)


class Publisher:
    """Publishes sealed segments, some at once, each until the store has it.

    Args:
        storage: where to.
        tasks: owns the work.
        clock: tells when to try again.
        budget: what a published segment returns its room to.
        published: told of each segment that is in the store.
        health: told of each that is not yet, for all publishers of a service.
        telemetry: told of each attempt.
    """

    def __init__(
        self,
        storage: S3Storage,
        tasks: TaskGroup,
        clock: Clock,
        budget: SpoolBudget,
        published: Callable[[SegmentIndex], None],
        *,
        health: SpoolHealth | None = None,
        telemetry: Telemetry = SILENT,
    ) -> None:
        self._storage, self._tasks, self._clock = storage, tasks, clock
        self._budget, self._published = budget, published
        self._health, self._telemetry = health or SpoolHealth(), telemetry
        self._parcels: set[_Parcel] = set()
        self._slots = anyio.Semaphore(_AT_ONCE)
        self._haste = anyio.Event()
        self._is_closed = False

    def put(self, segment: SealedSegment, index: SegmentIndex) -> None:
        """Begin to publish a segment; *index* is what it holds."""
        parcel = _Parcel(segment, index)
        self._parcels.add(parcel)
        if self._is_closed:
            self._let_go(parcel)
        else:
            self._tasks.start_soon(self._deliver, parcel)

    async def hurry(self) -> Outcome[None, StorageError]:
        """Try at once all that is not published yet, and return when each was tried.

        Fails with:
            StorageError: of one that is still not published.
        """
        waiting = [(parcel, parcel.attempts) for parcel in self._parcels]
        self._haste.set()
        self._haste = anyio.Event()
        for parcel, attempts in waiting:
            while not parcel.is_over and parcel.attempts == attempts:
                await parcel.tried.wait()
        errors = [parcel.error for parcel, _ in waiting if parcel.error is not None]
        return Failure(errors[0]) if errors else Success(None)

    def close(self) -> None:
        """Try nothing more; what is not published stays where it is."""
        self._is_closed = True
        for parcel in tuple(self._parcels):
            self._let_go(parcel)

    async def _deliver(self, parcel: _Parcel) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            haste = self._haste
            async with self._slots:
                if parcel.is_over:
                    # It was let go while it waited: there is nothing in it any more.
                    return
                stored = await self._publish(parcel)
            if isinstance(stored, Success):
                parcel.error = None
                self._end(parcel)
                self._published(parcel.index)
                return
            self._note(parcel, stored.failure())
            if isinstance(stored.failure(), ObjectNotFound):
                _log.error("What was in %s is lost: somebody removed it", parcel.segment.key)
                self._end(parcel)
                return
            await self._wait(haste, pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - it is jitter
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _whereabouts(
        self, key: str, error: StorageError
    ) -> Outcome[StoredObject, StorageError]:
        """Look in the store for a segment whose file is gone.

        An attempt that failed may have moved it there all the same.

        Fails with:
            StorageError: the segment is not published; ObjectNotFound: it is nowhere.
        """
        if not isinstance(error, SourceUnreadable):
            return Failure(error)
        is_there = await anyio.to_thread.run_sync(os.path.lexists, error.path)
        return Failure(error) if is_there else await self._storage.head(key)

    async def _publish(self, parcel: _Parcel) -> Outcome[StoredObject, StorageError]:
        """Make one attempt, and tell how it went."""
        segment, began_ns = parcel.segment, self._clock.monotonic_ns()
        about: Attributes = {
            "segment.key": segment.key,
            "segment.size": segment.size_bytes,
            "attempt": parcel.attempts + 1,
        }
        with self._telemetry.operation("publish_segment", about) as concluded:
            stored = await segment.publish(self._storage)
            if isinstance(stored, Failure):
                stored = await self._whereabouts(segment.key, stored.failure())
            concluded(stored)
        self._telemetry.published(
            segment.size_bytes,
            type(stored.failure()).__name__ if isinstance(stored, Failure) else None,
            (self._clock.monotonic_ns() - began_ns) / 1e9,
        )
        return stored

    def _note(self, parcel: _Parcel, error: StorageError) -> None:
        if type(error) is not type(parcel.error):
            _log.warning("%s is not published yet: %s", parcel.segment.key, error.message)
        parcel.error = error
        parcel.attempts += 1
        self._health.failed(parcel, error, self._clock.monotonic_ns())
        parcel.tried.set()
        parcel.tried = anyio.Event()

    async def _wait(self, haste: anyio.Event, seconds: float) -> None:
        """Wait for a while, or until somebody is in a hurry."""
        async with anyio.create_task_group() as waits:

            async def until(awaited: Callable[[], Awaitable[object]]) -> None:
                await awaited()
                waits.cancel_scope.cancel()

            deadline_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
            waits.start_soon(until, haste.wait)
            waits.start_soon(until, lambda: self._clock.sleep_until(deadline_ns))

    def _let_go(self, parcel: _Parcel) -> None:
        parcel.error = parcel.error or StorageFault(
            "The recorder", parcel.segment.key, "Cancelled", "it was shut down before"
        )
        self._end(parcel)

    def _end(self, parcel: _Parcel) -> None:
        # A publication that is under way when this closes ends after it, and its file once only:
        # the number of a closed file may be another's by then.
        if parcel.is_over:
            return
        parcel.is_over = True
        self._parcels.discard(parcel)
        self._health.ended(parcel)
        self._budget.give_back(parcel.segment.size_bytes)
        parcel.segment.close()
        parcel.tried.set()
