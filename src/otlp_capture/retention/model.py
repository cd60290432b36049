"""What a store holds, what is to be done with it, and what was done, as values."""

from datetime import datetime
from typing import Literal, TypeAlias

import attrs

from otlp_capture.result import Fault
from otlp_capture.sessions import CaptureSessionMetadata

Action: TypeAlias = Literal["delete", "archive"]
Cause: TypeAlias = Literal["age", "label", "size", "unfinished"]
"""Why: it is old; a label rule says so; the store is too large; its deletion was begun before."""


@attrs.frozen
class PathUsage:
    """What lies under a prefix."""

    objects: int = 0
    size_bytes: int = 0
    oldest_unix_nano: int | None = None
    newest_unix_nano: int | None = None

    def with_object(self, size_bytes: int, modified_unix_nano: int) -> "PathUsage":
        """Return it with one object more."""
        oldest, newest = self.oldest_unix_nano, self.newest_unix_nano
        return PathUsage(
            self.objects + 1,
            self.size_bytes + size_bytes,
            modified_unix_nano if oldest is None else min(oldest, modified_unix_nano),
            modified_unix_nano if newest is None else max(newest, modified_unix_nano),
        )

    def __add__(self, other: "PathUsage") -> "PathUsage":
        """Return both together."""
        times = [self.oldest_unix_nano, self.newest_unix_nano]
        times += [other.oldest_unix_nano, other.newest_unix_nano]
        known = [time for time in times if time is not None]
        return PathUsage(
            self.objects + other.objects,
            self.size_bytes + other.size_bytes,
            min(known, default=None),
            max(known, default=None),
        )


@attrs.frozen
class SessionUsage:
    """A session, and what it takes."""

    metadata: CaptureSessionMetadata
    usage: PathUsage


@attrs.frozen
class UnreadableSession:
    """A folder among the sessions that is none, or whose metadata cannot be read."""

    session_id: str
    reason: str
    usage: PathUsage


@attrs.frozen
class StorageSurvey:
    """What a store holds.

    Attributes:
        sessions: in the order of their end, then of their id.
        unreadable: folders among them that retention leaves alone.
        days: of `continuous/`, by `YYYY-MM-DD`.
        other_continuous: what else lies there, which retention leaves alone.
    """

    sessions: tuple[SessionUsage, ...]
    unreadable: tuple[UnreadableSession, ...]
    days: dict[str, PathUsage]
    other_continuous: PathUsage

    @property
    def continuous(self) -> PathUsage:
        """All of `continuous/`."""
        return sum(self.days.values(), self.other_continuous)

    @property
    def sessions_usage(self) -> PathUsage:
        """All of `sessions/`."""
        readable = sum((each.usage for each in self.sessions), PathUsage())
        return sum((each.usage for each in self.unreadable), readable)

    @property
    def total_size_bytes(self) -> int:
        """Bytes of sessions and of `continuous/`."""
        return self.sessions_usage.size_bytes + self.continuous.size_bytes


@attrs.frozen(kw_only=True)
class ContinuousMetrics:
    """What capture without a session takes."""

    total_objects: int
    total_size_bytes: int
    oldest_object_date: datetime | None = None
    newest_object_date: datetime | None = None


@attrs.frozen(kw_only=True)
class SessionsMetrics:
    """What sessions take; those whose metadata cannot be read are in the totals as well."""

    total_objects: int
    total_size_bytes: int
    active_sessions: int
    completed_sessions: int
    failed_sessions: int
    held_sessions: int
    unreadable_sessions: int


@attrs.frozen(kw_only=True)
class StorageMetrics:
    """What a store holds, in figures."""

    continuous_path: ContinuousMetrics
    sessions_path: SessionsMetrics
    total_size_bytes: int


@attrs.frozen(kw_only=True)
class PlannedAction:
    """One thing that is to be done.

    Attributes:
        action: what.
        path: of the session or the day, with a final slash.
        cause: why.
        detail: why, in words.
        objects: how many objects that frees.
        size_bytes: how many bytes.
        metadata: the session's as they were seen; None for a day of `continuous/`.
    """

    action: Action
    path: str
    cause: Cause
    detail: str
    objects: int
    size_bytes: int
    metadata: CaptureSessionMetadata | None = None


@attrs.frozen
class Protected:
    """A session that is left alone whatever the policy says, and why."""

    session_id: str
    why: str


@attrs.frozen(kw_only=True)
class RetentionPlan:
    """What is to be done, in the order in which it is done.

    Attributes:
        actions: what, and why.
        protected: sessions that are active or held, and those that cannot be read.
        total_size_bytes: of the store, now.
        shortfall_bytes: how much the store stays above its bound, since nothing more may go.
    """

    actions: tuple[PlannedAction, ...]
    protected: tuple[Protected, ...]
    total_size_bytes: int
    shortfall_bytes: int = 0

    @property
    def freed_objects(self) -> int:
        """How many objects the store will have less."""
        return sum(action.objects for action in self.actions)

    @property
    def freed_size_bytes(self) -> int:
        """How many bytes the store will hold less."""
        return sum(action.size_bytes for action in self.actions)


@attrs.frozen
class CleanupError:
    """What could not be done, and why."""

    path: str
    cause: Fault

    @property
    def message(self) -> str:
        """What could not be done, and why."""
        return f"{self.path}: {self.cause.message}"


@attrs.frozen(kw_only=True)
class CleanupResult:
    """What was done.

    Attributes:
        deleted_objects: objects that the store has less; those of archived sessions, too.
        freed_space_bytes: bytes that it holds less.
        processed_paths: what is gone from it, in the order in which it went.
        archived_paths: which of it lies in the archive now.
        errors: what could not be done.
        duration_ms: how long it took.
    """

    deleted_objects: int = 0
    freed_space_bytes: int = 0
    processed_paths: tuple[str, ...] = ()
    archived_paths: tuple[str, ...] = ()
    errors: tuple[CleanupError, ...] = ()
    duration_ms: int = 0
