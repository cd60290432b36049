"""One session while it records: what comes in is kept and counted, until something ends it."""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Final

import anyio
import attrs
from anyio.abc import TaskGroup

from otlp_capture.capture.errors import (
    RequestRefused,
    SessionEnded,
    SignalNotEnabled,
    StorageFailure,
)
from otlp_capture.capture.framing import Framer
from otlp_capture.capture.intake import ClientRequest
from otlp_capture.capture.model import CapturedDataReference, CaptureSettings, Durability
from otlp_capture.capture.spooling import SpoolPlace, durability
from otlp_capture.clock import Clock, moment, unix_nano
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    EndReason,
    Frame,
    FrameTable,
    FrameWriter,
    LiveCounts,
    ObjectWriter,
    SegmentIndex,
    SessionDocument,
    SessionTakenOver,
    StoredSession,
    counted,
    index_session,
    save_manifest,
    uncounted,
)
from otlp_capture.spool import (
    FileSegment,
    MemorySegment,
    Publisher,
    SealedSegment,
    SegmentMaker,
    SpoolBudget,
    SpoolWriter,
)
from otlp_capture.storage import S3Storage, StorageError

_log = logging.getLogger(__name__)

_MEGABYTE: Final = 1_000_000
_MINUTE_NS: Final = 60_000_000_000
_LONGEST_MINUTES: Final = 1e8
"""About two centuries, which every clock can count."""


class Recording:
    """A session that this process records.

    Args:
        storage: where it is kept.
        clock: what dates it.
        tasks: owns its background work.
        workers: bounds how many large requests are worked on at once.
        settings: how it works.
        stored: its metadata as they stand in the store, counters included.
        place: what it has in the spool; None where it has none.
        segments: what it holds already.
    """

    def __init__(
        self,
        storage: S3Storage,
        clock: Clock,
        tasks: TaskGroup,
        workers: anyio.Semaphore,
        settings: CaptureSettings,
        stored: StoredSession,
        place: SpoolPlace | None = None,
        segments: Iterable[SegmentIndex] = (),
    ) -> None:
        self._storage, self._clock, self._settings = storage, clock, settings
        self._metadata, self._counts = stored.metadata, LiveCounts()
        self._place = place
        self._document = SessionDocument(storage, stored)
        self._segments = {segment.key: segment for segment in segments}
        self._framer = Framer(
            clock,
            workers,
            settings,
            _next_sequence(segment.frames for segment in self._segments.values()),
            is_compressed=self._metadata.capture.compression_enabled,
        )
        self._ending: EndReason | SessionTakenOver | None = None
        self._lock = anyio.Lock()
        self._tasks = tasks
        self._background = anyio.CancelScope()
        self._durability: Durability = durability(settings, place)
        self._budget = SpoolBudget(settings.spool_budget_bytes) if place is None else place.budget
        self._publisher = Publisher(
            storage,
            tasks,
            clock,
            self._budget,
            self._published,
            health=None if place is None else place.health,
            telemetry=settings.telemetry,
        )
        self._writer = self._open_writer()
        self._saved_requests = self._metadata.captured_requests
        self._saved_at_ns = clock.monotonic_ns()
        tasks.start_soon(self._watch)

    @property
    def metadata(self) -> CaptureSessionMetadata:
        """The session as it stands now: each counter includes all that was acknowledged."""
        return self._counts.over(self._metadata)

    @property
    def place(self) -> SpoolPlace | None:
        """What the session has in the spool."""
        return self._place

    @property
    def is_live(self) -> bool:
        """Whether this process still has the session: it has not ended, and nobody took it."""
        is_taken = isinstance(self._ending, SessionTakenOver)
        return self._metadata.status == "active" and not is_taken

    @property
    def has_ended(self) -> bool:
        """Whether its end is written, so that nothing is left to be done."""
        return self._metadata.status != "active" and self._place is None

    async def keep(
        self, came: ClientRequest
    ) -> Outcome[
        CapturedDataReference,
        RequestRefused | SignalNotEnabled | SessionEnded | SessionTakenOver | StorageFailure,
    ]:
        """Store a request and say where.

        Cancelling the caller does not take the request back: it may be stored all the same.
        """
        refusal = self._refusal(came.signal)
        if refusal is not None:
            return Failure(refusal)
        framed = await self._framer.frame(came)
        if isinstance(framed, Failure):
            return framed
        refusal = self._refusal(came.signal)
        if refusal is not None:
            return Failure(refusal)
        new = framed.unwrap()
        kept = await self._writer.append(new)
        if isinstance(kept, Failure):
            return Failure(StorageFailure(self._metadata.session_id, kept.failure()))
        return Success(self._framer.reference(new, kept.unwrap(), self._durability))

    def adopt(self, segments: Iterable[tuple[SealedSegment, SegmentIndex]]) -> None:
        """Publish segments that are in the session's folder of the spool already."""
        for segment, index in segments:
            self._publisher.put(segment, index)

    async def finish(
        self, reason: EndReason
    ) -> Outcome[CaptureSessionMetadata, SessionTakenOver | StorageFailure]:
        """Take no more, settle what came, write manifest and metadata; again: the same answer.

        What the segments hold decides the counters: a segment that was stored although the store
        said otherwise counts. While something that was acknowledged is not published the end is
        not written.
        """
        if self._ending is None:
            self._ending = reason
        drained = await self._writer.drain()
        async with self._lock:
            if isinstance(self._ending, SessionTakenOver):
                return Failure(self._ending)
            if self._metadata.status != "active":
                return Success(self._metadata)
            if isinstance(drained, Failure):
                return Failure(StorageFailure(self._metadata.session_id, drained.failure()))
            finished = await self._write_end(self._ending)
            if isinstance(finished, Failure):
                error = finished.failure()
                if isinstance(error, SessionTakenOver):
                    self._give_up(error)
                    return Failure(error)
                return Failure(StorageFailure(self._metadata.session_id, error))
        # All is published: this only lets the writer's tasks end with the session.
        await self._writer.close()
        self._background.cancel()
        return Success(self._metadata)

    async def release(self) -> None:
        """Settle what came and leave the session active, for another process to take up.

        What cannot be published now stays in the spool, and that process finds it there.
        """
        closed = await self._writer.close()
        if isinstance(closed, Failure):
            _log.warning(
                "Session %s leaves something in the spool: %s",
                self._metadata.session_id,
                closed.failure().message,
            )
        self._background.cancel()
        await self._keep_up()
        if self._place is not None:
            await self._place.leave()
            self._place = None

    async def _write_end(self, reason: EndReason) -> Outcome[None, SessionTakenOver | StorageError]:
        session_id = self._metadata.session_id
        indexed = await index_session(self._storage, session_id, known=self._segments)
        if isinstance(indexed, Failure):
            return indexed
        index = indexed.unwrap()
        for damage in index.damages:
            _log.error("%s", damage.message)
        saved = await save_manifest(self._storage, session_id, index.sound_segments)
        if isinstance(saved, Failure):
            return saved
        now = moment(self._clock.time_ns())
        ended = attrs.evolve(
            counted(uncounted(self._metadata), index.segments),
            status="completed",
            end_time=now,
            end_reason=reason,
            last_checkpoint_time=now,
            recorder_id=None,
        )
        written = await self._document.save(ended)
        if isinstance(written, Failure):
            return written
        self._metadata, self._counts = ended, LiveCounts()
        self._segments.clear()
        if self._place is not None:
            await self._place.remove()
            self._place = None
        _log.info("Session %s ended (%s)", session_id, reason)
        return Success(None)

    def _refusal(self, signal: Signal) -> SessionEnded | SessionTakenOver | SignalNotEnabled | None:
        if isinstance(self._ending, SessionTakenOver):
            return self._ending
        if self._ending is not None:
            return SessionEnded(self._metadata.session_id, self._ending)
        if self._is_full_with(self._writer.unsettled_bytes):
            return SessionEnded(self._metadata.session_id, "maxSize")
        if not self._metadata.capture.records(signal):
            return SignalNotEnabled(self._metadata.session_id, signal)
        return None

    def _is_full_with(self, size_bytes: int) -> bool:
        """Whether the stored size and *size_bytes* more reach the limit."""
        limit = self._metadata.capture.max_size_mb
        size_bytes += self._metadata.total_size_bytes + self._counts.size_bytes
        return limit is not None and size_bytes >= limit * _MEGABYTE

    def _open_writer(self) -> FrameWriter:
        settings, session_id, place = self._settings, self._metadata.session_id, self._place
        if self._durability == "object":
            return ObjectWriter(
                self._storage,
                session_id,
                self._tasks,
                self._kept,
                self._published,
                linger_s=settings.linger_s,
                segment_bytes=settings.segment_bytes,
            )
        make: SegmentMaker = partial(MemorySegment, session_id)
        if place is not None and self._durability == "spool":
            make = partial(FileSegment, place.claim)
        return SpoolWriter(
            self._publisher,
            make,
            self._tasks,
            self._clock,
            self._budget,
            self._kept,
            seal_after_s=settings.publish_after_s,
            seal_bytes=settings.publish_bytes,
            telemetry=settings.telemetry,
        )

    def _kept(self, signal: Signal, frame: Frame) -> None:
        self._counts.add(signal, frame)
        if self._ending is None and self._is_full_with(0):
            self._tasks.start_soon(self._end, "maxSize")

    def _published(self, segment: SegmentIndex) -> None:
        self._segments[segment.key] = segment

    def _give_up(self, error: SessionTakenOver) -> None:
        self._ending = error
        self._background.cancel()
        _log.error("%s", error.message)

    async def _end(self, reason: EndReason) -> None:
        ended = await self.finish(reason)
        if isinstance(ended, Failure):
            _log.error("The end is not written yet: %s", ended.failure().message)

    async def _watch(self) -> None:
        """Write checkpoints, and see to it that the session ends."""
        with self._background:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep_checkpoints)
                if self._metadata.capture.max_duration_minutes is not None:
                    tasks.start_soon(
                        self._wait_for_age, self._metadata.capture.max_duration_minutes
                    )

    async def _wait_for_age(self, minutes: float) -> None:
        age_ns = self._clock.time_ns() - unix_nano(self._metadata.start_time)
        left_ns = round(min(minutes, _LONGEST_MINUTES) * _MINUTE_NS) - age_ns
        await self._clock.sleep_until(self._clock.monotonic_ns() + left_ns)
        await self._end("maxDuration")

    async def _keep_checkpoints(self) -> None:
        interval_ns = round(self._settings.checkpoint_interval_s * 1e9)
        idle_ns = round(self._settings.idle_checkpoint_interval_s * 1e9)
        while True:
            await self._clock.sleep_until(self._clock.monotonic_ns() + interval_ns)
            is_idle = self.metadata.captured_requests == self._saved_requests
            saved_ago_ns = self._clock.monotonic_ns() - self._saved_at_ns
            if self._ending is not None or not is_idle or saved_ago_ns >= idle_ns:
                await self._keep_up()

    async def _keep_up(self) -> None:
        """Write a checkpoint, or the end where it has come and could not be written yet."""
        if self._ending is None:
            await self._checkpoint()
        elif self.is_live and not isinstance(self._ending, SessionTakenOver):
            await self._end(self._ending)

    async def _checkpoint(self) -> None:
        async with self._lock:
            if self._ending is not None:
                return
            now = moment(self._clock.time_ns())
            metadata = attrs.evolve(self.metadata, last_checkpoint_time=now)
            written = await self._document.save(metadata)
            if isinstance(written, Success):
                self._metadata = attrs.evolve(self._metadata, last_checkpoint_time=now)
                self._saved_requests = metadata.captured_requests
                self._saved_at_ns = self._clock.monotonic_ns()
                return
            error = written.failure()
            if isinstance(error, SessionTakenOver):
                self._give_up(error)
                return
            _log.warning("The checkpoint is not written: %s", error.message)


def _next_sequence(tables: Iterable[FrameTable]) -> int:
    return max((max(table.column("sequence"), default=-1) for table in tables), default=-1) + 1
