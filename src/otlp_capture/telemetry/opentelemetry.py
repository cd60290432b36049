"""Own spans and metrics through opentelemetry-api, by its semantic conventions.

Source: OpenTelemetry semantic conventions 1.40, HTTP and RPC metrics, recording errors.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from otlp_capture.result import Fault
from otlp_capture.telemetry.protocol import Attributes, Noted, Telemetry

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import TracerProvider

_SCOPE: Final = "otlp_capture"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def telemetry_of(tracer_provider: "TracerProvider", meter_provider: "MeterProvider") -> Telemetry:
    """Return what makes spans and metrics with these providers.

    Give providers that do not export to a receiver of this process: what it takes would grow by
    what it tells of it.
    """
    return _OpenTelemetry(tracer_provider, meter_provider)


class _OpenTelemetry:
    def __init__(self, tracer_provider: "TracerProvider", meter_provider: "MeterProvider") -> None:
        own = version("otlp-capture")
        self._tracer = tracer_provider.get_tracer(_SCOPE, own)
        self._meter = meter_provider.get_meter(_SCOPE, own)
        self._http = self._duration("http.server.request.duration", "Duration of HTTP requests.")
        self._grpc = self._duration("rpc.server.call.duration", "Duration of gRPC calls.")
        self._publish = self._duration(
            "otlp_capture.spool.publish.duration", "Duration of attempts to publish a segment."
        )
        self._sync = self._duration(
            "otlp_capture.spool.sync.duration", "Duration of group commits to the spool."
        )
        self._requests = self._meter.create_counter(
            "otlp_capture.receiver.requests", "{request}", "Export requests, kept and refused."
        )
        self._size = self._meter.create_counter(
            "otlp_capture.receiver.io", "By", "Bytes of the bodies that were kept."
        )
        self._records = self._meter.create_counter(
            "otlp_capture.receiver.records",
            "{record}",
            "Spans, data points and log records that were kept.",
        )
        self._published = self._meter.create_counter(
            "otlp_capture.spool.published", "By", "Bytes that left the spool for the store."
        )

    def _duration(self, name: str, description: str) -> Any:
        return self._meter.create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=_SECONDS
        )

    @contextmanager
    def operation(self, name: str, attributes: Attributes) -> Generator[Noted]:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - loaded where it is used

        with self._tracer.start_as_current_span(f"otlp_capture.{name}") as span:
            span.set_attributes({f"otlp_capture.{key}": value for key, value in attributes.items()})

            def note(error: Fault) -> None:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR, type(error).__name__)

            yield note

    def answered_http(
        self, method: str, route: str, status: int, error: str | None, duration_s: float
    ) -> None:
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "http.response.status_code": status,
            "url.scheme": "http",
        }
        if route:
            attributes["http.route"] = route
        self._http.record(duration_s, _with_error(attributes, error))

    def answered_grpc(self, method: str, status: str, error: str | None, duration_s: float) -> None:
        attributes: dict[str, str | int] = {
            "rpc.system.name": "grpc",
            "rpc.method": method,
            "rpc.response.status_code": status,
        }
        self._grpc.record(duration_s, _with_error(attributes, error))

    def received(self, signal: str, transport: str, size_bytes: int, records: int) -> None:
        attributes = {"otlp_capture.signal": signal, "network.protocol.name": transport}
        self._requests.add(1, attributes)
        self._size.add(size_bytes, attributes)
        self._records.add(records, attributes)

    def refused(self, transport: str, reason: str) -> None:
        self._requests.add(1, {"network.protocol.name": transport, "error.type": reason})

    def published(self, size_bytes: int, error: str | None, duration_s: float) -> None:
        self._publish.record(duration_s, _with_error({}, error))
        if error is None:
            self._published.add(size_bytes)

    def synced(self, requests: int, size_bytes: int, duration_s: float) -> None:
        del requests, size_bytes
        self._sync.record(duration_s)

    def watch_spool(self, used_bytes: Callable[[], int], limit_bytes: int) -> None:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - loaded where it is used

        def read(value: Callable[[], int]) -> Callable[[Any], "Iterable[Observation]"]:
            def observe(_: "CallbackOptions") -> "Iterable[Observation]":
                yield Observation(value())

            return observe

        self._meter.create_observable_up_down_counter(
            "otlp_capture.spool.usage",
            [read(used_bytes)],
            "By",
            "Bytes in the spool that are not published yet.",
        )
        self._meter.create_observable_up_down_counter(
            "otlp_capture.spool.limit",
            [read(lambda: limit_bytes)],
            "By",
            "Bytes that the spool may hold.",
        )


def _with_error(attributes: dict[str, str | int], error: str | None) -> dict[str, str | int]:
    return attributes if error is None else {**attributes, "error.type": error}
