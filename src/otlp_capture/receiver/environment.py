"""What an OpenTelemetry SDK has to be told to export to a receiver.

Source: OpenTelemetry specification, OpenTelemetry Protocol Exporter.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from otlp_capture.otlp import SIGNALS

_PREFIX: Final = "OTEL_EXPORTER_OTLP_"
_CONNECTION: Final = ("HEADERS", "INSECURE", "CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
_PER_SIGNAL: Final = (*_CONNECTION, "ENDPOINT", "PROTOCOL", "COMPRESSION", "TIMEOUT")
_HTTP_PROTOCOLS: Final = ("http/protobuf", "http/json")
_GRPC: Final = "grpc"
_COMPRESSIONS: Final = ("gzip", "none")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def exporter_environment(
    inherited: Mapping[str, str], url: str, grpc_url: str | None = None
) -> dict[str, str]:
    """Return the environment in which an SDK exports to a receiver, whatever it was told before.

    How to reach an endpoint is left out where it was said: headers, certificates, settings for
    single signals, a compression that a receiver does not take. What to export stays, such as the
    temporality of metrics, and so does the protocol, also that of a single signal: the endpoint is
    the one that speaks it. Where no protocol was said it is http/protobuf. Loopback is no matter
    for a proxy.

    Args:
        inherited: the environment as it is.
        url: where OTLP/HTTP is taken.
        grpc_url: where OTLP/gRPC is taken; None: nowhere, and all is to be OTLP/HTTP.

    >>> exporter_environment({"NO_PROXY": "a.example"}, "http://127.0.0.1:4318")["NO_PROXY"]
    'a.example,127.0.0.1,localhost,::1'
    """
    overridden = frozenset(_overridden())
    environment = {name: value for name, value in inherited.items() if name not in overridden}
    protocols = _HTTP_PROTOCOLS if grpc_url is None else (*_HTTP_PROTOCOLS, _GRPC)
    general = _spoken(inherited.get(f"{_PREFIX}PROTOCOL"), protocols) or _HTTP_PROTOCOLS[0]
    environment[f"{_PREFIX}ENDPOINT"] = grpc_url if general == _GRPC and grpc_url else url
    environment[f"{_PREFIX}PROTOCOL"] = general
    for signal in SIGNALS:
        name = f"{_PREFIX}{signal.upper()}_"
        protocol = _spoken(inherited.get(f"{name}PROTOCOL"), protocols)
        if protocol is None or protocol == general:
            continue
        own_url = grpc_url if protocol == _GRPC and grpc_url else f"{url}/v1/{signal}"
        environment |= {f"{name}PROTOCOL": protocol, f"{name}ENDPOINT": own_url}
    if environment.get(f"{_PREFIX}COMPRESSION") not in _COMPRESSIONS:
        environment.pop(f"{_PREFIX}COMPRESSION", None)
    for name, other in (("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")):
        environment[name] = _with_loopback(inherited.get(name) or inherited.get(other, ""))
    return environment


def _spoken(protocol: str | None, protocols: tuple[str, ...]) -> str | None:
    return protocol if protocol in protocols else None


def _overridden() -> Iterator[str]:
    yield from (f"{_PREFIX}{setting}" for setting in _CONNECTION)
    for signal in SIGNALS:
        yield from (f"{_PREFIX}{signal.upper()}_{setting}" for setting in _PER_SIGNAL)


def _with_loopback(no_proxy: str) -> str:
    hosts = [host.strip() for host in no_proxy.split(",") if host.strip()]
    if "*" in hosts:
        return "*"
    return ",".join(dict.fromkeys((*hosts, *_LOOPBACK)))
