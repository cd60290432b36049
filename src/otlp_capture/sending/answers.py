"""What a target can say to one attempt."""

from typing import Final, TypeAlias

import attrs

from otlp_capture.otlp import PartialSuccess, RequestTooLarge
from otlp_capture.sending.targets import TargetNotAllowed

MAX_REASON: Final = 500
"""More of what a target says is not kept, in characters."""

Obstacle: TypeAlias = TargetNotAllowed | RequestTooLarge
"""What keeps a request from being sent, now and for ever."""


@attrs.frozen
class Accepted:
    """It was taken.

    Attributes:
        partial_success: which part of it was not, or a warning; None: all was taken.
        remark: what is odd about the answer; empty when nothing is.
        status: what the target answered, as the protocol names it, such as `200` or `OK`.
    """

    partial_success: PartialSuccess | None = None
    remark: str = ""
    status: str = ""


@attrs.frozen
class Refused:
    """It was not taken.

    Attributes:
        status: what the target answered, as the protocol names it, such as `503`.
        reason: what the target said.
        is_retryable: whether the specification has clients try again.
        retry_after_s: when the target wants to see it again, in seconds; None: it did not say.
    """

    status: str
    reason: str
    is_retryable: bool
    retry_after_s: float | None = None


@attrs.frozen
class Unreadable:
    """The status says that it was taken, the rest of the answer does not say how much of it.

    It is not tried again, so that nothing is sent twice that was taken.

    Attributes:
        reason: what is wrong with the answer.
        is_too_long: whether it holds more than is read.
        status: what the target answered, as the protocol names it; empty: that is not known.
    """

    reason: str
    is_too_long: bool = False
    status: str = ""


@attrs.frozen
class NoAnswer:
    """No answer came.

    Attributes:
        reason: what happened instead.
        may_have_arrived: whether a part of the request had left.
        obstacle: what keeps it from ever being sent; None: it may be tried again.
    """

    reason: str
    may_have_arrived: bool
    obstacle: Obstacle | None = None


Answer: TypeAlias = Accepted | Refused | Unreadable | NoAnswer


def kept_back(obstacle: Obstacle) -> NoAnswer:
    """Say that a request was not sent because of *obstacle*."""
    return NoAnswer(obstacle.message, may_have_arrived=False, obstacle=obstacle)


def one_line(text: str) -> str:
    """Return what a target said, short and printable."""
    return "".join(char if char.isprintable() else " " for char in text)[:MAX_REASON].strip()
