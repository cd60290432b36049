"""The receiver's connections: kept, broken, malformed, waited for, and counted."""

import gzip
import logging
import os
import socket
from collections import Counter
from contextlib import AsyncExitStack

import anyio
import pytest

from otlp_capture.capture import CaptureConfig
from otlp_capture.receiver import (
    AccessSettings,
    CannotListen,
    HttpReceiverSettings,
    open_http_receiver,
)
from otlp_capture.result import Failure, or_raise
from tests.clocks import HANGS_AFTER_S
from tests.export_requests import (
    DEADLINE_EXCEEDED,
    INTERNAL,
    INVALID_ARGUMENT,
    JSON,
    PROTOBUF,
    REQUESTS,
    RESOURCE_EXHAUSTED,
    TRACES,
    logs,
    metrics,
    told,
)
from tests.raw_http import RawConnection, ask, chunked, head, post, raw_connection
from tests.receiving import SESSION, receiving, receiving_little, until

pytestmark = pytest.mark.anyio


class TestConnections:
    async def test_a_connection_serves_many_requests(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            statuses: list[int] = []
            for request in (TRACES, post("/v1/traces", b"\x0a\xff", PROTOBUF), head("GET", "/")):
                await connection.write(request)
                statuses.append((await connection.answer()).status)
            await connection.write(TRACES)
            statuses.append((await connection.answer()).status)

            assert statuses == [200, 400, 404, 200]

    async def test_pipelined_requests_are_answered_in_their_order(self) -> None:
        requests = [
            TRACES,
            post("/v1/logs", b"{}", JSON),
            post("/v1/logs", b"{", JSON),
            head("DELETE", "/v1/logs"),
            post("/v1/metrics", metrics(), PROTOBUF),
        ]
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(b"".join(requests * 20))
            answers = [await connection.answer() for _ in requests * 20]

            assert [answer.status for answer in answers] == [200, 200, 400, 405, 200] * 20
            assert opened.receiver.accepted == Counter(traces=20, logs=20, metrics=20)

    async def test_a_body_in_small_chunks_is_one_body(self) -> None:
        start = head(
            "POST", "/v1/traces", [f"Content-Type: {PROTOBUF}", "Transfer-Encoding: chunked"]
        )
        async with receiving() as opened:
            answer = await ask(opened.port, start + chunked(REQUESTS["traces"], 3))

            assert answer.status == 200
            assert await opened.kept() == Counter([("traces", REQUESTS["traces"])])

    @pytest.mark.parametrize("keeps", [b"Connection: close\r\n", b""])
    async def test_http_1_0_is_spoken(self, keeps: bytes) -> None:
        request = b"POST /v1/logs HTTP/1.0\r\n%bContent-Type: %b\r\nContent-Length: 0\r\n\r\n"
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(request % (keeps, PROTOBUF.encode()))

            assert (await connection.answer()).status == 200
            assert await connection.is_closed()

    async def test_an_offer_of_another_protocol_is_passed_over(self) -> None:
        upgrade = (
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABk",
        )
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(post("/v1/traces", REQUESTS["traces"], PROTOBUF, *upgrade))

            assert (await connection.answer()).status == 200
            assert await opened.kept() == Counter([("traces", REQUESTS["traces"])])

    @pytest.mark.parametrize(
        ("length", "prefix"),
        [("Content-Length: 5000", b""), ("Transfer-Encoding: chunked", b"20\r\n")],
    )
    async def test_a_client_that_leaves_in_its_body_leaves_nothing(
        self, length: str, prefix: bytes
    ) -> None:
        start = head("POST", "/v1/logs", [f"Content-Type: {PROTOBUF}", length])
        async with receiving() as opened:
            async with raw_connection(opened.port) as connection:
                await connection.write(start + prefix + logs())
            await until(opened.receiver.refused.total)

            assert opened.counts == ({}, {"BodyIncomplete": 1})
            assert await opened.kept() == Counter()
            assert (await ask(opened.port, TRACES)).status == 200

    async def test_a_client_that_leaves_before_its_answer_has_been_heard(self) -> None:
        async with receiving() as opened:
            opened.store.hold()
            async with raw_connection(opened.port) as connection:
                await connection.write(TRACES)
                await opened.store.waiting.wait()
            opened.store.is_open.set()
            await until(opened.receiver.accepted.total)

            assert await opened.kept() == Counter([("traces", REQUESTS["traces"])])

    @pytest.mark.parametrize("is_refused", [False, True])
    async def test_a_client_that_sends_no_more_is_answered(self, is_refused: bool) -> None:  # noqa: FBT001 - pytest's
        """It may end its side right behind the request, as HTTP/1.0 clients and `nc -N` do."""
        request = post("/v1/traces", b"\x0a\xff", PROTOBUF) if is_refused else TRACES
        async with receiving() as opened, raw_connection(opened.port) as connection:
            opened.store.hold()
            await connection.write(request)
            await connection.half_close()
            if not is_refused:
                await opened.store.waiting.wait()
                opened.store.is_open.set()
            answer = await connection.answer()

            assert (answer.status, answer.headers["connection"]) == (
                (400, "close") if is_refused else (200, "close")
            )
            assert await connection.is_closed()
            assert opened.counts == (
                ({}, {"InvalidRequest": 1}) if is_refused else ({"traces": 1}, {})
            )

    async def test_all_that_came_before_it_ended_its_side_is_answered(self) -> None:
        requests = [TRACES, post("/v1/logs", b"{", JSON), post("/v1/logs", logs(), PROTOBUF)]
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(b"".join(requests * 20))
            await connection.half_close()
            statuses = [(await connection.answer()).status for _ in requests * 20]

            assert statuses == [200, 400, 200] * 20
            assert await connection.is_closed()
            assert opened.receiver.accepted == Counter(traces=20, logs=20)

    async def test_half_a_request_of_a_client_that_sends_no_more_is_refused(self) -> None:
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(TRACES[:-1])
            await connection.half_close()

            assert await connection.is_closed()
            await until(lambda: opened.receiver.refused == Counter(BodyIncomplete=1))
            assert opened.receiver.accepted == Counter()

    async def test_a_body_that_does_not_end_is_given_up(self) -> None:
        settings = HttpReceiverSettings(port=0, body_timeout_s=0.05)
        start = head("POST", "/v1/logs", [f"Content-Type: {JSON}", "Content-Length: 10"])
        async with receiving(settings=settings) as opened:
            answer = await ask(opened.port, start + b"{")

            assert told(answer) == (408, DEADLINE_EXCEEDED)
            assert answer.headers["connection"] == "close"
            assert opened.counts == ({}, {"BodyTooSlow": 1})

    async def test_a_refused_body_takes_nothing_of_the_budget(self) -> None:
        settings = HttpReceiverSettings(port=0, max_body_bytes=900, max_in_flight_bytes=1_000)
        async with receiving(settings=settings) as opened:
            for _ in range(5):
                start = head(
                    "POST", "/v1/logs", [f"Content-Type: {PROTOBUF}", "Transfer-Encoding: chunked"]
                )
                assert (await ask(opened.port, start + chunked(bytes(950)))).status == 413
            answer = await ask(opened.port, post("/v1/logs", logs("x" * 800), PROTOBUF))

            assert answer.status == 200


class TestExpectations:
    async def test_a_client_that_waits_is_told_to_continue(self) -> None:
        start = post("/v1/logs", logs(), PROTOBUF, "Expect: 100-continue").removesuffix(logs())
        async with receiving() as opened, raw_connection(opened.port) as connection:
            await connection.write(start)
            interim = await connection.answer()
            await connection.write(logs())
            answer = await connection.answer()

            assert (interim.status, answer.status) == (100, 200)
            assert await opened.kept() == Counter([("logs", logs())])

    async def test_a_body_that_would_be_refused_is_not_asked_for(self) -> None:
        expect = [f"Content-Type: {PROTOBUF}", "Content-Length: 100001", "Expect: 100-continue"]
        async with receiving_little() as opened, raw_connection(opened.port) as connection:
            await connection.write(head("POST", "/v1/logs", expect))
            answer = await connection.answer()

            assert told(answer) == (413, RESOURCE_EXHAUSTED)
            assert answer.headers["connection"] == "close"


class TestMalformedHttp:
    @pytest.mark.parametrize(
        "garbage",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"no http at all\r\n\r\n",
            b"POST v1/traces HTTP/1.1\r\n\r\n",
            head("POST", "/v1/traces", ["Content-Length: many"]),
            head("POST", "/v1/traces", ["Content-Length: -1"]),
            head("POST", "/v1/traces", ["Content-Length: 1", "Content-Length: 2"]),
            head("POST", "/v1/traces", ["Content-Length: 4", "Transfer-Encoding: chunked"]),
            head("POST", "/v1/traces", ["no colon"]),
        ],
    )
    async def test_it_is_told_and_the_connection_ends(
        self, garbage: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with receiving() as opened:
            async with raw_connection(opened.port) as connection:
                await connection.write(garbage)
                answer = await connection.answer()

                assert told(answer) == (400, INVALID_ARGUMENT)
                assert await connection.is_closed()
            assert opened.counts == ({}, {"MalformedHttp": 1})
            assert (await ask(opened.port, TRACES)).status == 200
        assert caplog.record_tuples == []

    async def test_chunks_that_make_no_sense_are_told(self) -> None:
        start = head("POST", "/v1/logs", [f"Content-Type: {JSON}", "Transfer-Encoding: chunked"])
        async with receiving() as opened:
            answer = await ask(opened.port, start + b"2\r\n{}\r\nnonsense\r\n")

            assert told(answer) == (400, INVALID_ARGUMENT)
            assert opened.receiver.refused.total() >= 1
            assert await opened.kept() == Counter()

    async def test_silence_is_no_request(self) -> None:
        async with receiving() as opened:
            async with raw_connection(opened.port) as connection:
                await connection.write(b"")
            async with raw_connection(opened.port) as connection:
                await connection.write(b"POST /v1/logs HT")
            assert (await ask(opened.port, TRACES)).status == 200

            assert opened.counts == ({"traces": 1}, {})

    async def test_a_fault_of_our_own_is_told_and_logged(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with receiving() as opened:
            monkeypatch.setattr(opened.capture, "capture_otlp_data", None)
            answer = await ask(opened.port, post("/v1/traces", b"{}", JSON))

            assert told(answer) == (500, INTERNAL)
            assert answer.headers["content-type"] == JSON
            assert opened.counts == ({}, {"InternalError": 1})
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("otlp_capture.receiver.connection", logging.ERROR)
        assert record.exc_info


class TestListening:
    async def test_on_ipv6(self) -> None:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("there is no IPv6 loopback here")
        async with receiving(settings=HttpReceiverSettings(host="::1", port=0)) as opened:
            assert opened.receiver.url == f"http://[::1]:{opened.port}"
            assert (await ask(opened.port, TRACES, host="::1")).status == 200

    async def test_a_port_in_use_is_told(self) -> None:
        async with receiving() as opened:
            settings = HttpReceiverSettings(port=opened.port)
            async with open_http_receiver(opened.capture, SESSION, settings) as second:
                reason = os.strerror(98)
                assert second == Failure(CannotListen("127.0.0.1", opened.port, reason))
            assert (await ask(opened.port, TRACES)).status == 200

    @pytest.mark.parametrize(
        ("host", "port"), [("127.0.0.1", 70_000), ("a..b", 0), ("192.0.2.1", 0), ("\0", 0)]
    )
    async def test_an_address_that_cannot_be_is_told(self, host: str, port: int) -> None:
        async with receiving() as opened:
            access = AccessSettings(is_insecure=True)
            settings = HttpReceiverSettings(host=host, port=port)
            async with open_http_receiver(opened.capture, SESSION, settings, access) as second:
                assert isinstance(second.failure(), CannotListen)

    async def test_afterwards_the_port_is_free(self) -> None:
        async with receiving() as opened:
            port = opened.port
        socket.create_server(("127.0.0.1", port)).close()


class TestShutdown:
    async def test_requests_under_way_are_answered(self) -> None:
        body = logs("x" * 300_000)
        start = post("/v1/logs", body, PROTOBUF, "Expect: 100-continue")
        settings = HttpReceiverSettings(port=0, shutdown_timeout_s=HANGS_AFTER_S)
        statuses: list[int] = []

        async def finish(connection: RawConnection, port: int, rest: bytes) -> None:
            await until_refused(port)
            await connection.write(rest)
            answer = await connection.answer()
            statuses.append(answer.status)
            assert await connection.is_closed()

        async with AsyncExitStack() as connections, anyio.create_task_group() as tasks:
            async with receiving(settings=settings) as opened:
                stored, sending, idle = [
                    await connections.enter_async_context(raw_connection(opened.port))
                    for _ in range(3)
                ]
                await idle.write(TRACES)
                assert (await idle.answer()).status == 200
                opened.store.hold()
                await stored.write(TRACES)
                await sending.write(start[:200_000])
                assert (await sending.answer()).status == 100
                await opened.store.waiting.wait()
                tasks.start_soon(finish, stored, opened.port, b"")
                tasks.start_soon(finish, sending, opened.port, start[200_000:])
            assert await idle.is_closed()
        assert statuses == [200, 200]
        assert opened.counts == ({"traces": 2, "logs": 1}, {})

    async def test_what_does_not_end_is_not_waited_for_long(self) -> None:
        settings = HttpReceiverSettings(port=0, shutdown_timeout_s=0.05)
        headers = [f"Content-Type: {PROTOBUF}", "Content-Length: 5", "Expect: 100-continue"]
        async with AsyncExitStack() as connections:
            async with receiving(settings=settings) as opened:
                connection = await connections.enter_async_context(raw_connection(opened.port))
                await connection.write(head("POST", "/v1/logs", headers))
                assert (await connection.answer()).status == 100

            assert await connection.is_closed()
            assert opened.counts == ({}, {"Unanswered": 1})


class TestAccounting:
    async def test_what_is_sent_is_accepted_or_refused(self) -> None:
        batch = {
            TRACES: 200,
            post("/v1/logs", b"{}", JSON): 200,
            post("/v1/logs", gzip.compress(logs()), PROTOBUF, "Content-Encoding: gzip"): 200,
            post("/v1/logs", b"{", JSON): 400,
            post("/v1/logs", b"x", PROTOBUF, "Content-Encoding: gzip"): 400,
            post("/v1/logs", b"", "text/plain"): 415,
            post("/v1/logs", b"", PROTOBUF, "Content-Encoding: br"): 415,
            post("/v1/logs", bytes(100_001), PROTOBUF): 413,
            post("/v1/metrics", metrics(), PROTOBUF): 404,
            head("GET", "/v1/traces"): 405,
            head("GET", "/"): 404,
            b"garbage\r\n\r\n": 400,
        }
        statuses: Counter[tuple[bytes, int]] = Counter()

        async def send(port: int, request: bytes) -> None:
            statuses[request, (await ask(port, request)).status] += 1

        config = CaptureConfig(session_id=SESSION, capture_metrics=False)
        settings = HttpReceiverSettings(port=0, max_body_bytes=100_000)
        async with receiving(config, settings) as opened:
            async with anyio.create_task_group() as tasks:
                for request in [*batch] * 10:
                    tasks.start_soon(send, opened.port, request)

            assert statuses == Counter(dict.fromkeys(batch.items(), 10))
            assert opened.counts == (
                {"traces": 10, "logs": 20},
                {
                    "CompressionFailure": 10,
                    "InvalidRequest": 10,
                    "MalformedHttp": 10,
                    "MethodNotAllowed": 10,
                    "RequestTooLarge": 10,
                    "SignalNotEnabled": 10,
                    "UnknownPath": 10,
                    "UnsupportedContentEncoding": 10,
                    "UnsupportedContentType": 10,
                },
            )
            assert await opened.kept() == Counter(
                {("traces", REQUESTS["traces"]): 10, ("logs", logs()): 10, ("logs", b""): 10}
            )
            metadata = or_raise(await opened.capture.stop_capture(SESSION))
            assert metadata.captured_requests == 30


async def until_refused(port: int) -> None:
    """Wait until nobody listens on a port any more."""
    with anyio.fail_after(HANGS_AFTER_S):
        while True:
            try:
                stream = await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                return
            await stream.aclose()
