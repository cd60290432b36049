"""Which session is meant where none is named."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final, Literal, TypeAlias, get_args

import attrs

from otlp_capture.capture import InvalidConfig
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata

SelectionStrategy: TypeAlias = Literal["latest", "random", "largest", "smallest"]
SessionType: TypeAlias = Literal["seed", "capture", "training"]

STRATEGIES: Final[tuple[SelectionStrategy, ...]] = get_args(SelectionStrategy)
SESSION_TYPES: Final[tuple[SessionType, ...]] = get_args(SessionType)
TYPE_LABEL: Final = "type"
"""The label that says what a session is."""

_PREFIXES: Final[Mapping[str, SessionType]] = {"seed-": "seed", "training-": "training"}


@attrs.frozen(kw_only=True)
class SessionFilter:
    """Which sessions may be chosen; without settings, all.

    Attributes:
        session_type: what it is; None: anything.
        min_size_bytes: it is stored in so many bytes at least.
        max_size_bytes: it is stored in so many bytes at the most.
        after_date: it began then, or later.
        before_date: it began earlier.
    """

    session_type: SessionType | None = None
    min_size_bytes: int | None = None
    max_size_bytes: int | None = None
    after_date: datetime | None = None
    before_date: datetime | None = None

    def matches(self, metadata: CaptureSessionMetadata) -> bool:
        """Whether a session is one of those that are meant."""
        size, start = metadata.total_size_bytes, metadata.start_time
        return (
            self.session_type in {None, session_type(metadata)}
            and (self.min_size_bytes is None or size >= self.min_size_bytes)
            and (self.max_size_bytes is None or size <= self.max_size_bytes)
            and (self.after_date is None or start >= self.after_date)
            and (self.before_date is None or start < self.before_date)
        )

    def __str__(self) -> str:
        parts = [f"type {self.session_type}"] if self.session_type else []
        if self.min_size_bytes is not None:
            parts.append(f"at least {self.min_size_bytes:,} bytes")
        if self.max_size_bytes is not None:
            parts.append(f"at most {self.max_size_bytes:,} bytes")
        if self.after_date is not None:
            parts.append(f"begun at {self.after_date.isoformat()} or later")
        if self.before_date is not None:
            parts.append(f"begun before {self.before_date.isoformat()}")
        return ", ".join(parts)


@attrs.frozen
class NoSessionMatches:
    """No session that has ended and holds requests is one of those that are meant.

    Attributes:
        wanted: which are meant.
        available: what there is.
    """

    wanted: str
    available: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was wanted, what there is, and what to do."""
        wanted = f" ({self.wanted})" if self.wanted else ""
        return (
            f"No session can be chosen{wanted}. There are {self.available}. "
            f"Ask for others, or name one; `otlp-capture sessions list` shows all."
        )


def session_type(metadata: CaptureSessionMetadata) -> SessionType:
    """Return what a session is: as its label says, or else its name.

    >>> from datetime import UTC
    >>> session_type(CaptureSessionMetadata(
    ...     session_id="seed-17", start_time=datetime(2026, 1, 1, tzinfo=UTC), status="completed",
    ...     s3_prefix="sessions/seed-17", created_by="them"))
    'seed'
    """
    labelled = metadata.labels.get(TYPE_LABEL)
    for known in SESSION_TYPES:
        if labelled == known:
            return known
    for prefix, known in _PREFIXES.items():
        if metadata.session_id.startswith(prefix):
            return known
    return "capture"


def is_replayable(metadata: CaptureSessionMetadata) -> bool:
    """Whether a session has ended, holds anything, and stays."""
    has_ended = metadata.status != "active" and metadata.deleting_since is None
    return has_ended and metadata.captured_requests > 0


def choose(
    sessions: Sequence[CaptureSessionMetadata],
    strategy: SelectionStrategy,
    where: SessionFilter,
    seed: int | None,
) -> Outcome[CaptureSessionMetadata, NoSessionMatches]:
    """Choose one of *sessions*; of those that are equal, the one that began last.

    Args:
        sessions: what there is, in the order of their start.
        strategy: which of them.
        where: which may be chosen.
        seed: with `random`, makes the same choice of the same sessions; None: any.

    Fails with:
        NoSessionMatches: none may be chosen.
    """
    found = [each for each in sessions if is_replayable(each) and where.matches(each)]
    if not found:
        return Failure(NoSessionMatches(str(where), describe(sessions)))
    if strategy == "random":
        chance = random.Random(seed)  # noqa: S311 - it hides nothing
        return Success(chance.choice(found))
    return Success(max(reversed(found), key=_ORDERS[strategy]))


_ORDERS: Final[Mapping[str, Callable[[CaptureSessionMetadata], float]]] = {
    "latest": lambda metadata: metadata.start_time.timestamp(),
    "largest": lambda metadata: metadata.total_size_bytes,
    "smallest": lambda metadata: -metadata.total_size_bytes,
}


def describe(sessions: Iterable[CaptureSessionMetadata]) -> str:
    """Say what there is to choose from.

    >>> describe([])
    'no sessions that have ended and hold requests'
    """
    found = [each for each in sessions if is_replayable(each)]
    if not found:
        return "no sessions that have ended and hold requests"
    kinds = Counter(map(session_type, found))
    counted = ", ".join(f"{kinds[kind]:,} of type {kind}" for kind in SESSION_TYPES if kinds[kind])
    sizes = [each.total_size_bytes for each in found]
    starts = [each.start_time for each in found]
    return (
        f"{counted}, of {min(sizes):,} to {max(sizes):,} bytes, begun from "
        f"{_date(min(starts))} to {_date(max(starts))}"
    )


def choice_problems(strategy: object, where: SessionFilter) -> Iterator[InvalidConfig]:
    """Yield what is wrong with how a session is to be chosen."""
    if strategy not in STRATEGIES:
        allowed = "it is latest, random, largest or smallest"
        yield InvalidConfig("selection_strategy", strategy, allowed)
    if where.session_type is not None and where.session_type not in SESSION_TYPES:
        allowed = "it is seed, capture or training"
        yield InvalidConfig("session_filter.session_type", where.session_type, allowed)
    for field in ("min_size_bytes", "max_size_bytes"):
        size = getattr(where, field)
        if size is not None and (type(size) is not int or size < 0):
            yield InvalidConfig(f"session_filter.{field}", size, "it is a whole number of bytes")
            return
    for field in ("after_date", "before_date"):
        date = getattr(where, field)
        if date is not None and date.tzinfo is None:
            allowed = "it says its time zone, such as 2026-01-31T12:00:00+00:00"
            yield InvalidConfig(f"session_filter.{field}", date.isoformat(), allowed)
            return
    least, most = where.min_size_bytes, where.max_size_bytes
    if least is not None and most is not None and least > most:
        allowed = f"it is no less than min_size_bytes, {least}"
        yield InvalidConfig("session_filter.max_size_bytes", most, allowed)
    start, end = where.after_date, where.before_date
    if start is not None and end is not None and start >= end:
        allowed = "it is later than after_date"
        yield InvalidConfig("session_filter.before_date", end.isoformat(), allowed)


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
