"""One destination: what waits for it, what is on its way, and what became of the rest."""

from typing import Final

import anyio
import anyio.to_thread
import attrs
from anyio.abc import TaskGroup

from otlp_capture import otlp
from otlp_capture.clock import Clock
from otlp_capture.forward.destination import Destination
from otlp_capture.forward.ledger import Ledger
from otlp_capture.forward.model import ForwardSettings, ForwardStatus
from otlp_capture.result import Failure
from otlp_capture.sending import (
    Accepted,
    Answer,
    Courier,
    Delivery,
    NoAnswer,
    Parcel,
    Refused,
    Transport,
    Unreadable,
    reason_of,
)

_ENDED: Final = NoAnswer("forwarding has ended", may_have_arrived=False)


class Forwarder:
    """Sends requests to one destination.

    Args:
        destination: where they go.
        transport: what sends them.
        settings: how.
        clock: what measures waits.
        tasks: owns its workers; what is under way when they are cancelled is accounted for.
    """

    def __init__(
        self,
        destination: Destination,
        transport: Transport,
        settings: ForwardSettings,
        clock: Clock,
        tasks: TaskGroup,
    ) -> None:
        self._destination, self._transport, self._clock = destination, transport, clock
        self._settings, self._tasks = settings, tasks
        self._ledger = Ledger(destination.url, clock)
        self._waiting, self._next = anyio.create_memory_object_stream[Parcel](float("inf"))
        self._held_requests = self._held_bytes = self._asked = 0
        self._not_before_ns = clock.monotonic_ns()
        self._is_closed = False
        self._emptied = anyio.Event()
        for _ in range(settings.concurrency):
            tasks.start_soon(self._work)

    @property
    def status(self) -> ForwardStatus:
        """How it stands."""
        return self._ledger.status

    def has_room(self, size_bytes: int) -> bool:
        """Whether a request of *size_bytes* could wait now."""
        if self._held_requests == 0:
            return True
        if self._held_requests >= self._settings.queue_requests:
            return False
        return self._held_bytes + size_bytes <= self._settings.queue_bytes

    def offer(self, parcel: Parcel) -> None:
        """Let a request wait for its turn; where there is no room for it, it is left out.

        Where the destination is required there is room: requests are refused before they are
        stored when there is none, and what was under way then may exceed it.
        """
        self._ledger.offer(parcel.record_count)
        self._put(parcel)

    async def ask(self, parcel: Parcel) -> Answer:
        """Send a request once, and return the answer.

        It goes on when the caller is cancelled. Where no answer comes and the destination is not
        required, the request waits for its turn like any other.
        """
        self._ledger.offer(parcel.record_count)
        if self._is_closed:
            self._ledger.settle("dropped", parcel.record_count, reason=_ENDED.reason)
            return _ENDED
        question = _Question(parcel)
        self._asked += 1
        self._tasks.start_soon(self._ask, question)
        await question.is_over.wait()
        return question.answer

    async def drain(self) -> None:
        """Take no more, and wait until nothing is left to do; the caller says how long."""
        self._is_closed = True
        if self._held_requests or self._asked:
            await self._emptied.wait()

    def close(self) -> None:
        """Let go of what waits; it stays counted as queued."""
        self._is_closed = True
        self._waiting.close()
        self._next.close()

    def _put(self, parcel: Parcel) -> None:
        has_room = self._settings.is_required or self.has_room(len(parcel.body))
        if self._is_closed or not has_room:
            reason = _ENDED.reason if self._is_closed else "the queue is full"
            self._ledger.settle("dropped", parcel.record_count, reason=reason)
            return
        self._held_requests += 1
        self._held_bytes += len(parcel.body)
        self._waiting.send_nowait(parcel)

    def _leave(self, parcel: Parcel) -> None:
        self._held_requests -= 1
        self._held_bytes -= len(parcel.body)
        self._rest()

    def _rest(self) -> None:
        if self._is_closed and not (self._held_requests or self._asked):
            self._emptied.set()

    async def _work(self) -> None:
        while True:
            parcel = await self._next.receive()
            await self._clock.sleep_until(self._not_before_ns)
            await self._deliver(parcel)
            self._leave(parcel)

    async def _deliver(self, parcel: Parcel) -> None:
        written = await self._written(parcel)
        courier = Courier(self._transport, self._clock, self._settings.retry, written, self._heed)
        try:
            delivery = await courier.deliver()
        except anyio.get_cancelled_exc_class():
            self._account(courier.interrupted("it was not sent in time"), parcel)
            raise
        self._account(delivery, parcel)

    def _account(self, delivery: Delivery, parcel: Parcel) -> None:
        self._ledger.count_retries(max(delivery.attempts - 1, 0))
        if delivery.outcome == "not_sent":
            return
        self._ledger.settle(
            delivery.outcome,
            parcel.record_count,
            rejected=delivery.rejected_records,
            reason=delivery.reason,
        )

    def _heed(self, answer: Answer) -> None:
        """Begin nothing new before the time that the destination asks for."""
        if not isinstance(answer, Refused) or answer.retry_after_s is None:
            return
        wait_s = min(answer.retry_after_s, self._settings.retry.max_elapsed_s)
        due_ns = self._clock.monotonic_ns() + round(wait_s * 1e9)
        self._not_before_ns = max(self._not_before_ns, due_ns)

    async def _ask(self, question: "_Question") -> None:
        try:
            written = await self._written(question.parcel)
            question.answer = await self._transport.attempt(written, question.depart)
            self._conclude(question)
        finally:
            self._asked -= 1
            question.is_over.set()
            self._rest()

    def _conclude(self, question: "_Question") -> None:
        """Account for what became of a request whose answer is the client's."""
        parcel, answer = question.parcel, question.answer
        records, reason = parcel.record_count, reason_of(answer)
        match answer:
            case Accepted(partial_success) if partial_success and partial_success.rejected:
                rejected = min(partial_success.rejected, records)
                self._ledger.settle("rejected", records, rejected=rejected, reason=reason)
            case Accepted():
                self._ledger.settle("delivered", records)
            case Refused(is_retryable=True):
                self._ledger.settle("returned", records, reason=reason)
            case Refused():
                self._ledger.settle("rejected", records, rejected=records, reason=reason)
            case Unreadable():
                self._ledger.settle("unknown", records, reason=reason)
            case NoAnswer() if not self._settings.is_required:
                self._put(parcel)
            case NoAnswer(may_have_arrived=True):
                self._ledger.settle("unknown", records, reason=reason)
            case NoAnswer():
                self._ledger.settle("returned", records, reason=reason)

    async def _written(self, parcel: Parcel) -> Parcel:
        """Return a request as the destination reads it: OTLP/gRPC has no JSON."""
        if parcel.encoding == "protobuf" or not self._destination.is_grpc:
            return parcel
        decoded = await anyio.to_thread.run_sync(
            otlp.decode, parcel.body, parcel.signal, parcel.encoding
        )
        # What was stored could be decoded; where it cannot, the destination says so.
        body = parcel.body if isinstance(decoded, Failure) else decoded.unwrap()
        return attrs.evolve(parcel, body=body, encoding="protobuf")


@attrs.define
class _Question:
    """A request whose answer somebody waits for."""

    parcel: Parcel
    answer: Answer = _ENDED
    is_over: anyio.Event = attrs.field(factory=anyio.Event)

    def depart(self) -> None:
        """Note that it may arrive from now on."""
        self.answer = NoAnswer(_ENDED.reason, may_have_arrived=True)
