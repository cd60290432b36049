"""From attempts to an outcome: when a request is sent again, and what became of it.

Source: OTLP specification 1.11, OTLP/HTTP Response and Throttling.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import anyio
import attrs

from otlp_capture.clock import Clock
from otlp_capture.otlp import PartialSuccess
from otlp_capture.sending.answers import (
    Accepted,
    Answer,
    NoAnswer,
    Obstacle,
    Refused,
    Unreadable,
    one_line,
)
from otlp_capture.sending.parcel import Parcel
from otlp_capture.sending.retrying import RetryPolicy
from otlp_capture.sending.transport import Transport

DeliveryOutcome: TypeAlias = Literal["delivered", "rejected", "failed", "unknown", "not_sent"]
"""What becomes of a request; `not_sent`: it could have been tried further."""


@attrs.frozen(kw_only=True)
class Delivery:
    """What became of a request.

    Attributes:
        outcome: of the request.
        attempts: how often it was tried.
        rejected_records: how many of its records the target refused for good.
        reason: what stood in the way, or what the target remarked; empty when there was nothing.
        is_given_up: whether its retries were used up, or there is an obstacle.
        is_interrupted: whether it could have been tried further; only then is it `not_sent`.
        status: what the target answered last, such as `200`, `503` or `UNAVAILABLE`; empty: it
            did not answer.
        obstacle: what keeps it from ever being sent; None: nothing does.
    """

    outcome: DeliveryOutcome
    attempts: int
    rejected_records: int = 0
    reason: str = ""
    is_given_up: bool = False
    is_interrupted: bool = False
    status: str = ""
    obstacle: Obstacle | None = None


class Courier:
    """Sends one request until the target has decided, or until the policy has had enough.

    Args:
        transport: what sends it.
        clock: what measures the time that *policy* allows.
        policy: how long it is tried.
        parcel: the request.
        hear: told of what came of each attempt.

    Attributes:
        parcel: the request.
        departed: set once the first attempt is on its way, or over.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        policy: RetryPolicy,
        parcel: Parcel,
        hear: Callable[[Answer], None],
    ) -> None:
        self.parcel = parcel
        self.departed = anyio.Event()
        self._transport, self._clock, self._policy = transport, clock, policy
        self._hear = hear
        self._attempts = 0
        self._status = ""
        self._is_underway = self._may_have_arrived = self._was_refused = False
        self._is_stopped = False
        self._wait = anyio.CancelScope()

    async def deliver(self) -> Delivery:
        """Return what became of the request. It is called once."""
        give_up_ns = self._clock.monotonic_ns() + _ns(self._policy.max_elapsed_s)
        while True:
            answer = await self._attempt()
            settled = self._settled(answer)
            if settled is not None:
                return settled
            due_ns = self._clock.monotonic_ns() + _ns(self._wait_s(answer))
            if self._attempts >= self._policy.max_attempts or due_ns > give_up_ns:
                return self._given_up(reason_of(answer))
            await self._wait_until(due_ns)
            if self._is_stopped:
                return self.interrupted(reason_of(answer))

    def stop(self) -> None:
        """Try no more: `deliver` returns once the attempt that is under way is over."""
        self._is_stopped = True
        self._wait.cancel()

    def interrupted(self, reason: str) -> Delivery:
        """Return what became of the request if nothing more is done for it."""
        outcome: DeliveryOutcome = "failed" if self._was_refused else "not_sent"
        if self._may_have_arrived or self._is_underway:
            outcome = "unknown"
        return Delivery(
            outcome=outcome,
            attempts=self._attempts,
            reason=reason,
            is_interrupted=True,
            status=self._status,
        )

    async def _attempt(self) -> Answer:
        self._attempts += 1
        try:
            answer = await self._transport.attempt(self.parcel, self._depart)
        finally:
            self.departed.set()
        self._is_underway = False
        self._status = _status_of(answer) or self._status
        self._was_refused |= isinstance(answer, Refused)
        self._may_have_arrived |= isinstance(answer, NoAnswer) and answer.may_have_arrived
        self._hear(answer)
        return answer

    def _depart(self) -> None:
        self._is_underway = True
        self.departed.set()

    async def _wait_until(self, due_ns: int) -> None:
        with anyio.CancelScope() as self._wait:
            if not self._is_stopped:
                await self._clock.sleep_until(due_ns)

    def _settled(self, answer: Answer) -> Delivery | None:
        """Return the outcome that *answer* decides; None: it is to be tried again."""
        records, reason = self.parcel.record_count, reason_of(answer)
        match answer:
            case Accepted(PartialSuccess(rejected=rejected)) if rejected > 0:
                return self._decided("rejected", reason, min(rejected, records))
            case Accepted():
                return self._decided("delivered", reason)
            case Refused(is_retryable=False):
                return self._decided("rejected", reason, records)
            case Unreadable():
                return self._decided("unknown", reason)
            case NoAnswer(obstacle=obstacle) if obstacle is not None:
                return self._given_up(reason, obstacle)
            case Refused() | NoAnswer():
                return None

    def _decided(self, outcome: DeliveryOutcome, reason: str, rejected: int = 0) -> Delivery:
        return Delivery(
            outcome=outcome,
            attempts=self._attempts,
            rejected_records=rejected,
            reason=reason,
            status=self._status,
        )

    def _given_up(self, reason: str, obstacle: Obstacle | None = None) -> Delivery:
        return Delivery(
            outcome="unknown" if self._may_have_arrived else "failed",
            attempts=self._attempts,
            reason=reason,
            is_given_up=True,
            status=self._status,
            obstacle=obstacle,
        )

    def _wait_s(self, answer: Answer) -> float:
        """Return how long to wait: the backoff, or what the target asks for where that is more."""
        asked_s = answer.retry_after_s if isinstance(answer, Refused) else None
        return max(self._policy.backoff_s(self._attempts), asked_s or 0.0)


def _status_of(answer: Answer) -> str:
    return "" if isinstance(answer, NoAnswer) else answer.status


def reason_of(answer: Answer) -> str:
    """Say what stood in the way, or what the target remarked; nothing where there was nothing."""
    match answer:
        case Accepted(partial_success, remark):
            return remark if partial_success is None else _part(partial_success)
        case Refused(status, reason):
            return f"{status}: {reason}" if reason else status
        case Unreadable(reason) | NoAnswer(reason):
            return reason


def _part(partial_success: PartialSuccess) -> str:
    rejected, message = partial_success.rejected, partial_success.error_message
    return f"partial success, {rejected:,} records rejected: {one_line(message)}"


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
