"""Masks that would make a request far larger than it was: they are not built."""

import re
from collections.abc import Callable
from typing import TypeAlias

import pytest
from returns.result import Failure

from otlp_capture import otlp
from otlp_capture.otlp import InvalidRequest, Redacted, RequestTooLarge, Signal
from otlp_capture.otlp.measures import MOST_ADDED, Policy
from otlp_capture.otlp.redact import redact_by_parsing
from otlp_capture.redaction import RedactionFailed, Rule, RuleSet, redactor_of
from otlp_capture.redaction.policy import RulePolicy
from otlp_capture.result import Outcome, or_raise
from tests.memory import mebibytes_for
from tests.redactions import with_attributes

ROADS = pytest.mark.parametrize("redact", [otlp.redact, redact_by_parsing])
LONG = "#" * 256
Redacting: TypeAlias = Callable[
    [bytes, Signal, Policy], Outcome[Redacted, InvalidRequest | RequestTooLarge]
]


def masking(*patterns: str, replacement: str = LONG) -> RuleSet:
    rule = Rule(
        name="each",
        on=("log",),
        action="mask",
        patterns=tuple(map(re.compile, patterns)),
        replacement=replacement,
    )
    return RuleSet(rules=(rule,), max_value_bytes=1 << 20)


@ROADS
def test_one_value_cannot_grow_beyond_what_may_be_added(redact: Redacting) -> None:
    letters = MOST_ADDED // 255
    kept = with_attributes("logs", ("a", "x" * letters))
    grown = with_attributes("logs", ("a", "x" * (letters + 1)))
    policy = RulePolicy(masking("x"))

    assert len(or_raise(redact(kept, "logs", policy)).request) > letters * 256
    assert redact(grown, "logs", policy) == Failure(
        RequestTooLarge("bytes", len(grown) + MOST_ADDED)
    )


@ROADS
def test_many_values_cannot_either(redact: Redacting) -> None:
    letters = MOST_ADDED // 255 // 4
    values = [(f"a{number}", "x" * letters) for number in range(5)]
    few, many = with_attributes("logs", *values[:4]), with_attributes("logs", *values)
    policy = RulePolicy(masking("x"))

    assert len(or_raise(redact(few, "logs", policy)).request) > 4 * letters * 256
    assert isinstance(redact(many, "logs", policy), Failure)


@ROADS
def test_what_one_pattern_puts_in_can_grow_by_the_next_one(redact: Redacting) -> None:
    request = with_attributes("logs", ("a", "x" * 1_000))

    assert isinstance(redact(request, "logs", RulePolicy(masking("x", "#"))), Failure)


@pytest.mark.parametrize("pattern", ["x", "x|$", "x+", "(?<=x)", r"\b", "y"])
def test_a_long_text_is_masked_as_a_short_one(pattern: str) -> None:
    """Beyond a bound it is built piece by piece, to the same end."""
    text = "xx y xé " * 20_000
    policy = RulePolicy(masking(pattern))

    (measure,) = policy.at("log", "a")
    assert measure.mask is not None
    wanted = re.sub(pattern, LONG, text)
    assert measure.mask(text, len(wanted)) == wanted
    assert measure.mask(text, max(len(wanted) - 1, len(text) - 1)) in {None, text}


def test_such_a_request_is_not_kept_and_says_why() -> None:
    redactor = or_raise(redactor_of(masking("x")))
    request = with_attributes("logs", ("a", "x" * (1 << 18)))

    most = len(request) + MOST_ADDED
    reason = f"masks would make more than {most:,} bytes of it"
    assert redactor.redact(request, "logs") == Failure(RedactionFailed(reason))
    assert redactor.counts == {}


@ROADS
def test_memory_stays_within_what_may_be_added(redact: Redacting) -> None:
    """It would be 4 GiB."""
    before = f"""
from tests.unit.redaction.test_growth import *
request = with_attributes("logs", *((f"a{{number}}", "x" * (1 << 20)) for number in range(16)))
policy = RulePolicy(masking("x"))
redact = {"otlp.redact" if redact is otlp.redact else "redact_by_parsing"}
redact(request, "logs", RulePolicy(masking("y")))
"""
    measured = 'assert isinstance(redact(request, "logs", policy), Failure)'

    assert mebibytes_for(measured, before=before) < 200
