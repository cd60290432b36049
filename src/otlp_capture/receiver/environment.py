"""What an OpenTelemetry SDK has to be told to export to a receiver.

Source: OpenTelemetry specification, OpenTelemetry Protocol Exporter.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from otlp_capture.otlp import SIGNALS

_PREFIX: Final = "OTEL_EXPORTER_OTLP_"
_CONNECTION: Final = ("HEADERS", "INSECURE", "CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
_PER_SIGNAL: Final = (*_CONNECTION, "ENDPOINT", "PROTOCOL", "COMPRESSION", "TIMEOUT")
_COMPRESSIONS: Final = ("gzip", "none")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def exporter_environment(inherited: Mapping[str, str], url: str) -> dict[str, str]:
    """Return the environment in which an SDK exports to *url*, whatever it was told before.

    How to reach an endpoint is left out where it was said: headers, certificates, settings for
    single signals, a compression that a receiver does not take. What to export stays, such as the
    temporality of metrics. Loopback is no matter for a proxy.

    >>> exporter_environment({"NO_PROXY": "a.example"}, "http://127.0.0.1:4318")["NO_PROXY"]
    'a.example,127.0.0.1,localhost,::1'
    """
    overridden = frozenset(_overridden())
    environment = {name: value for name, value in inherited.items() if name not in overridden}
    environment[f"{_PREFIX}ENDPOINT"] = url
    environment[f"{_PREFIX}PROTOCOL"] = "http/protobuf"
    if environment.get(f"{_PREFIX}COMPRESSION") not in _COMPRESSIONS:
        environment.pop(f"{_PREFIX}COMPRESSION", None)
    for name, other in (("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")):
        environment[name] = _with_loopback(inherited.get(name) or inherited.get(other, ""))
    return environment


def _overridden() -> Iterator[str]:
    yield from (f"{_PREFIX}{setting}" for setting in _CONNECTION)
    for signal in SIGNALS:
        yield from (f"{_PREFIX}{signal.upper()}_{setting}" for setting in _PER_SIGNAL)


def _with_loopback(no_proxy: str) -> str:
    hosts = [host.strip() for host in no_proxy.split(",") if host.strip()]
    if "*" in hosts:
        return "*"
    return ",".join(dict.fromkeys((*hosts, *_LOOPBACK)))
