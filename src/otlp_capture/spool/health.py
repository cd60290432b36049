"""How publishing fares, for all sessions of a service."""

from collections.abc import Hashable

from otlp_capture.storage import StorageError


class SpoolHealth:
    """What could not be published yet, and since when."""

    def __init__(self) -> None:
        self._failing: dict[Hashable, tuple[int, StorageError]] = {}

    def failed(self, segment: Hashable, error: StorageError, now_ns: int) -> None:
        """Note that an attempt failed, at a monotonic time in nanoseconds."""
        since_ns, _ = self._failing.get(segment, (now_ns, error))
        self._failing[segment] = since_ns, error

    def ended(self, segment: Hashable) -> None:
        """Note that a segment is published, or is tried no more."""
        self._failing.pop(segment, None)

    @property
    def waiting(self) -> int:
        """How many segments could not be published yet."""
        return len(self._failing)

    @property
    def longest(self) -> tuple[int, StorageError] | None:
        """Since when the one fails that fails the longest, and how it failed the last time."""
        return min(self._failing.values(), key=lambda each: each[0], default=None)
