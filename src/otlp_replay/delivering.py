"""Requests on their way: how many there are at once, and what became of each."""

from collections.abc import Callable, Sequence
from typing import Final

import anyio
import attrs
from anyio.abc import TaskGroup

from otlp_capture.clock import Clock
from otlp_capture.result import Fault
from otlp_capture.sending import Courier, Delivery, Parcel, TargetNotAllowed, Transport
from otlp_replay.config import ReplayConfig
from otlp_replay.departure import Departure
from otlp_replay.errors import IngestionFailure, ReplayError
from otlp_replay.events import Event, Observer, Settled, Stamps
from otlp_replay.ledger import Ledger
from otlp_replay.patience import Patience
from otlp_replay.room import Room

_IN_FLIGHT_BYTES: Final = 16 << 20


@attrs.frozen
class _Sent:
    """A request that was handed to the transport."""

    event: Event
    courier: Courier
    departure: Departure
    planned_ns: int
    dispatched_ns: int
    room_bytes: int


class Deliveries:
    """Hands requests to couriers, and accounts for them.

    Args:
        config: within which bounds.
        clock: the time.
        ledger: keeps the counts.
        observers: hear of each request.
        lose: told that the target is lost, and why.
        interrupt: told that a request was interrupted; returns what ends the replay.

    Attributes:
        room: bounds what is on its way.
    """

    def __init__(
        self,
        config: ReplayConfig,
        clock: Clock,
        ledger: Ledger,
        observers: Sequence[Observer],
        lose: Callable[[ReplayError], None],
        interrupt: Callable[[], Fault],
    ) -> None:
        self.room = Room(config.max_in_flight, _IN_FLIGHT_BYTES)
        self._retry, self._clock = config.retry, clock
        self._ledger, self._observers = ledger, observers
        self._lose, self._interrupt = lose, interrupt
        self._patience = Patience(config.max_in_flight)
        self._couriers = set[Courier]()

    def intend(self, event: Event) -> None:
        """Tell the observers that a request is sent next."""
        for observer in self._observers:
            observer.intend(event)

    def send(
        self,
        event: Event,
        parcel: Parcel,
        planned_ns: int,
        room_bytes: int,
        transport: Transport,
        tasks: TaskGroup,
    ) -> anyio.Event:
        """Send a request that is in `room`; return what is set once its first attempt has left.

        It was intended before.
        """
        departure = Departure(transport, self._clock)
        courier = Courier(departure, self._clock, self._retry, parcel, self._patience.hear)
        self._couriers.add(courier)
        self._ledger.dispatch(event.ref.segment.key)
        dispatched_ns = self._clock.monotonic_ns()
        sent = _Sent(event, courier, departure, planned_ns, dispatched_ns, room_bytes)
        tasks.start_soon(self._deliver, sent)
        return courier.departed

    def leave_out(self, event: Event, cause: Fault, stamps: Stamps) -> None:
        """Account for a request that is not sent because of *cause*."""
        records = event.ref.frame.record_count
        self._ledger.leave_out(cause, 1, records)
        reason = type(cause).__name__
        self._tell(
            Settled(
                event=event,
                stamps=stamps,
                outcome="not_sent",
                record_count=records,
                reason=reason,
            )
        )

    def stop(self) -> None:
        """Try nothing again; what is on its way may still be answered."""
        for courier in self._couriers:
            courier.stop()

    async def _deliver(self, sent: _Sent) -> None:
        answers_before = self._patience.answers
        courier = sent.courier
        try:
            delivery = await courier.deliver()
        except anyio.get_cancelled_exc_class():
            self._account(sent, courier.interrupted("the replay broke off"))
            raise
        finally:
            self.room.leave(sent.room_bytes)
            self._couriers.discard(courier)
        self._account(sent, delivery)
        if isinstance(delivery.obstacle, TargetNotAllowed):
            self._lose(delivery.obstacle)
        elif self._patience.is_lost(delivery, answers_before):
            self._lose(IngestionFailure(sent.departure.target, delivery.reason))

    def _account(self, sent: _Sent, delivery: Delivery) -> None:
        cause = self._interrupt() if delivery.is_interrupted else None
        stamps = Stamps(
            sent.planned_ns, sent.dispatched_ns, sent.departure.at_ns, self._clock.monotonic_ns()
        )
        if cause is not None and delivery.outcome == "not_sent":
            self.leave_out(sent.event, cause, stamps)
            return
        settled = Settled(
            event=sent.event,
            stamps=stamps,
            outcome=delivery.outcome,
            record_count=sent.courier.parcel.record_count,
            rejected_records=delivery.rejected_records,
            size_bytes=len(sent.courier.parcel.body),
            attempts=delivery.attempts,
            status=delivery.status,
            reason=delivery.reason,
        )
        self._ledger.settle(settled)
        self._tell(settled)

    def _tell(self, settled: Settled) -> None:
        for observer in self._observers:
            observer.settle(settled)
