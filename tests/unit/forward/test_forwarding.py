"""What becomes of requests that are passed on."""

import logging
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.capture import InvalidConfig
from otlp_capture.forward import (
    FORWARDED_HEADER,
    ForwardingLoop,
    ForwardQueueFull,
    ForwardSettings,
    ForwardStatus,
    KeptRequest,
    TargetBusy,
    TargetDown,
    TargetRefused,
    Verdict,
    check_forward_settings,
)
from otlp_capture.otlp import PartialSuccess
from otlp_capture.result import Failure, Success
from otlp_capture.sending import (
    Accepted,
    Answer,
    NoAnswer,
    Parcel,
    Refused,
    RetryPolicy,
    Unreadable,
)
from tests.clocks import VirtualClock, settled
from tests.forwards import IMPATIENT, Scripted, Step, assert_accounted, counted, forwarding_to, kept

pytestmark = pytest.mark.anyio

BUSY = Refused("503", "busy", is_retryable=True)
BAD = Refused("400", "no logs", is_retryable=False)
PART = Accepted(PartialSuccess(2, "too old"))
UNREACHABLE = NoAnswer("refused", may_have_arrived=False)
CUT_OFF = NoAnswer("reset", may_have_arrived=True)
CAPTURE = ForwardSettings(retry=IMPATIENT)
TARGET = ForwardSettings(answer="target", retry=IMPATIENT)


class Behind:
    """What forwards to scripts, on a clock that stands still."""

    def __init__(self, *scripts: list[Step], settings: ForwardSettings) -> None:
        self.clock = VirtualClock()
        self.transports = [Scripted(self.clock, steps) for steps in scripts or ([],)]
        self.settings = settings

    def opened(self) -> Any:
        return forwarding_to(self.transports, self.clock, self.settings)


async def passed_on(
    *requests: KeptRequest, steps: list[Step], settings: ForwardSettings
) -> tuple[list[Verdict], ForwardStatus, Scripted]:
    """Pass requests on, one after the other, and wait until nothing is left to do."""
    behind = Behind(steps, settings=settings)
    async with behind.opened() as forwarding:
        verdicts = [await forwarding.pass_on(request) for request in requests]
        await behind.clock.advance(3600)
        (status,) = forwarding.statuses
    assert_accounted(status)
    return verdicts, status, behind.transports[0]


class TestCaptureAnswers:
    async def test_a_client_does_not_wait_for_the_destination(self) -> None:
        behind = Behind([Step(Accepted(), takes_s=10)], settings=CAPTURE)
        async with behind.opened() as forwarding:
            assert await forwarding.pass_on(kept()) == Success(None)
            assert forwarding.statuses[0].requests == counted(queued=1)
            await behind.clock.advance(10)
            assert forwarding.statuses[0].requests == counted(delivered=1)

    async def test_each_destination_gets_all_and_has_a_queue_of_its_own(self) -> None:
        behind = Behind([Step(Accepted(), takes_s=10**6)] * 9, [], settings=CAPTURE)
        bodies = [bytes([number]) for number in range(20)]
        async with behind.opened() as forwarding:
            for body in bodies:
                await forwarding.pass_on(kept(body))
            await settled()
            statuses = forwarding.statuses

        slow, quick = behind.transports
        assert sorted(quick.bodies) == bodies
        assert len(slow.bodies) == CAPTURE.concurrency
        assert [status.requests for status in statuses] == [
            counted(queued=20),
            counted(delivered=20),
        ]

    @pytest.mark.parametrize(
        ("answer", "requests", "records"),
        [
            (Accepted(), counted(delivered=1), counted(delivered=5)),
            (PART, counted(rejected=1), counted(delivered=3, rejected=2)),
            (BAD, counted(rejected=1), counted(rejected=5)),
            (BUSY, counted(failed=1), counted(failed=5)),
            (UNREACHABLE, counted(failed=1), counted(failed=5)),
            (CUT_OFF, counted(unknown=1), counted(unknown=5)),
            (Unreadable("what?"), counted(unknown=1), counted(unknown=5)),
        ],
    )
    async def test_what_becomes_of_it_is_counted(
        self, answer: Answer, requests: Any, records: Any
    ) -> None:
        _, status, _ = await passed_on(kept(records=5), steps=[Step(answer)] * 9, settings=CAPTURE)

        assert (status.requests, status.records) == (requests, records)

    async def test_it_is_tried_again_by_the_policy(self) -> None:
        _, status, transport = await passed_on(kept(), steps=[Step(BUSY)] * 4, settings=CAPTURE)

        assert (status.requests, status.retries) == (counted(delivered=1), 4)
        assert transport.bodies == [b"request"] * 5

    async def test_nothing_new_begins_before_the_time_a_destination_asks_for(self) -> None:
        steps = [Step(attrs.evolve(BUSY, retry_after_s=30.0))]
        settings = attrs.evolve(CAPTURE, concurrency=2)
        behind = Behind(steps, settings=settings)
        async with behind.opened() as forwarding:
            await forwarding.pass_on(kept(b"first"))
            await settled()
            await forwarding.pass_on(kept(b"second"))
            await behind.clock.advance(60)

        assert behind.transports[0].sent_at_s == [0, 30, 30]

    async def test_a_full_queue_drops_the_newest_and_counts_it(self) -> None:
        settings = attrs.evolve(CAPTURE, queue_bytes=30, concurrency=1)
        behind = Behind([Step(Accepted(), takes_s=1)] * 9, settings=settings)
        async with behind.opened() as forwarding:
            for number in range(6):
                await forwarding.pass_on(kept(bytes([number]) * 10))
            await behind.clock.advance(60)
            (status,) = forwarding.statuses

        assert status.requests == counted(delivered=3, dropped=3)
        assert status.problem == "the queue is full"
        assert [body[0] for body in behind.transports[0].bodies] == [0, 1, 2]

    async def test_one_that_is_larger_than_the_queue_waits_alone(self) -> None:
        settings = attrs.evolve(CAPTURE, queue_bytes=30)
        _, status, _ = await passed_on(kept(bytes(99)), kept(b"x"), steps=[], settings=settings)

        assert status.requests == counted(delivered=1, dropped=1)

    async def test_a_required_destination_drops_nothing_and_refuses_in_time(self) -> None:
        settings = attrs.evolve(CAPTURE, queue_requests=2, is_required=True)
        behind = Behind([Step(Accepted(), takes_s=1)] * 9, settings=settings)
        async with behind.opened() as forwarding:
            for _ in range(2):
                assert forwarding.refuses((), 1) is None
                await forwarding.pass_on(kept())
            assert forwarding.refuses((), 1) == ForwardQueueFull()
            await forwarding.pass_on(kept(b"was under way"))
            await behind.clock.advance(60)
            assert forwarding.refuses((), 1) is None
            (status,) = forwarding.statuses

        assert status.requests == counted(delivered=3)

    async def test_what_is_not_sent_at_the_end_stays_queued(self) -> None:
        settings = attrs.evolve(CAPTURE, concurrency=1, retry=RetryPolicy())
        behind = Behind([Step(UNREACHABLE)] * 9, settings=settings)
        async with behind.opened() as forwarding:
            for _ in range(3):
                await forwarding.pass_on(kept())
            await settled()

        (status,) = forwarding.statuses
        assert_accounted(status)
        assert status.requests == counted(queued=3)
        assert not status.is_complete


class TestTargetAnswers:
    @pytest.mark.parametrize(
        ("answer", "verdict", "requests"),
        [
            (Accepted(), Success(None), counted(delivered=1)),
            (PART, Success(PartialSuccess(2, "too old")), counted(rejected=1)),
            (Unreadable("what?"), Success(None), counted(unknown=1)),
            (BAD, Failure(TargetRefused("400", "no logs")), counted(rejected=1)),
            (BUSY, Failure(TargetBusy("503", "busy")), counted(returned=1)),
            (
                attrs.evolve(BUSY, retry_after_s=7.0),
                Failure(TargetBusy("503", "busy", 7.0)),
                counted(returned=1),
            ),
        ],
    )
    async def test_its_answer_is_the_clients(
        self, answer: Answer, verdict: Verdict, requests: Any
    ) -> None:
        verdicts, status, transport = await passed_on(
            kept(records=5), steps=[Step(answer)], settings=TARGET
        )

        assert (verdicts, status.requests) == ([verdict], requests)
        assert len(transport.sent) == 1

    @pytest.mark.parametrize("answer", [UNREACHABLE, CUT_OFF])
    async def test_while_it_is_down_the_capture_answers_and_it_gets_it_later(
        self, answer: Answer
    ) -> None:
        verdicts, status, transport = await passed_on(
            kept(), steps=[Step(answer)] * 3, settings=TARGET
        )

        assert (verdicts, status.requests) == ([Success(None)], counted(delivered=1))
        assert len(transport.sent) == 4

    @pytest.mark.parametrize(
        ("answer", "requests"),
        [(UNREACHABLE, counted(returned=1)), (CUT_OFF, counted(unknown=1))],
    )
    async def test_while_it_is_down_and_required_clients_come_again(
        self, answer: Answer, requests: Any
    ) -> None:
        settings = attrs.evolve(TARGET, is_required=True)
        verdicts, status, _ = await passed_on(kept(), steps=[Step(answer)], settings=settings)

        assert (verdicts, status.requests) == ([Failure(TargetDown())], requests)

    async def test_a_client_that_goes_away_does_not_take_the_request_along(self) -> None:
        behind = Behind([Step(Accepted(), takes_s=5)], settings=TARGET)
        async with behind.opened() as forwarding:
            async with anyio.create_task_group() as client:
                client.start_soon(forwarding.pass_on, kept())
                await settled()
                client.cancel_scope.cancel()
            assert forwarding.statuses[0].requests == counted(queued=1)
            await behind.clock.advance(5)
            assert forwarding.statuses[0].requests == counted(delivered=1)

    async def test_what_is_sent_again_is_counted_and_others_get_it_once(self) -> None:
        behind = Behind([Step(BUSY), Step(BUSY)], [], settings=TARGET)
        async with behind.opened() as forwarding:
            verdicts = [await forwarding.pass_on(kept()) for _ in range(3)]
            assert forwarding.resent == 2
            await forwarding.pass_on(kept())
            assert forwarding.resent == 2
            await settled()
            statuses = forwarding.statuses

        assert [isinstance(verdict, Success) for verdict in verdicts] == [False, False, True]
        assert statuses[0].requests == counted(returned=2, delivered=2)
        assert statuses[1].requests == counted(delivered=2)

    async def test_only_the_others_queues_stand_in_the_way(self) -> None:
        settings = attrs.evolve(TARGET, is_required=True, queue_requests=1)
        behind = Behind([], [Step(Accepted(), takes_s=9)], settings=settings)
        async with behind.opened() as forwarding:
            await forwarding.pass_on(kept())
            assert forwarding.refuses((), 1) == ForwardQueueFull()
            await behind.clock.advance(9)
            assert forwarding.refuses((), 1) is None


class TestWhatIsSent:
    REQUEST = KeptRequest(
        signal="traces",
        record_count=1,
        stored=b"redacted",
        came=b"{}",
        encoding="json",
        kept_headers=(("x-tenant", "a"),),
        hops=("before",),
    )

    async def sent(self, *, is_raw: bool) -> tuple[Parcel, str]:
        behind = Behind(settings=attrs.evolve(CAPTURE, is_raw=is_raw))
        async with behind.opened() as forwarding:
            await forwarding.pass_on(self.REQUEST)
            await settled()
        return behind.transports[0].sent[0], forwarding.name

    async def test_it_is_what_is_stored(self) -> None:
        parcel, name = await self.sent(is_raw=False)

        headers = (("x-tenant", "a"), (FORWARDED_HEADER, f"before,{name}"))
        assert parcel == Parcel("traces", b"redacted", 1, "protobuf", headers)

    async def test_it_is_what_came_where_that_is_asked_for(self) -> None:
        parcel, name = await self.sent(is_raw=True)

        headers = (("x-tenant", "a"), (FORWARDED_HEADER, f"before,{name}"))
        assert parcel == Parcel("traces", b"{}", 1, "json", headers)


class TestLoop:
    async def test_what_was_here_before_is_refused(self) -> None:
        async with Behind(settings=CAPTURE).opened() as forwarding:
            for hops, is_refused in (
                ((), False),
                (("another",), False),
                (("another", forwarding.name), True),
                (tuple("abcdefgh"), True),
            ):
                refusal = forwarding.refuses(hops, 1)
                assert isinstance(refusal, ForwardingLoop) == is_refused


class TestLog:
    async def test_one_of_each_kind_a_minute_is_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        answers: list[Answer] = [BAD, BAD, Accepted(), BUSY, BAD]
        behind = Behind([Step(answer, takes_s=25) for answer in answers], settings=TARGET)
        with caplog.at_level(logging.WARNING):
            async with behind.opened() as forwarding, anyio.create_task_group() as clients:
                for _ in answers:
                    clients.start_soon(forwarding.pass_on, kept())
                    await behind.clock.advance(25)

        told = "Forwarding to http://0: a request was {}"
        assert [record.getMessage() for record in caplog.records] == [
            told.format("rejected: 400: no logs"),
            told.format("refused for now: 503: busy"),
            told.format("rejected: 400: no logs"),
        ]


class TestSettings:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("answer", "nobody"),
            ("queue_bytes", 0),
            ("queue_requests", 0.5),
            ("concurrency", -1),
            ("remembered", 0),
            ("shutdown_timeout_s", float("nan")),
        ],
    )
    def test_what_cannot_be_is_named(self, field: str, value: Any) -> None:
        settings = attrs.evolve(ForwardSettings(), **{field: value})

        checked = check_forward_settings(settings)

        assert isinstance(checked, Failure)
        assert isinstance(checked.failure(), InvalidConfig)
        assert checked.failure().field == field

    @pytest.mark.parametrize("field", ["max_attempts", "max_elapsed_s", "max_backoff_s"])
    def test_so_is_a_policy_that_cannot_be(self, field: str) -> None:
        retry = attrs.evolve(RetryPolicy(), **{field: -1})

        checked = check_forward_settings(ForwardSettings(retry=retry))

        assert isinstance(checked, Failure)
        assert checked.failure().field == f"retry.{field}"

    def test_the_usual_ones_can_be(self) -> None:
        assert check_forward_settings(ForwardSettings()) == Success(ForwardSettings())


answers: st.SearchStrategy[Answer] = st.one_of(
    st.just(Accepted()),
    st.builds(Accepted, st.builds(PartialSuccess, st.integers(0, 9), st.text(max_size=3))),
    st.just(BAD),
    st.builds(
        Refused, st.just("503"), st.just("busy"), st.just(value=True), st.none() | st.just(9.0)
    ),
    st.just(Unreadable("what?")),
    st.builds(NoAnswer, st.just("gone"), st.booleans()),
)


class TestLaw:
    @given(
        st.lists(st.builds(Step, answers, st.integers(0, 12)), max_size=20),
        st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.integers(0, 9)), max_size=12),
        st.builds(
            ForwardSettings,
            answer=st.sampled_from(["capture", "target"]),
            is_required=st.booleans(),
            queue_bytes=st.integers(1, 100),
            concurrency=st.integers(1, 3),
            retry=st.builds(RetryPolicy, max_attempts=st.integers(1, 3)),
        ),
        st.integers(0, 30),
    )
    def test_all_that_is_offered_is_accounted_for_at_every_moment(
        self,
        steps: list[Step],
        requests: list[tuple[int, int, int]],
        settings: ForwardSettings,
        ends_after_s: int,
    ) -> None:
        async def forward() -> None:
            behind = Behind(steps, [], settings=settings)
            async with behind.opened() as forwarding, anyio.create_task_group() as clients:
                for size, records, later_s in requests:
                    clients.start_soon(forwarding.pass_on, kept(bytes(size), records=records))
                    await behind.clock.advance(later_s)
                    for status in forwarding.statuses:
                        assert_accounted(status)
                await behind.clock.advance(ends_after_s)
                clients.cancel_scope.cancel()
            offered = len(requests) - forwarding.resent
            for status in forwarding.statuses:
                assert_accounted(status)
            assert forwarding.statuses[0].requests.offered == len(requests)
            assert forwarding.statuses[1].requests.offered == offered

        anyio.run(forward)
