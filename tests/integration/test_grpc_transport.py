"""One attempt over OTLP/gRPC, against a target that does what it should not."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, PartialSuccess, Signal
from otlp_capture.sending import (
    Accepted,
    Answer,
    Endpoint,
    NoAnswer,
    Parcel,
    Refused,
    Unreadable,
    open_grpc_transport,
)
from tests.clocks import HANGS_AFTER_S
from tests.servers.grpc_target import (
    GRPC_OK,
    Response,
    open_grpc_target,
    partly_taken,
)
from tests.servers.processes import free_port
from tests.servers.target import HangUp, Raw, open_target

pytestmark = pytest.mark.anyio

Send = Callable[[Parcel], Awaitable[Answer]]
REQUEST = Parcel("traces", b"request", 1)


@asynccontextmanager
async def sending(url: str, **settings: Any) -> AsyncIterator[Send]:
    endpoint = Endpoint(url=url, **{"request_timeout_s": HANGS_AFTER_S, **settings})
    async with open_grpc_transport(endpoint) as transport:
        assert transport.target == url
        yield lambda parcel: transport.attempt(parcel, lambda: None)


async def answer_to(response: Response, **settings: Any) -> Answer:
    async with (
        open_grpc_target(lambda _: response) as target,
        sending(target.url, **settings) as send,
    ):
        return await send(REQUEST)


class TestRequest:
    @pytest.mark.parametrize("signal", SIGNALS)
    async def test_it_goes_to_the_service_of_its_signal(self, signal: Signal) -> None:
        parcel = Parcel(signal, b"request", 1, headers=(("X-Tenant", "a"), ("api-key", "theirs")))
        async with (
            open_grpc_target() as target,
            sending(target.url, headers=(("api-key", "ours"),)) as send,
        ):
            assert await send(parcel) == Accepted(status="OK")

        (received,) = target.received
        assert (received.signal, received.body) == (signal, b"request")
        assert received.metadata["user-agent"].startswith("otlp-capture/")
        assert {name: received.metadata[name] for name in ("x-tenant", "api-key")} == {
            "x-tenant": "a",
            "api-key": "ours",
        }

    async def test_a_large_one_arrives_whole(self) -> None:
        body = bytes(range(256)) * (20 << 12)
        async with open_grpc_target() as target, sending(target.url) as send:
            assert await send(Parcel("logs", body, 1)) == Accepted(status="OK")

        assert target.bodies == [body]

    async def test_it_is_compressed_where_that_is_asked_for(self) -> None:
        async with (
            open_grpc_target(bytes_read_as_they_are=True) as target,
            sending(target.url, compression="gzip") as send,
        ):
            assert await send(Parcel("logs", b"request " * 999, 1)) == Accepted(status="OK")

        (body,) = target.bodies
        assert gzip.decompress(body) == b"request " * 999

    async def test_proxies_of_the_environment_are_not_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        for name in ("NO_PROXY", "no_proxy", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)

        assert await answer_to(GRPC_OK) == Accepted(status="OK")


class TestAnswer:
    async def test_a_partial_success_is_read(self) -> None:
        assert await answer_to(partly_taken("traces", 3)) == Accepted(
            PartialSuccess(3, "too old"), status="OK"
        )

    async def test_what_is_no_answer_is_not_taken_for_one(self) -> None:
        answer = await answer_to(Response(body=b"\xff\xff"))

        assert isinstance(answer, Unreadable)

    async def test_a_long_one_is_not_read(self) -> None:
        assert await answer_to(Response(body=bytes(9_000)), max_response_bytes=8_000) == Unreadable(
            "the answer holds more than 8,000 bytes", is_too_long=True
        )

    @pytest.mark.parametrize(
        "status",
        ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"],
    )
    async def test_these_are_tried_again(self, status: str) -> None:
        assert await answer_to(Response(status=status, message="busy")) == Refused(
            status, "busy", is_retryable=True
        )

    @pytest.mark.parametrize(
        "status",
        [
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "NOT_FOUND",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAUTHENTICATED",
        ],
    )
    async def test_these_are_not(self, status: str) -> None:
        assert await answer_to(Response(status=status, message="no")) == Refused(
            status, "no", is_retryable=False
        )

    @pytest.mark.parametrize("status", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
    async def test_a_retry_info_says_when(self, status: str) -> None:
        assert await answer_to(
            Response(status=status, message="busy", retry_after_s=2.5)
        ) == Refused(status, "busy", is_retryable=True, retry_after_s=2.5)

    @pytest.mark.parametrize("details", [b"", b"\xff", otlp.encode_status(14, "busy", "protobuf")])
    async def test_details_that_say_nothing_of_it_do_no_harm(self, details: bytes) -> None:
        response = Response(status="UNAVAILABLE", message="busy", details=details)

        assert await answer_to(response) == Refused("UNAVAILABLE", "busy", is_retryable=True)

    async def test_a_long_wait_is_bounded(self) -> None:
        response = Response(status="UNAVAILABLE", retry_after_s=5e9)

        assert await answer_to(response) == Refused(
            "UNAVAILABLE", "", is_retryable=True, retry_after_s=1e9
        )

    async def test_what_a_target_says_is_kept_short_and_printable(self) -> None:
        answer = await answer_to(Response(status="INTERNAL", message="a\n" + "b" * 900))

        assert answer == Refused("INTERNAL", "a " + "b" * 498, is_retryable=False)


class TestNoAnswer:
    async def test_where_nobody_listens_nothing_arrives(self) -> None:
        async with sending(f"grpc://127.0.0.1:{free_port()}") as send:
            answer = await send(REQUEST)

        assert isinstance(answer, NoAnswer)
        assert not answer.may_have_arrived
        assert "refused" in answer.reason

    @pytest.mark.parametrize("action", [HangUp(), Raw(b"HTTP/1.1 400 Bad\r\n\r\n")])
    async def test_what_speaks_no_grpc_gets_nothing(self, action: Any) -> None:
        async with (
            open_target(at_head=lambda _: action) as target,
            sending(target.url.replace("http:", "grpc:")) as send,
        ):
            answer = await send(REQUEST)

        assert isinstance(answer, NoAnswer)
        assert not answer.may_have_arrived

    async def test_a_target_that_dies_may_have_it(self) -> None:
        never = asyncio.Event()
        answers: list[Answer] = []

        async def attempt(send: Send) -> None:
            answers.append(await send(REQUEST))

        async with (
            open_grpc_target(lambda _: Response(after=never)) as target,
            sending(target.url) as send,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(attempt, send)
            await target.has_received(1)
            await target.kill()

        (answer,) = answers
        assert isinstance(answer, NoAnswer)
        assert answer.may_have_arrived

    async def test_a_target_that_is_silent_has_its_time_out(self) -> None:
        answer = await answer_to(Response(after=asyncio.Event()), request_timeout_s=0.2)

        assert answer == NoAnswer("no answer came in time", may_have_arrived=True)

    async def test_one_that_comes_back_is_found_again(self) -> None:
        async with open_grpc_target() as target, sending(target.url) as send:
            assert await send(REQUEST) == Accepted(status="OK")
            await target.kill()
            assert isinstance(await send(REQUEST), NoAnswer)
            await target.start()
            with anyio.fail_after(HANGS_AFTER_S):
                while await send(REQUEST) != Accepted(status="OK"):  # noqa: ASYNC110 - gRPC tries again
                    await anyio.sleep(0.05)
