"""A retention policy as a file and options say it together."""

from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

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
    """The options that say what the policy is: a file, and what goes before it."""

    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="A policy in TOML; options go before it."),
    ] = None
    days: Annotated[
        float | None,
        typer.Option("--days", metavar="DAYS", help="How long sessions are kept after their end."),
    ] = None
    max_days: Annotated[
        float | None,
        typer.Option("--max-days", metavar="DAYS", help="The most that a label may say."),
    ] = None
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="NAME=VALUE:DAYS",
            help="Days of their own for sessions with a label; VALUE may be *, DAYS forever.",
        ),
    ] = None
    max_total_mb: Annotated[
        float | None,
        typer.Option(
            "--max-total-mb",
            metavar="MB",
            min=0,
            help="The store's bound, in 10^6 bytes: oldest go.",
        ),
    ] = None
    continuous_days: Annotated[
        float | None,
        typer.Option(
            "--continuous-days", metavar="DAYS", help="How long days of continuous/ stay."
        ),
    ] = None
    archive_after: Annotated[
        float | None,
        typer.Option("--archive-after", metavar="DAYS", help="When sessions move to the archive."),
    ] = None
    archive_to: Annotated[
        str | None,
        typer.Option("--archive-to", metavar="URL", help="The store that is the archive."),
    ] = None
    no_sessions: Annotated[bool, typer.Option("--no-sessions", help="Leave sessions alone.")] = (
        False
    )
    no_continuous: Annotated[
        bool, typer.Option("--no-continuous", help="Leave continuous/ alone.")
    ] = False


def choose_policy(
    options: PolicyOptions, cron: str | None = None
) -> Outcome[PolicyFile, InvalidPolicy | PolicyUnreadable]:
    """Join a file and options; an option goes before what the file says.

    Fails with:
        PolicyUnreadable: the file cannot be read.
        InvalidPolicy: it, or an option, says what cannot be.
    """
    read = (
        Success(PolicyFile(RetentionPolicy()))
        if options.policy is None
        else read_policy_file(options.policy)
    )
    if isinstance(read, Failure):
        return read
    chosen = read.unwrap()
    policy = chosen.policy
    rules = [parse_label_rule(text) for text in options.label or ()]
    for rule in rules:
        if isinstance(rule, Failure):
            return rule
    continuous = {
        "retention_days": options.continuous_days,
        "cleanup_schedule": cron,
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
