"""Own spans and metrics through opentelemetry-api, by its semantic conventions."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from otlp_capture.result import Failure, Fault
from otlp_capture.telemetry.conventions import (
    SCHEMA_URL,
    SECONDS,
    grpc_attributes,
    http_attributes,
)
from otlp_capture.telemetry.protocol import Attributes, Concluded, Telemetry

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import TracerProvider

_T = TypeVar("_T")

_SCOPE: Final = "otlp_capture"
_REQUESTS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


def telemetry_of(tracer_provider: "TracerProvider", meter_provider: "MeterProvider") -> Telemetry:
    """Return what makes spans and metrics with these providers.

    Give providers that do not export to a receiver of this process: what it takes would grow by
    what it tells of it. The global providers are never used, unless they are given.
    """
    return _OpenTelemetry(tracer_provider, meter_provider)


@attrs.frozen(eq=False)
class _Watched:
    part: str
    used_bytes: Callable[[], int]
    limit_bytes: int


class _OpenTelemetry:
    def __init__(self, tracer_provider: "TracerProvider", meter_provider: "MeterProvider") -> None:
        own = version("otlp-capture")
        self._tracer = tracer_provider.get_tracer(_SCOPE, own, SCHEMA_URL)
        meter = meter_provider.get_meter(_SCOPE, own, SCHEMA_URL)
        self._watched: tuple[_Watched, ...] = ()

        def histogram(
            name: str, unit: str, text: str, bounds: tuple[float, ...] = SECONDS
        ) -> Callable[..., None]:
            made = meter.create_histogram(
                name, unit, text, explicit_bucket_boundaries_advisory=bounds
            )
            return made.record

        def counter(name: str, unit: str, text: str) -> Callable[..., None]:
            return meter.create_counter(name, unit, text).add

        self._http = histogram("http.server.request.duration", "s", "Duration of HTTP requests.")
        self._grpc = histogram("rpc.server.call.duration", "s", "Duration of gRPC calls.")
        self._requests = counter(
            "otlp_capture.receiver.requests", "{request}", "Export requests, kept and refused."
        )
        self._io = counter(
            "otlp_capture.receiver.io", "By", "Bytes of kept bodies, as they came on the wire."
        )
        self._records = counter(
            "otlp_capture.receiver.records", "{record}", "Kept spans, data points and log records."
        )
        self._sync = histogram(
            "otlp_capture.spool.sync.duration", "s", "Duration of group commits."
        )
        self._sync_requests = histogram(
            "otlp_capture.spool.sync.requests",
            "{request}",
            "Requests that a group commit kept.",
            _REQUESTS,
        )
        self._appended = counter(
            "otlp_capture.spool.appended", "By", "Bytes that came into the spool."
        )
        self._publish = histogram(
            "otlp_capture.spool.publish.duration", "s", "Duration of attempts to publish a segment."
        )
        self._published = counter(
            "otlp_capture.spool.published", "By", "Bytes that left the spool for the store."
        )
        meter.create_observable_up_down_counter(
            "otlp_capture.spool.usage",
            [self._observer(lambda watched: watched.used_bytes())],
            "By",
            "Bytes in the spool that are not published.",
        )
        meter.create_observable_up_down_counter(
            "otlp_capture.spool.limit",
            [self._observer(lambda watched: watched.limit_bytes)],
            "By",
            "Bytes that the spool may hold.",
        )

    @contextmanager
    def operation(self, name: str, attributes: Attributes) -> Generator[Concluded]:
        from opentelemetry import context, trace  # noqa: PLC0415 - loaded where it is used

        current = trace.get_current_span()
        # What works in the background has the context of what started it, long ago.
        is_over = getattr(current, "end_time", None) is not None
        with self._tracer.start_as_current_span(
            f"otlp_capture.{name}",
            context.Context() if is_over else None,
            attributes={f"otlp_capture.{key}": value for key, value in attributes.items()},
            links=[trace.Link(current.get_span_context())] if is_over else None,
        ) as span:

            def conclude(outcome: _T) -> _T:
                ended: Any = outcome  # what kind of outcome it is does not matter here
                if isinstance(ended, Failure):
                    error = cast("Fault", ended.failure())
                    span.set_attribute("error.type", type(error).__name__)
                    span.set_status(trace.StatusCode.ERROR, error.message)
                return outcome

            yield conclude

    def answered_http(
        self,
        scheme: str,
        method: str,
        route: str | None,
        status: int | None,
        error: str | None,
        duration_s: float,
    ) -> None:
        self._http(duration_s, http_attributes(scheme, method, route, status, error))

    def answered_grpc(
        self, method: str | None, status: str | None, error: str | None, duration_s: float
    ) -> None:
        self._grpc(duration_s, grpc_attributes(method, status, error))

    def received(self, signal: str, transport: str, size_bytes: int, records: int) -> None:
        attributes = {"otlp_capture.signal": signal, "otlp_capture.transport": transport}
        self._requests(1, attributes)
        self._io(size_bytes, attributes)
        self._records(records, attributes)

    def refused(self, transport: str, reason: str) -> None:
        self._requests(1, {"otlp_capture.transport": transport, "error.type": reason})

    def synced(self, requests: int, size_bytes: int, error: str | None, duration_s: float) -> None:
        attributes = _of_error(error)
        self._sync(duration_s, attributes)
        self._sync_requests(requests, attributes)
        self._appended(size_bytes)

    def published(self, size_bytes: int, error: str | None, duration_s: float) -> None:
        self._publish(duration_s, _of_error(error))
        if error is None:
            self._published(size_bytes)

    def watch_spool(
        self, part: str, used_bytes: Callable[[], int], limit_bytes: int
    ) -> Callable[[], None]:
        watched = _Watched(part, used_bytes, limit_bytes)
        self._watched = (*self._watched, watched)

        def end() -> None:
            self._watched = tuple(each for each in self._watched if each is not watched)

        return end

    def _observer(
        self, read: Callable[[_Watched], int]
    ) -> Callable[["CallbackOptions"], "Iterable[Observation]"]:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - loaded where it is used

        def observe(_: "CallbackOptions") -> "Iterable[Observation]":
            sums = defaultdict[str, int](int)
            for watched in self._watched:
                sums[watched.part] += read(watched)
            for part, size_bytes in sums.items():
                yield Observation(size_bytes, {"otlp_capture.spool.part": part})

        return observe


def _of_error(error: str | None) -> dict[str, str]:
    return {} if error is None else {"error.type": error}
