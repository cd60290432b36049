"""The receiver as bytes over gRPC find it, line by line of what OTLP asks of a server."""

import gzip
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from grpc import Compression, StatusCode

from otlp_capture.capture import CaptureConfig
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from tests.bombs import bomb
from tests.export_requests import REQUESTS, logs, traces
from tests.grpc_calls import METHODS, OK, Calls, Ending, taking
from tests.raw_http2 import (
    DATA,
    END_STREAM,
    HEADERS,
    call,
    frame,
    frames_until_end,
    message,
    opening,
)
from tests.receiving import SESSION, until

pytestmark = pytest.mark.anyio

SIZE = 100_000


class TestCompression:
    """S1: identity and gzip; gRPC itself refuses anything else."""

    @pytest.mark.parametrize("signal", SIGNALS)
    @pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
    async def test_a_request_is_kept_byte_for_byte(
        self, signal: Signal, compression: Compression
    ) -> None:
        request = REQUESTS[signal] + b"\xfa\x3e\x80\x01" + b"x" * 128  # a field nobody knows
        async with taking(compression=compression) as (opened, calls):
            assert await calls.export(signal, request) == OK
            assert await opened.kept() == Counter([(signal, request)])
            sent = opened.tally.accepted_bytes[signal]
            assert (sent < len(request)) == (compression is Compression.Gzip)
            assert opened.tally.accepted_records == Counter({signal: 1})

    async def test_another_compression_is_unimplemented(self) -> None:
        async with taking(compression=Compression.Deflate) as (opened, calls):
            refused = await calls.export("logs", logs("x" * 1_000))
            other = await calls.export("logs", logs(), compression=Compression.Gzip)

            assert refused.code is StatusCode.UNIMPLEMENTED
            assert other == OK
            await until(opened.tally.refused.total)
            assert opened.counts == ({"logs": 1}, {"Unread": 1})

    async def test_stacked_gzip_is_invalid(self) -> None:
        async with taking(compression=Compression.Gzip) as (opened, calls):
            refused = await calls.export("logs", gzip.compress(gzip.compress(logs())))

            assert refused.code is StatusCode.INVALID_ARGUMENT
            assert opened.tally.refused.total() == 1

    async def test_what_is_no_gzip_is_invalid(self) -> None:
        async with taking() as (opened, calls):
            refused = await calls.export("logs", gzip.compress(logs())[:-1])

            assert (refused.code, refused.retry_after_s) == (StatusCode.INVALID_ARGUMENT, None)
            assert opened.counts == ({}, {"CompressionFailure": 1})


class TestLimits:
    """S2: the request is limited on the wire, decompressed, and in its elements."""

    async def test_a_message_over_the_limit_is_refused_as_it_comes(self) -> None:
        async with taking(max_body_bytes=SIZE) as (opened, calls):
            refused = await calls.export("logs", logs("x" * SIZE))

            assert (refused.code, refused.retry_after_s) == (StatusCode.RESOURCE_EXHAUSTED, None)
            await until(opened.tally.refused.total)
            assert opened.counts == ({}, {"Unread": 1})

    async def test_a_message_of_just_the_limit_is_kept(self) -> None:
        body = logs("x" * (2 * SIZE - len(logs("x" * SIZE))))
        limits = {"max_bytes": SIZE}
        async with taking(max_body_bytes=SIZE, limits=limits) as (opened, calls):
            assert len(body) == SIZE
            assert await calls.export("logs", body) == OK
            assert await calls.export("logs", body, compression=Compression.Gzip) == OK
            assert await opened.kept() == Counter([("logs", body)] * 2)

    async def test_a_message_that_inflates_over_the_limit_is_refused(self) -> None:
        async with taking(limits={"max_bytes": SIZE}, compression=Compression.Gzip) as (opened, by):
            refused = await by.export("logs", bytes(SIZE + 1))

            assert (refused.code, refused.retry_after_s) == (StatusCode.RESOURCE_EXHAUSTED, None)
            assert opened.counts == ({}, {"RequestTooLarge": 1})

    async def test_a_bomb_is_inflated_by_us_and_not_by_grpc(self) -> None:
        body = frame(DATA, END_STREAM, 1, message(bomb(12), is_compressed=True))
        async with taking(max_body_bytes=SIZE, limits={"max_bytes": SIZE}) as (opened, _):
            async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as stream:
                await stream.send(
                    opening() + call(METHODS["logs"], {"grpc-encoding": "gzip"}) + body
                )
                frames = await frames_until_end(stream)
            assert b"grpc-status\x018" in frames[-1].payload
            assert opened.counts == ({}, {"RequestTooLarge": 1})

    async def test_too_many_elements_are_refused(self) -> None:
        async with taking(limits={"max_elements": 1000}) as (opened, calls):
            refused = await calls.export("traces", b"\x0a\x00" * 1001)

            assert (refused.code, refused.retry_after_s) == (StatusCode.RESOURCE_EXHAUSTED, None)
            assert opened.counts == ({}, {"RequestTooLarge": 1})


class TestAnswers:
    """S3 to S6, S9, S12: small answers, full success or a Status, compressed where it is asked."""

    @pytest.mark.parametrize("method", ["/" + "ü" * 200, "/" + "x" * 4_000])
    async def test_an_error_stays_small(self, method: str) -> None:
        async with taking() as (_, calls):
            refused = await calls.call(method, b"")

            assert refused.code is StatusCode.UNIMPLEMENTED
            assert len(refused.message.encode()) < 1_000

    @pytest.mark.parametrize("signal", SIGNALS)
    @pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
    async def test_an_empty_request_succeeds(
        self, signal: Signal, compression: Compression
    ) -> None:
        async with taking(compression=compression) as (opened, calls):
            assert await calls.export(signal, b"") == OK
            assert await opened.kept() == Counter([(signal, b"")])
            assert opened.counts == ({signal: 1}, {})

    async def test_one_bad_record_refuses_all(self) -> None:
        async with taking() as (opened, calls):
            refused = await calls.export("traces", traces("good") + traces("torn")[:-3])

            assert (refused.code, refused.retry_after_s) == (StatusCode.INVALID_ARGUMENT, None)
            assert "Invalid OTLP request at" in refused.message
            assert await opened.kept() == Counter()

    @pytest.mark.parametrize("accepted", ["gzip", "identity,gzip", "identity", ""])
    async def test_answers_are_compressed_where_the_client_takes_it(self, accepted: str) -> None:
        headers = {"grpc-accept-encoding": accepted} if accepted else {}
        body = frame(0, END_STREAM, 1, message(REQUESTS["logs"]))
        async with taking() as (opened, _):
            async with await anyio.connect_tcp("127.0.0.1", opened.grpc_port) as stream:
                await stream.send(opening() + call(METHODS["logs"], headers) + body)
                heads = [
                    each.payload for each in await frames_until_end(stream) if each.kind == HEADERS
                ]

            assert b"x-durability" in heads[0]
            assert (b"grpc-encoding\x04gzip" in heads[0]) == ("gzip" in accepted)
            assert opened.counts == ({"logs": 1}, {})


class TestMethods:
    """S7 and S14: Export of three services."""

    @pytest.mark.parametrize(
        "method",
        [
            "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
            "/grpc.health.v1.Health/Check",
            "/",
        ],
    )
    async def test_others_are_unimplemented(self, method: str) -> None:
        async with taking() as (opened, calls):
            refused = await calls.call(method, REQUESTS["traces"])

            assert (refused.code, refused.retry_after_s) == (StatusCode.UNIMPLEMENTED, None)
            assert opened.counts == ({}, {"UnknownMethod": 1})

    @pytest.mark.parametrize("body", [b"\x0a\xff", b"\x0a\x05abc", b"\xff" * 40, b"\x0b", b"{}"])
    async def test_what_cannot_be_decoded_is_invalid(self, body: bytes) -> None:
        async with taking() as (opened, calls):
            refused = await calls.export("traces", body)

            assert (refused.code, refused.retry_after_s) == (StatusCode.INVALID_ARGUMENT, None)
            assert opened.counts == ({}, {"InvalidRequest": 1})

    @pytest.mark.parametrize("count", [0, 2, 3])
    async def test_an_export_is_one_message(self, count: int) -> None:
        async def bodies() -> AsyncGenerator[bytes]:
            for _ in range(count):
                yield REQUESTS["logs"]

        async with taking() as (opened, calls):
            refused = await calls.stream("logs", bodies())

            assert (refused.code, refused.retry_after_s) == (StatusCode.INVALID_ARGUMENT, None)
            assert opened.counts == ({}, {"NotOneMessage": 1})
            assert await opened.kept() == Counter()


class TestOverload:
    """S11 and S15: overload and a failing store are UNAVAILABLE with RetryInfo."""

    async def test_messages_over_the_budget_are_told_to_come_again(self) -> None:
        body = logs("x" * 1_000)
        settings: dict[str, Any] = {"max_body_bytes": 1_500, "max_in_flight_bytes": 1_500}
        async with taking(retry_after_s=7, **settings) as (opened, calls):
            opened.store.hold()
            async with anyio.create_task_group() as tasks:
                endings: list[Ending] = []

                async def export() -> None:
                    endings.append(await calls.export("logs", body))

                tasks.start_soon(export)
                await opened.store.waiting.wait()
                refused = await calls.export("logs", body)
                opened.store.is_open.set()
            again = await calls.export("logs", body)

            assert (refused.code, refused.retry_after_s) == (StatusCode.UNAVAILABLE, 7)
            assert refused.initial == {}
            assert [*endings, again] == [OK, OK]
            assert opened.counts == ({"logs": 2}, {"Overloaded": 1})

    async def test_a_failing_store_is_told_to_come_again(self) -> None:
        async with taking() as (opened, calls):
            opened.store.refuses = True
            failed = await calls.export("logs", logs())
            opened.store.refuses = False
            again = await calls.export("logs", logs())

            assert (failed.code, failed.retry_after_s) == (StatusCode.UNAVAILABLE, 1)
            assert again == OK
            assert opened.counts == ({"logs": 1}, {"StorageFailure": 1})

    async def test_until_the_session_begins_clients_are_told_to_come_again(self) -> None:
        async with taking(None) as (opened, calls):
            early = await calls.export("logs", logs())
            or_raise(await opened.capture.start_capture(CaptureConfig(session_id=SESSION)))
            later = await calls.export("logs", logs())

            assert (early.code, early.retry_after_s) == (StatusCode.UNAVAILABLE, 1)
            assert later == OK

    async def test_a_silent_client_gives_way_to_others(self) -> None:
        async with taking(max_reads=1, read_patience_s=0.01) as (opened, calls):
            async with anyio.create_task_group() as tasks:
                silent = await begun(calls, tasks)
                while not silent.is_set():
                    assert await calls.export("logs", logs()) == OK

            assert opened.tally.refused == Counter(BodyTooSlow=1)


class TestFaults:
    async def test_one_of_ours_before_anything_is_kept_is_internal(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with taking() as (opened, calls):
            monkeypatch.setattr("otlp_capture.receiver.rpc.kept_headers", None)
            refused = await calls.export("logs", logs())

            assert (refused.code, refused.retry_after_s) == (StatusCode.INTERNAL, None)
            assert opened.counts == ({}, {"InternalError": 1})
        assert len(caplog.records) == 1


async def begun(calls: Calls, tasks: TaskGroup) -> anyio.Event:
    """Begin a call that never ends; return what is set when it has ended."""
    seen, ended = anyio.Event(), anyio.Event()

    async def bodies() -> AsyncGenerator[bytes]:
        yield b""
        seen.set()
        await ended.wait()

    async def send() -> None:
        ending = await calls.stream("traces", bodies())
        assert ending.code is StatusCode.DEADLINE_EXCEEDED
        ended.set()

    tasks.start_soon(send)
    await seen.wait()
    return ended


class TestSessions:
    """What a session does not take is refused for good."""

    @pytest.mark.parametrize("signal", SIGNALS)
    async def test_a_signal_that_is_not_recorded_is_unimplemented(self, signal: Signal) -> None:
        config = CaptureConfig(
            session_id=SESSION,
            capture_traces=signal != "traces",
            capture_metrics=signal != "metrics",
            capture_logs=signal != "logs",
        )
        async with taking(config) as (opened, calls):
            endings = {each: await calls.export(each, REQUESTS[each]) for each in SIGNALS}

            refused = endings.pop(signal)
            assert (refused.code, refused.retry_after_s) == (StatusCode.UNIMPLEMENTED, None)
            assert [*endings.values()] == [OK, OK]
            assert opened.tally.refused == Counter(SignalNotEnabled=1)

    async def test_an_ended_session_takes_no_more(self) -> None:
        config = CaptureConfig(session_id=SESSION, max_size_mb=0.000_01)
        async with taking(config) as (opened, calls):
            crossing = await calls.export("traces", REQUESTS["traces"])
            refused = await calls.export("traces", REQUESTS["traces"])

            assert crossing == OK
            assert (refused.code, refused.retry_after_s) == (StatusCode.FAILED_PRECONDITION, None)
            assert opened.counts == ({"traces": 1}, {"SessionEnded": 1})

    async def test_chosen_headers_are_kept(self) -> None:
        metadata = (
            ("x-tenant", "a"),
            ("x-other", "secret"),
            ("authorization", "Bearer secret"),
            ("x-trace-bin", b"\x00\xff"),
            ("x-tenant", "b"),
        )
        async with taking(keep_headers=("X-Tenant", "x-trace-bin", "x-absent")) as (opened, calls):
            assert await calls.export("logs", logs(), metadata=metadata) == OK

            # gRPC itself puts those of one name together.
            kept = (("x-tenant", "a"), ("x-tenant", "b"), ("x-trace-bin", "AP8="))
            assert await opened.kept_headers() == [kept]

    async def test_headers_that_no_frame_holds_are_too_large(self) -> None:
        metadata = [("x-large", "x" * 9_000)] * 2
        settings: dict[str, Any] = {"keep_headers": ("x-large",), "max_metadata_bytes": 65_536}
        async with taking(**settings) as (opened, calls):
            refused = await calls.export("logs", logs(), metadata=metadata)

            assert refused.code is StatusCode.RESOURCE_EXHAUSTED
            assert opened.counts == ({}, {"RequestTooLarge": 1})
