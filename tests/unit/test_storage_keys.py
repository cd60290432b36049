"""Which keys there are, and what every error of a store says."""

import typing
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture import storage
from otlp_capture.result import Fault
from otlp_capture.storage import ByteRange, key_fault, prefix_fault
from tests.contracts.storage_contract import INVALID_KEYS, INVALID_PREFIXES, keys


@given(key=keys)
def test_every_beginning_of_a_key_is_a_prefix(key: str) -> None:
    assert [prefix_fault(key[:length]) for length in range(len(key) + 1)] == [None] * (len(key) + 1)


@given(key=st.text(max_size=30) | st.text("./\\a\0", max_size=8))
def test_a_key_that_is_taken_stays_below_its_root(key: str) -> None:
    if key_fault(key) is not None:
        return
    segments = key.split("/")
    assert not {"", ".", "..", ".spool"}.intersection(segments[:1])
    assert not {"", ".", ".."}.intersection(segments)
    assert not {"\0", "\\"}.intersection(key)


@pytest.mark.parametrize("key", INVALID_KEYS)
def test_an_invalid_key_is_named_with_its_reason(key: str) -> None:
    fault = key_fault(key)

    assert fault is not None
    assert fault.key == key
    assert repr(key) in fault.message
    assert fault.reason in fault.message


@pytest.mark.parametrize("prefix", INVALID_PREFIXES)
def test_an_invalid_prefix_is_named_with_its_reason(prefix: str) -> None:
    fault = prefix_fault(prefix)

    assert fault is not None
    assert repr(prefix) in fault.message


@pytest.mark.parametrize("key", ["x" * 1024, "é" * 512, "a/.hidden", "...", "a/..b", ".spool0/a"])
def test_a_key_at_the_edge_is_taken(key: str) -> None:
    assert key_fault(key) is None


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 0), (0, -1)])
def test_a_range_without_bytes_is_a_programming_error(start: int, length: int) -> None:
    with pytest.raises(ValueError, match="or more"):
        ByteRange(start, length)


@pytest.mark.parametrize("error", typing.get_args(storage.StorageError), ids=lambda e: e.__name__)
def test_every_error_is_exported_frozen_and_says_its_facts(error: type[Any]) -> None:
    values = {field.name: f"<{field.name}>" for field in attrs.fields(error)}
    made = error(**values)

    assert getattr(storage, error.__name__) is error
    assert isinstance(made, Fault)
    assert isinstance(made.retryable, bool)
    for name in values.keys() - {"condition", "code"}:
        assert f"<{name}>" in made.message
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(made, next(iter(values)), "")
