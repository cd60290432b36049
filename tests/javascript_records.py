"""Records of stored requests, written as the JavaScript program writes those of its SDK.

Each is canonical JSON, in which every number is a double: JavaScript has no others.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otlp_capture.otlp import Signal
from tests.plain_records import records_in_context

_NUMBERS = {"as_int": 0, "as_double": 1}


def canonical(signal: str, record: dict[str, Any]) -> str:
    """Write a record, so that equal ones are equal text."""
    return json.dumps([signal, json.loads(json.dumps(record), parse_int=float)], sort_keys=True)


def described(signal: Signal, request: bytes) -> list[str]:
    """Write all records of a request."""
    return [
        canonical(
            signal,
            {
                "resource": _values(resource.resource.attributes),
                "scope": [scope.scope.name, scope.scope.version, _values(scope.scope.attributes)],
                **_DESCRIBE[signal](*levels),
            },
        )
        for resource, scope, *levels in records_in_context(request, signal)
    ]


def _span(span: Any) -> dict[str, Any]:
    return {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(),
        "traceState": span.trace_state,
        "name": span.name,
        "kind": span.kind,
        "start": str(span.start_time_unix_nano),
        "end": str(span.end_time_unix_nano),
        "attributes": _values(span.attributes),
        "events": [
            [event.name, str(event.time_unix_nano), _values(event.attributes)]
            for event in span.events
        ],
        "links": [
            [link.trace_id.hex(), link.span_id.hex(), link.trace_state, _values(link.attributes)]
            for link in span.links
        ],
        "status": [span.status.code, span.status.message],
        "dropped": [
            span.dropped_attributes_count,
            span.dropped_events_count,
            span.dropped_links_count,
        ],
    }


def _point(metric: Any, point: Any) -> dict[str, Any]:
    kind = metric.WhichOneof("data")
    return {
        "metric": metric.name,
        "description": metric.description,
        "unit": metric.unit,
        "kind": kind,
        **_MEASURED[kind](getattr(metric, kind), point),
        "attributes": _values(point.attributes),
        "start": str(point.start_time_unix_nano),
        "time": str(point.time_unix_nano),
    }


def _gauge(_: Any, point: Any) -> dict[str, Any]:
    which = point.WhichOneof("value")
    return {"number": [_NUMBERS[which], getattr(point, which)]}


def _sum(data: Any, point: Any) -> dict[str, Any]:
    return {
        **_gauge(data, point),
        "temporality": data.aggregation_temporality,
        "monotonic": data.is_monotonic,
    }


def _distribution(data: Any, point: Any) -> dict[str, Any]:
    return {
        "temporality": data.aggregation_temporality,
        "count": point.count,
        **{name: _optional(point, name) for name in ("sum", "min", "max")},
    }


def _histogram(data: Any, point: Any) -> dict[str, Any]:
    return {
        **_distribution(data, point),
        "boundaries": list(point.explicit_bounds),
        "counts": list(point.bucket_counts),
    }


def _exponential(data: Any, point: Any) -> dict[str, Any]:
    return {
        **_distribution(data, point),
        "scale": point.scale,
        "zeros": point.zero_count,
        **{
            side: [getattr(point, side).offset, list(getattr(point, side).bucket_counts)]
            for side in ("positive", "negative")
        },
    }


def _log_record(record: Any) -> dict[str, Any]:
    return {
        "time": str(record.time_unix_nano),
        "observed": str(record.observed_time_unix_nano),
        "severity": [record.severity_number, record.severity_text],
        "body": _value(record.body),
        "attributes": _values(record.attributes),
        "event": record.event_name,
        "traceId": record.trace_id.hex(),
        "spanId": record.span_id.hex(),
        "dropped": record.dropped_attributes_count,
    }


_DESCRIBE: Mapping[Signal, Callable[..., dict[str, Any]]] = {
    "traces": _span,
    "metrics": _point,
    "logs": _log_record,
}
_MEASURED: Mapping[str, Callable[[Any, Any], dict[str, Any]]] = {
    "gauge": _gauge,
    "sum": _sum,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
}


def _optional(point: Any, name: str) -> float | None:
    value: float | None = getattr(point, name) if point.HasField(name) else None
    return value


def _values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return {"map": _values(value.kvlist_value.values)}
        case "bytes_value":
            return {"bytes": value.bytes_value.hex()}
        case simple:
            return getattr(value, simple)
