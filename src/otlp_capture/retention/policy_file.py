"""A policy as a TOML file."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention.errors import InvalidPolicy, PolicyUnreadable
from otlp_capture.retention.policy import (
    ContinuousRetention,
    LabelRule,
    RetentionPolicy,
    SessionsRetention,
    check_policy,
)

FOREVER: Final = "forever"
_ANY: Final = "*"
_TOP: Final = ("continuous", "sessions", "labels", "max_total_bytes", "archive_to")


@attrs.frozen
class PolicyFile:
    """What a file says: a policy, and where sessions are archived to."""

    policy: RetentionPolicy
    archive_to: str | None = None


def read_policy_file(path: Path) -> Outcome[PolicyFile, PolicyUnreadable | InvalidPolicy]:
    """Read a policy; what the file does not say is as in `RetentionPolicy()`.

    Fails with:
        PolicyUnreadable: there is no such file, or it is not TOML.
        InvalidPolicy: it names a field that there is not, or a value that cannot be.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        return Failure(PolicyUnreadable(str(path), error.strerror or str(error)))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return Failure(PolicyUnreadable(str(path), f"it is not TOML ({error})"))
    return parse_policy(document)


def parse_policy(document: Mapping[str, Any]) -> Outcome[PolicyFile, InvalidPolicy]:
    """Read a policy from TOML's values.

    Fails with:
        InvalidPolicy: it names a field that there is not, or a value that cannot be.

    >>> parse_policy({"sessions": {"keep": 3}}).failure().message[:29]
    'sessions.keep cannot be 3: it'
    """
    for name, value in document.items():
        if name not in _TOP:
            return Failure(InvalidPolicy(name, value, f"it is none of {', '.join(_TOP)}"))
    continuous = _section(document, "continuous", ContinuousRetention)
    if isinstance(continuous, Failure):
        return continuous
    sessions = _section(document, "sessions", SessionsRetention)
    if isinstance(sessions, Failure):
        return sessions
    rules = _rules(document.get("labels", []))
    if isinstance(rules, Failure):
        return rules
    archive_to = document.get("archive_to")
    if archive_to is not None and not isinstance(archive_to, str):
        return Failure(InvalidPolicy("archive_to", archive_to, "it is the URL of a store"))
    policy = RetentionPolicy(
        continuous=continuous.unwrap(),
        sessions=sessions.unwrap(),
        labels=rules.unwrap(),
        max_total_bytes=document.get("max_total_bytes"),
    )
    checked = check_policy(policy)
    return checked if isinstance(checked, Failure) else Success(PolicyFile(policy, archive_to))


def parse_label_rule(text: str) -> Outcome[LabelRule, InvalidPolicy]:
    """Read `NAME=VALUE:DAYS`; any value is `*`, and days may be `forever`.

    Fails with:
        InvalidPolicy: it is none.

    >>> parse_label_rule("env=ci:1.5").unwrap()
    LabelRule(name='env', value='ci', days=1.5)
    >>> parse_label_rule("keep=*:forever").unwrap()
    LabelRule(name='keep', value=None, days=None)
    """
    selector, colon, days = text.rpartition(":")
    name, equals, value = selector.partition("=")
    refused = Failure(InvalidPolicy("--label", text, "it is NAME=VALUE:DAYS, or …:forever"))
    if not (colon and equals and name):
        return refused
    try:
        number = None if days == FOREVER else float(days)
    except ValueError:
        return refused
    return Success(LabelRule(name, None if value == _ANY else value, number))


_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "cleanup_schedule": str,
    "enabled": bool,
    "cleanup_enabled": bool,
}


def _section(
    document: Mapping[str, Any], name: str, kind: Callable[..., Any]
) -> Outcome[Any, InvalidPolicy]:
    values = document.get(name, {})
    if not isinstance(values, dict):
        return Failure(InvalidPolicy(name, values, "it is a table"))
    fields = [field.name for field in attrs.fields(cast("type[Any]", kind))]
    for field, value in cast("dict[str, Any]", values).items():
        if field not in fields:
            allowed = f"it is none of {', '.join(fields)}"
            return Failure(InvalidPolicy(f"{name}.{field}", value, allowed))
        wanted = _KINDS.get(field)
        if wanted is not None and not isinstance(value, wanted):
            allowed = "it is a text" if wanted is str else "it is true or false"
            return Failure(InvalidPolicy(f"{name}.{field}", value, allowed))
    return Success(kind(**values))


def _rules(entries: Any) -> Outcome[tuple[LabelRule, ...], InvalidPolicy]:
    allowed = 'each is { name = "…", value = "…", days = 7 }; days may be "forever"'
    if not isinstance(entries, list):
        return Failure(InvalidPolicy("labels", entries, f"it is an array of tables; {allowed}"))
    rules = list[LabelRule]()
    for index, entry in enumerate(cast("list[Any]", entries)):
        rule = _rule(entry)
        if rule is None:
            return Failure(InvalidPolicy(f"labels[{index}]", entry, allowed))
        rules.append(rule)
    return Success(tuple(rules))


def _rule(entry: Any) -> LabelRule | None:
    if not isinstance(entry, dict):
        return None
    fields = cast("dict[str, Any]", entry)
    name, value, days = fields.get("name"), fields.get("value"), fields.get("days")
    is_whole = fields.keys() <= {"name", "value", "days"} and days is not None
    if not (is_whole and isinstance(name, str) and isinstance(value, str | None)):
        return None
    if isinstance(days, str) and days != FOREVER:
        return None
    return LabelRule(name, None if value == _ANY else value, None if days == FOREVER else days)
