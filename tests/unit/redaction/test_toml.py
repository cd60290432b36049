"""Rules as a TOML file has them, and what is said of one that is wrong."""

import re
from pathlib import Path
from typing import Any

import pytest

from otlp_capture.otlp import ATTRIBUTE_PLACES, PLACES
from otlp_capture.redaction import (
    PRESETS,
    HashKeyMissing,
    InvalidRule,
    InvalidRuleSetting,
    RulesUnreadable,
    load_redactor,
)
from otlp_capture.result import or_raise

KEY = "k" * 16


def loaded(folder: Path, text: str, **environment: str) -> Any:
    path = folder / "rules.toml"
    path.write_text(text)
    return load_redactor(path, environment)


def rule(*lines: str) -> str:
    return "\n".join(["[[rule]]", *lines])


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    text = "\n".join(
        [
            'unknown_fields = "keep"',
            "max_value_bytes = 100",
            '[hash_key]\nvariable = "K"',
            '[default]\nlog = "drop"',
            rule('name = "n"', 'on = ["attributes", "body", "span"]', 'action = "hash"'),
            rule('on = "span"', 'key = ["a", "b.*"]', 'value = "x"', 'action = "drop"'),
            rule('on = "body"', 'pattern = "preset:jwt"', 'action = "mask"', 'replacement = ""'),
        ]
    )

    rules = or_raise(loaded(tmp_path, text, K=KEY)).rules

    assert rules.unknown_fields == "keep"
    assert rules.max_value_bytes == 100
    assert rules.hash_key == KEY.encode()
    assert rules.default_drops == {"log"}
    assert [(each.name, each.on, each.keys, each.action) for each in rules.rules] == [
        ("n", (*ATTRIBUTE_PLACES, "body"), (), "hash"),
        ("rule 2", ("span",), ("a", "b.*"), "drop"),
        ("rule 3", ("body",), (), "mask"),
    ]
    assert rules.rules[2].replacement == ""


def test_an_empty_file_redacts_unknown_fields_alone(tmp_path: Path) -> None:
    rules = or_raise(loaded(tmp_path, "")).rules

    assert (rules.rules, rules.unknown_fields, rules.max_value_bytes) == ((), "drop", 65536)


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        (['on = "span"'], "action", None),
        (['on = "span"', 'action = "erase"'], "action", "erase"),
        (['action = "drop"'], "on", None),
        (['on = ["spam"]', 'action = "drop"'], "on", ["spam"]),
        (["on = []", 'action = "drop"'], "on", None),
        (['on = "span"', 'action = "drop"', "colour = 1"], "a field", "colour"),
        (['on = "span"', 'action = "drop"', "key = 1"], "key", 1),
        (['on = "span"', 'action = "drop"', "key = []"], "key", []),
        (['on = "span_name"', 'action = "drop"', 'key = "a"'], "key", "a"),
        (['on = "span"', 'action = "drop"', "value = 1"], "value", 1),
        (['on = "span"', 'action = "drop"', 'value = "("'], "value", "("),
        (['on = "span"', 'action = "drop"', 'value = ["a", "b"]'], "value", ["a", "b"]),
        (['on = "span"', 'action = "mask"'], "pattern", None),
        (['on = "span"', 'action = "mask"', 'pattern = "preset:x"'], "pattern", "preset:x"),
        (['on = "span"', 'action = "mask"', 'pattern = "a*"'], "pattern", "a*"),
        (['on = "span"', 'action = "drop"', 'pattern = "a"'], "pattern", "a"),
        (['on = "span"', 'action = "drop"', 'replacement = "a"'], "replacement", "a"),
        (['on = "span"', 'action = "drop"', "replacement = 1"], "replacement", 1),
        (
            ['on = "span"', 'action = "mask"', 'pattern = "a"', f'replacement = "{"b" * 257}"'],
            "replacement",
            "b" * 257,
        ),
        (['on = "span"', 'action = "drop"', 'name = ""'], "name", ""),
        (['on = "span"', 'action = "drop"', 'name = "first"'], "name", "first"),
        (['on = "span"', 'action = "drop"', 'name = "default"'], "name", "default"),
        (['on = "span"', 'action = "hash"'], "action", "hash"),
    ],
)
def test_what_is_wrong_with_a_rule_names_its_number_and_field(
    tmp_path: Path, lines: list[str], field: str, value: Any
) -> None:
    good = rule('name = "first"', 'on = "log"', 'action = "allow"')

    error = loaded(tmp_path, "\n".join([good, rule(*lines)])).failure()

    assert error == InvalidRule(2, field, value, error.allowed)
    assert error.message.startswith(f"Redaction rule 2: {field} ")
    assert error.allowed in error.message


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("colour = 1", "a field"),
        ('unknown_fields = "hide"', "unknown_fields"),
        ("max_value_bytes = true", "max_value_bytes"),
        ("max_value_bytes = 0", "max_value_bytes"),
        ("rule = 1", "rule"),
        ("rule = [1]", "rule"),
        ("default = 1", "default"),
        ('[default]\nspam = "drop"', "default"),
        ('[default]\nspan = "hash"', "default.span"),
        ('hash_key = "swordfish"', "hash_key"),
        ("[hash_key]\nvariable = 1", "hash_key"),
        ('[hash_key]\nkey = "swordfish"', "hash_key"),
    ],
)
def test_what_is_wrong_with_a_setting_names_it(tmp_path: Path, text: str, field: str) -> None:
    error = loaded(tmp_path, text).failure()

    assert isinstance(error, InvalidRuleSetting)
    assert error.field == field
    assert "swordfish" not in error.message


class TestTheKey:
    def test_a_file_is_found_beside_the_rules(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(KEY + "\n")

        read = or_raise(loaded(tmp_path, '[hash_key]\nfile = "key"'))

        assert read.rules.hash_key == KEY.encode()

    @pytest.mark.parametrize("source", ['variable = "K"', 'file = "key"'])
    def test_a_key_that_is_not_there_is_an_error(self, tmp_path: Path, source: str) -> None:
        error = loaded(tmp_path, f"[hash_key]\n{source}").failure()

        assert isinstance(error, HashKeyMissing)
        assert "16 to 64" in error.message

    def test_a_key_that_can_be_guessed_is_an_error_that_does_not_tell_it(
        self, tmp_path: Path
    ) -> None:
        error = loaded(tmp_path, '[hash_key]\nvariable = "K"', K="swordfish").failure()

        assert error == HashKeyMissing("the variable K", "it holds 9 bytes")
        assert "swordfish" not in error.message


@pytest.mark.parametrize("content", [None, b"[", b"\xff"])
def test_a_file_that_is_none_is_unreadable(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rules.toml"
    if content is not None:
        path.write_bytes(content)

    error = load_redactor(path).failure()

    assert isinstance(error, RulesUnreadable)
    assert str(path) in error.message


def test_the_example_of_the_documentation_is_a_file_of_rules(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "redaction.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)

    read = or_raise(loaded(tmp_path, example, OTLP_REDACTION_KEY=KEY)).rules

    assert [rule.action for rule in read.rules] == ["allow", "drop", "hash", "drop", "mask"]
    assert {f"`{name}`" for name in PRESETS} <= set(re.findall(r"`\w+`", page))
    assert all(f"`{place}`" in page for place in PLACES)
