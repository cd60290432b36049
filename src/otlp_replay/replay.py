"""One replay: requests leave in the order of their arrival, and each is accounted for."""

from collections.abc import Sequence
from typing import Final

import anyio
from anyio.abc import TaskGroup

from otlp_capture.clock import Clock, moment
from otlp_capture.result import Failure
from otlp_capture.sending import (
    Courier,
    Delivery,
    Endpoint,
    Parcel,
    TargetNotAllowed,
    Transport,
    open_transport,
)
from otlp_capture.sessions import FrameRef, RequestReader, StoredRequest
from otlp_capture.storage import S3Storage
from otlp_replay.config import ENCODINGS, ReplayConfig
from otlp_replay.errors import IngestionFailure, ReplayError, ReplayInterrupted, as_replay_error
from otlp_replay.ledger import Ledger
from otlp_replay.naming import new_replay_id
from otlp_replay.pacing import Schedule
from otlp_replay.parcels import pack
from otlp_replay.patience import Patience
from otlp_replay.read_ahead import ReadAhead, reading_ahead
from otlp_replay.room import Room
from otlp_replay.status import ReplayStatus

_IN_FLIGHT_BYTES: Final = 32 << 20
_HEAD_START_S: Final = 1.0


class Replay:
    """A replay from its first request to its last answer.

    Args:
        storage: where the session is.
        clock: what paces and dates it.
        config: what to do.
        endpoint: where to send it.
        refs: what to send, in order.

    Attributes:
        over: set once the status will not change any more.
    """

    def __init__(
        self,
        storage: S3Storage,
        clock: Clock,
        config: ReplayConfig,
        endpoint: Endpoint,
        refs: Sequence[FrameRef],
    ) -> None:
        self.over = anyio.Event()
        self._endpoint = endpoint
        self._storage, self._clock, self._config, self._refs = storage, clock, config, refs
        records = sum(ref.frame.record_count for ref in refs)
        replay_id = config.replay_id or new_replay_id(clock.time_ns())
        self._ledger = Ledger(replay_id, config.session_id, len(refs), records)
        self._room = Room(config.max_in_flight, _IN_FLIGHT_BYTES)
        self._patience = Patience(config.max_in_flight)
        self._couriers = set[Courier]()
        self._all, self._dispatching = anyio.CancelScope(), anyio.CancelScope()
        self._cause: ReplayError | None = None

    @property
    def status(self) -> ReplayStatus:
        """How it stands."""
        return self._ledger.status

    async def run(self) -> None:
        """Carry it out; `status` tells how it stands, before, meanwhile and afterwards."""
        if self.over.is_set():
            return
        self._ledger.begin()
        error: ReplayError | None = ReplayInterrupted(self._config.session_id)
        try:
            async with open_transport(
                self._endpoint, self._clock, self._config.protocol
            ) as transport:
                with self._all:
                    await self._send_all(transport)
            error = None
        finally:
            self._close(self._cause or error)

    def stop(self) -> None:
        """Send nothing more, and try nothing again; what is on its way may still be answered."""
        if self.status.status == "pending":
            self._close(ReplayInterrupted(self._config.session_id))
        self._dispatching.cancel()
        for courier in self._couriers:
            courier.stop()

    async def _send_all(self, transport: Transport) -> None:
        async with anyio.create_task_group() as deliveries:
            with self._dispatching:
                async with reading_ahead(RequestReader(self._storage), self._refs) as requests:
                    await self._dispatch_all(requests, transport, deliveries)
            if self._dispatching.cancelled_caught:
                self._break_off(ReplayInterrupted(self._config.session_id))

    async def _dispatch_all(
        self, requests: ReadAhead, transport: Transport, deliveries: TaskGroup
    ) -> None:
        if self._config.speed_multiplier != "max":
            with anyio.move_on_after(_HEAD_START_S):
                await requests.filled.wait()
        schedule: Schedule | None = None
        async for read in requests:
            if isinstance(read, Failure):
                self._break_off(as_replay_error(self._config.session_id, read.failure()))
                return
            stored = read.unwrap()
            schedule = schedule or self._start(stored)
            await self._dispatch(stored, schedule, transport, deliveries)

    def _start(self, first: StoredRequest) -> Schedule:
        schedule = Schedule.starting_now(
            self._clock, first.frame.received_unix_nano, self._config.speed_multiplier
        )
        self._ledger.start(moment(schedule.anchor_unix_nano))
        return schedule

    async def _dispatch(
        self,
        stored: StoredRequest,
        schedule: Schedule,
        transport: Transport,
        deliveries: TaskGroup,
    ) -> None:
        """Send a request when it is due; return when its first attempt is on its way."""
        arrival, size_bytes = stored.frame.received_unix_nano, len(stored.request)
        await self._room.enter(size_bytes)
        packed = await pack(
            stored,
            self._shift_ns(schedule, arrival),
            ENCODINGS[self._config.protocol],
            max_bytes=self._config.max_request_bytes,
        )
        if isinstance(packed, Failure):
            self._room.leave(size_bytes)
            self._ledger.leave_out(packed.failure(), stored.frame.record_count)
            return
        await self._clock.sleep_until(schedule.due_ns(arrival))
        courier = Courier(
            transport, self._clock, self._config.retry, packed.unwrap(), self._patience.hear
        )
        self._couriers.add(courier)
        self._ledger.dispatch(stored.key)
        deliveries.start_soon(self._deliver, courier, size_bytes, transport.target)
        await courier.departed.wait()

    def _shift_ns(self, schedule: Schedule, arrival_unix_nano: int) -> int:
        match self._config.timestamp_adjustment:
            case "none":
                return 0
            case "relative":
                constant = self._config.base_time_offset
                if constant is None:
                    constant = schedule.anchor_unix_nano - schedule.window_start_unix_nano
                return constant
            case "current" if schedule.speed == "max":
                return self._clock.time_ns() - arrival_unix_nano
            case "current":
                return schedule.due_unix_nano(arrival_unix_nano) - arrival_unix_nano

    async def _deliver(self, courier: Courier, size_bytes: int, target: str) -> None:
        answers_before = self._patience.answers
        try:
            delivery = await courier.deliver()
        except anyio.get_cancelled_exc_class():
            self._account(courier.interrupted("the replay broke off"), courier.parcel)
            raise
        finally:
            self._room.leave(size_bytes)
            self._couriers.discard(courier)
        self._account(delivery, courier.parcel)
        if isinstance(delivery.obstacle, TargetNotAllowed):
            self._break_off(delivery.obstacle)
            self._all.cancel()
        elif self._patience.is_lost(delivery, answers_before):
            self._break_off(IngestionFailure(target, delivery.reason))
            self._all.cancel()

    def _account(self, delivery: Delivery, parcel: Parcel) -> None:
        if not delivery.is_interrupted:
            self._ledger.settle(delivery, parcel.record_count)
            return
        cause = self._break_off(ReplayInterrupted(self._config.session_id))
        if delivery.outcome == "not_sent":
            self._ledger.leave_out(cause, parcel.record_count)
        else:
            self._ledger.settle(delivery, parcel.record_count)

    def _break_off(self, error: ReplayError) -> ReplayError:
        """Keep *error* as what ends the replay, unless something has before; return what has."""
        self._cause = self._cause or error
        return self._cause

    def _close(self, error: ReplayError | None) -> None:
        self._refs = ()
        self._ledger.close(moment(self._clock.time_ns()), error)
        self.over.set()
