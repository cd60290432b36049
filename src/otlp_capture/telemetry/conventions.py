"""What the semantic conventions ask of values: few names, and errors that are the server's own.

Source: OpenTelemetry semantic conventions 1.40: HTTP spans and metrics, RPC metrics, gRPC.
"""

from typing import Final

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.40.0"

SECONDS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)
"""The bounds of buckets that are advised for durations of requests."""

_OTHER: Final = "_OTHER"
_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
_SERVER_ERRORS: Final = 500
_GRPC_SERVER_ERRORS: Final = frozenset(
    ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
)


def http_attributes(
    scheme: str, method: str, route: str | None, status: int | None, error: str | None
) -> dict[str, str | int]:
    """Return the attributes of a server's HTTP request; what a client did wrong is no error.

    >>> http_attributes("http", "BREW", None, 405, "MethodNotAllowed")
    {'http.request.method': '_OTHER', 'url.scheme': 'http', 'http.response.status_code': 405}
    """
    attributes: dict[str, str | int] = {
        "http.request.method": method if method in _METHODS else _OTHER,
        "url.scheme": scheme,
    }
    if route is not None:
        attributes["http.route"] = route
    if status is not None:
        attributes["http.response.status_code"] = status
    if error is not None and (status is None or status >= _SERVER_ERRORS):
        attributes["error.type"] = error
    return attributes


def grpc_attributes(
    method: str | None, status: str | None, error: str | None
) -> dict[str, str | int]:
    """Return the attributes of a server's gRPC call.

    >>> grpc_attributes("/a.B/C", "OK", None)
    {'rpc.system.name': 'grpc', 'rpc.method': 'a.B/C', 'rpc.response.status_code': 'OK'}
    """
    attributes: dict[str, str | int] = {
        "rpc.system.name": "grpc",
        "rpc.method": _OTHER if method is None else method.removeprefix("/"),
    }
    if status is not None:
        attributes["rpc.response.status_code"] = status
    if error is not None and (status is None or status in _GRPC_SERVER_ERRORS):
        attributes["error.type"] = error
    return attributes
