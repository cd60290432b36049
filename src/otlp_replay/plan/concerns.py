"""What a plan warns of, one class a fact."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar, TypeAlias

import attrs

from otlp_replay.plan.course import SECOND_NS


def _span(ns: float) -> str:
    """Say a length of time for people.

    >>> _span(93_784_500_000_000), _span(1_250_000_000)
    ('1 day, 2:03:04', '1.250 s')
    """
    if ns < 60 * SECOND_NS:
        return f"{ns / SECOND_NS:.3f} s"
    return str(timedelta(seconds=ns // SECOND_NS))


@attrs.frozen
class NothingSelected:
    """No request of the sessions is chosen."""

    name: ClassVar[str] = "nothingSelected"

    @property
    def message(self) -> str:
        """What is so, and what to do."""
        return "Nothing is sent: no request is chosen. Look at the window and the signals."


@attrs.frozen
class CountsAreUpperBounds:
    """Whether records are chosen is known only by reading them."""

    settings: tuple[str, ...]
    name: ClassVar[str] = "countsAreUpperBounds"

    @property
    def message(self) -> str:
        """What is so."""
        return (
            f"At most so much is sent: which records {' and '.join(self.settings)} choose, "
            f"only their payloads tell."
        )


@attrs.frozen
class RelationsBend:
    """Requests are moved by different amounts, and relations between them change.

    Attributes:
        parents: requests with a span whose parent is in another request; None: not known.
        points: requests with cumulative points; None: not known.
    """

    parents: int | None
    points: int | None
    name: ClassVar[str] = "relationsBend"

    @property
    def message(self) -> str:
        """What is so, and what to do."""
        reads = "timestamp_adjustment current moves each request by another amount here"
        if self.parents is None:
            return (
                f"{reads}. Whether spans have parents in other requests, or points accumulate, is "
                f"not known: plan with dependencies, or choose relative."
            )
        return (
            f"{reads}: {self.parents} requests have spans whose parent is in another one, "
            f"{self.points} have cumulative points. Choose relative to keep their relations."
        )


@attrs.frozen
class RecordsTooOld:
    """The target does not take records that are so old."""

    requests: int
    oldest_ns: int
    accepted_s: float
    name: ClassVar[str] = "recordsTooOld"

    @property
    def message(self) -> str:
        """What is so, and what to do."""
        return (
            f"{self.requests} requests of a loop hold records that are older than the "
            f"{self.accepted_s:g} s that the target accepts: the oldest is {_span(self.oldest_ns)} "
            f"old. Choose timestamp_adjustment relative or current."
        )


@attrs.frozen
class RecordsInFuture:
    """Records are ahead of the time at which they are sent."""

    requests: int
    ahead_ns: int
    accepted_s: float
    name: ClassVar[str] = "recordsInFuture"

    @property
    def message(self) -> str:
        """What is so, and what to do."""
        return (
            f"{self.requests} requests of a loop hold records that are ahead of their sending by "
            f"more than {self.accepted_s:g} s: by {_span(self.ahead_ns)} at the most. With "
            f"relative times a speed above 1 does so; choose current, or a lower speed."
        )


@attrs.frozen
class TimestampsOutOfRange:
    """Times would leave what 64 bits hold."""

    requests: int
    name: ClassVar[str] = "timestampsOutOfRange"

    @property
    def message(self) -> str:
        """What is so, and what to do."""
        return (
            f"{self.requests} requests of a loop have times that the shift moves out of 1 to "
            f"2^64-1: they are not sent. Look at base_time_offset."
        )


@attrs.frozen
class RequestsTooLong:
    """Requests are longer than is sent."""

    requests: int
    max_bytes: int
    name: ClassVar[str] = "requestsTooLong"

    @property
    def message(self) -> str:
        """What is so, and what to do."""
        return (
            f"{self.requests} requests of a loop are longer than max_request_bytes, "
            f"{self.max_bytes}: they are not sent."
        )


@attrs.frozen
class CutByDuration:
    """The replay ends before all is sent."""

    left_out: int
    max_duration_s: float
    name: ClassVar[str] = "cutByDuration"

    @property
    def message(self) -> str:
        """What is so."""
        return (
            f"{self.left_out} requests are planned after max_duration_s, "
            f"{self.max_duration_s:g} s: they are left out."
        )


@attrs.frozen
class SettingWithoutEffect:
    """A setting changes nothing at this speed."""

    setting: str
    name: ClassVar[str] = "settingWithoutEffect"

    @property
    def message(self) -> str:
        """Which one, and why."""
        return f"{self.setting} changes nothing: at speed max all is due at once."


@attrs.frozen
class TimesUnknown:
    """There are too many requests under a rate to plan each."""

    requests: int
    at_least_ns: int
    name: ClassVar[str] = "timesUnknown"

    @property
    def message(self) -> str:
        """What is so."""
        return (
            f"{self.requests} requests under max_rate are too many to plan one by one: it takes "
            f"{_span(self.at_least_ns)} at the least."
        )


@attrs.frozen
class SpansForgotten:
    """Not all spans were kept in mind while dependencies were looked for."""

    spans: int
    name: ClassVar[str] = "spansForgotten"

    @property
    def message(self) -> str:
        """What is so."""
        return (
            f"There are more spans than are kept in mind: a parent among the first {self.spans} "
            f"may be missing from the dependencies of a much later request."
        )


Concern: TypeAlias = (
    NothingSelected
    | CountsAreUpperBounds
    | RelationsBend
    | RecordsTooOld
    | RecordsInFuture
    | TimestampsOutOfRange
    | RequestsTooLong
    | CutByDuration
    | SettingWithoutEffect
    | TimesUnknown
    | SpansForgotten
)
"""Everything that a plan warns of."""


def concern_document(concern: Concern) -> dict[str, Any]:
    """Return a warning as JSON values."""
    return {"warning": concern.name, "message": concern.message, **dict(_facts(concern))}


def _facts(concern: Concern) -> Iterator[tuple[str, Any]]:
    for field, value in attrs.asdict(concern).items():
        first, *others = field.split("_")
        yield first + "".join(part.capitalize() for part in others), value
