"""The command line with rules of redaction."""

import gzip
import json
from pathlib import Path

import pytest

from otlp_capture import otlp
from otlp_capture.result import or_raise
from tests.command_line import Shell, send
from tests.export_requests import PROTOBUF
from tests.raw_http import post
from tests.small_requests import small_request

SECRET = "S3CRET"
RULES = """
[[rule]]
name = "secrets"
on = ["attributes", "body", "span_name"]
pattern = "S3CRET"
action = "mask"
"""
BROKEN = RULES.replace('action = "mask"', 'action = "hide"')


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "rules.toml").write_text(RULES)
    (tmp_path / "broken.toml").write_text(BROKEN)
    return Shell(tmp_path)


def lines(*texts: str) -> str:
    requests = [small_request("logs", text=text) for text in texts]
    encoded = [or_raise(otlp.encode(request, "logs", "json")) for request in requests]
    return "".join(f"{line.decode()}\n" for line in encoded)


def test_what_is_served_is_redacted_and_reported(shell: Shell) -> None:
    requests = [
        post("/v1/logs", small_request("logs", text=text), PROTOBUF)
        for text in ("plain", SECRET, SECRET)
    ]
    with shell.serving("--session", "s", "--redact", "rules.toml") as serving:
        assert send(serving.port, *requests) == [200, 200, 200]
        ended = serving.end()

    assert ended.code == 0
    assert ended.result["redacted"] == {"secrets": {"mask": 2}}
    stored = [gzip.decompress(path.read_bytes()) for path in shell.folder.rglob("*.otlp.gz")]
    assert b"plain" in b"".join(stored)
    assert SECRET.encode() not in b"".join(stored)


@pytest.mark.parametrize(("rules", "error"), [("broken", "InvalidRule"), ("x", "RulesUnreadable")])
def test_without_usable_rules_nothing_is_served(shell: Shell, rules: str, error: str) -> None:
    serve = shell.run("serve", "--session", "s", "--redact", f"{rules}.toml", "--json")
    record = shell.run("record", "--session", "s", "--redact", f"{rules}.toml", "--json", "true")

    assert [(run.code, run.stdout, run.error["error"]) for run in (serve, record)] == [
        (2, "", error),
        (125, "", error),
    ]
    assert not (shell.folder / "otlp-data").exists()


def test_rules_are_tried_on_files(shell: Shell) -> None:
    (shell.folder / "capture.jsonl").write_text(lines("plain", SECRET))

    tried = shell.run("redact", "check", "rules.toml", "capture.jsonl")
    for_machines = shell.run("redact", "check", "rules.toml", "capture.jsonl", "--json")
    shown = shell.run("redact", "check", "rules.toml", "capture.jsonl", "--show")

    assert (tried.code, tried.stderr) == (0, "")
    assert tried.stdout.splitlines() == [
        "rules.toml: 1 rule, all of them usable.",
        "1 of 2 requests would be changed.",
        "redacted by secrets: 1 masked",
    ]
    assert for_machines.result == {
        "rules": ["secrets"],
        "requests": 2,
        "changed": 1,
        "redacted": {"secrets": {"mask": 1}},
    }
    assert [json.loads(line) for line in shown.stdout.splitlines()] == [
        json.loads(line) for line in lines("plain", "***").splitlines()
    ]


@pytest.mark.parametrize(
    ("rules", "file", "error"),
    [
        ("broken.toml", "capture.json", "InvalidRule"),
        ("rules.toml", "missing.json", "FileNotRedacted"),
        ("rules.toml", "broken.toml", "FileNotRedacted"),
    ],
)
def test_what_cannot_be_tried_is_bad_input(shell: Shell, rules: str, file: str, error: str) -> None:
    (shell.folder / "capture.json").write_text(lines("plain"))

    tried = shell.run("redact", "check", rules, file, "--json")

    assert (tried.code, tried.stdout, tried.error["error"]) == (2, "", error)


def test_what_is_imported_is_redacted_and_reported(shell: Shell) -> None:
    (shell.folder / "capture.jsonl").write_text(lines("plain", SECRET, SECRET))
    importing = ("import", "capture.jsonl", "--redact", "rules.toml", "--session")

    for_machines = shell.run(*importing, "a", "--json")
    for_people = shell.run(*importing, "b")

    assert (for_machines.code, for_people.code) == (0, 0)
    assert for_machines.result["redacted"] == {"secrets": {"mask": 2}}
    assert "redacted by secrets: 2 masked" in for_people.stderr
    stored = [gzip.decompress(path.read_bytes()) for path in shell.folder.rglob("*.otlp.gz")]
    assert len(stored) == 2
    assert SECRET.encode() not in b"".join(stored)


def test_without_usable_rules_nothing_is_imported(shell: Shell) -> None:
    (shell.folder / "capture.jsonl").write_text(lines("plain"))

    run = shell.run(
        "import", "capture.jsonl", "--session", "s", "--redact", "broken.toml", "--json"
    )

    assert (run.code, run.stdout, run.error["error"]) == (2, "", "InvalidRule")
    assert not (shell.folder / "otlp-data").exists()
