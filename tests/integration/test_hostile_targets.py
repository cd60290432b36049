"""Targets that do what they should not: the sums close, nothing raises, and nothing grows."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.sending import Accepted, Answer, NoAnswer, Parcel, Refused, Unreadable
from otlp_capture.storage import S3Storage
from otlp_replay import DeliveryCounts, RetryPolicy
from tests.clocks import HANGS_AFTER_S
from tests.memory import mebibytes_for
from tests.replays import assert_closed, at_once, numbered, replayed
from tests.senders import GRPC, HTTP, Side, sending
from tests.servers.misbehaviours import grpc_endless, grpc_once, http_endless, http_once
from tests.servers.target import unaccepting
from tests.sessions import arriving

pytestmark = pytest.mark.anyio

ONCE: Mapping[str, tuple[Side, Any]] = {
    **{f"http: {name}": (HTTP, action) for name, action in http_once().items()},
    **{f"grpc: {name}": (GRPC, action) for name, action in grpc_once().items()},
}
ENDLESS: Mapping[str, tuple[Side, Any]] = {
    **{f"http: {name}": (HTTP, action) for name, action in http_endless().items()},
    **{f"grpc: {name}": (GRPC, action) for name, action in grpc_endless().items()},
}
TWICE = RetryPolicy(max_attempts=2, max_elapsed_s=600, initial_backoff_s=0)
TAKEN = {
    "http: some 1xx before it",
    "http: headers that are no text",
    "http: a cookie",
    "http: HTML",
    "http: a warning",
    "grpc: a warning",
}


async def answer_to(side: Side, action: Any, **settings: Any) -> Answer:
    async with (
        side.target(lambda _: action) as target,
        sending(side, target.url, **settings) as transport,
    ):
        with anyio.fail_after(HANGS_AFTER_S):
            answer: Answer = await transport.attempt(Parcel("logs", b"request", 7), lambda: None)
            return answer


class TestAnswers:
    @pytest.mark.parametrize("name", ONCE)
    async def test_each_is_an_answer(self, name: str) -> None:
        answer = await answer_to(*ONCE[name])

        if name.endswith(("a partial success", "more rejected than sent")):
            assert isinstance(answer, Accepted)
            assert answer.partial_success is not None
            assert answer.partial_success.rejected > 0
        elif name in TAKEN or name == "grpc: GOAWAY, and an answer":
            assert isinstance(answer, Accepted | NoAnswer)
        else:
            assert isinstance(answer, Refused | Unreadable | NoAnswer)
            assert len(answer.reason) <= 600
            assert answer.reason.isprintable()

    @pytest.mark.parametrize("name", ENDLESS)
    async def test_none_is_waited_for_for_ever(self, name: str) -> None:
        answer = await answer_to(*ENDLESS[name], request_timeout_s=0.3)

        assert isinstance(answer, Refused | Unreadable | NoAnswer)

    @pytest.mark.parametrize(
        ("name", "answer"),
        [
            ("grpc: no message", Unreadable("the answer holds no message", status="OK")),
            (
                "grpc: trailers with OK alone",
                Unreadable("the answer holds no message", status="OK"),
            ),
            (
                "grpc: a bomb",
                Unreadable("the answer holds more than 4,194,304 bytes", is_too_long=True),
            ),
            (
                "http: a bomb",
                Unreadable(
                    "the answer holds more than 4,194,304 bytes", is_too_long=True, status="200"
                ),
            ),
            (
                "grpc: long trailers",
                Unreadable("the answer's headers are too long", is_too_long=True),
            ),
            (
                "grpc: no status",
                Unreadable("the answer cannot be read: No status received"),
            ),
        ],
    )
    async def test_what_was_perhaps_taken_is_not_sent_again(
        self, name: str, answer: Answer
    ) -> None:
        assert await answer_to(*ONCE[name]) == answer

    @pytest.mark.parametrize("name", ["grpc: nonsense", "grpc: HTTP/1.1", "grpc: half a frame"])
    async def test_what_breaks_the_protocol_says_nothing_of_the_request(self, name: str) -> None:
        answer = await answer_to(*ONCE[name])

        assert isinstance(answer, NoAnswer)
        assert answer.may_have_arrived

    async def test_a_target_that_lets_no_connection_in_has_got_nothing(self) -> None:
        with unaccepting() as url:
            grpc_url = url.replace("http:", "grpc:")
            async with sending(GRPC, grpc_url, request_timeout_s=0.3) as transport:
                answer = await transport.attempt(Parcel("logs", b"request", 7), lambda: None)

        assert answer == NoAnswer("no connection came about in time", may_have_arrived=False)


class TestSums:
    @pytest.mark.parametrize("name", ONCE)
    async def test_they_close_whatever_the_target_does(self, name: str, memory: S3Storage) -> None:
        """Half of the requests get it at each attempt; the others are taken."""
        side, action = ONCE[name]

        def script(came: Any) -> Any:
            return action if len(came.body) % 2 else side.taking

        requests = [numbered(1, size=size)[0] for size in range(100, 106)]
        async with side.target(script) as target:
            config = at_once(target.url, protocol=side.protocol, retry=TWICE, max_in_flight=3)
            status = await replayed(memory, SYSTEM_CLOCK, arriving(requests), config)

        assert_closed(status, 6, 6)
        if side is GRPC:
            # What breaks a connection takes all calls on it along, and may make the target seem
            # dead.
            assert set(status.not_sent_reasons) <= {"IngestionFailure"}
        else:
            assert status.delivery.not_sent == 0
            assert status.delivery.rejected <= 3
            assert status.delivery.delivered + status.delivery.unknown + status.delivery.failed >= 3
        if name in TAKEN:
            assert status.delivery == DeliveryCounts(delivered=6)

    @pytest.mark.parametrize("name", ENDLESS)
    async def test_they_close_where_it_does_not_end(self, name: str, memory: S3Storage) -> None:
        side, action = ENDLESS[name]
        async with side.target(lambda _: action) as target:
            config = at_once(target.url, protocol=side.protocol, retry=TWICE, request_timeout_s=0.2)
            status = await replayed(memory, SYSTEM_CLOCK, arriving(numbered(2)), config)

        assert_closed(status, 2, 2)
        assert status.delivery.delivered == status.delivery.not_sent == 0


class TestMemory:
    @pytest.mark.parametrize("side", ["HTTP", "GRPC"])
    @pytest.mark.parametrize("kind", ["bomb", "storm"])
    def test_it_stays_what_it_is(self, side: str, kind: str) -> None:
        before = f"""
import anyio
from otlp_capture.sending import Parcel
from tests.senders import {side} as side, sending
from tests.servers import misbehaviours as m
bombs = {{"HTTP": m.http_once, "GRPC": m.grpc_once}}
storms = {{"HTTP": m.http_endless, "GRPC": m.grpc_endless}}
if "{kind}" == "bomb":
    actions = [bombs["{side}"]()["a bomb"]] * 4
else:
    storm = storms["{side}"]()
    names = {{"1xx", "a body", "chunks", "headers", "pings", "settings", "a message"}}
    actions = [storm[name] for name in sorted(names & storm.keys())]
async def attempt(action):
    async with side.target(lambda _: action) as target:
        async with sending(side, target.url, request_timeout_s=0.5) as transport:
            await transport.attempt(Parcel("logs", b"request", 7), lambda: None)
anyio.run(attempt, side.taking)
"""
        measured = "for action in actions: anyio.run(attempt, action)"

        assert mebibytes_for(measured, before=before) < 60
