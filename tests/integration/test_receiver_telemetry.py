"""What a receiver tells of the requests that it takes, on both transports."""

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otlp_capture.capture import CaptureConfig, CaptureSettings
from otlp_capture.otlp import scan
from otlp_capture.receiver import GrpcReceiverSettings, HttpReceiverSettings
from otlp_capture.result import or_raise
from otlp_capture.telemetry import SILENT
from tests.export_requests import JSON, PROTOBUF, REQUESTS, TRACES
from tests.grpc_calls import METHODS, calling
from tests.own_telemetry import Heard, listening
from tests.raw_http import ask, head, post
from tests.receiving import SESSION, receiving

pytestmark = pytest.mark.anyio

CONFIG = CaptureConfig(session_id=SESSION, capture_metrics=False)


@pytest.fixture
def heard() -> Heard:
    return listening()


def opened(heard: Heard) -> Any:
    return receiving(
        CONFIG,
        HttpReceiverSettings(port=0),
        CaptureSettings(linger_s=0.0),
        GrpcReceiverSettings(port=0),
        heard.telemetry,
    )


def key(**attributes: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((name.replace("__", "."), value) for name, value in attributes.items()))


def counts(heard: Heard, metric: str) -> dict[Any, int]:
    """Return how many durations there are by their attributes; each took some time."""
    unit, points = heard.metrics()[metric]
    assert unit == "s"
    assert all(total > 0 for _, total in points.values())
    return {attributes: count for attributes, (count, _) in points.items()}


async def test_a_scripted_run_over_http_is_measured_exactly(heard: Heard) -> None:
    async with opened(heard) as at_work:
        for request in (
            TRACES,
            TRACES,
            post("/v1/logs", b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{}]}]}]}', JSON),
            post("/v1/logs", b"{", JSON),
            post("/v1/metrics", REQUESTS["metrics"], PROTOBUF),
            post("/v2/traces", b"", PROTOBUF),
            head("PURGE", "/v1/traces"),
            b"garbage\r\n\r\n",
        ):
            await ask(at_work.port, request)
        at_work.store.refuses = True
        await ask(at_work.port, TRACES)

    size, logs = len(REQUESTS["traces"]), 57
    http, traces = {"otlp_capture__transport": "http"}, {"otlp_capture__signal": "traces"}
    metrics = heard.metrics()
    assert metrics["otlp_capture.receiver.requests"] == (
        "{request}",
        {
            key(**http, **traces): 2,
            key(**http, otlp_capture__signal="logs"): 1,
            key(**http, error__type="InvalidRequest"): 1,
            key(**http, error__type="SignalNotEnabled"): 1,
            key(**http, error__type="UnknownPath"): 1,
            key(**http, error__type="MethodNotAllowed"): 1,
            key(**http, error__type="MalformedHttp"): 1,
            key(**http, error__type="StorageFailure"): 1,
        },
    )
    signals = {key(**http, **traces): 2, key(**http, otlp_capture__signal="logs"): 1}
    assert metrics["otlp_capture.receiver.records"] == ("{record}", signals)
    assert metrics["otlp_capture.receiver.io"] == (
        "By",
        {key(**http, **traces): 2 * size, key(**http, otlp_capture__signal="logs"): logs},
    )
    post_to = {"http__request__method": "POST", "url__scheme": "http"}
    status, route = "http__response__status_code", "http__route"
    other = {"http__request__method": "_OTHER", "url__scheme": "http"}
    assert counts(heard, "http.server.request.duration") == {
        key(**post_to, **{route: "/v1/traces", status: 200}): 2,
        key(**post_to, **{route: "/v1/logs", status: 200}): 1,
        key(**post_to, **{route: "/v1/logs", status: 400}): 1,
        key(**post_to, **{route: "/v1/metrics", status: 404}): 1,
        key(**post_to, **{status: 404}): 1,
        key(**other, **{route: "/v1/traces", status: 405}): 1,
        key(**other, **{status: 400}): 1,
        key(**post_to, **{route: "/v1/traces", status: 503}, error__type="StorageFailure"): 1,
    }
    assert "rpc.server.call.duration" not in metrics


async def test_a_scripted_run_over_grpc_is_measured_exactly(heard: Heard) -> None:
    async with opened(heard) as at_work, calling(at_work.grpc_port) as calls:
        await calls.export("traces", REQUESTS["traces"])
        await calls.export("logs", b"\x0b")
        await calls.call("/no/method", b"")
        at_work.store.refuses = True
        await calls.export("traces", REQUESTS["traces"])

    grpc = {"otlp_capture__transport": "grpc"}
    metrics = heard.metrics()
    assert metrics["otlp_capture.receiver.requests"] == (
        "{request}",
        {
            key(**grpc, otlp_capture__signal="traces"): 1,
            key(**grpc, error__type="InvalidRequest"): 1,
            key(**grpc, error__type="UnknownMethod"): 1,
            key(**grpc, error__type="StorageFailure"): 1,
        },
    )
    rpc, status = {"rpc__system__name": "grpc"}, "rpc__response__status_code"
    traces, logs = (METHODS[signal].removeprefix("/") for signal in ("traces", "logs"))
    unknown = {"error__type": "UnknownMethod", status: "UNIMPLEMENTED"}
    failed = {"error__type": "StorageFailure", status: "UNAVAILABLE"}
    assert counts(heard, "rpc.server.call.duration") == {
        key(**rpc, rpc__method=traces, **{status: "OK"}): 1,
        key(**rpc, rpc__method=logs, **{status: "INVALID_ARGUMENT"}): 1,
        key(**rpc, rpc__method="_OTHER", **unknown): 1,
        key(**rpc, rpc__method=traces, **failed): 1,
    }
    assert "http.server.request.duration" not in metrics


async def test_where_nobody_listens_a_request_is_told_twice_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = list[str]()
    for name in ("operation", "received", "refused", "answered_http", "answered_grpc"):
        monkeypatch.setattr(type(SILENT), name, lambda _, *__, name=name: calls.append(name))
    async with receiving() as at_work:
        await ask(at_work.port, TRACES)

    assert calls == ["received", "answered_http"]


async def test_what_the_process_exports_has_nothing_of_ours_in_it(heard: Heard) -> None:
    async with opened(heard) as at_work:
        tracers = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{at_work.port}/v1/traces")
        tracers.add_span_processor(SimpleSpanProcessor(exporter))
        import anyio.to_thread  # noqa: PLC0415 - the exporter blocks

        def work() -> None:
            with tracers.get_tracer("shop").start_as_current_span("pay"):
                assert trace.get_current_span().is_recording()

        await anyio.to_thread.run_sync(work)
        or_raise(await at_work.capture.stop_capture(SESSION))
        kept = [*(await at_work.kept())]
        tracers.shutdown()

    (_, request), *others = kept
    assert others == []
    facts = or_raise(scan(request, "traces"))
    assert facts.record_count == 1
    assert b"otlp_capture" not in request
