"""Small export requests, spelled as HTTP, and what a refusal of them says."""

import json

from google.rpc.status_pb2 import (  # type: ignore[import-untyped]  # it ships no types
    Status,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp_capture.otlp import Signal
from tests.raw_http import Answer, post

PROTOBUF, JSON = "application/x-protobuf", "application/json"

INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED = 3, 4, 5, 8
FAILED_PRECONDITION, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 9, 12, 13, 14
PERMISSION_DENIED, UNAUTHENTICATED = 7, 16


def traces(*names: str) -> bytes:
    request = ExportTraceServiceRequest()
    for name in names:
        spans = request.resource_spans.add().scope_spans.add().spans
        spans.add(name=name, trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=1)
    return bytes(request.SerializeToString())


def metrics() -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="load")
    metric.gauge.data_points.add(time_unix_nano=1, as_double=0.5)
    return bytes(request.SerializeToString())


def logs(body: str = "a line") -> bytes:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    record.body.string_value = body
    return bytes(request.SerializeToString())


REQUESTS: dict[Signal, bytes] = {"traces": traces("GET /"), "metrics": metrics(), "logs": logs()}
TRACES = post("/v1/traces", REQUESTS["traces"], PROTOBUF)


def told(answer: Answer) -> tuple[int, int]:
    """Check an error's body, and return its HTTP status and its code."""
    if answer.headers["content-type"] == JSON:
        status = json.loads(answer.body)
        code, message = status["code"], status["message"]
    else:
        assert answer.headers["content-type"] == PROTOBUF
        parsed = Status.FromString(answer.body)
        code, message = parsed.code, parsed.message
    assert message
    return answer.status, code
