"""Rules of redaction, as values: what is to become of which attribute, body or text."""

import re
from typing import Final, Literal, TypeAlias, get_args

import attrs

from otlp_capture.otlp import ATTRIBUTE_PLACES, PLACES, Place, RedactionAction
from otlp_capture.redaction.errors import InvalidRule, InvalidRuleSetting
from otlp_capture.result import Failure, Outcome, Success

UnknownFields: TypeAlias = Literal["drop", "keep"]

ACTIONS: Final[tuple[RedactionAction, ...]] = get_args(RedactionAction)
DEFAULT_REPLACEMENT: Final = "***"
MAX_REPLACEMENT: Final = 256
DEFAULT_MAX_VALUE_BYTES: Final = 64 * 1024
MIN_KEY_BYTES: Final = 16
MAX_KEY_BYTES: Final = 64
RESERVED_NAMES: Final = frozenset({"default", "unknown_fields", "repeated_fields"})

_KEYED_PLACES: Final = frozenset({*ATTRIBUTE_PLACES, "body"})
_LARGEST_LIMIT: Final = 128 * 1024 * 1024


@attrs.frozen(kw_only=True)
class Rule:
    """One rule. The first that matches a value decides what becomes of it.

    Attributes:
        name: what it is counted under.
        on: the places where it looks.
        action: `allow` keeps the value as it is, `drop` leaves it out, `hash` puts a keyed hash in
            its place, `mask` replaces what `patterns` match.
        keys: of attributes, and inside of bodies: exact, or with `*`, `?` and `[...]`. A key in a
            list has the keys around it before it, joined by dots. Empty: every key.
        value: it looks only at texts in which this is found. None: at every value.
        patterns: of a `mask`: what is replaced.
        replacement: of a `mask`: by what.
    """

    name: str
    on: tuple[Place, ...]
    action: RedactionAction
    keys: tuple[str, ...] = ()
    value: re.Pattern[str] | None = None
    patterns: tuple[re.Pattern[str], ...] = ()
    replacement: str = DEFAULT_REPLACEMENT


@attrs.frozen(kw_only=True)
class RuleSet:
    """All that a redaction goes by.

    Attributes:
        rules: in their order.
        default_drops: the places where what no rule matches is left out.
        hash_key: the key of all hashes.
        unknown_fields: what becomes of fields that this release of OTLP does not know: they can
            carry anything, and no rule can name them.
        max_value_bytes: the longest text that a pattern is run over; a longer one is left out.
    """

    rules: tuple[Rule, ...] = ()
    default_drops: frozenset[Place] = frozenset()
    hash_key: bytes | None = attrs.field(default=None, repr=False)
    unknown_fields: UnknownFields = "drop"
    max_value_bytes: int = DEFAULT_MAX_VALUE_BYTES


def check_rules(rules: RuleSet) -> Outcome[RuleSet, InvalidRule | InvalidRuleSetting]:
    """Return *rules* if a redaction can go by them.

    Fails with:
        InvalidRule: a rule lacks what its action needs, or has what it cannot have.
        InvalidRuleSetting: the limit is none, or the key is too short or too long.
    """
    if not 1 <= rules.max_value_bytes <= _LARGEST_LIMIT:
        allowed = f"1 to {_LARGEST_LIMIT:,} bytes"
        return Failure(InvalidRuleSetting("max_value_bytes", rules.max_value_bytes, allowed))
    key = rules.hash_key
    if key is not None and not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        allowed = f"{MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes"
        return Failure(InvalidRuleSetting("hash_key", f"{len(key)} bytes", allowed))
    names: set[str] = set()
    for number, rule in enumerate(rules.rules, start=1):
        problem = _problem(rule, has_key=key is not None)
        if problem is None and rule.name in names | RESERVED_NAMES:
            problem = "name", rule.name, "a name that no other rule and no count has"
        if problem is not None:
            return Failure(InvalidRule(number, *problem))
        names.add(rule.name)
    return Success(rules)


def _problem(rule: Rule, *, has_key: bool) -> tuple[str, object, str] | None:
    """Return the field of a rule that is wrong, what stands there, and what is allowed."""
    if rule.action not in ACTIONS:
        return "action", rule.action, ", ".join(ACTIONS)
    if not rule.on or not set(rule.on) <= set(PLACES):
        return "on", ", ".join(rule.on) or None, f"one or more of {', '.join(PLACES)}"
    unkeyed = [place for place in rule.on if place not in _KEYED_PLACES]
    if rule.keys and unkeyed:
        allowed = f"no key on {', '.join(unkeyed)}; only attributes and bodies have keys"
        return "key", ", ".join(rule.keys), allowed
    if rule.action == "mask" and not rule.patterns:
        return "pattern", None, "a regular expression, or a list of them, for a mask"
    for pattern in rule.patterns:
        if pattern.search("") is not None:
            return "pattern", pattern.pattern, "a pattern that does not match the empty text"
    if rule.action != "mask" and rule.patterns:
        return "pattern", rule.patterns[0].pattern, f"none for {rule.action}; it is for mask"
    if rule.action != "mask" and rule.replacement != DEFAULT_REPLACEMENT:
        return "replacement", rule.replacement, f"none for {rule.action}; it is for mask"
    if len(rule.replacement) > MAX_REPLACEMENT:
        return "replacement", rule.replacement, f"at most {MAX_REPLACEMENT} letters"
    if rule.action == "hash" and not has_key:
        return "action", "hash", "a hash only where [hash_key] says where the key is"
    return None
