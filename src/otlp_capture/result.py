"""Errors as values: what every public operation returns."""

from typing import (
    Any,
    ClassVar,
    NoReturn,
    Protocol,
    TypeAlias,
    TypeVar,
    assert_never,
    runtime_checkable,
)

from returns.result import Failure as Failure
from returns.result import Success as Success

T = TypeVar("T")
E = TypeVar("E")

Outcome: TypeAlias = Success[T] | Failure[E]
"""`Success[T] | Failure[E]`: a union, so that a `match` over both is seen to be exhaustive."""


@runtime_checkable
class Fault(Protocol):
    """What all error values share."""

    retryable: ClassVar[bool]

    @property
    def message(self) -> str:
        """What happened, with the value that was wrong, and what to do next."""
        ...


class OutcomeFailed(Exception):  # noqa: N818 - it says what happened to the outcome
    """Raised by `or_raise`; `error` is the error value."""

    def __init__(self, error: object) -> None:
        super().__init__(error.message if isinstance(error, Fault) else repr(error))
        self.error = error


def or_raise(outcome: Outcome[T, Any]) -> T:
    """Return the value of a `Success`, for those who prefer exceptions.

    Raises:
        OutcomeFailed: the outcome is a `Failure`; its `error` is the error value.

    >>> or_raise(Success(3))
    3
    """
    match outcome:
        case Success(value):
            return value
        case Failure(error):
            _raise(error)
        case _:
            assert_never(outcome)


def _raise(error: object) -> NoReturn:
    raise OutcomeFailed(error)
