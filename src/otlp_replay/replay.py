"""One replay, from its first request to its last answer, and how it is steered meanwhile."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from otlp_capture.clock import Clock, moment
from otlp_capture.result import Failure, Fault, Outcome, Success
from otlp_capture.sending import Endpoint, Transport, open_transport
from otlp_capture.sessions import RequestReader
from otlp_capture.storage import S3Storage
from otlp_replay.config import ReplayConfig
from otlp_replay.course import Course
from otlp_replay.deliveries import DeliveryLedger
from otlp_replay.delivering import Deliveries
from otlp_replay.dispatching import Dispatcher
from otlp_replay.errors import (
    DeliveredBefore,
    DurationReached,
    ReplayError,
    ReplayInterrupted,
    ReplayNotSteerable,
    SettledBefore,
    Skipped,
    as_replay_error,
)
from otlp_replay.events import Observer
from otlp_replay.fidelity import Fidelity, FidelityCertificate, certificate, keep_certificate
from otlp_replay.ledger import Ledger
from otlp_replay.pacing import Speed, precise
from otlp_replay.read_ahead import Draft, ReadAhead, reading_ahead
from otlp_replay.selection import Moment, Selection
from otlp_replay.status import ReplayStatus
from otlp_replay.steering import Steering
from otlp_replay.timestamps import Shifts

_HEAD_START_S: Final = 1.0
_CACHE_BYTES: Final = 32 << 20
_NS: Final = 1_000_000_000


class Replay:
    """A replay from its first request to its last answer.

    Args:
        storage: where the sessions are.
        clock: what paces and dates it.
        config: what to do.
        endpoint: where to send it.
        course: what to send, in order.
        replay_id: its name.
        selection: what of the requests is sent.
        observers: hear of each request.
        ledger: keeps what became of each request, on a disk; the replay closes it.

    Attributes:
        replay_id: its name.
        over: set once the status will not change any more.
    """

    def __init__(
        self,
        storage: S3Storage,
        clock: Clock,
        config: ReplayConfig,
        endpoint: Endpoint,
        course: Course,
        replay_id: str,
        selection: Selection,
        observers: Sequence[Observer] = (),
        ledger: DeliveryLedger | None = None,
    ) -> None:
        self._record = ledger
        self._fidelity = Fidelity()
        observers = (self._fidelity, *observers)
        observers = observers if ledger is None else (ledger, *observers)
        self.replay_id, self.over = replay_id, anyio.Event()
        self._storage, self._clock, self._config = storage, clock, config
        self._endpoint, self._course = endpoint, course
        status = ReplayStatus(
            replay_id=replay_id,
            session_id=config.session_id,
            status="pending",
            total_records=course.request_count,
            out_of_order=course.sequence.out_of_order,
        )
        self._ledger = Ledger(status, course.record_count)
        self._steering = Steering(clock, config.speed_multiplier)
        sequence = course.sequence
        self._shifts = Shifts(
            config, self._steering, sequence.window_start_unix_nano, sequence.period_ns
        )
        self._deliveries = Deliveries(
            config, clock, self._ledger, observers, self._lose, self._interrupted
        )
        self._dispatcher = Dispatcher(
            config, selection, self._steering, self._shifts, self._deliveries, ledger
        )
        self._all, self._dispatching = anyio.CancelScope(), anyio.CancelScope()
        self._limit, self._keeping = anyio.CancelScope(), anyio.CancelScope()
        self._cause: ReplayError | None = None
        self._left_for: Fault | None = None
        self._stopped_for: ReplayError = ReplayInterrupted(config.session_id)
        self._is_through = False

    @property
    def status(self) -> ReplayStatus:
        """How it stands."""
        return self._ledger.status

    def next_change(self) -> anyio.Event:
        """Return what is set when the status is another one."""
        return self._ledger.listen()

    async def run(self) -> None:
        """Carry it out; `status` tells how it stands, before, meanwhile and afterwards."""
        error: ReplayError | None = self._stopped_for
        try:
            if not self._dispatching.cancel_called:
                self._ledger.begin()
                await self._carry_out()
                error = None
        finally:
            with anyio.CancelScope(shield=True):
                await self._close(self._cause or error)

    async def _carry_out(self) -> None:
        async with open_transport(self._endpoint, self._clock, self._config.protocol) as transport:
            with precise(self._clock, self._config.precision) as clock, self._all:
                await self._send_all(transport, clock)

    def stop(self, cause: ReplayError | None = None) -> None:
        """Send nothing more, and try nothing again; what is on its way may still be answered."""
        self._stopped_for = cause or self._stopped_for
        self._dispatching.cancel()
        self._deliveries.stop()

    def cut(self) -> None:
        """Wait for no answer any more."""
        self._all.cancel()

    def pause(self) -> Outcome[ReplayStatus, ReplayNotSteerable]:
        """Stand still; what is on its way is still answered. Nothing happens if it does already."""
        return self._steer("be paused", self._steering.pause)

    def resume(self) -> Outcome[ReplayStatus, ReplayNotSteerable]:
        """Go on; nothing happens unless it is paused."""
        return self._steer("go on", self._steering.resume)

    def set_speed(self, speed: Speed) -> Outcome[ReplayStatus, ReplayNotSteerable]:
        """Be as fast as that from now on."""
        return self._steer("change its speed", lambda: self._steering.set_speed(speed))

    def step(self, requests: int) -> Outcome[ReplayStatus, ReplayNotSteerable]:
        """Send so many requests, with all their copies, of a replay that is paused."""
        if not self._steering.is_paused:
            return Failure(ReplayNotSteerable(self.replay_id, "send single ones", "pause it first"))
        return self._steer("send single ones", lambda: self._steering.step(requests))

    def seek(self, to: Moment) -> Outcome[ReplayStatus, ReplayNotSteerable]:
        """Go on elsewhere in this loop.

        What is jumped over is not sent; what is sent again is planned once more. Either is
        accounted for before this returns.
        """
        if not self._course.places:
            reason = "it has no requests"
            return Failure(ReplayNotSteerable(self.replay_id, "be moved", reason))
        return self._steer("be moved", lambda: self._seek(to))

    def _steer(
        self, what: str, do: Callable[[], None]
    ) -> Outcome[ReplayStatus, ReplayNotSteerable]:
        if self._is_through or self.over.is_set():
            reason = "all of it was sent, or it has ended"
            return Failure(ReplayNotSteerable(self.replay_id, what, reason))
        do()
        self._ledger.pause(is_paused=self._steering.is_paused)
        return Success(self.status)

    def _seek(self, to: Moment) -> None:
        course, dispatcher = self._course, self._dispatcher
        place, line_ns = course.find(to, dispatcher.place)
        requests, records = course.between(dispatcher.place, dispatcher.copies_done, place)
        if requests >= 0:
            self._ledger.leave_out(Skipped(), requests, records)
        else:
            self._ledger.plan(-requests, -records)
        dispatcher.go_to(place)
        self._steering.seek(line_ns)

    async def _send_all(self, transport: Transport, clock: Clock) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_record)
            with self._dispatching:
                await self._go_through(transport, clock, tasks)
            self._is_through = True
            self._limit.cancel()
            self._keeping.cancel()
            if self._dispatching.cancelled_caught and self._left_for is None:
                self._break_off(self._stopped_for)

    async def _go_through(self, transport: Transport, clock: Clock, tasks: TaskGroup) -> None:
        reader = RequestReader(self._storage, cache_bytes=_CACHE_BYTES)
        while True:
            with self._steering.passing():
                events = self._course.events(self._dispatcher.place)
                async with reading_ahead(reader, events, self._dispatcher.prepare) as requests:
                    await self._dispatch_all(requests, transport, clock, tasks)
            if not self._steering.was_sought():
                return

    async def _dispatch_all(
        self, requests: ReadAhead, transport: Transport, clock: Clock, tasks: TaskGroup
    ) -> None:
        if not self._steering.has_begun and self._config.speed_multiplier != "max":
            with anyio.move_on_after(_HEAD_START_S):
                await requests.filled.wait()
        async for read in requests:
            if isinstance(read, Failure):
                self._break_off(as_replay_error(self._config.session_id, read.failure()))
                return
            draft = read.unwrap()
            is_done = isinstance(draft.fault, DeliveredBefore | SettledBefore)
            if not self._steering.has_begun and not is_done:
                self._begin(clock, tasks, draft)
            error = await self._dispatcher.dispatch(draft, transport, tasks)
            if error is not None:
                self._break_off(error)
                self._deliveries.stop()
                return

    def _begin(self, clock: Clock, tasks: TaskGroup, first: Draft) -> None:
        """Begin the line; a replay that goes on after a crash begins with what is left of it."""
        line_ns = first.event.offset_ns if self._config.resume else None
        now_ns, unix_nano = self._steering.begin(clock, line_ns), clock.time_ns()
        self._shifts.begin(now_ns, unix_nano)
        self._ledger.start(moment(unix_nano))
        if self._config.max_duration_s is not None:
            end_ns = now_ns + round(self._config.max_duration_s * _NS)
            tasks.start_soon(self._end_at, end_ns, self._config.max_duration_s)

    async def _end_at(self, end_ns: int, max_duration_s: float) -> None:
        with self._limit:
            await self._clock.sleep_until(end_ns)
            self._left_for = DurationReached(max_duration_s)
            self._dispatching.cancel()

    async def _keep_record(self) -> None:
        if self._record is not None:
            with self._keeping:
                await self._record.keep_synced()

    def _lose(self, error: ReplayError) -> None:
        self._break_off(error)
        self._all.cancel()

    def _interrupted(self) -> ReplayError:
        return self._break_off(self._stopped_for)

    def _break_off(self, error: ReplayError) -> ReplayError:
        """Keep *error* as what ends the replay, unless something has before; return what has."""
        self._cause = self._cause or error
        return self._cause

    async def _close(self, error: ReplayError | None) -> None:
        """Say how it ended; only once nothing of it is open any more, and all is kept."""
        if self._record is not None:
            await anyio.to_thread.run_sync(self._record.close)
        at = moment(self._clock.time_ns())
        certified = self._certificate(at, error)
        problem = None
        if self._config.store_certificate:
            problem = await keep_certificate(self._storage, certified)
        self._ledger.close(
            at,
            error,
            error or self._left_for,
            orphans=self._dispatcher.cut_traces.counts,
            certificate=certified,
            certificate_error=problem,
        )
        self.over.set()

    def _certificate(self, at: datetime, error: ReplayError | None) -> FidelityCertificate:
        status = self.status
        return certificate(
            self._fidelity,
            replay_id=self.replay_id,
            session_ids=self._config.session_ids,
            target=self._config.target_endpoint,
            speed=self._config.speed_multiplier,
            planned_requests=status.total_records,
            status="completed" if error is None else "failed",
            started_at=status.started_at or at,
            completed_at=at,
            error="" if error is None else error.message,
        )
