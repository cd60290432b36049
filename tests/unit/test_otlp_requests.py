"""Facts, shifts, canonical records and descriptions of requests written out in full."""

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, CanonicalRecord, RequestFacts, TimestampOutOfRange
from otlp_capture.otlp.messages import request_table
from otlp_capture.otlp.tables import MessageTable


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


CART = Resource(attributes=[text("service.name", "cart"), text("host", "a")])


def logs(*records: LogRecord) -> bytes:
    scope = ScopeLogs(scope=InstrumentationScope(name="s"), log_records=records)
    request = ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=CART, scope_logs=[scope])]
    )
    return bytes(request.SerializeToString())


def spans(*items: Span, resource: Resource = CART) -> bytes:
    container = ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=items)])
    return bytes(ExportTraceServiceRequest(resource_spans=[container]).SerializeToString())


def metrics(*items: Metric) -> bytes:
    container = ResourceMetrics(resource=CART, scope_metrics=[ScopeMetrics(metrics=items)])
    return bytes(ExportMetricsServiceRequest(resource_metrics=[container]).SerializeToString())


ALL_METRICS = metrics(
    Metric(name="g", gauge=Gauge(data_points=[NumberDataPoint(time_unix_nano=5)])),
    Metric(
        name="s",
        sum=Sum(
            data_points=[
                NumberDataPoint(
                    start_time_unix_nano=1,
                    time_unix_nano=4,
                    exemplars=[Exemplar(time_unix_nano=2), Exemplar()],
                ),
                NumberDataPoint(),
            ]
        ),
    ),
    Metric(name="h", histogram=Histogram(data_points=[HistogramDataPoint(time_unix_nano=9)])),
    Metric(
        name="e",
        exponential_histogram=ExponentialHistogram(
            data_points=[ExponentialHistogramDataPoint(time_unix_nano=6)]
        ),
    ),
    Metric(name="q", summary=Summary(data_points=[SummaryDataPoint(time_unix_nano=7)])),
    Metric(name="none"),
)


class TestScan:
    def test_points_of_all_metric_types_count_and_start_times_do_not(self) -> None:
        assert otlp.scan(ALL_METRICS, "metrics") == Success(RequestFacts(6, 4, 9, ("cart",)))

    def test_a_log_without_a_time_has_its_observed_time(self) -> None:
        request = logs(
            LogRecord(time_unix_nano=8, observed_time_unix_nano=99),
            LogRecord(observed_time_unix_nano=7),
            LogRecord(),
        )

        assert otlp.scan(request, "logs") == Success(RequestFacts(3, 7, 8, ("cart",)))

    def test_starts_and_ends_of_spans_bound_it(self) -> None:
        request = spans(
            Span(start_time_unix_nano=3, end_time_unix_nano=10),
            Span(end_time_unix_nano=4),
            Span(events=[Span.Event(time_unix_nano=1)]),
        )

        assert otlp.scan(request, "traces") == Success(RequestFacts(3, 3, 10, ("cart",)))

    def test_services_are_sorted_and_once_and_never_empty(self) -> None:
        names = ["b", "a", "b", ""]
        request = b"".join(
            spans(resource=Resource(attributes=[text("service.name", name)])) for name in names
        )

        assert otlp.scan(request, "traces") == Success(RequestFacts(0, 0, 0, ("a", "b")))


class TestShift:
    def test_the_fields_that_move_are_these(self) -> None:
        moving: set[str] = set()

        def collect(table: MessageTable, seen: set[str]) -> None:
            if table.full_name in seen:
                return
            seen.add(table.full_name)
            owner = table.full_name.removeprefix("opentelemetry.proto.")
            moving.update(f"{owner}.{name}" for name in table.timestamps)
            for field in table.by_number.values():
                if field.kind == "message":
                    collect(field.message, seen)

        for signal in SIGNALS:
            collect(request_table(signal), set())

        points = ("Number", "Histogram", "ExponentialHistogram", "Summary")
        assert moving == {
            "trace.v1.Span.start_time_unix_nano",
            "trace.v1.Span.end_time_unix_nano",
            "trace.v1.Span.Event.time_unix_nano",
            "logs.v1.LogRecord.time_unix_nano",
            "logs.v1.LogRecord.observed_time_unix_nano",
            "metrics.v1.Exemplar.time_unix_nano",
            *(f"metrics.v1.{each}DataPoint.time_unix_nano" for each in points),
            *(f"metrics.v1.{each}DataPoint.start_time_unix_nano" for each in points),
        }

    @pytest.mark.parametrize(
        ("value", "delta_ns"), [(5, -5), (5, -6), (2**64 - 1, 1), (1, 2**64 - 1)]
    )
    def test_a_timestamp_that_would_leave_its_range_stops_the_request(
        self, value: int, delta_ns: int
    ) -> None:
        request = spans(Span(start_time_unix_nano=100 + 2**63), Span(end_time_unix_nano=value))

        outcome = otlp.shift_timestamps(request, "traces", delta_ns)

        if value == 1:
            assert isinstance(outcome.failure(), TimestampOutOfRange)
            return
        assert outcome == Failure(TimestampOutOfRange("endTimeUnixNano", value, delta_ns))

    def test_the_error_says_what_would_have_become_of_it(self) -> None:
        error = otlp.shift_timestamps(logs(LogRecord(time_unix_nano=5)), "logs", -5).failure()

        assert error.message == (
            "timeUnixNano 5 moved by -5 ns is 0, outside 1 to 18446744073709551615. "
            "Choose a smaller shift."
        )

    def test_malformed_bytes_are_refused(self) -> None:
        assert isinstance(
            otlp.shift_timestamps(b"\n\x05", "logs", 1).failure(), otlp.InvalidRequest
        )


def records(request: bytes, signal: otlp.Signal) -> tuple[CanonicalRecord, ...]:
    return otlp.canonical_records(request, signal).unwrap().records


class TestCanonicalRecords:
    def test_paths_and_services_are_named(self) -> None:
        point = "resourceMetrics[0].scopeMetrics[0].metrics"

        found = [
            (each.path, each.service, each.base_time) for each in records(ALL_METRICS, "metrics")
        ]

        assert found == [
            (f"{point}[0].gauge.dataPoints[0]", "cart", 5),
            (f"{point}[1].sum.dataPoints[0]", "cart", 4),
            (f"{point}[1].sum.dataPoints[1]", "cart", 0),
            (f"{point}[2].histogram.dataPoints[0]", "cart", 9),
            (f"{point}[3].exponentialHistogram.dataPoints[0]", "cart", 6),
            (f"{point}[4].summary.dataPoints[0]", "cart", 7),
        ]

    @pytest.mark.parametrize(
        ("record", "base_time"),
        [
            (Span(start_time_unix_nano=3, end_time_unix_nano=2), 3),
            (Span(end_time_unix_nano=2, events=[Span.Event(time_unix_nano=9)]), 2),
            (Span(events=[Span.Event(), Span.Event(time_unix_nano=9)]), 9),
            (Span(), 0),
        ],
    )
    def test_the_base_time_is_the_records_own_or_else_the_first_inside(
        self, record: Span, base_time: int
    ) -> None:
        assert [each.base_time for each in records(spans(record), "traces")] == [base_time]

    def test_an_unset_timestamp_is_not_an_offset_of_zero(self) -> None:
        unset, at_once = records(
            spans(
                Span(start_time_unix_nano=7),
                Span(start_time_unix_nano=7, end_time_unix_nano=7),
            ),
            "traces",
        )

        assert unset.fingerprint != at_once.fingerprint
        assert unset.identity == at_once.identity

    def test_regrouping_and_rebatching_change_nothing(self) -> None:
        one, two = Span(span_id=b"1" * 8), Span(span_id=b"2" * 8)
        together = spans(one, two)
        swapped = Resource(attributes=list(reversed(CART.attributes)))
        apart = spans(two, resource=swapped) + spans(one)

        outline = {(each.identity, each.fingerprint) for each in records(together, "traces")}

        assert {(each.identity, each.fingerprint) for each in records(apart, "traces")} == outline

    @pytest.mark.parametrize(
        "other",
        [
            Metric(name="m", unit="s", gauge=Gauge(data_points=[NumberDataPoint(as_int=1)])),
            Metric(name="m", sum=Sum(data_points=[NumberDataPoint(as_int=1)])),
            Metric(name="m", gauge=Gauge(data_points=[NumberDataPoint(as_double=1)])),
            Metric(
                name="m",
                metadata=[text("a", "b")],
                gauge=Gauge(data_points=[NumberDataPoint(as_int=1)]),
            ),
        ],
    )
    def test_a_points_metric_and_type_are_part_of_it(self, other: Metric) -> None:
        plain = Metric(name="m", gauge=Gauge(data_points=[NumberDataPoint(as_int=1)]))

        (one,) = records(metrics(plain), "metrics")
        (two,) = records(metrics(other), "metrics")

        assert one.identity == two.identity
        assert one.fingerprint != two.fingerprint

    def test_explicit_zeros_and_types_of_values_are_told_apart(self) -> None:
        values = [
            AnyValue(),
            AnyValue(bool_value=False),
            AnyValue(int_value=0),
            AnyValue(double_value=0.0),
            AnyValue(double_value=-0.0),
            AnyValue(string_value=""),
            AnyValue(bytes_value=b""),
        ]

        found = records(logs(*(LogRecord(body=value) for value in values), LogRecord()), "logs")

        assert len({each.fingerprint for each in found}) == len(values) + 1

    def test_attributes_of_one_key_keep_their_order(self) -> None:
        one = LogRecord(attributes=[text("a", "1"), text("a", "2")])
        other = LogRecord(attributes=[text("a", "2"), text("a", "1")])

        first, second = records(logs(one, other), "logs")

        assert first.fingerprint != second.fingerprint

    def test_containers_without_records_count_when_they_hold_unknown_fields(self) -> None:
        unknown = b"\xc0\x3e\x07"
        request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=CART)])
        assert records(request.SerializeToString(), "logs") == ()
        request.resource_logs[0].resource.MergeFromString(unknown)
        request.MergeFromString(unknown)

        found = records(request.SerializeToString(), "logs")

        assert [(each.path, each.base_time, each.is_container) for each in found] == [
            ("resourceLogs[0]", 0, True),
            ("", 0, True),
        ]
        described = otlp.describe(request.SerializeToString(), "logs", "")
        assert described == {"request": {"unknownFields": unknown.hex()}}

    def test_malformed_bytes_are_refused(self) -> None:
        assert isinstance(otlp.canonical_records(b"\xff", "logs").failure(), otlp.InvalidRequest)


class TestDescribe:
    def test_it_shows_the_record_in_its_context(self) -> None:
        record = LogRecord(
            time_unix_nano=5,
            trace_id=b"\x01\xab",
            severity_number=9,  # type: ignore[arg-type]  # an enum is its number
            body=AnyValue(double_value=float("nan")),
            attributes=[text("b", "1"), text("a", "2"), text("b", "3"), KeyValue(key="n")],
        )
        record.MergeFromString(b"\xc0\x3e\x07")

        described = otlp.describe(
            logs(record), "logs", "resourceLogs[0].scopeLogs[0].logRecords[0]"
        )

        assert described == {
            "resourceLogs": {
                "resource": {
                    "attributes": {
                        "service.name": {"stringValue": "cart"},
                        "host": {"stringValue": "a"},
                    }
                }
            },
            "scopeLogs": {"scope": {"name": "s"}},
            "logRecords": {
                "timeUnixNano": 5,
                "traceId": "01ab",
                "severityNumber": 9,
                "body": {"doubleValue": "NaN"},
                "attributes": {
                    "b": {"stringValue": "1"},
                    "a": {"stringValue": "2"},
                    "b#2": {"stringValue": "3"},
                    "n": "no value",
                },
                "unknownFields": "c03e07",
            },
        }

    @pytest.mark.parametrize(
        "path",
        [
            "resourceLogs[7]",
            "resourceSpans[0]",
            "resourceLogs[0].schemaUrl",
            "resourceLogs[-1]",
            "resourceLogs[0]..scopeLogs[0]",
        ],
    )
    def test_a_path_that_is_none_is_an_error_of_the_caller(self, path: str) -> None:
        with pytest.raises(ValueError, match="is no path"):
            otlp.describe(logs(LogRecord()), "logs", path)

    def test_the_first_difference_names_the_field(self) -> None:
        path = "resourceSpans[0].scopeSpans[0].spans[0]"
        left = spans(Span(name="a", attributes=[text("x", "1"), text("y", "2")]))
        right = spans(Span(name="a", attributes=[text("y", "3"), text("x", "1")]))

        difference = otlp.first_difference(
            otlp.describe(left, "traces", path), otlp.describe(right, "traces", path)
        )

        assert difference == ("spans.attributes.y.stringValue", "2", "3")

    @pytest.mark.parametrize(
        ("left", "right", "expected"),
        [
            ({"a": 1}, {"a": 1.0}, ("a", 1, 1.0)),
            ({"a": 1}, {"a": True}, ("a", 1, True)),
            ({"a": 0.0}, {"a": -0.0}, ("a", 0.0, -0.0)),
            ({"a": 1}, {}, ("a", 1, None)),
            ({}, {"b": [1]}, ("b", None, [1])),
            ({"a": [1, 2]}, {"a": [1]}, ("a[1]", 2, None)),
            ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ("a[0].b", 1, 2)),
            ({"timeUnixNano": 1}, {"timeUnixNano": 4}, ("timeUnixNano", 1, 4)),
            ({"timeUnixNano": 1}, {}, ("timeUnixNano", 1, None)),
            ({"startTimeUnixNano": 1}, {"startTimeUnixNano": 3}, None),
            ({"count": 1}, {"count": 3}, ("count", 1, 3)),
        ],
    )
    def test_values_are_compared_with_their_types_and_the_declared_shift(
        self, left: dict[str, object], right: dict[str, object], expected: object
    ) -> None:
        assert otlp.first_difference(left, right, shift_ns=2) == expected
