"""How long what is kept, as values."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention.errors import InvalidPolicy
from otlp_capture.retention.schedule import next_run

DAY_NS: Final = 86_400_000_000_000
_MOST_DAYS: Final = 36_500


@attrs.frozen(kw_only=True)
class ContinuousRetention:
    """What becomes of `continuous/`, capture without a session.

    Attributes:
        retention_days: how long a day is kept after its end.
        cleanup_schedule: when scheduled runs are due, for sessions as well: a cron expression in
            UTC.
        enabled: whether anything is deleted there.
    """

    retention_days: float = 7
    cleanup_schedule: str = "0 2 * * *"
    enabled: bool = True


@attrs.frozen(kw_only=True)
class SessionsRetention:
    """What becomes of sessions that have ended. Their age counts from their end.

    Attributes:
        default_retention_days: how long a session is kept that no label rule knows.
        max_retention_days: the most that a label rule may say, but for ever.
        archive_after_days: when a session is moved to the archive; None: never. Whichever of
            archiving and deletion comes first for a session is what happens to it, however late.
        cleanup_enabled: whether anything is done to sessions.
    """

    default_retention_days: float = 30
    max_retention_days: float = 365
    archive_after_days: float | None = None
    cleanup_enabled: bool = True


@attrs.frozen
class LabelRule:
    """Sessions with a label are kept for days of their own.

    Attributes:
        name: the label's name.
        value: its value; None: any.
        days: how long; None: for ever, whatever the total size.
    """

    name: str
    value: str | None
    days: float | None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a session with *labels* is meant."""
        return self.name in labels and self.value in {None, labels[self.name]}


def _listed(rules: Iterable[LabelRule]) -> tuple[LabelRule, ...]:
    return tuple(rules)


@attrs.frozen(kw_only=True)
class RetentionPolicy:
    """What a store keeps, and for how long.

    Attributes:
        continuous: for capture without a session.
        sessions: for sessions.
        labels: rules by label; where several match, the longest counts.
        max_total_bytes: the size of the whole store over which the oldest sessions that have
            ended go, until it is met; None: no bound.
    """

    continuous: ContinuousRetention = ContinuousRetention()
    sessions: SessionsRetention = SessionsRetention()
    labels: tuple[LabelRule, ...] = attrs.field(default=(), converter=_listed)
    max_total_bytes: int | None = None

    def retention_days(self, labels: Mapping[str, str]) -> float:
        """Return how long a session with *labels* is kept; infinity: for ever."""
        rules = [rule for rule in self.labels if rule.matches(labels)]
        if not rules:
            return self.sessions.default_retention_days
        return max(math.inf if rule.days is None else rule.days for rule in rules)


def check_policy(policy: RetentionPolicy) -> Outcome[RetentionPolicy, InvalidPolicy]:
    """Return *policy* if it can be followed.

    Fails with:
        InvalidPolicy: a number is out of its range, or the schedule is no cron expression.
    """
    sessions, most = policy.sessions, policy.sessions.max_retention_days
    days: dict[str, Any] = {
        "continuous.retention_days": policy.continuous.retention_days,
        "sessions.default_retention_days": sessions.default_retention_days,
        "sessions.max_retention_days": most,
    }
    if sessions.archive_after_days is not None:
        days["sessions.archive_after_days"] = sessions.archive_after_days
    days |= {
        f"labels[{index}].days": rule.days
        for index, rule in enumerate(policy.labels)
        if rule.days is not None
    }
    for field, value in days.items():
        checked = check_days(field, value)
        if isinstance(checked, Failure):
            return checked
        if (field.startswith("labels") or "default" in field) and value > most:
            allowed = f"it is at most sessions.max_retention_days, {most:g}"
            return Failure(InvalidPolicy(field, value, allowed))
    for index, rule in enumerate(policy.labels):
        if not rule.name:
            return Failure(InvalidPolicy(f"labels[{index}].name", rule.name, "it is not empty"))
    bound: Any = policy.max_total_bytes
    if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound < 0):
        return Failure(InvalidPolicy("max_total_bytes", bound, "it is a number of bytes from 0"))
    due = next_run(policy.continuous.cleanup_schedule, 0)
    return due if isinstance(due, Failure) else Success(policy)


def check_days(field: str, value: Any) -> Outcome[float, InvalidPolicy]:
    """Return *value* if it is a number of days.

    Fails with:
        InvalidPolicy: it is none.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and 0 <= value <= _MOST_DAYS:
        return Success(value)
    allowed = f"it is a number of days, 0 to {_MOST_DAYS:,}"
    return Failure(InvalidPolicy(field, value, allowed))


def days_ns(days: float) -> int:
    """Return *days* in nanoseconds."""
    return round(days * DAY_NS)
