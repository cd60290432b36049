"""A retention policy as a file and options say it together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention import (
    InvalidPolicy,
    PolicyFile,
    PolicyUnreadable,
    RetentionPolicy,
    check_policy,
    parse_label_rule,
    read_policy_file,
)


@attrs.frozen(kw_only=True)
class PolicyOptions:
    """What options say, beside a policy's file."""

    days: float | None
    max_days: float | None
    labels: Sequence[str]
    max_total_mb: float | None
    continuous_days: float | None
    archive_after: float | None
    archive_to: str | None
    no_sessions: bool
    no_continuous: bool
    cron: str | None = None


def choose_policy(
    path: Path | None, options: PolicyOptions
) -> Outcome[PolicyFile, InvalidPolicy | PolicyUnreadable]:
    """Join a file and options; an option goes before what the file says.

    Fails with:
        PolicyUnreadable: the file cannot be read.
        InvalidPolicy: it, or an option, says what cannot be.
    """
    read = Success(PolicyFile(RetentionPolicy())) if path is None else read_policy_file(path)
    if isinstance(read, Failure):
        return read
    chosen = read.unwrap()
    policy = chosen.policy
    rules = [parse_label_rule(text) for text in options.labels]
    for rule in rules:
        if isinstance(rule, Failure):
            return rule
    continuous = {
        "retention_days": options.continuous_days,
        "cleanup_schedule": options.cron,
        "enabled": False if options.no_continuous else None,
    }
    sessions = {
        "default_retention_days": options.days,
        "max_retention_days": options.max_days,
        "archive_after_days": options.archive_after,
        "cleanup_enabled": False if options.no_sessions else None,
    }
    if options.max_total_mb is not None:
        policy = attrs.evolve(policy, max_total_bytes=round(options.max_total_mb * 1_000_000))
    policy = attrs.evolve(
        policy,
        continuous=attrs.evolve(policy.continuous, **_given(continuous)),
        sessions=attrs.evolve(policy.sessions, **_given(sessions)),
        labels=(*policy.labels, *(rule.unwrap() for rule in rules)),
    )
    checked = check_policy(policy)
    if isinstance(checked, Failure):
        return checked
    return Success(PolicyFile(policy, options.archive_to or chosen.archive_to))


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
