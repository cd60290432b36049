"""Behaviours of `otlp_capture.result`."""

from typing import Any, ClassVar

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.result import Failure, Fault, OutcomeFailed, Success, or_raise


@frozen
class TooMany:
    retryable: ClassVar[bool] = False
    count: int

    @property
    def message(self) -> str:
        return f"{self.count} are too many: give fewer."


values = st.none() | st.integers() | st.text()


@given(value=values)
def test_or_raise_returns_the_value_of_a_success(value: object) -> None:
    assert or_raise(Success(value)) == value


@given(error=values)
def test_or_raise_raises_an_exception_that_holds_the_error(error: object) -> None:
    with pytest.raises(OutcomeFailed) as caught:
        or_raise(Failure(error))
    assert caught.value.error == error
    assert str(caught.value) == repr(error)


def test_the_exception_of_a_fault_says_its_message() -> None:
    with pytest.raises(OutcomeFailed, match=r"^7 are too many: give fewer\.$"):
        or_raise(Failure(TooMany(7)))


def test_a_fault_is_what_has_a_message_and_says_whether_to_retry() -> None:
    assert [isinstance(error, Fault) for error in (TooMany(7), "text")] == [True, False]


def test_or_raise_refuses_what_is_no_outcome() -> None:
    no_outcome: Any = 3
    with pytest.raises(AssertionError):
        or_raise(no_outcome)
