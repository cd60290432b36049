"""Requests as instrumented services send them: of every signal, large and small, from one seed."""

from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any, Final

import attrs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp_capture.otlp import SIGNALS, Signal

SEED: Final = 20_251_123
LARGE_RECORDS: Final = 5_000
SMALL_RECORDS: Final = 10
SERVICES: Final = ("cart", "checkout", "currency", "frontend", "payment", "shipping")

_START_NS: Final = 1_763_861_000_000_000_000
_MILLISECOND_NS: Final = 1_000_000
_CUMULATIVE: Final = 2
_SCOPE: Final = ("opentelemetry.instrumentation.shop", "0.59b0")
_ROUTES: Final = ("/api/cart", "/api/checkout", "/api/products/{id}", "/api/recommendations", "/")
_METHODS: Final = ("GET", "GET", "GET", "POST", "DELETE")
_STATUSES: Final = (200, 200, 200, 200, 201, 204, 404, 500)
_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_LINES: Final = (
    "order {id} placed by customer {n}, {m} items, total {n}.{m} EUR",
    "GET /api/products/{id} answered 200 in {m} ms",
    "retrying connection to payment-{m}.shop.svc.cluster.local:50051 after {n} ms",
    "cache miss for key product:{id}, loading from the database took {m} ms",
    "charge of {n}.{m} EUR refused by the issuer (code {m}, transaction {id})",
)


@attrs.frozen
class Sample:
    """One request to measure with.

    Attributes:
        name: how tables call it.
        signal: what it carries.
        request: protobuf bytes.
        has_floors: whether it is what the floors were set for: a large request that was built.
    """

    name: str
    signal: Signal
    request: bytes
    has_floors: bool = False


def sample(signal: Signal, record_count: int, seed: int = SEED) -> Sample:
    """Build a request of *record_count* records, about 340 bytes each, spread over services."""
    random = Random(f"{seed}/{signal}/{record_count}")  # noqa: S311 - a seed must repeat
    message, times = _MESSAGES[signal](), count(_START_NS, _MILLISECOND_NS)
    services = SERVICES[: max(1, min(len(SERVICES), record_count // SMALL_RECORDS))]
    for place, service in enumerate(services):
        share = len(range(place, record_count, len(services)))
        container = getattr(message, f"resource_{_PLURAL[signal]}").add()
        _describe(container.resource.attributes, service, random)
        scope = getattr(container, f"scope_{_PLURAL[signal]}").add()
        scope.scope.name, scope.scope.version = _SCOPE
        _FILL[signal](scope, share, random, times)
    return Sample(
        f"{record_count:,} {_WORDS[signal]}",
        signal,
        bytes(message.SerializeToString()),
        has_floors=record_count >= LARGE_RECORDS,
    )


def large_samples() -> list[Sample]:
    """One request of 5,000 records of each signal, about 1.7 MB each."""
    return [sample(signal, LARGE_RECORDS) for signal in SIGNALS]


def small_sample() -> Sample:
    """One request of ten spans, where the cost of a call shows."""
    return sample("traces", SMALL_RECORDS)


def _describe(attributes: Any, service: str, random: Random) -> None:
    _attribute(attributes, "service.name", service)
    _attribute(attributes, "service.version", f"1.{random.randrange(20)}.0")
    _attribute(attributes, "service.instance.id", random.randbytes(16).hex())
    _attribute(attributes, "k8s.pod.name", f"{service}-{random.randbytes(4).hex()}")
    _attribute(attributes, "telemetry.sdk.name", "opentelemetry")
    _attribute(attributes, "process.pid", random.randrange(1, 1 << 16))


def _attribute(attributes: Any, key: str, value: str | int) -> None:
    any_value = attributes.add(key=key).value
    if isinstance(value, str):
        any_value.string_value = value
    else:
        any_value.int_value = value


def _spans(scope: Any, record_count: int, random: Random, times: Iterator[int]) -> None:
    trace_id, parent_id = b"", b""
    for place in range(record_count):
        if place % 8 == 0:
            trace_id, parent_id = random.randbytes(16), b""
        start_ns = next(times) + random.randrange(_MILLISECOND_NS)
        route, method = random.choice(_ROUTES), random.choice(_METHODS)
        span = scope.spans.add(
            trace_id=trace_id,
            span_id=random.randbytes(8),
            parent_span_id=parent_id,
            flags=1,
            name=f"{method} {route}",
            kind=random.randrange(1, 6),
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + random.randrange(50, 90_000) * 1_000,
        )
        parent_id = parent_id or span.span_id
        status = random.choice(_STATUSES)
        _attribute(span.attributes, "http.request.method", method)
        _attribute(span.attributes, "http.route", route)
        _attribute(span.attributes, "http.response.status_code", status)
        _attribute(span.attributes, "server.address", "frontend.shop.svc.cluster.local")
        _attribute(span.attributes, "client.port", random.randrange(1 << 15, 1 << 16))
        _attribute(span.attributes, "enduser.id", f"customer-{random.randrange(100_000)}")
        if status == 500:  # noqa: PLR2004 - as HTTP calls it
            span.status.code = 2
            event = span.events.add(name="exception", time_unix_nano=start_ns + 1_000)
            _attribute(event.attributes, "exception.type", "TimeoutError")
            _attribute(event.attributes, "exception.message", f"no answer in {place % 90} ms")
        if place % 5 == 0:
            event = span.events.add(name="message", time_unix_nano=start_ns + 2_000)
            _attribute(event.attributes, "rpc.message.type", "SENT")
            _attribute(event.attributes, "rpc.message.id", place)
            _attribute(event.attributes, "rpc.message.uncompressed_size", place % 997)
        if place % 50 == 0:
            span.links.add(trace_id=random.randbytes(16), span_id=random.randbytes(8))


def _points(scope: Any, record_count: int, random: Random, times: Iterator[int]) -> None:
    """Fill metrics of a hundred points each: histograms, sums, gauges in turn."""
    for start in range(0, record_count, 100):
        points = range(min(100, record_count - start))
        number = start // 100
        metric = scope.metrics.add(name=f"http.server.request.{number}", unit="s")
        metric.description = "how long requests took"
        kind = ("histogram", "sum", "exponential_histogram", "gauge")[number % 4]
        data = getattr(metric, kind)
        if kind != "gauge":
            data.aggregation_temporality = _CUMULATIVE
        for _ in points:
            point = data.data_points.add(
                start_time_unix_nano=_START_NS - 3_600_000 * _MILLISECOND_NS,
                time_unix_nano=next(times),
            )
            _attribute(point.attributes, "http.request.method", random.choice(_METHODS))
            _attribute(point.attributes, "http.route", random.choice(_ROUTES))
            _attribute(point.attributes, "http.response.status_code", random.choice(_STATUSES))
            _attribute(point.attributes, "server.address", "frontend.shop.svc.cluster.local")
            _MEASURE[kind](point, random)


def _histogram(point: Any, random: Random) -> None:
    counts = [random.randrange(4_000) for _ in range(len(_BOUNDS) + 1)]
    point.count, point.sum = sum(counts), random.random() * sum(counts)
    point.min, point.max = random.random() / 100, 1 + random.random() * 9
    point.bucket_counts.extend(counts)
    point.explicit_bounds.extend(_BOUNDS)
    exemplar = point.exemplars.add(time_unix_nano=point.time_unix_nano - 1_000)
    exemplar.as_double, exemplar.trace_id = random.random(), random.randbytes(16)
    exemplar.span_id = random.randbytes(8)


def _exponential_histogram(point: Any, random: Random) -> None:
    counts = [random.randrange(400) for _ in range(40)]
    point.count, point.sum, point.scale = sum(counts), random.random() * sum(counts), 4
    point.positive.offset = -20
    point.positive.bucket_counts.extend(counts)


def _number(point: Any, random: Random) -> None:
    point.as_double = random.random() * 1_000
    _attribute(point.attributes, "process.cpu.state", random.choice(("user", "system", "wait")))
    _attribute(point.attributes, "host.name", f"node-{random.randrange(40)}.shop.internal")
    _attribute(point.attributes, "container.id", random.randbytes(16).hex())


def _log_records(scope: Any, record_count: int, random: Random, times: Iterator[int]) -> None:
    for _ in range(record_count):
        time_ns = next(times) + random.randrange(_MILLISECOND_NS)
        record = scope.log_records.add(
            time_unix_nano=time_ns,
            observed_time_unix_nano=time_ns + random.randrange(_MILLISECOND_NS),
            severity_number=9,
            severity_text="INFO",
            trace_id=random.randbytes(16),
            span_id=random.randbytes(8),
            flags=1,
        )
        identity, number = random.randbytes(8).hex(), random.randrange(10_000)
        line = random.choice(_LINES).format(id=identity, n=number, m=number % 97)
        record.body.string_value = line
        _attribute(record.attributes, "code.function.name", "shop.orders.place_order")
        _attribute(record.attributes, "code.line.number", random.randrange(400))
        _attribute(record.attributes, "thread.name", f"worker-{random.randrange(16)}")
        _attribute(record.attributes, "log.file.path", "/var/log/shop/orders.log")
        _attribute(record.attributes, "enduser.id", f"customer-{number}")


_Fill = Callable[[Any, int, Random, Iterator[int]], None]

_MESSAGES: Final[dict[Signal, Any]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
_PLURAL: Final[dict[Signal, str]] = {"traces": "spans", "metrics": "metrics", "logs": "logs"}
_WORDS: Final[dict[Signal, str]] = {
    "traces": "spans",
    "metrics": "data points",
    "logs": "log records",
}
_FILL: Final[dict[Signal, _Fill]] = {
    "traces": _spans,
    "metrics": _points,
    "logs": _log_records,
}
_MEASURE: Final[dict[str, Callable[[Any, Random], None]]] = {
    "histogram": _histogram,
    "exponential_histogram": _exponential_histogram,
    "sum": _number,
    "gauge": _number,
}
