"""One attempt over OTLP/HTTP, against a target that does what it should not."""

import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from importlib.metadata import version
from typing import Any

import anyio
import attrs
import pytest

from otlp_capture import otlp
from otlp_capture.otlp import Encoding, PartialSuccess, Signal
from otlp_capture.sending import (
    Accepted,
    Answer,
    Endpoint,
    NoAnswer,
    Parcel,
    Refused,
    Unreadable,
    base_url,
    open_http_transport,
)
from tests.clocks import HANGS_AFTER_S, START, VirtualClock, skip
from tests.servers.processes import free_port
from tests.servers.target import (
    OK,
    PROTOBUF,
    Action,
    HangUp,
    Raw,
    Received,
    Reply,
    Silence,
    Target,
    always,
    open_target,
    partly,
    refusal,
    unaccepting,
)

pytestmark = pytest.mark.anyio

Send = Callable[[Signal, bytes], Any]
HEADERS = (("x-otlp-replay-session", "checkout"),)
PART = PartialSuccess(3, "too old")
PART_BODY = otlp.encode_response("traces", "protobuf", PART)
JSON = {"Content-Type": "application/json; charset=utf-8"}
TOO_LONG = Unreadable("the answer holds more than 4,194,304 bytes", is_too_long=True, status="200")


@attrs.define
class Departures:
    """Counts how often a request was said to leave."""

    count: int = 0

    def depart(self) -> None:
        self.count += 1


@asynccontextmanager
async def sending(
    url: str, encoding: Encoding = "protobuf", **settings: Any
) -> AsyncIterator[Send]:
    settings = {"request_timeout_s": HANGS_AFTER_S, **settings}
    endpoint = Endpoint(url=base_url(url), headers=HEADERS, **settings)
    async with open_http_transport(endpoint, VirtualClock()) as transport:
        yield lambda signal, body: transport.attempt(
            Parcel(signal, body, 1, encoding), lambda: None
        )


async def answer_to(action: Action, **settings: Any) -> Answer:
    async with (
        open_target(always(action)) as target,
        sending(target.url, **settings) as send,
    ):
        with anyio.fail_after(HANGS_AFTER_S):
            answer: Answer = await send("traces", b"request")
        return answer


class TestRequest:
    @pytest.mark.parametrize(
        ("encoding", "content_type"),
        [("protobuf", PROTOBUF), ("json", "application/json")],
    )
    async def test_it_is_what_the_specification_asks_for(
        self, encoding: Encoding, content_type: str
    ) -> None:
        async with (
            open_target() as target,
            sending(f"{target.url}/otlp/v1/logs", encoding) as send,
        ):
            assert await send("metrics", b"request") == Accepted(status="200")

        received = target.received[0]
        assert (received.path, received.body) == ("/otlp/v1/metrics", b"request")
        assert {
            name: received.headers[name]
            for name in received.headers
            if name not in {"host", "accept", ""} and not name.startswith("post ")
        } == {
            "content-type": content_type,
            "content-length": "7",
            "accept-encoding": "identity",
            "user-agent": f"otlp-capture/{version('otlp-capture')}",
            "x-otlp-replay-session": "checkout",
        }

    @pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 20 << 20])
    async def test_a_body_of_any_size_arrives_whole(self, size: int) -> None:
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        async with open_target() as target, sending(target.url) as send:
            assert await send("logs", body) == Accepted(status="200")

        assert target.bodies == [body]

    @pytest.mark.parametrize("size", [0, 9, 32_769, 3 << 20])
    async def test_it_is_compressed_where_that_is_asked_for(self, size: int) -> None:
        body = b"a request " * size
        async with open_target() as target, sending(target.url, compression="gzip") as send:
            assert await send("logs", body) == Accepted(status="200")

        (received,) = target.received
        assert received.headers["content-encoding"] == "gzip"
        assert gzip.decompress(received.body) == body

    @pytest.mark.parametrize("size", [0, 9, 3 << 20])
    async def test_it_is_said_to_leave_when_it_does(self, size: int) -> None:
        departures = Departures()
        async with open_target(always(Silence())) as target:
            endpoint = Endpoint(url=target.url)
            async with open_http_transport(endpoint, VirtualClock()) as transport:
                with anyio.fail_after(HANGS_AFTER_S):
                    async with anyio.create_task_group() as tasks:
                        parcel = Parcel("logs", bytes(size), 1)
                        tasks.start_soon(transport.attempt, parcel, departures.depart)
                        await target.has_received(1)
                        tasks.cancel_scope.cancel()

        assert departures.count > 0

    async def test_cookies_are_not_brought_back(self) -> None:
        cookie = Reply(headers={"Set-Cookie": "a=b; Path=/"})
        async with (
            open_target(always(cookie)) as target,
            sending(f"http://localhost:{target.port}") as send,
        ):
            await send("logs", b"1")
            await send("logs", b"2")

        assert ["cookie" in received.headers for received in target.received] == [False, False]

    async def test_proxies_of_the_environment_are_not_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)

        assert await answer_to(OK) == Accepted(status="200")


class TestConnections:
    async def test_one_is_used_again_and_again(self) -> None:
        async with open_target() as target, sending(target.url) as send:
            for _ in range(20):
                await send("logs", b"request")

        assert target.connections == 1

    async def test_one_that_the_target_has_closed_is_not(self) -> None:
        async with open_target() as target, sending(target.url) as send:
            assert await send("logs", b"1") == Accepted(status="200")
            target.hang_up_idle()
            await target.is_alone()
            assert await send("logs", b"2") == Accepted(status="200")

        assert target.connections == 2


class TestSuccess:
    @pytest.mark.parametrize(
        ("reply", "answer"),
        [
            (OK, Accepted(status="200")),
            (Reply(status=202), Accepted(status="202")),
            (Reply(status=204), Accepted(status="204")),
            (Reply(headers=JSON, body=b"{}"), Accepted(status="200")),
            (Reply(headers=JSON), Accepted(status="200")),
            (partly("traces", 3), Accepted(PART, status="200")),
            (partly("traces", 0, "warning"), Accepted(PartialSuccess(0, "warning"), status="200")),
            (Reply(body=PART_BODY, headers={}), Accepted(PART, status="200")),
            (
                Reply(headers=JSON, body=otlp.encode_response("traces", "json", PART)),
                Accepted(PART, status="200"),
            ),
            (
                Reply(
                    headers={"Content-Type": PROTOBUF, "Content-Encoding": "gzip"},
                    body=gzip.compress(PART_BODY),
                ),
                Accepted(PART, status="200"),
            ),
            (
                Reply(headers={"Content-Type": "text/html"}, body=b"<h1>It works!</h1>"),
                Accepted(remark="it answers 200 with text/html, which is not OTLP", status="200"),
            ),
        ],
    )
    async def test_it_is_read_as_far_as_it_says_something(
        self, reply: Reply, answer: Answer
    ) -> None:
        assert await answer_to(reply) == answer

    @pytest.mark.parametrize(
        ("action", "reason"),
        [
            (Reply(body=b"\xff\xff\xff"), "The answer is not valid OTLP: "),
            (Reply(headers=JSON, body=b"OK"), "The answer is not valid OTLP: "),
            (Reply(headers=JSON, body=b"[" * 100_000), "The answer is not valid OTLP: "),
            (Reply(headers={"Content-Encoding": "br"}, body=b"x"), "the answer is compressed "),
            (Reply(headers={"Content-Encoding": "gzip"}, body=b"x"), "the answer cannot be read:"),
            (Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234"), "the answer broke off: "),
        ],
    )
    async def test_what_cannot_be_read_is_not_taken_for_one(
        self, action: Action, reason: str
    ) -> None:
        answer = await answer_to(action)

        assert isinstance(answer, Unreadable)
        assert answer.reason.startswith(reason)
        assert not answer.is_too_long

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(body=b"x" * ((4 << 20) + 1)),
            Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(bytes(64 << 20))),
        ],
    )
    async def test_a_long_one_is_not_read_to_its_end(self, reply: Reply) -> None:
        assert await answer_to(reply) == TOO_LONG

    async def test_how_long_one_may_be_can_be_set(self) -> None:
        assert await answer_to(partly("traces", 3), max_response_bytes=4) == Unreadable(
            "the answer holds more than 4 bytes", is_too_long=True, status="200"
        )

    async def test_after_an_answer_that_was_not_read_to_its_end_a_new_connection_is_made(
        self,
    ) -> None:
        long = Reply(body=b"x" * (8 << 20))
        async with open_target(always(long)) as target, sending(target.url) as send:
            assert [await send("traces", b""), await send("traces", b"")] == [TOO_LONG, TOO_LONG]

        assert target.connections == 2


class TestRefusal:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    async def test_these_are_tried_again(self, status: int) -> None:
        assert await answer_to(refusal(status, "busy")) == Refused(
            str(status), "busy", is_retryable=True
        )

    @pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 408, 413, 500, 501, 505, 599])
    async def test_these_are_not(self, status: int) -> None:
        answer = await answer_to(refusal(status))

        assert answer == Refused(str(status), "", is_retryable=False)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_not_followed(self, status: int) -> None:
        async with open_target() as elsewhere:
            answer = await answer_to(refusal(status, Location=f"{elsewhere.url}/v1/traces"))

        assert answer == Refused(str(status), "", is_retryable=False)
        assert elsewhere.received == []

    @pytest.mark.parametrize(
        ("value", "wait_s"),
        [
            ("7", 7.0),
            (formatdate(START // 10**9 + 90, usegmt=True), 90.0),
            (formatdate(START // 10**9 - 90, usegmt=True), 0.0),
            ("-7", None),
            ("soon", None),
            ("9" * 4000, 1e9),
        ],
    )
    async def test_it_may_say_when_to_try_again(self, value: str, wait_s: float | None) -> None:
        answer = await answer_to(refusal(503, "busy", Retry_After=value))

        assert answer == Refused("503", "busy", is_retryable=True, retry_after_s=wait_s)

    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (Reply(status=400, body=otlp.encode_status(3, "no", "protobuf")), "no"),
            (Reply(status=400, headers=JSON, body=b'{"code":3,"message":"no"}'), "no"),
            (
                Reply(status=400, headers={"Content-Type": "text/plain"}, body=b"no\r\n\x1b[0m"),
                "no",
            ),
            (Reply(status=400, headers={}, body="größer".encode("latin-1")), "gr"),
            (Reply(status=400, headers=JSON, body=b"{" * 99_999), "{" * 500),
            (Reply(status=400, body=otlp.encode_status(3, "n" * 9999, "protobuf")), "n" * 500),
        ],
    )
    async def test_what_it_says_is_kept_short_and_printable(self, reply: Reply, said: str) -> None:
        answer = await answer_to(reply)

        assert isinstance(answer, Refused)
        assert answer.reason.startswith(said)
        assert len(answer.reason) <= 500
        assert answer.reason.isprintable()

    async def test_a_long_one_is_not_tried_again(self) -> None:
        answer = await answer_to(Reply(status=503, body=b"x" * (5 << 20)))

        assert answer == Refused("503", TOO_LONG.reason, is_retryable=False)

    async def test_one_that_breaks_off_is_one_all_the_same(self) -> None:
        answer = await answer_to(Raw(b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n1234"))

        assert isinstance(answer, Refused)
        assert (answer.status, answer.is_retryable) == ("503", True)

    async def test_one_that_comes_before_the_body_was_read_counts(self) -> None:
        early = Reply(status=413, body=otlp.encode_status(3, "too large", "protobuf"))
        async with (
            open_target(at_head=lambda _: early) as target,
            sending(target.url) as send,
        ):
            with anyio.fail_after(HANGS_AFTER_S):
                answer = await send("logs", bytes(30 << 20))

        assert answer == Refused("413", "too large", is_retryable=False)


class TestNoAnswer:
    @pytest.mark.parametrize(
        "action",
        [
            HangUp(),
            Raw(b""),
            Raw(b"220 mail.example ESMTP\r\n"),
            Raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
            Raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99_999 + b"\r\n\r\n"),
        ],
    )
    async def test_what_has_left_may_have_arrived(self, action: Action) -> None:
        answer = await answer_to(action)

        assert isinstance(answer, NoAnswer)
        assert answer.may_have_arrived
        assert answer.reason

    async def answer_in_time(self, target: Target, body: bytes, arrival: anyio.Event) -> Answer:
        """Return what comes of a request whose time runs out once it has reached its target."""
        answers: list[Answer] = []

        async def attempt(send: Send) -> None:
            answers.append(await send("logs", body))

        with anyio.fail_after(3 * HANGS_AFTER_S):
            async with sending(target.url) as send, anyio.create_task_group() as tasks:
                tasks.start_soon(attempt, send)
                await arrival.wait()
                skip(2 * HANGS_AFTER_S)
        return answers[0]

    @pytest.mark.parametrize("action", [Silence(), Reply(delay_s=10 * HANGS_AFTER_S)])
    async def test_what_is_not_answered_in_time_may_have_arrived(self, action: Action) -> None:
        arrival = anyio.Event()

        def arrive(_: Received) -> Action:
            arrival.set()
            return action

        async with open_target(arrive) as target:
            answer = await self.answer_in_time(target, b"request", arrival)

        assert isinstance(answer, NoAnswer)
        assert answer.may_have_arrived
        assert answer.reason

    async def test_what_is_cut_off_on_its_way_may_have_arrived(self) -> None:
        async with (
            open_target(at_head=lambda _: HangUp()) as target,
            sending(target.url) as send,
        ):
            answer = await send("logs", bytes(30 << 20))

        assert isinstance(answer, NoAnswer)
        assert answer.may_have_arrived

    async def test_a_target_that_reads_too_slowly_has_its_time_out(self) -> None:
        arrival = anyio.Event()
        async with open_target(at_head=lambda _: arrival.set()) as target:
            target.reads_every_s = 10 * HANGS_AFTER_S
            answer = await self.answer_in_time(target, bytes(30 << 20), arrival)

        assert isinstance(answer, NoAnswer)
        assert answer.may_have_arrived

    async def test_where_nobody_listens_nothing_arrives(self) -> None:
        async with sending(f"http://127.0.0.1:{free_port()}") as send:
            answer = await send("logs", b"request")

        assert isinstance(answer, NoAnswer)
        assert not answer.may_have_arrived

    async def test_a_connection_that_does_not_come_about_is_not_waited_for_long(self) -> None:
        with unaccepting() as url:
            async with sending(url, request_timeout_s=0.3) as send:
                with anyio.fail_after(HANGS_AFTER_S):
                    answer = await send("logs", b"request")

        assert isinstance(answer, NoAnswer)
        assert not answer.may_have_arrived

    async def test_a_target_that_speaks_no_tls_is_told(self) -> None:
        async with (
            open_target() as target,
            sending(target.url.replace("http:", "https:"), request_timeout_s=0.3) as send,
        ):
            answer = await send("logs", b"request")

        assert isinstance(answer, NoAnswer)
        assert not answer.may_have_arrived
