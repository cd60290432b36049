"""What is told of the library's own work, whoever listens."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol, TypeAlias, runtime_checkable

from otlp_capture.result import Fault

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

Noted: TypeAlias = Callable[[Fault], None]
"""Notes the error that an operation ends with."""


@runtime_checkable
class Telemetry(Protocol):
    """Takes spans and measurements; nothing that is told is ever an error."""

    def operation(self, name: str, attributes: Attributes) -> AbstractContextManager[Noted]:
        """Make a span of a block; the block notes the error that it ends with."""
        ...

    def answered_http(
        self, method: str, route: str, status: int, error: str | None, duration_s: float
    ) -> None:
        """Take the answer to an HTTP request.

        Args:
            method: of the request.
            route: the path that was known; empty where it was not.
            status: of the answer.
            error: the name of the error; None where the request was kept.
            duration_s: how long the answer took.
        """
        ...

    def answered_grpc(self, method: str, status: str, error: str | None, duration_s: float) -> None:
        """Take the answer to a call: its whole name, and the name of the status code."""
        ...

    def received(self, signal: str, transport: str, size_bytes: int, records: int) -> None:
        """Take a request that was kept."""
        ...

    def refused(self, transport: str, reason: str) -> None:
        """Take a request that was not."""
        ...

    def published(self, size_bytes: int, error: str | None, duration_s: float) -> None:
        """Take an attempt to publish a segment."""
        ...

    def synced(self, requests: int, size_bytes: int, duration_s: float) -> None:
        """Take a group commit of the spool."""
        ...

    def watch_spool(self, used_bytes: Callable[[], int], limit_bytes: int) -> None:
        """Read from now on how full the spool is."""
        ...


class _Silent:
    def operation(self, name: str, attributes: Attributes) -> AbstractContextManager[Noted]:
        del name, attributes
        return nullcontext(_ignore)

    def answered_http(
        self, method: str, route: str, status: int, error: str | None, duration_s: float
    ) -> None: ...

    def answered_grpc(
        self, method: str, status: str, error: str | None, duration_s: float
    ) -> None: ...

    def received(self, signal: str, transport: str, size_bytes: int, records: int) -> None: ...

    def refused(self, transport: str, reason: str) -> None: ...

    def published(self, size_bytes: int, error: str | None, duration_s: float) -> None: ...

    def synced(self, requests: int, size_bytes: int, duration_s: float) -> None: ...

    def watch_spool(self, used_bytes: Callable[[], int], limit_bytes: int) -> None: ...


def _ignore(_: Fault) -> None:
    """Note nothing."""


SILENT: Final[Telemetry] = _Silent()
"""Nobody listens."""
