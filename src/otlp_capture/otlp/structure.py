"""Where the records of each signal stand inside a request, and when they happened."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from otlp_capture.otlp.messages import Message
from otlp_capture.otlp.signals import Signal

RESOURCES: Final[Mapping[Signal, str]] = {
    "traces": "resource_spans",
    "metrics": "resource_metrics",
    "logs": "resource_logs",
}
SCOPES: Final[Mapping[Signal, str]] = {
    "traces": "scope_spans",
    "metrics": "scope_metrics",
    "logs": "scope_logs",
}
ITEMS: Final[Mapping[Signal, str]] = {
    "traces": "spans",
    "metrics": "metrics",
    "logs": "log_records",
}
DATA_POINTS: Final = "data_points"

_SERVICE_NAME: Final = "service.name"


def service_of(container: Message) -> str:
    """Return `service.name` of a ResourceSpans, -Metrics or -Logs; `""` where it has none."""
    for attribute in container.resource.attributes:
        if attribute.key == _SERVICE_NAME:
            return str(attribute.value.string_value)
    return ""


def record_groups(request: Message, signal: Signal) -> Iterator[Any]:
    """Yield each repeated field that holds records: spans, data points of a metric, log records."""
    for container in getattr(request, RESOURCES[signal]):
        for scope in getattr(container, SCOPES[signal]):
            items = getattr(scope, ITEMS[signal])
            if signal == "metrics":
                yield from map(_points_of, items)
            else:
                yield items


def data_of(metric: Message) -> str | None:
    """Return the name of the field that holds a metric's points, such as `gauge`."""
    name: str | None = metric.WhichOneof("data")
    return name


def _points_of(metric: Message) -> Any:
    name = data_of(metric)
    return () if name is None else getattr(getattr(metric, name), DATA_POINTS)


def span_times(span: Message) -> tuple[int, ...]:
    """Return a span's start and end."""
    return span.start_time_unix_nano, span.end_time_unix_nano


def point_times(point: Message) -> tuple[int, ...]:
    """Return a data point's time."""
    return (point.time_unix_nano,)


def log_times(record: Message) -> tuple[int, ...]:
    """Return a log record's time, or else when it was observed."""
    return (record.time_unix_nano or record.observed_time_unix_nano,)


RECORD_TIMES: Final = {"traces": span_times, "metrics": point_times, "logs": log_times}
"""The times of a record, nanoseconds since the Unix epoch; zero is unset. The first is its own."""

RECORD_TIME_FIELDS: Final[Mapping[Signal, tuple[str, ...]]] = {
    "traces": ("start_time_unix_nano", "end_time_unix_nano"),
    "metrics": ("time_unix_nano",),
    "logs": ("time_unix_nano",),
}
"""The names of the same."""
FALLBACK_TIME_FIELDS: Final[Mapping[Signal, tuple[str, ...]]] = {
    "traces": (),
    "metrics": (),
    "logs": ("observed_time_unix_nano",),
}
"""What stands for them where they are not set."""
