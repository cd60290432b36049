"""A receiver in front of a collector: real SDKs send, two sessions are compared."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs
import grpc.aio
import pytest
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otlp_capture import otlp
from otlp_capture.capture import OtlpCaptureService
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.forward import (
    Destination,
    Forwarding,
    ForwardSettings,
    open_forwarding,
    parse_destination,
)
from otlp_capture.otlp import PartialSuccess
from otlp_capture.receiver import (
    GrpcReceiverSettings,
    HttpReceiverSettings,
    Receiver,
    open_receiver,
)
from otlp_capture.result import or_raise
from otlp_capture.sending import RetryPolicy
from otlp_capture.storage import S3Storage
from otlp_replay import verify
from tests.captures import CONFIG, held, opened_capture
from tests.clocks import HANGS_AFTER_S
from tests.export_requests import JSON, PROTOBUF, REQUESTS, UNAVAILABLE, told
from tests.forwards import assert_accounted, counted
from tests.raw_http import Answer, ask, post
from tests.servers.grpc_target import Response, open_grpc_target, partly_taken
from tests.servers.processes import free_port
from tests.servers.target import Reply, Silence, always, at_first, open_target, partly, refusal
from tests.sessions import opened_memory

pytestmark = pytest.mark.anyio

Protocol: TypeAlias = Literal["http", "grpc"]
LOGS = REQUESTS["logs"]
METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
SOON = RetryPolicy(
    max_attempts=1_000, max_elapsed_s=600, initial_backoff_s=0.001, max_backoff_s=0.01
)
CAPTURE = ForwardSettings(retry=SOON, shutdown_timeout_s=HANGS_AFTER_S)
TARGET = attrs.evolve(CAPTURE, answer="target")


@attrs.frozen
class Recorder:
    """A receiver, what it records, and where that goes."""

    receiver: Receiver
    capture: OtlpCaptureService
    storage: S3Storage

    def port(self, protocol: Protocol) -> int:
        server = self.receiver.http if protocol == "http" else self.receiver.grpc
        assert server is not None
        return server.port

    def url(self, protocol: Protocol) -> str:
        return f"{protocol}://127.0.0.1:{self.port(protocol)}"

    @property
    def refused(self) -> dict[str, int]:
        return dict(self.receiver.tally.refused)

    @property
    def accepted(self) -> dict[str, int]:
        return dict(self.receiver.tally.accepted)

    async def stored(self) -> list[bytes]:
        return [each.request for each in await held(self.storage)]


@asynccontextmanager
async def recorder(
    forwarding: Forwarding | None = None, *, port: int = 0, keep_headers: tuple[str, ...] = ()
) -> AsyncIterator[Recorder]:
    async with opened_memory() as storage, opened_capture(storage, SYSTEM_CLOCK) as capture:
        or_raise(await capture.start_capture(CONFIG))
        async with open_receiver(
            capture,
            "s",
            http=HttpReceiverSettings(port=port, keep_headers=keep_headers),
            grpc=GrpcReceiverSettings(port=0, keep_headers=keep_headers),
            forwarding=forwarding,
        ) as opened:
            yield Recorder(or_raise(opened), capture, storage)


def destination(url: str, **settings: Any) -> Destination:
    return or_raise(parse_destination(url, **{"request_timeout_s": HANGS_AFTER_S, **settings}))


@asynccontextmanager
async def forwarding_to(
    *urls: str, settings: ForwardSettings = CAPTURE
) -> AsyncIterator[Forwarding]:
    destinations = [destination(url) for url in urls]
    with anyio.fail_after(2 * HANGS_AFTER_S):
        async with open_forwarding(destinations, settings) as opened:
            forwarding = or_raise(opened)
            yield forwarding
    for status in forwarding.statuses:
        assert_accounted(status)


async def send_json(recorder: Recorder, *headers: str) -> Answer:
    body = or_raise(otlp.encode(LOGS, "logs", "json"))
    return await ask(recorder.port("http"), post("/v1/logs", body, JSON, *headers))


async def send_http(recorder: Recorder, *headers: str) -> Answer:
    return await ask(recorder.port("http"), post("/v1/logs", LOGS, PROTOBUF, *headers))


async def call(recorder: Recorder, *metadata: tuple[str, str]) -> bytes:
    place = f"127.0.0.1:{recorder.port('grpc')}"
    async with grpc.aio.insecure_channel(place) as channel:
        export: Any = channel.unary_unary(METHOD)
        return bytes(await export(LOGS, timeout=HANGS_AFTER_S, metadata=metadata))


async def refused_call(recorder: Recorder) -> tuple[str, str, float | None]:
    """Return the status, what it says, and when to come again."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(recorder)
    details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    wait_s = otlp.retry_delay_s(bytes(details))
    return caught.value.code().name, str(caught.value.details()), wait_s


def export_everything(url: str, protocol: Protocol) -> None:
    """Let a real SDK export traces, metrics and logs."""
    exporters: tuple[Any, Any, Any]
    if protocol == "http":
        exporters = (
            http_traces.OTLPSpanExporter(f"{url}/v1/traces"),
            http_metrics.OTLPMetricExporter(f"{url}/v1/metrics"),
            http_logs.OTLPLogExporter(f"{url}/v1/logs"),
        )
    else:
        place = url.replace("grpc:", "http:")
        exporters = (
            grpc_traces.OTLPSpanExporter(place, insecure=True),
            grpc_metrics.OTLPMetricExporter(place, insecure=True),
            grpc_logs.OTLPLogExporter(place, insecure=True),
        )
    traces, logs = TracerProvider(), LoggerProvider()
    traces.add_span_processor(SimpleSpanProcessor(exporters[0]))
    reader = PeriodicExportingMetricReader(exporters[1], export_interval_millis=float("inf"))
    metrics = MeterProvider([reader])
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporters[2]))
    for number in range(5):
        with traces.get_tracer("shop").start_as_current_span(f"order {number}"):
            metrics.get_meter("shop").create_counter("orders").add(1, {"number": number})
            record = logging.LogRecord("shop", logging.INFO, "", 0, f"order {number}", None, None)
            LoggingHandler(logger_provider=logs).emit(record)
    metrics.force_flush()
    for provider in (traces, metrics, logs):
        provider.shutdown()


class TestBothSessions:
    @pytest.mark.parametrize("settings", [CAPTURE, TARGET], ids=["capture", "target"])
    @pytest.mark.parametrize("outward", ["http", "grpc"])
    @pytest.mark.parametrize("inward", ["http", "grpc"])
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    async def test_they_are_equal_whatever_is_spoken(
        self, inward: Protocol, outward: Protocol, settings: ForwardSettings
    ) -> None:
        async with recorder() as back:
            async with (
                forwarding_to(back.url(outward), settings=settings) as forwarding,
                recorder(forwarding) as front,
            ):
                await anyio.to_thread.run_sync(export_everything, front.url(inward), inward)
                storage = front.storage
                assert front.refused == {}
                assert front.accepted == {"traces": 5, "metrics": 1, "logs": 5}
                with anyio.fail_after(HANGS_AFTER_S):
                    while forwarding.statuses[0].requests.queued:
                        await anyio.lowlevel.checkpoint()
                compared = or_raise(
                    await verify(storage, "s", "s", storage_b=back.storage, shift="none")
                )
                assert compared.equal
            assert back.accepted == {"traces": 5, "metrics": 1, "logs": 5}
        assert forwarding.statuses[0].requests == counted(delivered=11)


class TestCaptureAnswers:
    async def test_a_target_that_is_down_or_silent_stops_nothing(self) -> None:
        settings = attrs.evolve(CAPTURE, shutdown_timeout_s=0.05)
        async with (
            open_target(always(Silence())) as silent,
            forwarding_to(
                f"grpc://127.0.0.1:{free_port()}", silent.url, settings=settings
            ) as forwarding,
            recorder(forwarding) as front,
        ):
            answers = [await send_http(front) for _ in range(20)]
            await call(front)
            assert [answer.status for answer in answers] == [200] * 20
            assert len(await front.stored()) == 21
            assert front.refused == {}

        assert [status.requests.offered for status in forwarding.statuses] == [21, 21]
        assert [status.requests.delivered for status in forwarding.statuses] == [0, 0]

    async def test_a_target_that_is_killed_in_the_middle_gets_all_in_the_end(self) -> None:
        async with (
            open_target() as target,
            forwarding_to(target.url) as forwarding,
            recorder(forwarding) as front,
        ):
            for number in range(30):
                if number == 10:
                    await target.has_received(1)
                    await target.kill()
                body = otlp_logs(number)
                answer = await ask(front.port("http"), post("/v1/logs", body, PROTOBUF))
                assert answer.status == 200
            await target.start()

        assert forwarding.statuses[0].requests == counted(delivered=30)
        assert set(target.bodies) == {otlp_logs(number) for number in range(30)}

    async def test_a_required_target_that_does_not_keep_up_refuses_before_it_is_stored(
        self,
    ) -> None:
        goes_on = asyncio.Event()
        settings = attrs.evolve(CAPTURE, is_required=True, queue_requests=1)
        async with (
            open_target(always(Reply(after=goes_on))) as target,
            forwarding_to(target.url, settings=settings) as forwarding,
            recorder(forwarding) as front,
        ):
            assert (await send_http(front)).status == 200
            answer = await send_http(front)
            assert told(answer) == (503, UNAVAILABLE)
            assert answer.headers["retry-after"] == "1"
            assert await refused_call(front) == (
                "UNAVAILABLE",
                "The target does not keep up, and its queue is full. Come again later.",
                1.0,
            )
            assert front.refused == {"ForwardQueueFull": 2}
            assert len(await front.stored()) == 1
            goes_on.set()

    async def test_headers_that_are_kept_are_passed_on(self) -> None:
        async with (
            open_target() as target,
            forwarding_to(target.url) as forwarding,
            recorder(forwarding, keep_headers=("X-Tenant",)) as front,
        ):
            await send_http(front, "X-Tenant: a", "X-Other: b", "Authorization: Bearer secret")
            await call(front, ("x-tenant", "c"), ("authorization", "Bearer secret"))
            await target.has_received(2)

        assert [each.headers["x-tenant"] for each in target.received] == ["a", "c"]
        assert all("secret" not in str(each.headers) for each in target.received)
        assert all("x-other" not in each.headers for each in target.received)

    @pytest.mark.parametrize("is_raw", [True, False])
    async def test_json_goes_on_as_protobuf_unless_what_came_is_asked_for(
        self, *, is_raw: bool
    ) -> None:
        async with (
            open_target() as target,
            forwarding_to(target.url, settings=attrs.evolve(CAPTURE, is_raw=is_raw)) as forwarding,
            recorder(forwarding) as front,
        ):
            await send_json(front)
            await target.has_received(1)
            assert await front.stored() == [LOGS]

        (received,) = target.received
        text = or_raise(otlp.encode(LOGS, "logs", "json"))
        assert (received.headers["content-type"], received.body) == (
            (JSON, text) if is_raw else (PROTOBUF, LOGS)
        )


def otlp_logs(number: int) -> bytes:
    document = (
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1",'
        f'"body":{{"stringValue":"{number}"}}}}]}}]}}]}}'
    )
    return or_raise(otlp.decode(document.encode(), "logs", "json"))


class TestTargetAnswers:
    @asynccontextmanager
    async def before(
        self, outward: Protocol, reply: Reply, response: Response, settings: ForwardSettings
    ) -> AsyncIterator[tuple[Recorder, Forwarding]]:
        """Stand before a target that answers so at first, and then takes everything."""
        calls = iter([response])
        opened: Any = (
            open_target(at_first(reply))
            if outward == "http"
            else open_grpc_target(lambda _: next(calls, Response()))
        )
        async with (
            opened as target,
            forwarding_to(target.url, settings=settings) as forwarding,
            recorder(forwarding) as front,
        ):
            yield front, forwarding

    @pytest.mark.parametrize("outward", ["http", "grpc"])
    async def test_what_it_refuses_for_now_is_stored_sent_again_and_counted(
        self, outward: Protocol
    ) -> None:
        reply = refusal(503, "busy", Retry_After="7")
        response = Response(status="UNAVAILABLE", message="busy", retry_after_s=6.5)
        async with self.before(outward, reply, response, TARGET) as (front, forwarding):
            refused = await send_json(front)
            assert told(refused) == (503, UNAVAILABLE)
            assert refused.headers["retry-after"] == "7"
            assert (await send_json(front)).status == 200
            assert await front.stored() == [LOGS, LOGS]
            assert (front.accepted, front.refused) == ({"logs": 1}, {"TargetBusy": 1})
            assert forwarding.resent == 1
        assert forwarding.statuses[0].requests == counted(returned=1, delivered=1)

    @pytest.mark.parametrize("outward", ["http", "grpc"])
    async def test_grpc_clients_are_told_the_same(self, outward: Protocol) -> None:
        reply = refusal(503, "busy", Retry_After="7")
        response = Response(status="UNAVAILABLE", message="busy", retry_after_s=6.5)
        async with self.before(outward, reply, response, TARGET) as (front, forwarding):
            assert await refused_call(front) == ("UNAVAILABLE", "busy", 7.0)
            assert await call(front) == b""
            assert len(await front.stored()) == 2
            assert forwarding.resent == 1

    @pytest.mark.parametrize("outward", ["http", "grpc"])
    async def test_what_it_refuses_for_good_is_stored_and_told(self, outward: Protocol) -> None:
        reply, response = (
            refusal(400, "no logs"),
            Response(status="INVALID_ARGUMENT", message="no logs"),
        )
        async with self.before(outward, reply, response, TARGET) as (front, forwarding):
            refused = await send_json(front)
            assert (refused.status, "retry-after" in refused.headers) == (400, False)
            assert b"no logs" in refused.body
            assert await front.stored() == [LOGS]
            assert front.refused == {"TargetRefused": 1}
        assert forwarding.statuses[0].records == counted(rejected=1)

    @pytest.mark.parametrize("outward", ["http", "grpc"])
    async def test_a_partial_success_is_told_in_the_clients_words(self, outward: Protocol) -> None:
        part = PartialSuccess(1, "too old")
        for send, encoding in ((send_json, "json"), (send_http, "protobuf"), (call, "protobuf")):
            sending: Callable[[Recorder], Any] = send
            answered: Any
            async with self.before(outward, partly("logs", 1), partly_taken("logs", 1), TARGET) as (
                front,
                _,
            ):
                answered = await sending(front)
                assert (front.accepted, front.refused) == ({"logs": 1}, {})
            body = answered if isinstance(answered, bytes) else answered.body
            assert or_raise(otlp.decode_response(body, "logs", encoding)) == part  # type: ignore[arg-type]  # it is one

    async def test_while_it_is_down_the_capture_answers(self) -> None:
        settings = attrs.evolve(TARGET, shutdown_timeout_s=0.05)
        async with (
            forwarding_to(f"http://127.0.0.1:{free_port()}", settings=settings) as forwarding,
            recorder(forwarding) as front,
        ):
            assert (await send_http(front)).status == 200
            assert await call(front) == b""
            assert await front.stored() == [LOGS, LOGS]
        assert forwarding.statuses[0].requests.offered == 2

    async def test_while_it_is_down_and_required_clients_come_again(self) -> None:
        settings = attrs.evolve(TARGET, is_required=True)
        async with (
            forwarding_to(f"grpc://127.0.0.1:{free_port()}", settings=settings) as forwarding,
            recorder(forwarding) as front,
        ):
            refused = await send_http(front)
            assert told(refused) == (503, UNAVAILABLE)
            assert refused.headers["retry-after"] == "1"
            message = "The target did not answer. Come again later."
            assert await refused_call(front) == ("UNAVAILABLE", message, 1.0)
            assert (front.accepted, front.refused) == ({}, {"TargetDown": 2})
            assert forwarding.resent == 1


class TestLoop:
    async def test_one_that_forwards_to_itself_stores_once(self) -> None:
        port = free_port()
        async with (
            forwarding_to(f"http://127.0.0.1:{port}", settings=TARGET) as forwarding,
            recorder(forwarding, port=port) as front,
        ):
            refused = await send_http(front)
            assert refused.status == 508
            assert await front.stored() == [LOGS]
            assert front.refused == {"ForwardingLoop": 1, "TargetRefused": 1}
        assert forwarding.statuses[0].requests == counted(rejected=1)

    async def test_two_that_forward_to_each_other_store_once_each(self) -> None:
        port = free_port()
        async with (
            forwarding_to(f"http://127.0.0.1:{port}") as to_second,
            recorder(to_second) as first,
            forwarding_to(first.url("grpc")) as to_first,
            recorder(to_first, port=port) as second,
        ):
            assert (await send_http(first)).status == 200
            with anyio.fail_after(HANGS_AFTER_S):
                while not first.refused:
                    await anyio.lowlevel.checkpoint()
            assert first.refused == {"ForwardingLoop": 1}
            assert (await first.stored(), await second.stored()) == ([LOGS], [LOGS])
