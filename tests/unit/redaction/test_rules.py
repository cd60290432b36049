"""What the rules do with a value."""

import hashlib
from typing import Any, cast

import pytest

from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.redaction import InvalidRule, Rule, RuleSet, redaction_report, redactor_of
from otlp_capture.result import or_raise
from tests.redactions import (
    KEY,
    attributes_in,
    redactor,
    set_value,
    value_of,
    with_attributes,
)
from tests.strategies import REQUEST_TYPES

MAIL = "mail jane@shop.example now"


def redacted(rules: list[dict[str, Any]], attributes: dict[str, Any], **settings: Any) -> Any:
    """Return what rules leave of a span's attributes, and what was counted."""
    uses = redactor(*rules, **settings)
    request = with_attributes("traces", *attributes.items())
    done = or_raise(uses.redact(request, "traces"))
    return attributes_in(done.request, "traces"), redaction_report(uses)


def hashed(content: bytes, kind: str = "string") -> str:
    return hashlib.blake2b(
        content, digest_size=16, key=KEY.encode(), person=kind.encode()
    ).hexdigest()


def test_an_attribute_is_dropped_by_its_key() -> None:
    rules = [{"on": "span", "key": "password", "action": "drop", "name": "secrets"}]

    assert redacted(rules, {"password": "x", "a": 1}) == ({"a": 1}, {"secrets": {"drop": 1}})


def test_an_attribute_is_hashed_so_that_equals_stay_equal() -> None:
    rules = [{"on": "span", "key": ["user.*"], "action": "hash"}]

    kept, report = redacted(rules, {"user.id": "jane", "user.mail": "jane", "user.no": b"jane"})

    jane = hashed(b"jane")
    assert kept == {"user.id": jane, "user.mail": jane, "user.no": hashed(b"jane", "bytes")}
    assert report == {"rule 1": {"hash": 3}}


@pytest.mark.parametrize("value", [7, True, 1.5, [1, "x"], {"b": 1, "a": [b""]}])
def test_any_value_is_hashed_whole(value: Any) -> None:
    rules = [{"on": "span", "key": "k", "action": "hash"}]

    (kept, report), (again, _) = (redacted(rules, {"k": value}) for _ in range(2))

    assert kept == again
    assert len(kept["k"]) == 32
    assert report == {"rule 1": {"hash": 1}}


def test_the_order_of_nested_keys_does_not_change_a_hash() -> None:
    rules = [{"on": "span", "key": "k", "action": "hash"}]

    one, _ = redacted(rules, {"k": {"a": 1, "b": [{"c": 2, "d": 3}]}})
    other, _ = redacted(rules, {"k": {"b": [{"d": 3, "c": 2}], "a": 1}})

    assert one == other


def test_a_mask_reaches_texts_and_bytes_at_any_depth() -> None:
    rules = [{"on": "attributes", "pattern": ["preset:email", "4[0-9]{3}"], "action": "mask"}]
    values = {
        "a": MAIL,
        "b": [MAIL, {"c": MAIL.encode() + b"\xff", "d": 7}],
        "e": "4711 and jane@shop.example",
    }

    kept, report = redacted(rules, values)

    masked = "mail *** now"
    assert kept == {
        "a": masked,
        "b": [masked, {"c": masked.encode() + b"\xff", "d": 7}],
        "e": "*** and ***",
    }
    assert report == {"rule 1": {"mask": 4}}


def test_a_replacement_is_taken_as_it_stands() -> None:
    rules = [{"on": "span", "pattern": "(a)", "replacement": r"\1<>", "action": "mask"}]

    assert redacted(rules, {"k": "cat"})[0] == {"k": r"c\1<>t"}


def test_the_first_rule_that_matches_decides() -> None:
    rules = [
        {"on": "span", "key": "user.name", "action": "allow"},
        {"on": "span", "key": "user.*", "action": "drop"},
        {"on": "span", "key": "user.mail", "action": "hash"},
    ]

    kept, _ = redacted(rules, {"user.name": "jane", "user.mail": "x", "other": "y"})

    assert kept == {"user.name": "jane", "other": "y"}


def test_a_value_decides_too() -> None:
    rules = [
        {"on": "span", "value": "^tok_", "action": "drop"},
        {"on": "span", "key": "k*", "action": "allow"},
        {"on": "span", "action": "hash"},
    ]

    kept, _ = redacted(rules, {"k1": "tok_1", "k2": ["a", "tok_2"], "x": "a", "k3": 3})

    assert kept == {"k2": ["a"], "x": hashed(b"a"), "k3": 3}


class TestNestedKeys:
    def test_a_path_is_the_keys_joined_by_dots(self) -> None:
        rules = [{"on": "span", "key": ["outer.inner", "*.password"], "action": "drop"}]
        nested = {"inner": 1, "kept": [{"password": 2, "x": 3}], "password": {"y": 4}}

        kept, report = redacted(rules, {"outer": nested, "outer.inner": 5})

        assert kept == {"outer": {"kept": [{"x": 3}]}}
        assert report == {"rule 1": {"drop": 4}}

    def test_a_rule_before_that_of_the_key_around_it_decides(self) -> None:
        rules = [
            {"on": "span", "key": "outer.id", "action": "allow"},
            {"on": "span", "key": "outer.secret", "action": "drop"},
            {"on": "span", "key": "outer", "action": "mask", "pattern": "[a-z]+"},
            {"on": "span", "key": "outer.late", "action": "drop"},
        ]
        nested = {"id": "abc", "secret": "abc", "late": "abc", "more": {"id": "abc"}}

        kept, _ = redacted(rules, {"outer": nested})

        assert kept == {"outer": {"id": "abc", "late": "***", "more": {"id": "***"}}}

    @pytest.mark.parametrize("action", ["drop", "hash"])
    def test_what_is_dropped_or_hashed_is_taken_with_all_inside(self, action: str) -> None:
        rules = [
            {"on": "span", "key": "outer.id", "action": "allow"},
            {"on": "span", "key": "outer", "action": action},
        ]

        kept, report = redacted(rules, {"outer": {"id": "abc"}})

        assert [len(value) for value in kept.values()] in ([], [32])
        assert report == {"rule 2": {action: 1}}


class TestAllowLists:
    RULES = (
        {"on": "span", "key": "http.*", "action": "allow"},
        {"on": "span", "key": "user.id", "action": "hash"},
    )

    def test_what_no_rule_matches_is_dropped_where_the_default_says_so(self) -> None:
        given = {"http.route": "/", "user.id": "jane", "x": 1, "y": {"http.route": "/"}}

        kept, report = redacted([*self.RULES], given, default={"attributes": "drop"})

        assert kept == {"http.route": "/", "user.id": hashed(b"jane")}
        assert report == {"default": {"drop": 2}, "rule 2": {"hash": 1}}

    def test_a_single_place_can_differ(self) -> None:
        default = {"span": "allow", "attributes": "drop"}

        assert redacted([], {"x": 1}, default=default) == ({"x": 1}, {})


class TestLongValues:
    @pytest.mark.parametrize("rule", [{"pattern": "b", "action": "mask"}, {"value": "b"}])
    def test_a_text_that_is_too_long_to_search_is_dropped(self, rule: dict[str, Any]) -> None:
        rules = [{"on": "span", "action": "allow", **rule}]

        kept, report = redacted(
            rules, {"a": "x" * 9, "b": "ü" * 5, "c": b"x" * 9, "d": ["x" * 8]}, max_value_bytes=8
        )

        assert kept == {"d": ["x" * 8]}
        assert report == {"rule 1": {"too_long": 3}}

    def test_what_needs_no_search_may_be_long(self) -> None:
        rules = [{"on": "span", "action": "allow"}]

        assert redacted(rules, {"a": "x" * 9}, max_value_bytes=8) == ({"a": "x" * 9}, {})


class TestTextsAndBodies:
    def test_texts_are_masked_hashed_and_emptied(self) -> None:
        message = REQUEST_TYPES["traces"]()
        span = message.resource_spans.add().scope_spans.add().spans.add(name=MAIL)
        span.status.message, span.trace_state = MAIL, "v=1"
        span.events.add(name="jane")
        uses = redactor(
            {"on": ["span_name"], "pattern": "preset:email", "action": "mask"},
            {"on": ["status_message"], "action": "drop"},
            {"on": ["event_name"], "action": "hash"},
        )

        done = or_raise(uses.redact(message.SerializeToString(), "traces"))

        left = REQUEST_TYPES["traces"].FromString(done.request)
        span = left.resource_spans[0].scope_spans[0].spans[0]
        assert (span.name, span.status.message, span.events[0].name, span.trace_state) == (
            "mail *** now",
            "",
            hashed(b"jane"),
            "v=1",
        )

    @pytest.mark.parametrize(
        ("rule", "left"),
        [
            ({"action": "drop"}, None),
            ({"action": "hash", "value": "jane"}, hashed(MAIL.encode())),
            ({"action": "mask", "pattern": "jane"}, "mail ***@shop.example now"),
            ({"action": "drop", "key": "user.*"}, MAIL),
        ],
    )
    def test_a_body_is_a_value_without_a_key(self, rule: dict[str, Any], left: Any) -> None:
        assert self.left_of(MAIL, rule) == left

    def test_keys_inside_a_body_are_paths_from_there(self) -> None:
        body = {"user": {"mail": "x", "id": 1}, "mail": "y"}

        left = self.left_of(body, {"action": "drop", "key": ["user.mail"]})

        assert left == {"user": {"id": 1}, "mail": "y"}

    @staticmethod
    def left_of(body: Any, rule: dict[str, Any]) -> Any:
        request = with_body(body)
        done = or_raise(redactor({"on": "body", **rule}).redact(request, "logs"))
        message = REQUEST_TYPES["logs"].FromString(done.request)
        return body_of(message)


def with_body(body: Any) -> bytes:
    message = REQUEST_TYPES["logs"]()
    set_value(message.resource_logs.add().scope_logs.add().log_records.add().body, body)
    return bytes(message.SerializeToString())


def body_of(message: Any) -> Any:
    record = message.resource_logs[0].scope_logs[0].log_records[0]
    return value_of(record.body) if record.HasField("body") else None


@pytest.mark.parametrize("signal", SIGNALS)
def test_what_no_rule_matches_is_the_same_object(signal: Signal) -> None:
    uses = redactor({"on": "attributes", "key": "x", "action": "drop"})
    request = with_attributes(signal, ("a", "b"))

    assert or_raise(uses.redact(request, signal)).request is request
    assert uses.counts == {}


def test_rules_can_be_values() -> None:
    rules = RuleSet(rules=(Rule(name="n", on=("log",), keys=("k",), action="drop"),))
    request = with_attributes("logs", ("k", "v"), ("l", "w"))

    done = or_raise(or_raise(redactor_of(rules)).redact(request, "logs"))

    assert attributes_in(done.request, "logs") == {"l": "w"}
    assert done.counts == {("n", "drop"): 1}


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Rule(name="n", on=("log",), action=cast("Any", "erase")), "action"),
        (Rule(name="n", on=(cast("Any", "spam"),), action="drop"), "on"),
        (Rule(name="n", on=(), action="drop"), "on"),
    ],
)
def test_rules_that_are_none_redact_nothing(rule: Rule, field: str) -> None:
    error = redactor_of(RuleSet(rules=(rule,))).failure()

    assert isinstance(error, InvalidRule)
    assert (error.rule, error.field) == (1, field)


def test_what_cannot_be_read_is_refused_without_a_word_of_its_content() -> None:
    failed = redactor().redact(b"\x0a\x05secret", "logs").failure()

    assert not failed.retryable
    assert "secret" not in failed.message


def test_the_key_of_hashes_is_not_shown() -> None:
    assert KEY not in repr(redactor().rules)
