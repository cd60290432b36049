"""From attempts to an outcome."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.otlp import PartialSuccess
from otlp_capture.sending import (
    Accepted,
    Answer,
    Courier,
    Delivery,
    NoAnswer,
    Parcel,
    Refused,
    RetryPolicy,
    TargetNotAllowed,
    Unreadable,
    kept_back,
)
from tests.clocks import VirtualClock, settled

pytestmark = pytest.mark.anyio

RECORDS = 7
PARCEL = Parcel("traces", b"request", RECORDS)
BUSY = Refused("503", "busy", is_retryable=True)
UNREACHABLE = NoAnswer("refused", may_have_arrived=False)
CUT_OFF = NoAnswer("reset", may_have_arrived=True)
NOT_ALLOWED = TargetNotAllowed("http://prod:4318", "prod", "10.0.0.7", ("staging",))
NO_BACKOFF = RetryPolicy(initial_backoff_s=0)


@attrs.frozen
class Step:
    """What comes of one attempt, and after how long."""

    answer: Answer
    takes_s: int = 0
    leaves: bool = True


class Scripted:
    """A transport that does *steps*, one an attempt, and then takes everything."""

    def __init__(self, clock: VirtualClock, steps: Sequence[Step]) -> None:
        self.target = "a script"
        self.sent: list[Parcel] = []
        self.sent_at_s: list[float] = []
        self._clock, self._steps = clock, steps

    async def attempt(self, parcel: Parcel, depart: Callable[[], None]) -> Answer:
        done = len(self.sent)
        step = self._steps[done] if done < len(self._steps) else Step(Accepted())
        self.sent.append(parcel)
        self.sent_at_s.append(self._clock.monotonic_ns() / 1e9)
        if step.leaves:
            depart()
        await self._clock.sleep_until(self._clock.monotonic_ns() + step.takes_s * 10**9)
        return step.answer


class Attempt:
    """A courier with its clock and its transport."""

    def __init__(self, *steps: Step, policy: RetryPolicy = NO_BACKOFF) -> None:
        self.clock = VirtualClock()
        self.transport = Scripted(self.clock, steps)
        self.heard: list[Answer] = []
        self.courier = Courier(self.transport, self.clock, policy, PARCEL, self.heard.append)
        self.delivery: Delivery | None = None

    async def deliver(self) -> None:
        try:
            self.delivery = await self.courier.deliver()
        except anyio.get_cancelled_exc_class():
            self.delivery = self.courier.interrupted("cancelled")
            raise

    async def to_its_end(self) -> Delivery:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.deliver)
            await settled()
            while self.delivery is None:
                await self.clock.advance(1)
        return self.settled

    @property
    def settled(self) -> Delivery:
        assert self.delivery is not None
        return self.delivery

    async def cut(self, after_s: float) -> Delivery:
        """Cancel it after a while."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.deliver)
            await self.clock.advance(after_s)
            tasks.cancel_scope.cancel()
        return self.settled


def outcome(delivery: Delivery) -> tuple[str, int]:
    return delivery.outcome, delivery.attempts


class TestDecision:
    @pytest.mark.parametrize(
        ("answer", "delivery"),
        [
            (Accepted(), Delivery(outcome="delivered", attempts=1)),
            (
                Accepted(PartialSuccess(0, "soon too old")),
                Delivery(
                    outcome="delivered",
                    attempts=1,
                    reason="partial success, 0 records rejected: soon too old",
                ),
            ),
            (
                Accepted(PartialSuccess(2, "too old")),
                Delivery(
                    outcome="rejected",
                    attempts=1,
                    rejected_records=2,
                    reason="partial success, 2 records rejected: too old",
                ),
            ),
            (
                Accepted(PartialSuccess(99, "all of them and more")),
                Delivery(
                    outcome="rejected",
                    attempts=1,
                    rejected_records=RECORDS,
                    reason="partial success, 99 records rejected: all of them and more",
                ),
            ),
            (
                Accepted(remark="it answers 200 with text/html, which is not OTLP"),
                Delivery(
                    outcome="delivered",
                    attempts=1,
                    reason="it answers 200 with text/html, which is not OTLP",
                ),
            ),
            (
                Refused("400", "no spans", is_retryable=False),
                Delivery(
                    outcome="rejected",
                    attempts=1,
                    rejected_records=RECORDS,
                    reason="400: no spans",
                    status="400",
                ),
            ),
            (
                Refused("404", "", is_retryable=False),
                Delivery(
                    outcome="rejected",
                    attempts=1,
                    rejected_records=RECORDS,
                    reason="404",
                    status="404",
                ),
            ),
            (Unreadable("too long"), Delivery(outcome="unknown", attempts=1, reason="too long")),
            (
                Accepted(status="202"),
                Delivery(outcome="delivered", attempts=1, status="202"),
            ),
            (
                kept_back(NOT_ALLOWED),
                Delivery(
                    outcome="failed",
                    attempts=1,
                    reason=NOT_ALLOWED.message,
                    is_given_up=True,
                    obstacle=NOT_ALLOWED,
                ),
            ),
        ],
    )
    async def test_one_answer_decides(self, answer: Answer, delivery: Delivery) -> None:
        assert await Attempt(Step(answer)).to_its_end() == delivery

    async def test_it_sends_the_same_request_until_it_is_taken(self) -> None:
        attempt = Attempt(Step(BUSY), Step(UNREACHABLE, leaves=False), Step(CUT_OFF))

        assert await attempt.to_its_end() == Delivery(outcome="delivered", attempts=4, status="503")
        assert attempt.transport.sent == [PARCEL] * 4
        assert attempt.heard == [BUSY, UNREACHABLE, CUT_OFF, Accepted()]


class TestGivingUp:
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [(BUSY, "failed"), (UNREACHABLE, "failed"), (CUT_OFF, "unknown")],
    )
    async def test_after_five_attempts(self, answer: Answer, expected: str) -> None:
        delivery = await Attempt(*[Step(answer)] * 9).to_its_end()

        assert outcome(delivery) == (expected, 5)
        assert delivery.is_given_up

    async def test_what_may_have_arrived_once_stays_unknown(self) -> None:
        delivery = await Attempt(Step(CUT_OFF), *[Step(BUSY)] * 9).to_its_end()

        assert outcome(delivery) == ("unknown", 5)

    async def test_no_attempt_begins_after_the_time_allowed(self) -> None:
        policy = RetryPolicy(max_attempts=1000, max_elapsed_s=60, initial_backoff_s=0)

        delivery = await Attempt(*[Step(BUSY, takes_s=7)] * 99, policy=policy).to_its_end()

        assert outcome(delivery) == ("failed", 9)

    @pytest.mark.parametrize("asked_s", [61.0, 1e9])
    async def test_at_once_when_the_target_asks_for_more_time_than_is_left(
        self, asked_s: float
    ) -> None:
        attempt = Attempt(Step(attrs.evolve(BUSY, retry_after_s=asked_s)))

        assert outcome(await attempt.to_its_end()) == ("failed", 1)
        assert attempt.clock.monotonic_ns() == 0


class TestWaiting:
    async def test_the_backoff_doubles_up_to_its_limit_and_half_of_it_is_chance(self) -> None:
        policy = RetryPolicy(
            max_attempts=8, max_elapsed_s=1000, initial_backoff_s=2, max_backoff_s=20
        )
        attempt = Attempt(*[Step(BUSY)] * 7, policy=policy)

        await attempt.to_its_end()

        sent = attempt.transport.sent_at_s
        waits = [later - earlier for earlier, later in pairwise(sent)]
        longest = [2, 4, 8, 16, 20, 20, 20]
        assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))
        assert len(set(waits)) == 7

    async def test_a_thousand_doublings_are_no_problem(self) -> None:
        policy = RetryPolicy(
            max_attempts=2000, max_elapsed_s=86_400, initial_backoff_s=1e-9, max_backoff_s=1e-3
        )

        delivery = await Attempt(*[Step(BUSY)] * 1500, policy=policy).to_its_end()

        assert outcome(delivery) == ("delivered", 1501)

    async def test_the_target_gets_the_longer_wait_it_asks_for(self) -> None:
        attempt = Attempt(Step(attrs.evolve(BUSY, retry_after_s=40.0)), policy=RetryPolicy())

        await attempt.to_its_end()

        assert attempt.transport.sent_at_s == [0, 40]

    async def test_a_target_that_wants_it_at_once_is_not_run_over(self) -> None:
        attempt = Attempt(Step(attrs.evolve(BUSY, retry_after_s=0.0)), policy=RetryPolicy())

        await attempt.to_its_end()

        assert attempt.transport.sent_at_s[1] >= 0.5


class TestDeparture:
    async def test_it_is_told_as_soon_as_the_first_attempt_is_on_its_way(self) -> None:
        attempt = Attempt(Step(Accepted(), takes_s=10))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attempt.deliver)
            await attempt.courier.departed.wait()
            assert attempt.clock.monotonic_ns() == 0
            assert attempt.delivery is None
            await attempt.clock.advance(10)

    async def test_it_is_told_when_the_first_attempt_never_gets_on_its_way(self) -> None:
        attempt = Attempt(Step(UNREACHABLE, leaves=False), policy=RetryPolicy())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attempt.deliver)
            await attempt.courier.departed.wait()
            assert attempt.delivery is None
            tasks.cancel_scope.cancel()


class TestInterruption:
    @pytest.mark.parametrize(
        ("steps", "after_s", "expected"),
        [
            ([Step(Accepted(), takes_s=10)], 5, "unknown"),
            ([Step(Accepted(), takes_s=10, leaves=False)], 5, "not_sent"),
            ([Step(UNREACHABLE, leaves=False)], 0.1, "not_sent"),
            ([Step(BUSY)], 0.1, "failed"),
            ([Step(CUT_OFF)], 0.1, "unknown"),
            ([Step(BUSY), Step(Accepted(), takes_s=10, leaves=False)], 5, "failed"),
            ([Step(BUSY), Step(Accepted(), takes_s=10)], 5, "unknown"),
            ([Step(CUT_OFF), Step(BUSY, takes_s=10, leaves=False)], 5, "unknown"),
        ],
    )
    async def test_cancelled_it_knows_what_may_have_happened(
        self, steps: list[Step], after_s: float, expected: str
    ) -> None:
        policy = RetryPolicy(initial_backoff_s=0.5)

        delivery = await Attempt(*steps, policy=policy).cut(after_s)

        assert delivery.outcome == expected
        assert (delivery.is_given_up, delivery.is_interrupted) == (False, True)

    @pytest.mark.parametrize(
        ("steps", "expected"),
        [
            ([Step(Accepted(), takes_s=3)], ("delivered", 1)),
            ([Step(BUSY, takes_s=3)], ("failed", 1)),
            ([Step(CUT_OFF, takes_s=3)], ("unknown", 1)),
            ([Step(UNREACHABLE, takes_s=3, leaves=False)], ("not_sent", 1)),
        ],
    )
    async def test_stopped_it_waits_for_the_answer_and_tries_no_more(
        self, steps: list[Step], expected: tuple[str, int]
    ) -> None:
        attempt = Attempt(*steps, policy=RetryPolicy())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attempt.deliver)
            await attempt.clock.advance(1)
            attempt.courier.stop()
            await settled()
            assert attempt.delivery is None
            await attempt.clock.advance(2)

        assert outcome(attempt.settled) == expected

    async def test_stopped_while_it_waits_to_try_again_it_returns(self) -> None:
        attempt = Attempt(Step(attrs.evolve(BUSY, retry_after_s=50.0)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attempt.deliver)
            await settled()
            attempt.courier.stop()

        assert attempt.delivery == Delivery(
            outcome="failed", attempts=1, reason="503: busy", is_interrupted=True, status="503"
        )


waits = st.one_of(st.none(), st.integers(0, 30).map(float), st.just(1e9))
answers: st.SearchStrategy[Answer] = st.one_of(
    st.just(Accepted()),
    st.builds(Accepted, st.builds(PartialSuccess, st.integers(0, 9), st.text())),
    st.builds(Refused, st.just("400"), st.text(), st.just(value=False)),
    st.builds(Refused, st.just("503"), st.text(), st.just(value=True), waits),
    st.builds(Unreadable, st.text()),
    st.builds(NoAnswer, st.text(), st.booleans()),
)
scripts = st.lists(st.builds(Step, answers, st.integers(0, 12)), max_size=8)


def foreseen(steps: list[Step], policy: RetryPolicy) -> tuple[str, int, int]:
    """Tell outcome, attempts and rejected records, by the rules as they stand in the text."""
    now_s, may_have_arrived = 0.0, False
    for number, step in enumerate([*steps, Step(Accepted())], start=1):
        now_s += step.takes_s
        match step.answer:
            case Accepted(PartialSuccess(rejected)) if rejected:
                return "rejected", number, min(rejected, RECORDS)
            case Accepted():
                return "delivered", number, 0
            case Unreadable():
                return "unknown", number, 0
            case Refused(is_retryable=False):
                return "rejected", number, RECORDS
            case NoAnswer(may_have_arrived=True):
                may_have_arrived = True
        wait_s = (step.answer.retry_after_s or 0) if isinstance(step.answer, Refused) else 0
        if number == policy.max_attempts or now_s + wait_s > policy.max_elapsed_s:
            return ("unknown" if may_have_arrived else "failed"), number, 0
        now_s += wait_s
    raise AssertionError


class TestLaw:
    @given(
        scripts,
        st.builds(
            RetryPolicy,
            max_attempts=st.integers(1, 6),
            max_elapsed_s=st.integers(0, 60),
            initial_backoff_s=st.just(0.0),
        ),
    )
    def test_whatever_comes_the_outcome_is_the_one_foreseen(
        self, steps: list[Step], policy: RetryPolicy
    ) -> None:
        async def deliver() -> Delivery:
            return await Attempt(*steps, policy=policy).to_its_end()

        delivery = anyio.run(deliver)

        assert (delivery.outcome, delivery.attempts, delivery.rejected_records) == foreseen(
            steps, policy
        )
