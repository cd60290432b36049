"""docs/security.md names a test for each threat; each of them is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_TEST = re.compile(r"`(tests/[\w/]+\.py(?:::\w+)+)`")


def rows() -> list[tuple[str, str]]:
    """Return the threats of the table, each with what its last column says."""
    table = (ROOT / "docs/security.md").read_text().partition("## Threats")[2]
    cells = [line.strip("|\n ").split(" | ") for line in table.splitlines() if line[:2] == "| "]
    return [(threat, named) for threat, _, named in cells[1:]]


@cache
def named_in(path: str) -> frozenset[str]:
    """Return the tests of a module, as pytest names them."""
    file = ROOT / path
    body = ast.parse(file.read_text()).body if file.is_file() else []
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    found = {each.name for each in body if isinstance(each, functions)}
    for group in body:
        if isinstance(group, ast.ClassDef):
            names = (each.name for each in group.body if isinstance(each, functions))
            found |= {f"{group.name}::{name}" for name in names}
    return frozenset(name for name in found if name.rpartition("::")[2].startswith("test"))


def test_the_table_is_read() -> None:
    assert len(rows()) > 20


@pytest.mark.parametrize(("threat", "named"), rows(), ids=lambda text: text[:40])
def test_each_threat_has_a_test(threat: str, named: str) -> None:
    tests = [test.partition("::") for test in _TEST.findall(named)]

    assert tests, f"no test is named for: {threat}"
    assert [path + test for path, _, test in tests if test not in named_in(path)] == []


def test_a_test_that_is_not_there_is_seen() -> None:
    assert "test_the_table_is_read" in named_in("tests/unit/test_security_table.py")
    assert "test_no_such" not in named_in("tests/unit/test_security_table.py")
    assert named_in("tests/unit/test_no_such.py") == frozenset()
