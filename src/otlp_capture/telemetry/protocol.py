"""What is told of the library's own work, whoever listens."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol, TypeAlias, TypeVar, runtime_checkable

_T = TypeVar("_T")

Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Concluded(Protocol):
    """Notes how an operation ends."""

    def __call__(self, outcome: _T) -> _T:
        """Note an outcome, and return it."""
        ...


@runtime_checkable
class Telemetry(Protocol):
    """Takes spans and measurements; nothing that is told is ever an error."""

    def operation(self, name: str, attributes: Attributes) -> AbstractContextManager[Concluded]:
        """Make a span of a block; the block notes the outcome that it ends with.

        It belongs to the span that is current, unless that is over: then it begins a trace of its
        own, and is linked with it.

        Args:
            name: what is done.
            attributes: what it is done with, by names such as `session.id`.
        """
        ...

    def answered_http(
        self,
        scheme: str,
        method: str,
        route: str | None,
        status: int | None,
        error: str | None,
        duration_s: float,
    ) -> None:
        """Take the answer to an HTTP request.

        Args:
            scheme: `http` or `https`.
            method: of the request.
            route: the path, where it is one that is known.
            status: of the answer; None where there was none.
            error: the name of the error; None where the request was kept.
            duration_s: how long the answer took.
        """
        ...

    def answered_grpc(
        self, method: str | None, status: str | None, error: str | None, duration_s: float
    ) -> None:
        """Take the answer to a call.

        Args:
            method: as it is called, where it is one that is known.
            status: the name of the status code; None where there was no answer.
            error: the name of the error; None where the request was kept.
            duration_s: how long the answer took.
        """
        ...

    def received(self, signal: str, transport: str, size_bytes: int, records: int) -> None:
        """Take a request that was kept, and how large it was on the wire."""
        ...

    def refused(self, transport: str, reason: str) -> None:
        """Take a request that was not kept, by the name of the error."""
        ...

    def synced(self, requests: int, size_bytes: int, error: str | None, duration_s: float) -> None:
        """Take a group commit: what it kept, and the error's name where it did not keep all."""
        ...

    def published(self, size_bytes: int, error: str | None, duration_s: float) -> None:
        """Take an attempt to publish a segment of this size."""
        ...

    def watch_spool(
        self, part: str, used_bytes: Callable[[], int], limit_bytes: int
    ) -> Callable[[], None]:
        """Read from now on how full a part of the spool is.

        Args:
            part: `sessions` or `ring`; what is told of one name is added up.
            used_bytes: called from any thread.
            limit_bytes: how much it may hold.

        Returns:
            What ends it.
        """
        ...


class _Silent:
    def operation(self, name: str, attributes: Attributes) -> AbstractContextManager[Concluded]:
        del name, attributes
        return _NOTHING

    def answered_http(
        self,
        scheme: str,
        method: str,
        route: str | None,
        status: int | None,
        error: str | None,
        duration_s: float,
    ) -> None: ...

    def answered_grpc(
        self, method: str | None, status: str | None, error: str | None, duration_s: float
    ) -> None: ...

    def received(self, signal: str, transport: str, size_bytes: int, records: int) -> None: ...

    def refused(self, transport: str, reason: str) -> None: ...

    def synced(
        self, requests: int, size_bytes: int, error: str | None, duration_s: float
    ) -> None: ...

    def published(self, size_bytes: int, error: str | None, duration_s: float) -> None: ...

    def watch_spool(
        self, part: str, used_bytes: Callable[[], int], limit_bytes: int
    ) -> Callable[[], None]:
        del part, used_bytes, limit_bytes
        return _nothing


def _the_same(outcome: _T) -> _T:
    return outcome


def _nothing() -> None:
    """End nothing."""


_NOTHING: Final[AbstractContextManager[Concluded]] = nullcontext(_the_same)

SILENT: Final[Telemetry] = _Silent()
"""Nobody listens."""
