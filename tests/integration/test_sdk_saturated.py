"""A receiver that cannot take more makes the official exporters come again, and none drops."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from grpc import Compression as GrpcCompression
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otlp_capture.otlp import Signal
from otlp_capture.receiver import GrpcReceiverSettings, HttpReceiverSettings
from tests.clocks import HANGS_AFTER_S
from tests.export_requests import PROTOBUF, logs
from tests.raw_http import post, raw_connection
from tests.receiving import Receiving, receiving, until

pytestmark = pytest.mark.anyio

SIZE = 100_000


def telemetry() -> dict[Signal, tuple[Any, bytes]]:
    """Make something of each signal: as the SDK has it, and as it is exported."""
    spans, records, reader = (
        InMemorySpanExporter(),
        InMemoryLogRecordExporter(),  # type: ignore[no-untyped-call]  # it is not typed
        InMemoryMetricReader(),
    )
    tracers, loggers, meters = TracerProvider(), LoggerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(records))
    tracers.get_tracer("t").start_span("a span").end()
    loggers.get_logger("l").emit(body="a line")
    meters.get_meter("m").create_counter("counter").add(1)
    data: Any = reader.get_metrics_data()
    for provider in (tracers, loggers, meters):
        provider.shutdown()
    made: dict[Signal, tuple[Any, Any]] = {
        "traces": (spans.get_finished_spans(), encode_spans),
        "metrics": (data, encode_metrics),
        "logs": (records.get_finished_logs(), encode_logs),
    }
    return {name: (what, encode(what).SerializeToString()) for name, (what, encode) in made.items()}


def http_exporters(opened: Receiving, compression: str) -> dict[Signal, Any]:
    def made(exporter: Callable[..., Any], signal: Signal) -> Any:
        endpoint = f"{opened.receiver.url}/v1/{signal}"
        return exporter(endpoint=endpoint, compression=HttpCompression(compression), timeout=60)

    return {
        "traces": made(http_traces.OTLPSpanExporter, "traces"),
        "metrics": made(http_metrics.OTLPMetricExporter, "metrics"),
        "logs": made(http_logs.OTLPLogExporter, "logs"),
    }


def grpc_exporters(opened: Receiving, compression: str) -> dict[Signal, Any]:
    chosen = {"gzip": GrpcCompression.Gzip, "none": GrpcCompression.NoCompression}[compression]
    endpoint = f"http://127.0.0.1:{opened.grpc_port}"
    options: dict[str, Any] = {"endpoint": endpoint, "compression": chosen, "timeout": 60}
    return {
        "traces": grpc_traces.OTLPSpanExporter(**options),
        "metrics": grpc_metrics.OTLPMetricExporter(**options),
        "logs": grpc_logs.OTLPLogExporter(**options),
    }


@asynccontextmanager
async def refusing_store(opened: Receiving) -> AsyncGenerator[None]:
    opened.store.refuses = True
    yield
    opened.store.refuses = False


@asynccontextmanager
async def spent_budget(opened: Receiving) -> AsyncGenerator[None]:
    """Hold back a request that takes nearly all of the budget, which both transports share."""
    opened.store.hold()
    async with raw_connection(opened.port) as connection:
        await connection.write(post("/v1/logs", logs("x" * (SIZE - 50)), PROTOBUF))
        await opened.store.waiting.wait()
        yield
        opened.store.is_open.set()
        assert (await connection.answer()).status == 200


@pytest.mark.parametrize("exporters", [http_exporters, grpc_exporters])
@pytest.mark.parametrize(
    ("trouble", "reason", "compression"),
    [
        (refusing_store, "StorageFailure", "gzip"),
        (refusing_store, "StorageFailure", "none"),
        (spent_budget, "Overloaded", "gzip"),
        (spent_budget, "Overloaded", "none"),
    ],
)
async def test_all_arrives_in_the_end(
    exporters: Callable[[Receiving, str], dict[Signal, Any]],
    trouble: Callable[[Receiving], Any],
    reason: str,
    compression: str,
) -> None:
    made = telemetry()
    results: dict[str, str] = {}
    shared: dict[str, Any] = {"max_body_bytes": SIZE, "max_in_flight_bytes": SIZE}

    async def export(signal: Signal, exporter: Any) -> None:
        result = await anyio.to_thread.run_sync(exporter.export, made[signal][0])
        results[signal] = result.name
        await anyio.to_thread.run_sync(exporter.shutdown)

    async with receiving(
        settings=HttpReceiverSettings(port=0, **shared),
        grpc=GrpcReceiverSettings(port=0, **shared),
    ) as opened:
        with anyio.fail_after(HANGS_AFTER_S):
            async with anyio.create_task_group() as tasks, trouble(opened):
                for signal, exporter in exporters(opened, compression).items():
                    tasks.start_soon(export, signal, exporter)
                await until(lambda: opened.tally.refused.total() >= 3)
        kept = await opened.kept()

    assert results == dict.fromkeys(made, "SUCCESS")
    assert {*opened.tally.refused} == {reason}
    assert Counter((signal, request) for signal, (_, request) in made.items()) <= kept
    assert kept.total() == 3 + (reason == "Overloaded")
