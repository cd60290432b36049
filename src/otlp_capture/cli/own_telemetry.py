"""`--telemetry`: own spans and metrics, exported as the environment of this process says."""

import ipaddress
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import anyio.to_thread
import attrs
import typer

from otlp_capture.capture import InvalidConfig
from otlp_capture.receiver import Receiver
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.telemetry import SILENT, Telemetry, telemetry_of

TelemetryOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--telemetry",
        help="Export own spans and metrics to where OTEL_EXPORTER_OTLP_* say.",
    ),
]

S = TypeVar("S")

_NAME: Final = "otlp-capture"
_SIGNALS: Final = ("TRACES", "METRICS")
_PORTS: Final = {"http": 80, "https": 443}
_DEFAULT_URLS: Final = {"http/protobuf": "http://localhost:4318", "grpc": "http://localhost:4317"}
_SHUTDOWN_S: Final = 5.0


@attrs.frozen
class TelemetryUnavailable:
    """What exports own telemetry is not installed."""

    package: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing, and how to get it."""
        return (
            f"--telemetry needs {self.package}, which is not installed. "
            f"Install otlp-capture[telemetry], or leave --telemetry out."
        )


@attrs.frozen
class TelemetryLoop:
    """Own telemetry would go to the receiver, which would tell of that again."""

    url: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where it would go, and what to do."""
        return (
            f"Own telemetry would be exported to {self.url}, where this receiver listens: it would "
            f"be recorded, and each record of it would make more. Point "
            f"OTEL_EXPORTER_OTLP_ENDPOINT to another place, or leave --telemetry out."
        )


@attrs.frozen(eq=False)
class OwnTelemetry:
    """Own telemetry, and where it goes.

    Attributes:
        telemetry: what is told of our work.
        urls: where it is exported to.
        providers: what makes spans and metrics.
        are_ours: whether they end with us; others are flushed only.
    """

    telemetry: Telemetry = SILENT
    urls: tuple[str, ...] = ()
    providers: tuple[Any, ...] = ()
    are_ours: bool = True

    def check_addresses(self, listening: Iterable[tuple[str, int]]) -> Outcome[None, TelemetryLoop]:
        """Tell whether none of it goes where a receiver listens.

        Fails with:
            TelemetryLoop: some of it does.
        """
        places = tuple(listening)
        for url in self.urls:
            if any(_is_place(url, host, port) for host, port in places):
                return Failure(TelemetryLoop(url))
        return Success(None)

    def check_receiver(self, receiver: Receiver) -> Outcome[None, TelemetryLoop]:
        """Tell whether none of it goes to a receiver that is listening.

        Fails with:
            TelemetryLoop: some of it does.
        """
        servers = (receiver.http, receiver.grpc)
        return self.check_addresses((each.host, each.port) for each in servers if each is not None)

    async def send(self) -> None:
        """Send what is not sent yet, for a few seconds at the most, and end what is ours."""
        if not self.providers:
            return
        # A thread of our own: nobody waits for it when its time is over.
        sending = threading.Thread(target=self._send, name="own telemetry", daemon=True)
        sending.start()
        await anyio.to_thread.run_sync(sending.join, _SHUTDOWN_S)

    def _send(self) -> None:
        for provider in self.providers:
            if self.are_ours:
                provider.shutdown()
            elif hasattr(provider, "force_flush"):
                provider.force_flush(round(_SHUTDOWN_S * 1000 / 2))


NO_TELEMETRY: Final = OwnTelemetry()


def sent_after(
    own: Outcome[OwnTelemetry, Any], work: Callable[[S], Awaitable[Outcome[int, Any]]]
) -> Callable[[S], Awaitable[Outcome[int, Any]]]:
    """Return what does *work*, and then sends what was told of it.

    Where own telemetry cannot be had, that is the outcome, and nothing is done.
    """

    async def work_and_send(service: S) -> Outcome[int, Any]:
        if isinstance(own, Failure):
            return own
        ended = await work(service)
        if not (isinstance(ended, Failure) and isinstance(ended.failure(), TelemetryLoop)):
            await own.unwrap().send()
        return ended

    return work_and_send


def chosen_telemetry(
    environment: Mapping[str, str],
) -> Outcome[OwnTelemetry, TelemetryUnavailable | InvalidConfig]:
    """Return own telemetry as an environment has it.

    Providers that somebody has set up in this process, as `opentelemetry-instrument` does, are used
    as they are.

    Fails with:
        TelemetryUnavailable: the SDK or an exporter is not installed.
        InvalidConfig: a variable asks for what there is not.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Success(NO_TELEMETRY)
    chosen = _exports(environment)
    if isinstance(chosen, Failure):
        return chosen
    exports = chosen.unwrap()
    urls = tuple(url for _, url in exports.values())
    there = _set_up_already()
    if there is not None:
        return Success(OwnTelemetry(telemetry_of(*there), urls, there, are_ours=False))
    try:
        providers = _providers(exports, environment)
    except ModuleNotFoundError as error:
        return Failure(TelemetryUnavailable(error.name or "the OpenTelemetry SDK"))
    return Success(OwnTelemetry(telemetry_of(*providers), urls, providers))


def without_service_name(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose service name is that of a command which is run, not ours."""
    return {name: value for name, value in environment.items() if name != "OTEL_SERVICE_NAME"}


def _exports(
    environment: Mapping[str, str],
) -> Outcome[dict[str, tuple[str, str]], InvalidConfig]:
    """Return by signal with which protocol it is exported, and where to."""
    exports = dict[str, tuple[str, str]]()
    for signal in _SIGNALS:
        variable = f"OTEL_{signal}_EXPORTER"
        exporter = environment.get(variable, "").strip() or "otlp"
        if exporter == "none":
            continue
        if exporter != "otlp":
            return Failure(InvalidConfig(variable, exporter, "with --telemetry it is otlp or none"))
        protocol = _said(environment, signal, "PROTOCOL") or "http/protobuf"
        if protocol not in _DEFAULT_URLS:
            allowed = f"with --telemetry it is {' or '.join(_DEFAULT_URLS)}"
            return Failure(InvalidConfig("OTEL_EXPORTER_OTLP_PROTOCOL", protocol, allowed))
        url = _said(environment, signal, "ENDPOINT") or _DEFAULT_URLS[protocol]
        exports[signal] = protocol, url
    return Success(exports)


def _said(environment: Mapping[str, str], signal: str, setting: str) -> str:
    own = environment.get(f"OTEL_EXPORTER_OTLP_{signal}_{setting}", "").strip()
    return own or environment.get(f"OTEL_EXPORTER_OTLP_{setting}", "").strip()


def _set_up_already() -> tuple[Any, Any] | None:
    from opentelemetry.metrics import get_meter_provider  # noqa: PLC0415 - loaded where it is used
    from opentelemetry.trace import get_tracer_provider  # noqa: PLC0415 - loaded where it is used

    providers = get_tracer_provider(), get_meter_provider()
    # Those of the API itself stand for providers that are not there yet.
    stand_ins = ("opentelemetry.trace", "opentelemetry.metrics")
    are_there = [not type(each).__module__.startswith(stand_ins) for each in providers]
    return providers if any(are_there) else None


def _providers(
    exports: Mapping[str, tuple[str, str]], environment: Mapping[str, str]
) -> tuple[Any, Any]:
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - loaded where it is used
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415 - likewise
        PeriodicExportingMetricReader,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - likewise
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - likewise
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - likewise

    resource = Resource.create(_own_name(environment))
    spans = _span_exporter(exports["TRACES"][0]) if "TRACES" in exports else None
    metrics = _metric_exporter(exports["METRICS"][0]) if "METRICS" in exports else None
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    if spans is not None:
        tracers.add_span_processor(BatchSpanProcessor(spans))
    readers = [] if metrics is None else [PeriodicExportingMetricReader(metrics)]
    return tracers, MeterProvider(readers, resource, shutdown_on_exit=False)


def _own_name(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the name of the service, unless the environment has one."""
    said = environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    names = [each.partition("=")[0].strip() for each in said.split(",")]
    is_said = environment.get("OTEL_SERVICE_NAME") or "service.name" in names
    return {} if is_said else {"service.name": _NAME}


def _span_exporter(protocol: str) -> Any:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import (  # noqa: PLC0415 - it loads grpc
            trace_exporter as grpc_exporter,
        )

        return grpc_exporter.OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.http import (  # noqa: PLC0415 - loaded where it is used
        trace_exporter as http_exporter,
    )

    return http_exporter.OTLPSpanExporter()


def _metric_exporter(protocol: str) -> Any:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import (  # noqa: PLC0415 - it loads grpc
            metric_exporter as grpc_exporter,
        )

        return grpc_exporter.OTLPMetricExporter()
    from opentelemetry.exporter.otlp.proto.http import (  # noqa: PLC0415 - loaded where it is used
        metric_exporter as http_exporter,
    )

    return http_exporter.OTLPMetricExporter()


def _is_place(url: str, host: str, port: int) -> bool:
    """Tell whether a URL leads to where something listens, as far as can be told without asking.

    >>> [_is_place(url, "127.0.0.1", 4318) for url in ("http://127.1:4318/v1/traces", "[::1]:4318")]
    [True, True]
    >>> _is_place("http://collector:4318", "127.0.0.1", 4318)
    False
    """
    parts = urlsplit(url if "://" in url else f"//{url}")
    try:
        its_port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return False
    there, here = (parts.hostname or "").rstrip("."), host.strip("[]").lower()
    return its_port == port and (there == here or _is_this_machine(there))


def _is_this_machine(host: str) -> bool:
    if not host or host == "localhost" or host.endswith((".localhost", "-localhost")):
        return True
    return any(each.is_loopback or each.is_unspecified for each in _addresses(host)) or (
        host == socket.gethostname().lower()
    )


def _addresses(host: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        # It takes what resolvers take: 127.1, 0x7f000001, 2130706433.
        yield ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return
        yield address
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            yield address.ipv4_mapped


def telemetry_for(
    *, wanted: bool, environment: Mapping[str, str] | None = None
) -> Outcome[OwnTelemetry, TelemetryUnavailable | InvalidConfig]:
    """Return own telemetry where it is wanted, by this process's environment if no other is given.

    Fails with:
        TelemetryUnavailable, InvalidConfig: as `chosen_telemetry` does.
    """
    if not wanted:
        return Success(NO_TELEMETRY)
    return chosen_telemetry(os.environ if environment is None else environment)
