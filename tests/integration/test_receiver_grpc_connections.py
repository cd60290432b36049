"""The receiver's gRPC connections: broken, malformed, bounded, waited for, and counted."""

import asyncio
import gc
import logging
import os
import socket
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from grpc import Compression, StatusCode
from hypothesis import given, settings
from hypothesis import strategies as st

from otlp_capture.capture import CaptureConfig, InvalidConfig
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.receiver import (
    AccessSettings,
    CannotListen,
    GrpcReceiverSettings,
    HttpReceiverSettings,
    open_receiver,
)
from otlp_capture.result import Failure, or_raise
from tests.clocks import HANGS_AFTER_S
from tests.export_requests import JSON, PROTOBUF, REQUESTS, TRACES, logs, metrics
from tests.grpc_calls import METHODS, OK, Calls, Ending, calling, ending, taking
from tests.raw_http import ask, post
from tests.raw_http2 import (
    DATA,
    END_STREAM,
    HEADERS,
    PREFACE,
    call,
    frame,
    frames_until_end,
    message,
    opening,
)
from tests.receiving import SESSION, receiving, until

pytestmark = pytest.mark.anyio

HEAD = opening() + call(METHODS["logs"], {})


class TestClientsThatLeave:
    async def test_what_was_read_is_kept_and_counts_as_unanswered(self) -> None:
        async with taking() as (opened, calls):
            opened.store.hold()
            sent = calls.begin(METHODS["traces"], REQUESTS["traces"])
            await opened.store.waiting.wait()
            sent.cancel()
            await until(opened.tally.refused.total)
            opened.store.is_open.set()
            assert await calls.export("logs", logs()) == OK
            metadata = or_raise(await opened.capture.stop_capture(SESSION))

            assert opened.counts == ({"logs": 1}, {"Unanswered": 1})
            assert await opened.kept() == Counter(
                [("traces", REQUESTS["traces"]), ("logs", logs())]
            )
            assert metadata.captured_requests == 2

    async def test_so_it_is_with_a_deadline(self) -> None:
        async with taking() as (opened, calls):
            opened.store.hold()
            # On a slow machine one may pass before its request is read.
            while not opened.store.waiting.is_set():
                late = await ending(calls.begin(METHODS["logs"], logs(), timeout=0.1))
                assert late.code is StatusCode.DEADLINE_EXCEEDED
            await until(lambda: opened.tally.refused["Unanswered"])
            opened.store.is_open.set()
            or_raise(await opened.capture.stop_capture(SESSION))

            unanswered = opened.tally.refused["Unanswered"]
            assert await opened.kept() == Counter({("logs", logs()): unanswered})
            assert {*opened.tally.refused} <= {"Unanswered", "Unread"}
            assert opened.tally.accepted == Counter()

    async def test_what_was_not_read_leaves_nothing(self) -> None:
        async with taking() as (opened, calls):
            async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as stream:
                await stream.send(HEAD + frame(DATA, 0, 1, message(logs())[:-3]))
                await stream.receive()
                assert await calls.export("traces", REQUESTS["traces"]) == OK
            await until(opened.tally.refused.total)

            assert opened.counts == ({"traces": 1}, {"Unread": 1})
            assert await opened.kept() == Counter([("traces", REQUESTS["traces"])])

    async def test_what_they_left_takes_nothing_of_the_budget(self) -> None:
        body = logs("x" * 900)
        async with taking(max_body_bytes=1_000, max_in_flight_bytes=1_000) as (opened, calls):
            for _ in range(3):
                opened.store.hold()
                sent = calls.begin(METHODS["logs"], body)
                await opened.store.waiting.wait()
                sent.cancel()
                opened.store.is_open.set()
                await until_kept(calls, body)


async def until_kept(calls: Calls, body: bytes) -> None:
    """Send as long as the answer is to come again."""
    with anyio.fail_after(HANGS_AFTER_S):
        while (answer := await calls.export("logs", body)) != OK:
            assert answer.code is StatusCode.UNAVAILABLE


class TestTime:
    @pytest.mark.parametrize("part", [b"", b"\0\0\0", message(logs())[:-1], message(logs())])
    async def test_a_message_that_does_not_end_is_given_up(self, part: bytes) -> None:
        async with taking(body_timeout_s=0.05) as (opened, _):
            async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as stream:
                await stream.send(HEAD + (frame(DATA, 0, 1, part) if part else b""))
                frames = await frames_until_end(stream)

            trailers = frames[-1]
            assert trailers.kind == HEADERS
            assert b"grpc-status\x014" in trailers.payload
            assert opened.counts == ({}, {"BodyTooSlow": 1})
            assert await opened.kept() == Counter()

    async def test_a_message_in_small_pieces_is_one(self) -> None:
        content = message(logs())
        pieces = [frame(DATA, 0, 1, content[at : at + 1]) for at in range(len(content))]
        async with taking() as (opened, _):
            async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as stream:
                await stream.send(HEAD + b"".join(pieces) + frame(DATA, END_STREAM, 1))
                frames = await frames_until_end(stream)

            assert b"grpc-status\x010" in frames[-1].payload
            assert await opened.kept() == Counter([("logs", logs())])


class TestMalformed:
    @pytest.fixture
    async def died_unheard(self) -> AsyncIterator[list[str]]:
        """Let tasks of gRPC end by an exception that nobody looks at, and say by which."""
        loop, died = asyncio.get_running_loop(), list[str]()
        handler = loop.get_exception_handler()

        def hear(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            died.append(type(context.get("exception")).__name__)
            loop.default_exception_handler(context)

        loop.set_exception_handler(hear)
        yield died
        gc.collect()
        loop.set_exception_handler(handler)

    async def test_a_server_that_a_path_has_ended_is_begun_again(
        self, caplog: pytest.LogCaptureFixture, died_unheard: list[str]
    ) -> None:
        """The log has one line of it, and nothing of the path; each time is counted."""
        async with taking() as (opened, calls):
            for _ in range(3):
                async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as stream:
                    await stream.send(opening() + call("/\udcff\udcfe/x", {}))
                    await frames_until_end(stream)
                with anyio.fail_after(HANGS_AFTER_S):
                    answer = await calls.export("traces", REQUESTS["traces"], timeout=1.0)
                    while answer != OK:
                        await anyio.lowlevel.checkpoint()
                        answer = await calls.export("traces", REQUESTS["traces"], timeout=1.0)

            await until(lambda: opened.tally.refused["PathUnreadable"] == 3)
        gc.collect()

        assert set(died_unheard) <= {"UnicodeDecodeError"}
        assert [record.getMessage() for record in caplog.records] == [
            "gRPC ended its server over a request (UnicodeDecodeError); it is begun again"
        ]
        assert "Traceback" not in caplog.text

    async def test_metadata_that_cannot_be_read_are_not_in_the_log(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with taking() as (opened, calls):
            async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as stream:
                secret = {"authorization": "Bearer secret-of-mine\udcff"}
                await stream.send(opening() + call(METHODS["logs"], secret))
                await stream.send_eof()
                await frames_until_end(stream)
            assert await calls.export("traces", REQUESTS["traces"]) == OK

        assert "secret-of-mine" not in caplog.text

    @pytest.mark.parametrize(
        "garbage",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            TRACES,
            b"\0" * 100_000,
            PREFACE + b"\xff" * 64,
            opening() + frame(99, 255, 0, b"unknown"),
            opening() + frame(DATA, END_STREAM, 1, message(logs())),
            opening() + frame(HEADERS, 4, 1, b"\xff" * 200),
            opening() + frame(HEADERS, 4, 0, b""),
            opening() + frame(HEADERS, 4, 2, b""),
            HEAD + frame(DATA, END_STREAM, 1, message(logs())[:-1]),
            HEAD + frame(DATA, END_STREAM, 1, b"\x02" + message(logs())[1:]),
            HEAD + frame(DATA, END_STREAM, 1, message(logs(), is_compressed=True)),
            HEAD + frame(DATA, END_STREAM, 1, b"\0\xff\xff\xff\xff"),
            opening() + call(METHODS["logs"], {}, method="GET"),
            opening() + call(METHODS["logs"], {"content-type": "text/plain"}),
            opening() + call(METHODS["logs"], {"grpc-timeout": "soon"}),
            opening() + call(METHODS["logs"], {"authorization": "Bearer \udcff"}),
        ],
    )
    async def test_others_are_served_all_the_same(self, garbage: bytes) -> None:
        async with taking() as (opened, calls):
            async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as stream:
                await stream.send(garbage)
                await stream.send_eof()
                await frames_until_end(stream)
            assert await calls.export("traces", REQUESTS["traces"]) == OK

            assert ("traces", REQUESTS["traces"]) in await opened.kept()

    async def test_a_fault_of_our_own_is_told_and_logged(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with taking() as (opened, calls):
            monkeypatch.setattr(opened.capture, "capture_otlp_data", None)
            refused = await calls.export("traces", b"")

            assert (refused.code, refused.retry_after_s) == (StatusCode.INTERNAL, None)
            assert opened.counts == ({}, {"InternalError": 1})
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("otlp_capture.receiver.rpc", logging.ERROR)
        assert record.exc_info


class TestBounds:
    async def test_connections_over_the_limit_are_closed(self) -> None:
        async with taking(max_connections=2) as (opened, calls):
            assert await calls.export("logs", logs()) == OK
            async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as second:
                await second.send(HEAD + frame(DATA, END_STREAM, 1, message(logs())))
                assert (await frames_until_end(second))[-1].kind == HEADERS
                async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as third:
                    assert await frames_until_end(third) == []
            assert await calls.export("logs", logs()) == OK

            assert opened.counts == ({"logs": 3}, {})

    async def test_metadata_over_the_limit_are_refused(self) -> None:
        async with taking(max_metadata_bytes=1_000) as (opened, calls):
            refused = await calls.export("logs", logs(), metadata=[("x", "y" * 1_000)])

            assert refused.code is StatusCode.RESOURCE_EXHAUSTED
            assert await calls.export("logs", logs()) == OK
            assert opened.tally.accepted == Counter(logs=1)

    async def test_more_requests_than_a_connection_has_streams_come_again(self) -> None:
        async with taking(max_streams=2) as (opened, calls):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(until_kept, calls, logs())

            assert opened.counts == ({"logs": 20}, {})
            assert await opened.kept() == Counter({("logs", logs()): 20})


class TestListening:
    async def test_on_ipv6(self) -> None:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("there is no IPv6 loopback here")
        grpc = GrpcReceiverSettings(host="::1", port=0)
        async with receiving(grpc=grpc) as opened:
            assert opened.grpc is not None
            assert opened.grpc.url == f"http://[::1]:{opened.grpc_port}"
            async with calling(opened.grpc_port, host="[::1]") as calls:
                assert await calls.export("logs", logs()) == OK

    async def test_a_port_in_use_is_told(self) -> None:
        async with taking() as (opened, calls):
            http = HttpReceiverSettings(port=0)
            grpc = GrpcReceiverSettings(port=opened.grpc_port)
            async with open_receiver(opened.capture, SESSION, http=http, grpc=grpc) as second:
                reason = os.strerror(98)
                assert second == Failure(CannotListen("127.0.0.1", opened.grpc_port, reason))
            assert await calls.export("logs", logs()) == OK

    @pytest.mark.parametrize(
        ("host", "port"), [("127.0.0.1", 70_000), ("a..b", 0), ("192.0.2.1", 0), ("\0", 0)]
    )
    async def test_an_address_that_cannot_be_is_told(self, host: str, port: int) -> None:
        async with receiving() as opened:
            grpc = GrpcReceiverSettings(host=host, port=port)
            access = AccessSettings(is_insecure=True)
            async with open_receiver(
                opened.capture, SESSION, http=None, grpc=grpc, access=access
            ) as second:
                assert isinstance(second.failure(), CannotListen)

    async def test_afterwards_the_port_is_free(self) -> None:
        async with taking() as (opened, calls):
            assert await calls.export("logs", logs()) == OK
        socket.create_server(("127.0.0.1", opened.grpc_port)).close()

    async def test_either_transport_can_be_off(self) -> None:
        async with receiving() as opened:
            http, grpc = HttpReceiverSettings(port=0), GrpcReceiverSettings(port=0)
            async with open_receiver(opened.capture, SESSION, http=http, grpc=None) as only:
                receiver = or_raise(only)
                assert (receiver.http is None, receiver.grpc is None) == (False, True)
            async with open_receiver(opened.capture, SESSION, http=None, grpc=grpc) as only:
                receiver = or_raise(only)
                assert (receiver.http is None, receiver.grpc is None) == (True, False)
            async with open_receiver(opened.capture, SESSION, http=None, grpc=None) as neither:
                assert isinstance(neither.failure(), InvalidConfig)

    async def test_the_transports_share_one_budget(self) -> None:
        async with receiving() as opened:
            http = HttpReceiverSettings(port=0, max_in_flight_bytes=100 << 20)
            async with open_receiver(opened.capture, SESSION, http=http) as second:
                error = second.failure()

            assert isinstance(error, InvalidConfig)
            assert (error.field, error.value) == ("max_in_flight_bytes", 256 << 20)


class TestShutdown:
    async def test_requests_under_way_are_answered(self) -> None:
        endings: list[Ending] = []
        stored = anyio.Event()

        async def bodies() -> AsyncGenerator[bytes]:
            yield logs()
            await stored.wait()

        async def export(calls: Calls) -> None:
            endings.append(await calls.export("traces", REQUESTS["traces"]))
            stored.set()

        async def stream(calls: Calls) -> None:
            endings.append(await calls.stream("logs", bodies()))

        async with (
            AsyncExitStack() as channels,
            anyio.create_task_group() as tasks,
            receiving(
                settings=HttpReceiverSettings(port=0, shutdown_timeout_s=HANGS_AFTER_S),
                grpc=GrpcReceiverSettings(port=0, shutdown_timeout_s=HANGS_AFTER_S),
            ) as opened,
        ):
            calls = await channels.enter_async_context(calling(opened.grpc_port))
            opened.store.hold()
            tasks.start_soon(stream, calls)
            tasks.start_soon(export, calls)
            await opened.store.waiting.wait()
        assert endings == [OK, OK]
        assert opened.counts == ({"traces": 1, "logs": 1}, {})

    async def test_what_does_not_end_is_not_waited_for_long(self) -> None:
        begun = anyio.Event()
        endings: list[Ending] = []

        async def bodies() -> AsyncGenerator[bytes]:
            yield b""
            begun.set()
            await anyio.sleep_forever()

        async def stream(calls: Calls) -> None:
            endings.append(await calls.stream("logs", bodies()))

        grpc = GrpcReceiverSettings(port=0, shutdown_timeout_s=0.05)
        async with (
            AsyncExitStack() as channels,
            anyio.create_task_group() as tasks,
            receiving(grpc=grpc) as opened,
        ):
            calls = await channels.enter_async_context(calling(opened.grpc_port))
            tasks.start_soon(stream, calls)
            await begun.wait()
            assert await calls.export("traces", REQUESTS["traces"]) == OK
        assert [each.code for each in endings] == [StatusCode.UNAVAILABLE]
        assert opened.counts == ({"traces": 1}, {"Unread": 1})

    async def test_what_is_not_kept_in_time_is_given_up(self) -> None:
        endings: list[Ending] = []

        async def export(calls: Calls) -> None:
            endings.append(await calls.export("traces", REQUESTS["traces"]))

        grpc = GrpcReceiverSettings(port=0, shutdown_timeout_s=0.05)
        async with (
            receiving() as opened,
            AsyncExitStack() as channels,
            anyio.create_task_group() as tasks,
        ):
            other = open_receiver(opened.capture, SESSION, http=None, grpc=grpc)
            async with other as second:
                server = or_raise(second)
                assert server.grpc is not None
                calls = await channels.enter_async_context(calling(server.grpc.port))
                opened.store.hold()
                tasks.start_soon(export, calls)
                await opened.store.waiting.wait()
            assert server.tally.refused == Counter(Unanswered=1)
            assert server.tally.accepted == Counter()
        assert [each.code for each in endings] == [StatusCode.UNAVAILABLE]


class TestAccounting:
    async def test_what_is_sent_is_accepted_or_refused_on_both_transports(self) -> None:
        http = {
            TRACES: 200,
            post("/v1/logs", b"{}", JSON): 200,
            post("/v1/logs", b"{", JSON): 400,
            post("/v1/logs", b"", "text/plain"): 415,
            post("/v1/logs", bytes(100_001), PROTOBUF): 413,
            post("/v1/metrics", metrics(), PROTOBUF): 404,
        }
        grpc = {
            ("traces", REQUESTS["traces"], Compression.Gzip): StatusCode.OK,
            ("logs", logs("x" * 1_000), Compression.Gzip): StatusCode.OK,
            ("logs", logs(), Compression.NoCompression): StatusCode.OK,
            ("logs", b"\x0b", Compression.NoCompression): StatusCode.INVALID_ARGUMENT,
            ("metrics", metrics(), Compression.NoCompression): StatusCode.UNIMPLEMENTED,
            ("logs", bytes(100_001), Compression.NoCompression): StatusCode.RESOURCE_EXHAUSTED,
            ("no method", b"", Compression.NoCompression): StatusCode.UNIMPLEMENTED,
        }
        statuses: Counter[tuple[object, object]] = Counter()

        async def send(port: int, request: bytes) -> None:
            statuses[request, (await ask(port, request)).status] += 1

        async def export(calls: Calls, name: str, body: bytes, compression: Compression) -> None:
            method = METHODS.get(name, "/no/method")  # type: ignore[call-overload]  # or any text
            code = (await calls.call(method, body, compression=compression)).code
            statuses[(name, body, compression), code] += 1

        config = CaptureConfig(session_id=SESSION, capture_metrics=False)
        async with taking(config, max_body_bytes=100_000) as (opened, calls):
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    for request in http:
                        tasks.start_soon(send, opened.port, request)
                    for name, body, compression in grpc:
                        tasks.start_soon(export, calls, name, body, compression)

            assert statuses == Counter(dict.fromkeys([*http.items(), *grpc.items()], 10))
            await until(lambda: opened.tally.refused["Unread"] == 10)
            assert opened.counts == (
                {"traces": 20, "logs": 30},
                {
                    "InvalidRequest": 20,
                    "RequestTooLarge": 10,
                    "SignalNotEnabled": 20,
                    "UnknownMethod": 10,
                    "Unread": 10,
                    "UnsupportedContentType": 10,
                },
            )
            assert await opened.kept() == Counter(
                {
                    ("traces", REQUESTS["traces"]): 20,
                    ("logs", logs()): 10,
                    ("logs", logs("x" * 1_000)): 10,
                    ("logs", b""): 10,
                }
            )
            metadata = or_raise(await opened.capture.stop_capture(SESSION))
            assert metadata.captured_requests == 50
            assert opened.tally.accepted_records == Counter(traces=20, logs=20)

    @settings(max_examples=15)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["http", "grpc"]),
                st.sampled_from(SIGNALS),
                st.sampled_from([b"", b"\x0b", bytes(2_000), *REQUESTS.values()]),
            ),
            max_size=12,
        )
    )
    def test_any_mix_is_conserved(self, mix: list[tuple[str, Signal, bytes]]) -> None:
        answers: Counter[bool] = Counter()
        kept: Counter[tuple[Signal, bytes]] = Counter()

        async def send(port: int, calls: Calls, request: tuple[str, Signal, bytes]) -> None:
            transport, signal, body = request
            if transport == "http":
                answer = await ask(port, post(f"/v1/{signal}", body, PROTOBUF))
                is_kept = answer.status == 200
            else:
                is_kept = await calls.export(signal, body) == OK
            answers[is_kept] += 1
            kept[signal, body] += is_kept

        async def send_all() -> None:
            async with taking(max_body_bytes=1_000) as (opened, calls):
                async with anyio.create_task_group() as tasks:
                    for request in mix:
                        tasks.start_soon(send, opened.port, calls, request)
                await until(lambda: opened.tally.refused.total() == answers[False])

                assert await opened.kept() == +kept
                assert opened.tally.accepted == Counter(signal for signal, _ in kept.elements())

        anyio.run(send_all)
        assert answers.total() == len(mix)
