"""An application that notes down all that it exports, to be recorded and compared.

Its in-memory exporters see what its OTLP exporters send; at the end it writes that, encoded, into
the folder that it is given, one file a request: `{signal}-{number}.bin`. The environment says by
which protocol it exports.
"""

import os
import sys
from pathlib import Path
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetricExporter,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

ATTRIBUTES: dict[str, Any] = {
    "text": "zażółć gęślą jaźń 🙂 \x00\t\n",
    "empty": "",
    "yes": True,
    "no": False,
    "zero": 0,
    "smallest": -(2**63),
    "largest": 2**63 - 1,
    "double": 0.1,
    "infinity": float("inf"),
    "none": float("nan"),
    "texts": ["a", "", "ü"],
    "numbers": [1, -1, 0],
    "doubles": [1.5, float("-inf")],
    "switches": [True, False],
    "nothing": [],
    "ключ": "значение",
}
RESOURCE = Resource.create({"service.name": "observed", "process.tags": ["x", "y"], **ATTRIBUTES})
REMOTE = SpanContext(
    trace_id=0x0AF7651916CD43DD8448EB211C80319C,
    span_id=0x00F067AA0BA902B7,
    is_remote=True,
    trace_flags=TraceFlags(TraceFlags.SAMPLED),
    trace_state=TraceState([("vendor", "value"), ("other", "1")]),
)


def seen_metrics(exporter: Any) -> list[MetricsData]:
    """Return a list into which all that an exporter of metrics exports is put from now on."""
    seen: list[MetricsData] = []
    export = exporter.export

    def see(data: MetricsData, *options: Any, **more: Any) -> MetricExportResult:
        seen.append(data)
        result: MetricExportResult = export(data, *options, **more)
        return result

    exporter.export = see
    return seen


def over_grpc(signal: str) -> bool:
    """Whether a signal is exported over gRPC, as an SDK decides it."""
    general = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    return os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", general) == "grpc"


def main(folder: Path) -> None:
    """Do some of everything, twice, and write what was seen."""
    spans, logs, pulled, pushed = (
        InMemorySpanExporter(),
        InMemoryLogRecordExporter(),  # type: ignore[no-untyped-call]  # it is not typed
        InMemoryMetricReader(),
        GrpcMetricExporter() if over_grpc("METRICS") else OTLPMetricExporter(),
    )
    seen = seen_metrics(pushed)
    tracers = TracerProvider(resource=RESOURCE, span_limits=SpanLimits(max_events=3, max_links=2))
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    span_exporter = GrpcSpanExporter() if over_grpc("TRACES") else OTLPSpanExporter()
    tracers.add_span_processor(BatchSpanProcessor(span_exporter, max_export_batch_size=7))
    loggers = LoggerProvider(resource=RESOURCE)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    log_exporter = GrpcLogExporter() if over_grpc("LOGS") else OTLPLogExporter()
    loggers.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
    meters = MeterProvider(
        [pulled, PeriodicExportingMetricReader(pushed, export_interval_millis=60_000)],
        resource=RESOURCE,
        views=[
            View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())
        ],
    )
    application = Application(tracers, meters, loggers)
    for _ in range(2):
        application.work()
        meters.force_flush()
        data = pulled.get_metrics_data()
        assert data is not None
        pushed.export(data)
    for provider in (tracers, meters, loggers):
        provider.shutdown()
    requests: dict[str, list[Any]] = {
        "traces": [encode_spans(spans.get_finished_spans())],
        "metrics": [encode_metrics(data) for data in seen],
        "logs": [encode_logs(logs.get_finished_logs())],
    }
    for signal, encoded in requests.items():
        for number, request in enumerate(encoded):
            (folder / f"{signal}-{number}.bin").write_bytes(request.SerializeToString())


class Application:
    """Has something of every kind to tell."""

    def __init__(
        self, tracers: TracerProvider, meters: MeterProvider, loggers: LoggerProvider
    ) -> None:
        self._tracer = tracers.get_tracer("observed", "1.0", "https://example.org/schema", {"a": 1})
        self._other = tracers.get_tracer("other")
        self._logger = loggers.get_logger("observed", "1.0", attributes={"scope": "logs"})
        meter = meters.get_meter("observed", "1.0", attributes={"scope": "metrics"})
        self._counter = meter.create_counter("counter", "{thing}", "Things")
        self._balance = meter.create_up_down_counter("balance")
        self._gauge = meter.create_gauge("gauge", "Cel", "°C")
        self._histogram = meter.create_histogram(
            "histogram", "ms", explicit_bucket_boundaries_advisory=[0.0, 0.5, 10.0]
        )
        self._exponential = meter.create_histogram("exponential", "By")
        meter.create_observable_counter("observed.counter", [self._observe])
        meter.create_observable_up_down_counter("observed.balance", [self._observe])
        meter.create_observable_gauge("observed.gauge", [self._observe])

    def work(self) -> None:
        """Tell it."""
        parent = set_span_in_context(NonRecordingSpan(REMOTE))
        links = [Link(REMOTE, {"number": number}) for number in range(4)]
        with self._tracer.start_as_current_span(
            "root", parent, SpanKind.SERVER, ATTRIBUTES, links
        ) as root:
            for kind in SpanKind:
                with self._other.start_as_current_span(f"child {kind.name}", kind=kind) as child:
                    child.set_attributes(ATTRIBUTES)
                    self._measure(float(kind.value))
            for number in range(5):
                root.add_event(f"event {number}", ATTRIBUTES, timestamp=number + 1)
            self._tell()
        with self._tracer.start_as_current_span("failing", attributes={}) as span:
            span.set_status(Status(StatusCode.ERROR, "broken: ✗"))
            span.record_exception(ValueError("no value"))
        with self._tracer.start_as_current_span("fine") as span:
            span.set_status(StatusCode.OK)
        self._tell()

    def _measure(self, value: float) -> None:
        attributes: dict[str, Any] = {"value": value, **ATTRIBUTES}
        del attributes["none"]  # NaN is unequal to itself: each would be a series of its own
        self._counter.add(value, attributes)
        self._balance.add(-value)
        self._gauge.set(value * 1e300, {"list": ["a", "b"]})
        self._histogram.record(value, {"bucket": "explicit"})
        self._exponential.record(value * 1_000_003, attributes)
        self._exponential.record(0.0)

    def _observe(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(7, {"kind": "int"}), Observation(-0.0, {"kind": "double"})]

    def _tell(self) -> None:
        bodies: list[Any] = [
            "plain",
            None,
            {"nested": {"list": [1, "two", None, {"deep": b"\x00\xff"}]}, "": ""},
            [True, 1.5],
            b"bytes\xff",
            -1,
        ]
        for number, body in enumerate(bodies):
            self._logger.emit(
                LogRecord(
                    timestamp=number,
                    observed_timestamp=1_700_000_000_000_000_000 + number,
                    severity_number=SeverityNumber(number * 4 + 1),
                    severity_text=f"SEVERITY {number}",
                    body=body,
                    attributes={**ATTRIBUTES, "map": {"a": [1, None]}, "bytes": b"\x80"},
                    event_name="an.event" if number else None,
                )
            )
        self._logger.emit(body="short", severity_text="INFO")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
