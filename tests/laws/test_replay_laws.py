"""Laws of a replay, over random sessions and random answers, through real connections."""

from collections import Counter

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.otlp import SIGNALS
from otlp_capture.result import or_raise
from otlp_replay import DeliveryCounts, ReplayStatus, RetryPolicy
from tests.clocks import HANGS_AFTER_S
from tests.replays import SESSION, at_once, numbered, opened_service, over
from tests.servers.target import (
    OK,
    Action,
    HangUp,
    Raw,
    Received,
    Reply,
    Target,
    open_target,
    partly,
    refusal,
)
from tests.sessions import START, Recorded, opened_memory, write_session

pytestmark = pytest.mark.filterwarnings("error")

POLICY = RetryPolicy(max_attempts=3, max_elapsed_s=600, initial_backoff_s=0, max_backoff_s=0)
BUSY, BAD = refusal(503, Retry_After="0"), refusal(400)
BROKEN = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234")
LATE = Reply(delay_s=0.003)


@attrs.frozen
class Case:
    """A session, what the target does with each attempt of each request, and how it is sent."""

    requests: list[Recorded]
    answers: dict[bytes, list[Action]]
    max_in_flight: int

    def action(self, received: Received) -> Action:
        return self.actions(received.body)[received.attempt]

    def actions(self, body: bytes) -> list[Action]:
        return [*self.answers[body], *[OK] * POLICY.max_attempts][: POLICY.max_attempts]

    @property
    def in_order(self) -> list[bytes]:
        ordered = sorted(self.requests, key=lambda recorded: recorded.received_unix_nano)
        return [recorded.request for recorded in ordered]


def actions_for(signal: str) -> st.SearchStrategy[Action]:
    part = next(partly(each, 1) for each in SIGNALS if each == signal)
    return st.sampled_from([OK, LATE, BUSY, BAD, part, BROKEN, HangUp()])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(0, 12))
    of_each = {signal: iter(numbered(count, signal)) for signal in SIGNALS}
    chosen = [next(of_each[draw(st.sampled_from(SIGNALS))]) for _ in range(count)]
    arrivals = st.integers(START, START + 5)
    return Case(
        [Recorded(signal, request, draw(arrivals)) for signal, request in chosen],
        {request: draw(st.lists(actions_for(signal), max_size=3)) for signal, request in chosen},
        draw(st.sampled_from([1, 2, 64])),
    )


def hang_ups(case: Case) -> int:
    return sum(isinstance(each, HangUp) for actions in case.answers.values() for each in actions)


def foreseen(actions: list[Action]) -> tuple[str, int]:
    """Tell what becomes of a request, and how often it is sent."""
    may_have_arrived = False
    for attempts, action in enumerate(actions, start=1):
        if action in (OK, LATE):
            return "delivered", attempts
        if action == BROKEN:
            return "unknown", attempts
        may_have_arrived |= action == HangUp()
        if action not in (BUSY, HangUp()):
            return "rejected", attempts
    return ("unknown" if may_have_arrived else "failed"), len(actions)


async def carried_out(case: Case, killed_after: int | None = None) -> tuple[ReplayStatus, Target]:
    async with opened_memory() as storage, open_target(case.action) as target:
        await write_session(storage, SESSION, case.requests)
        async with opened_service(storage, SYSTEM_CLOCK) as service:
            config = at_once(target.url, retry=POLICY, max_in_flight=case.max_in_flight)
            or_raise(await service.start_replay(config))
            with anyio.fail_after(HANGS_AFTER_S):
                if killed_after is not None:
                    await target.has_received(min(killed_after, len(case.requests)))
                    await target.kill()
                return await over(service), target


usual = settings(max_examples=60)


class TestReplay:
    @usual
    @given(cases().filter(lambda case: hang_ups(case) < 5))
    def test_each_request_has_the_outcome_and_the_attempts_foreseen(self, case: Case) -> None:
        status, target = anyio.run(carried_out, case)

        expected = {body: foreseen(case.actions(body)) for body in case.in_order}
        counts = Counter(outcome for outcome, _ in expected.values())
        assert status.status == "completed"
        assert status.delivery == status.delivery_records == DeliveryCounts(**counts)
        assert status.retries == sum(attempts - 1 for _, attempts in expected.values())
        assert Counter(target.bodies) == {body: n for body, (_, n) in expected.items()}

    @usual
    @given(cases().filter(lambda case: hang_ups(case) < 5))
    def test_first_attempts_come_in_the_order_of_arrival(self, case: Case) -> None:
        _, target = anyio.run(carried_out, case)

        first = [received.body for received in target.received if received.attempt == 0]
        assert first == case.in_order

    @usual
    @given(cases(), st.integers(0, 12))
    def test_however_it_goes_the_ledgers_close(self, case: Case, killed_after: int) -> None:
        status, target = anyio.run(carried_out, case, killed_after)

        count = len(case.requests)
        assert status.is_over
        assert status.delivery.total == status.delivery_records.total == count
        assert sum(status.not_sent_reasons.values()) == status.delivery.not_sent
        assert (status.status == "failed") == (status.error is not None)
        answered = {each.body for each in target.received if case.action(each) in (OK, LATE)}
        assert status.delivery.delivered <= len(answered)
        assert status.delivery.not_sent <= count - len(set(target.bodies))
