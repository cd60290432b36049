"""Own telemetry as the SDK has it, taken apart so that whole values can be compared."""

from collections.abc import Mapping
from typing import Any

import attrs
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otlp_capture.telemetry import Telemetry, telemetry_of


@attrs.frozen
class Heard:
    """What was told.

    Attributes:
        telemetry: tells it.
        tracers: where its spans come from.
    """

    telemetry: Telemetry
    tracers: TracerProvider
    _spans: InMemorySpanExporter
    _metrics: InMemoryMetricReader

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans that have ended, in that order."""
        return [*self._spans.get_finished_spans()]

    @property
    def names(self) -> list[tuple[str, Any]]:
        """Their names, and the errors that they ended with."""
        return [(span.name, (span.attributes or {}).get("error.type")) for span in self.spans]

    def metrics(self) -> dict[str, tuple[str, Mapping[tuple[Any, ...], Any]]]:
        """Return each metric's unit, and by attributes its sum, or its count and sum."""
        data = self._metrics.get_metrics_data()
        found = dict[str, tuple[str, Mapping[tuple[Any, ...], Any]]]()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = {_key(each): _value(each) for each in metric.data.data_points}
                    found[metric.name] = metric.unit or "", points
        return found


def _key(point: Any) -> tuple[Any, ...]:
    return tuple(sorted(point.attributes.items()))


def _value(point: Any) -> Any:
    return (point.count, point.sum) if hasattr(point, "count") else point.value


def listening() -> Heard:
    """Return a telemetry that keeps what is told in memory."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    return Heard(telemetry_of(tracers, meters), tracers, spans, reader)
