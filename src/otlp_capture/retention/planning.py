"""What a policy does to a store: computed before anything is done."""

import math
from datetime import UTC, datetime

import attrs

from otlp_capture.clock import unix_nano
from otlp_capture.retention.model import (
    Action,
    Cause,
    PathUsage,
    PlannedAction,
    Protected,
    RetentionPlan,
    SessionUsage,
    StorageSurvey,
)
from otlp_capture.retention.policy import DAY_NS, RetentionPolicy, days_ns
from otlp_capture.retention.survey import CONTINUOUS, age_key, ended_unix_nano
from otlp_capture.sessions import CaptureSessionMetadata, session_prefix


def make_plan(survey: StorageSurvey, policy: RetentionPolicy, now_ns: int) -> RetentionPlan:
    """Say what *policy* does to what *survey* tells, at *now_ns*.

    Days of `continuous/` come first, then sessions by age, the oldest first, then those that the
    bound on the total size takes. Sessions that are active or held are never among them.
    """
    actions = _continuous_actions(survey.days, policy, now_ns)
    sessions = sorted(survey.sessions, key=lambda each: age_key(each.metadata))
    candidates = list[SessionUsage]()
    for each in sessions if policy.sessions.cleanup_enabled else ():
        if protection(each.metadata) is not None:
            continue
        due = _due(each, policy, now_ns)
        if due is None:
            candidates.append(each)
        else:
            actions.append(due)
    left = survey.total_size_bytes - sum(action.size_bytes for action in actions)
    bound = policy.max_total_bytes
    for each in candidates if bound is not None else ():
        if bound is None or left <= bound:
            break
        if policy.retention_days(each.metadata.labels) == math.inf:
            continue
        detail = f"the store is {left - bound:,} bytes above its bound of {bound:,}"
        actions.append(_action(each, _kind_of(each, policy), "size", detail))
        left -= each.usage.size_bytes
    return RetentionPlan(
        actions=tuple(actions),
        protected=_protected(survey),
        total_size_bytes=survey.total_size_bytes,
        shortfall_bytes=0 if bound is None else max(left - bound, 0),
    )


def plan_archiving(survey: StorageSurvey, days: float, now_ns: int) -> RetentionPlan:
    """Say which sessions that ended *days* ago are to be archived, and nothing else."""
    due = [
        _action(each, "archive", "age", _older(each.metadata, now_ns, days))
        for each in survey.sessions
        if protection(each.metadata) is None
        and each.metadata.deleting_since is None
        and now_ns - ended_unix_nano(each.metadata) >= days_ns(days)
    ]
    return RetentionPlan(
        actions=tuple(due),
        protected=_protected(survey),
        total_size_bytes=survey.total_size_bytes,
    )


def plan_continuous(survey: StorageSurvey, days: float, now_ns: int) -> RetentionPlan:
    """Say which days of `continuous/` ended *days* ago, and nothing of sessions."""
    policy = RetentionPolicy()
    continuous = attrs.evolve(policy.continuous, retention_days=days)
    actions = _continuous_actions(survey.days, attrs.evolve(policy, continuous=continuous), now_ns)
    return RetentionPlan(
        actions=tuple(actions), protected=(), total_size_bytes=survey.total_size_bytes
    )


def protection(metadata: CaptureSessionMetadata) -> str | None:
    """Say what protects a session whatever a policy says; None: nothing does."""
    if metadata.hold is not None:
        reason = f": {metadata.hold.reason}" if metadata.hold.reason else ""
        return f"it is under a hold{reason}"
    if metadata.status == "active":
        return "it is active"
    return None


def _protected(survey: StorageSurvey) -> tuple[Protected, ...]:
    told = ((each.metadata.session_id, protection(each.metadata)) for each in survey.sessions)
    unreadable = ((each.session_id, each.reason) for each in survey.unreadable)
    return tuple(Protected(name, why) for name, why in (*told, *unreadable) if why is not None)


def _continuous_actions(
    days: dict[str, PathUsage], policy: RetentionPolicy, now_ns: int
) -> list[PlannedAction]:
    if not policy.continuous.enabled:
        return []
    kept_days = policy.continuous.retention_days
    return [
        PlannedAction(
            action="delete",
            path=f"{CONTINUOUS}{day}/",
            cause="age",
            detail=f"the day ended {_days_text(now_ns - _day_end_ns(day))} ago; "
            f"days are kept for {kept_days:g}",
            objects=usage.objects,
            size_bytes=usage.size_bytes,
        )
        for day, usage in sorted(days.items())
        if now_ns - _day_end_ns(day) >= days_ns(kept_days)
    ]


def _day_end_ns(day: str) -> int:
    return unix_nano(datetime.fromisoformat(day).replace(tzinfo=UTC)) + DAY_NS


def _due(each: SessionUsage, policy: RetentionPolicy, now_ns: int) -> PlannedAction | None:
    metadata = each.metadata
    if metadata.deleting_since is not None:
        began = f"its deletion was begun at {metadata.deleting_since:%Y-%m-%d %H:%M:%S} UTC"
        return _action(each, "delete", "unfinished", began)
    kept_days, archived_days = policy.retention_days(metadata.labels), _archive_days(policy)
    first = min(kept_days, archived_days)
    if first == math.inf or now_ns - ended_unix_nano(metadata) < days_ns(first):
        return None
    kind = _kind_of(each, policy)
    is_ruled = any(rule.matches(metadata.labels) for rule in policy.labels)
    cause: Cause = "label" if kind == "delete" and is_ruled else "age"
    return _action(each, kind, cause, _older(metadata, now_ns, first))


def _kind_of(each: SessionUsage, policy: RetentionPolicy) -> Action:
    """Say what becomes of a session when its time has come: what would have come first."""
    is_archived = _archive_days(policy) < policy.retention_days(each.metadata.labels)
    return "archive" if is_archived else "delete"


def _archive_days(policy: RetentionPolicy) -> float:
    days = policy.sessions.archive_after_days
    return math.inf if days is None else days


def _older(metadata: CaptureSessionMetadata, now_ns: int, days: float) -> str:
    age = _days_text(now_ns - ended_unix_nano(metadata))
    unit = "day" if days == 1 else "days"
    return f"it ended {age} ago; it is kept here for {days:g} {unit}"


def _days_text(age_ns: int) -> str:
    return f"{age_ns / DAY_NS:.1f} days"


def _action(each: SessionUsage, action: Action, cause: Cause, detail: str) -> PlannedAction:
    return PlannedAction(
        action=action,
        path=f"{session_prefix(each.metadata.session_id)}/",
        cause=cause,
        detail=detail,
        objects=each.usage.objects,
        size_bytes=each.usage.size_bytes,
        metadata=each.metadata,
    )
