"""Requests that were read become requests that are sent, each when it is its turn."""

from collections.abc import Sequence
from typing import Final

import anyio
import anyio.to_thread
import attrs
from anyio.abc import TaskGroup

from otlp_capture.otlp import IdMapping
from otlp_capture.result import Failure, Fault, Outcome, Success
from otlp_capture.sending import Parcel, Transport
from otlp_capture.sessions import StoredRequest
from otlp_replay.config import ENCODINGS, ReplayConfig
from otlp_replay.cut_traces import CutTraces
from otlp_replay.deliveries import DeliveryLedger, LedgerUnusable
from otlp_replay.delivering import Deliveries
from otlp_replay.errors import DeliveredBefore, SettledBefore, TargetTooSlow, TooLate
from otlp_replay.events import Event, Stamps
from otlp_replay.pacing import Lateness, Meter
from otlp_replay.parcels import INLINE_BYTES, NotWritten, Press, press
from otlp_replay.read_ahead import Draft
from otlp_replay.selection import FilteredOut, Selection
from otlp_replay.steering import Steering
from otlp_replay.timestamps import Shifts

_NS: Final = 1_000_000_000
_MADE_UP_NS: Final = 100_000_000


class Dispatcher:
    """Sends requests one after the other, each as it is to be and when it is its turn.

    Args:
        config: how.
        selection: what of them.
        steering: when.
        shifts: how far they are moved in time.
        deliveries: what sends them.
        ledger: what earlier runs did, and whether this one can still be written down; None: nobody
            asked for one.

    Attributes:
        place: where in the replay's order it is.
        copies_done: how many copies of the request there are accounted for.
    """

    def __init__(
        self,
        config: ReplayConfig,
        selection: Selection,
        steering: Steering,
        shifts: Shifts,
        deliveries: Deliveries,
        ledger: DeliveryLedger | None = None,
    ) -> None:
        self._ledger = ledger
        self.place = self.copies_done = 0
        self._config, self._selection = config, selection
        self._steering, self._shifts, self._deliveries = steering, shifts, deliveries
        self._meter = Meter(config.max_rate)
        self._late = Lateness(config.late_policy, round(config.max_lateness_s * _NS))
        self._press = (-1, Press("protobuf", 0))
        self.cut_traces = CutTraces(selection)

    def go_to(self, place: int) -> None:
        """Go on at *place*."""
        self.place, self.copies_done = place, 0

    async def prepare(self, event: Event, stored: StoredRequest) -> Draft:
        """Narrow a request, and write it where it is known how far it will be moved."""
        is_read = self._selection.narrows or self.cut_traces.is_counting(event)
        if len(stored.request) <= INLINE_BYTES or not is_read:
            draft = self._narrowed(event, stored)
        else:
            draft = await anyio.to_thread.run_sync(self._narrowed, event, stored)
        shift_ns = self._shifts.known_ns(event)
        if draft.fault is not None or shift_ns is None:
            return draft
        written = await self._write(draft, shift_ns)
        return attrs.evolve(draft, shift_ns=shift_ns, written=written)

    async def dispatch(
        self, draft: Draft, transport: Transport, tasks: TaskGroup
    ) -> TargetTooSlow | LedgerUnusable | None:
        """Send a request, all its copies, when it is due; return when they are on their way.

        Where it is late, and the replay is to end then, or where its ledger cannot be written, the
        error is returned. A seek cancels it,
        but what it waits for may just have come: so it looks before it sends anything.
        """
        if self._steering.was_sought():
            return None
        if draft.fault is not None:
            self._leave_out(
                draft.event, draft.fault, self._steering.due_ns(draft.event.offset_ns, 0)
            )
            return None
        room, size_bytes = self._deliveries.room, len(draft.request)
        await room.enter(size_bytes)
        is_inside = True
        departures: list[anyio.Event] = []
        try:
            planned_ns, written = await self._turn(draft)
            if self._steering.was_sought():
                return None
            if self._ledger is not None and self._ledger.problem is not None:
                return self._ledger.problem
            verdict = self._judge(planned_ns)
            if isinstance(verdict, TargetTooSlow):
                return verdict
            if verdict is not None:
                self._leave_out(draft.event, verdict, planned_ns)
                return None
            for copy, outcome in enumerate(written):
                event = _copy(draft.event, copy)
                before = self._dealt_with(event.number)
                if before is not None:
                    self._deliveries.leave_out(event, before, Stamps(planned_ns))
                    self.copies_done += 1
                    continue
                if isinstance(outcome, Failure):
                    self._deliveries.leave_out(event, outcome.failure(), Stamps(planned_ns))
                    self.copies_done += 1
                    continue
                if not is_inside:
                    await room.enter(size_bytes)
                    is_inside = True
                if self._steering.was_sought():
                    return None
                self._deliveries.intend(event)
                if self._ledger is not None and self._ledger.problem is not None:
                    # Nobody would know later that it has left.
                    return self._ledger.problem
                parcel, is_inside = outcome.unwrap(), False
                departures.append(
                    self._deliveries.send(event, parcel, planned_ns, size_bytes, transport, tasks)
                )
                self.copies_done += 1
        finally:
            if is_inside:
                room.leave(size_bytes)
        self.go_to(self.place + 1)
        for departed in departures:
            await departed.wait()
        return None

    def _narrowed(self, event: Event, stored: StoredRequest) -> Draft:
        numbers = range(event.number, event.number + self._config.copies)
        before = [self._dealt_with(number) for number in numbers]
        if not all(before):
            draft = self._chosen(event, stored)
            self.cut_traces.note(event, stored.request, draft.request)
            return draft
        if self.cut_traces.is_counting(event):
            # An earlier run has sent it: its spans have arrived, and others may be their children.
            self.cut_traces.note(event, stored.request, self._chosen(event, stored).request)
        return Draft(event, stored.request, stored.frame.record_count, before[0])

    def _chosen(self, event: Event, stored: StoredRequest) -> Draft:
        if not self._selection.narrows:
            return Draft(event, stored.request, stored.frame.record_count)
        sequence = stored.frame.sequence
        narrowed = self._selection.narrow(stored.request, event.signal, sequence)
        if isinstance(narrowed, Failure):
            return Draft(event, stored.request, 0, narrowed.failure())
        left = narrowed.unwrap()
        fault = FilteredOut(stored.key, sequence) if left.is_filtered_out else None
        return Draft(event, left.request, left.record_count, fault)

    async def _turn(self, draft: Draft) -> tuple[int, Sequence[Outcome[Parcel, NotWritten]]]:
        """Wait for a request's turn; return when that was to be, and what to send."""
        event, free_ns = draft.event, self._meter.free_ns
        line_ns, shift_ns, written = event.offset_ns, draft.shift_ns, draft.written
        if shift_ns is None:
            shift_ns = self._shifts.at_ns(event, self._steering.due_ns(line_ns, free_ns))
            written = await self._write(draft, shift_ns)
        planned_ns = await self._steering.turn(line_ns, free_ns)
        now_shift_ns = self._shifts.at_ns(event, planned_ns)
        if self._shifts.is_stale(shift_ns, now_shift_ns):
            shift_ns, written = now_shift_ns, await self._write(draft, now_shift_ns)
        self._shifts.keep(event, shift_ns)
        bodies = [outcome.unwrap().body for outcome in written if isinstance(outcome, Success)]
        # A backlog may make up for a little lateness, and for no more: the rate is a bound.
        self._meter.take(
            max(planned_ns, self._steering.now_ns - _MADE_UP_NS),
            requests=len(bodies),
            records=draft.record_count * len(bodies),
            size_bytes=sum(map(len, bodies)),
        )
        return planned_ns, written

    def _judge(self, planned_ns: int) -> TargetTooSlow | TooLate | None:
        """Say why a request is not sent that was to be sent then; None: it is."""
        lateness_ns = self._steering.now_ns - planned_ns
        late_s, most_s = lateness_ns / _NS, self._config.max_lateness_s
        match self._late.verdict(lateness_ns):
            case "catch_up":
                return None
            case "stretch":
                self._steering.stretch(lateness_ns)
                return None
            case "skip":
                return TooLate(late_s, most_s)
            case "fail":
                return TargetTooSlow(self._config.target_endpoint, late_s, most_s)

    def _dealt_with(self, number: int) -> DeliveredBefore | SettledBefore | None:
        """Say how an earlier run has dealt with a request; None: it is to be sent."""
        if self._ledger is None or self._ledger.prior.should_send(number):
            return None
        is_delivered = self._ledger.prior.outcome(number) == "delivered"
        return DeliveredBefore() if is_delivered else SettledBefore()

    def _leave_out(self, event: Event, cause: Fault, planned_ns: int) -> None:
        for copy in range(self._config.copies):
            left = _copy(event, copy)
            before = self._dealt_with(left.number)
            self._deliveries.leave_out(left, before or cause, Stamps(planned_ns))
        self.go_to(self.place + 1)

    async def _write(self, draft: Draft, shift_ns: int) -> list[Outcome[Parcel, NotWritten]]:
        event = draft.event
        if self._press[0] != event.loop:
            self._press = (event.loop, self._press_of(event.loop))
        return await press(
            draft.request, event.signal, draft.record_count, shift_ns, self._press[1]
        )

    def _press_of(self, loop: int) -> Press:
        config = self._config
        mappings = tuple(
            IdMapping(config.seed, loop, copy) if config.is_remapping else None
            for copy in range(config.copies)
        )
        return Press(ENCODINGS[config.protocol], config.max_request_bytes, mappings)


def _copy(event: Event, copy: int) -> Event:
    return attrs.evolve(event, number=event.number + copy, copy=copy) if copy else event
