"""The words every room of the wire shares: signals, encodings, dialects."""

from typing import Final, Literal, TypeAlias, TypeGuard

Signal: TypeAlias = Literal["traces", "metrics", "logs"]
"""What a request carries. It cannot be read off the bytes: the route, key or caller says it."""

Encoding: TypeAlias = Literal["protobuf", "json"]
"""How a request stands in an HTTP body or a file."""

Dialect: TypeAlias = Literal["otlp", "import"]
"""How wide OTLP/JSON is read: by the specification, or as files in the wild are written."""

SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")


def is_signal(text: str) -> TypeGuard[Signal]:
    """Say whether *text* names a signal.

    >>> is_signal("traces"), is_signal("profiles")
    (True, False)
    """
    return text in SIGNALS
