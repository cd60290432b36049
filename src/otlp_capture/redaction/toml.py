"""Rules of redaction as a TOML file has them."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from re import Pattern
from typing import Any, Final, TypeAlias, cast, get_args

from otlp_capture.otlp import ATTRIBUTE_PLACES, PLACES, Place
from otlp_capture.redaction.errors import (
    HashKeyMissing,
    InvalidRule,
    InvalidRuleSetting,
    RulesRefused,
    RulesUnreadable,
)
from otlp_capture.redaction.patterns import compile_pattern
from otlp_capture.redaction.redactor import Redactor
from otlp_capture.redaction.rules import (
    ACTIONS,
    DEFAULT_MAX_VALUE_BYTES,
    DEFAULT_REPLACEMENT,
    MAX_KEY_BYTES,
    MIN_KEY_BYTES,
    Rule,
    RuleSet,
    UnknownFields,
    check_rules,
)
from otlp_capture.result import Failure, Outcome, Success

_ALL_ATTRIBUTES: Final = "attributes"
_NAMED_PLACES: Final = (*PLACES, _ALL_ATTRIBUTES)
_SETTINGS: Final = ("default", "hash_key", "max_value_bytes", "rule", "unknown_fields")
_RULE_FIELDS: Final = ("action", "key", "name", "on", "pattern", "replacement", "value")
_KEY_SOURCES: Final = ("file", "variable")
_DEFAULTS: Final = ("allow", "drop")

_Table: TypeAlias = Mapping[str, Any]
_Found: TypeAlias = tuple[str, Any, str]
"""A field that is wrong, what stands there, and what is allowed."""


def load_redactor(
    path: Path, environment: Mapping[str, str] = os.environ
) -> Outcome[Redactor, RulesRefused]:
    """Make a redactor of a TOML file of rules.

    Args:
        path: the file.
        environment: where a variable that holds the key of hashes is looked up.

    Fails with:
        RulesUnreadable: there is no such file, or it is no TOML.
        InvalidRule: a rule says what it cannot say; names its number and the field.
        InvalidRuleSetting: a setting of all rules is wrong; names it.
        HashKeyMissing: the key for hashes is not where the file says.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        return Failure(RulesUnreadable(str(path), error.strerror or type(error).__name__))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return Failure(RulesUnreadable(str(path), f"it is no TOML: {error}"))
    read = read_rules(document, path.parent, environment)
    return read if isinstance(read, Failure) else Success(Redactor(read.unwrap()))


def read_rules(
    document: _Table, folder: Path, environment: Mapping[str, str]
) -> Outcome[RuleSet, InvalidRule | InvalidRuleSetting | HashKeyMissing]:
    """Make rules of a TOML document, and check them.

    Args:
        document: as `tomllib` reads it.
        folder: from which the path of a key's file starts.
        environment: where a variable that holds the key is looked up.

    Fails with:
        InvalidRule: a rule says what it cannot say; names its number and the field.
        InvalidRuleSetting: a setting of all rules is wrong; names it.
        HashKeyMissing: the key for hashes is not where the document says.
    """
    wrong = _wrong_setting(document)
    if wrong is not None:
        return Failure(InvalidRuleSetting(*wrong))
    drops = _read_default(document.get("default", {}))
    if isinstance(drops, Failure):
        return drops
    key = _read_key(document.get("hash_key"), folder, environment)
    if isinstance(key, Failure):
        return key
    rules: list[Rule] = []
    for number, table in enumerate(document.get("rule", ()), start=1):
        rule = _read_rule(number, table)
        if isinstance(rule, Failure):
            return Failure(InvalidRule(number, *rule.failure()))
        rules.append(rule.unwrap())
    return check_rules(
        RuleSet(
            rules=tuple(rules),
            default_drops=drops.unwrap(),
            hash_key=key.unwrap(),
            unknown_fields=document.get("unknown_fields", "drop"),
            max_value_bytes=document.get("max_value_bytes", DEFAULT_MAX_VALUE_BYTES),
        )
    )


def _wrong_setting(document: _Table) -> _Found | None:
    unknown = _unknown(document, _SETTINGS)
    if unknown is not None:
        return unknown
    kept: UnknownFields = document.get("unknown_fields", "drop")
    if kept not in get_args(UnknownFields):
        return "unknown_fields", kept, "drop, keep"
    limit = document.get("max_value_bytes", DEFAULT_MAX_VALUE_BYTES)
    if not isinstance(limit, int) or isinstance(limit, bool):
        return "max_value_bytes", limit, "a number of bytes"
    rules = document.get("rule", [])
    if not isinstance(rules, list):
        return "rule", rules, "tables, each under [[rule]]"
    for rule in cast("list[Any]", rules):
        if not isinstance(rule, dict):
            return "rule", rule, "tables, each under [[rule]]"
    return None


def _unknown(table: _Table, known: Iterable[str]) -> _Found | None:
    """Return the first key of a table that is none of those that it may have."""
    for name in table:
        if name not in known:
            return "a field", name, ", ".join(known)
    return None


def _read_default(table: Any) -> Outcome[frozenset[Place], InvalidRuleSetting]:
    if not isinstance(table, dict):
        return Failure(InvalidRuleSetting("default", table, "a table of places"))
    drops: set[Place] = set()
    # The word for all attributes is taken first, so that a single place can differ from it.
    for name, choice in sorted(
        cast("dict[str, Any]", table).items(), key=lambda entry: entry[0] != _ALL_ATTRIBUTES
    ):
        if name not in _NAMED_PLACES:
            return Failure(InvalidRuleSetting("default", name, ", ".join(_NAMED_PLACES)))
        if choice not in _DEFAULTS:
            return Failure(InvalidRuleSetting(f"default.{name}", choice, ", ".join(_DEFAULTS)))
        places = set(_places_named(name))
        drops = drops | places if choice == "drop" else drops - places
    return Success(frozenset(drops))


def _places_named(name: str) -> tuple[Place, ...]:
    return ATTRIBUTE_PLACES if name == _ALL_ATTRIBUTES else (cast("Place", name),)


def _read_key(
    table: Any, folder: Path, environment: Mapping[str, str]
) -> Outcome[bytes | None, InvalidRuleSetting | HashKeyMissing]:
    if table is None:
        return Success(None)
    allowed = 'variable = "NAME", or file = "PATH"; the key itself has no place here'
    if not isinstance(table, dict) or len(cast("_Table", table)) != 1:
        return Failure(InvalidRuleSetting("hash_key", "what it is", allowed))
    ((source, where),) = cast("_Table", table).items()
    if source not in _KEY_SOURCES or not isinstance(where, str):
        return Failure(InvalidRuleSetting("hash_key", source, allowed))
    if source == "variable":
        text = environment.get(where)
        if text is None:
            return Failure(HashKeyMissing(f"the variable {where}", "it is not set"))
        return _checked_key(f"the variable {where}", text.encode("utf-8", "surrogateescape"))
    try:
        content = (folder / where).read_bytes()
    except OSError as error:
        return Failure(HashKeyMissing(f"the file {where}", error.strerror or "it is unreadable"))
    return _checked_key(f"the file {where}", content.rstrip(b"\r\n"))


def _checked_key(source: str, key: bytes) -> Outcome[bytes | None, HashKeyMissing]:
    if MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        return Success(key)
    return Failure(HashKeyMissing(source, f"it holds {len(key)} bytes"))


def _read_rule(number: int, table: _Table) -> Outcome[Rule, _Found]:
    wrong = _unknown(table, _RULE_FIELDS) or _wrong_text(table)
    if wrong is not None:
        return Failure(wrong)
    action = table.get("action")
    if action not in ACTIONS:
        return Failure(("action", action, ", ".join(ACTIONS)))
    names = _texts(table.get("on"))
    if names is None or not set(names) <= set(_NAMED_PLACES):
        return Failure(("on", table.get("on"), f"one or more of {', '.join(_NAMED_PLACES)}"))
    keys = _texts(table.get("key", []))
    if keys is None or (not keys and "key" in table):
        return Failure(("key", table.get("key"), "a key, exact or with * and ?, or some of them"))
    values = _read_patterns("value", _texts(table.get("value", [])), table)
    if isinstance(values, Failure):
        return values
    if len(values.unwrap()) > 1:
        return Failure(("value", table.get("value"), "one regular expression"))
    patterns = _read_patterns("pattern", _texts(table.get("pattern", [])), table)
    if isinstance(patterns, Failure):
        return patterns
    places: list[Place] = [place for name in names for place in _places_named(name)]
    return Success(
        Rule(
            name=table.get("name", f"rule {number}"),
            on=tuple(dict.fromkeys(places)),
            action=action,
            keys=keys,
            value=next(iter(values.unwrap()), None),
            patterns=patterns.unwrap(),
            replacement=table.get("replacement", DEFAULT_REPLACEMENT),
        )
    )


def _wrong_text(table: _Table) -> _Found | None:
    for name in ("name", "replacement"):
        text = table.get(name, "-")
        if not isinstance(text, str) or (name == "name" and not text):
            return name, text, "a text"
    return None


def _read_patterns(
    field: str, texts: tuple[str, ...] | None, table: _Table
) -> Outcome[tuple[Pattern[str], ...], _Found]:
    if texts is None:
        return Failure((field, table.get(field), "a regular expression, or preset:NAME"))
    patterns: list[Pattern[str]] = []
    for text in texts:
        compiled = compile_pattern(text)
        if isinstance(compiled, Failure):
            return Failure((field, text, compiled.failure()))
        patterns.append(compiled.unwrap())
    return Success(tuple(patterns))


def _texts(found: Any) -> tuple[str, ...] | None:
    """Return a text, or a list of texts, as a tuple; None where it is neither."""
    if isinstance(found, str):
        return (found,)
    if isinstance(found, list) and all(isinstance(each, str) for each in cast("list[Any]", found)):
        return tuple(cast("list[str]", found))
    return None
