"""What can be wrong with a request, an answer or a framed file."""

from typing import ClassVar, Final, Literal

import attrs

MAX_TIMESTAMP: Final = 2**64 - 1
"""The largest timestamp that fixed64 holds, in nanoseconds since the Unix epoch."""


@attrs.frozen
class InvalidRequest:
    """The bytes are no request of this signal.

    Attributes:
        where: a JSON path such as `resourceSpans[0].scopeSpans[0].spans[3].traceId`, or the byte.
        found: what stands there, shortened.
        allowed: what may stand there.
    """

    where: str
    found: str
    allowed: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where, what was found, and what is allowed."""
        return f"Invalid OTLP request at {self.where}: found {self.found}; allowed: {self.allowed}."


@attrs.frozen
class RequestTooLarge:
    """The request holds more than the limits allow; it was not parsed.

    Attributes:
        unit: what was counted.
        limit: how many are allowed.
    """

    unit: Literal["bytes", "bytes of headers", "elements"]
    limit: int

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """The limit, and the way out."""
        return (
            f"The request holds more than {self.limit:,} {self.unit}. "
            "Send it in smaller batches, or raise the limit."
        )


@attrs.frozen
class TimestampOutOfRange:
    """A shift would move a timestamp out of what fixed64 can hold; nothing was moved.

    Attributes:
        field: the field's name in OTLP/JSON.
        value: nanoseconds since the Unix epoch, before the shift.
        delta_ns: the shift.
    """

    field: str
    value: int
    delta_ns: int

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """The field, its value and the shift."""
        moved = self.value + self.delta_ns
        return (
            f"{self.field} {self.value} moved by {self.delta_ns} ns is {moved}, "
            f"outside 1 to {MAX_TIMESTAMP}. Choose a smaller shift."
        )


@attrs.frozen
class InvalidResponse:
    """What a target answered is no OTLP answer in the encoding of the request."""

    reason: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong with the answer."""
        return (
            f"The answer is not valid OTLP: {self.reason}. "
            "Check that the URL is that of an OTLP endpoint."
        )


@attrs.frozen
class FramingError:
    """A file of length-prefixed requests stops making sense.

    Attributes:
        offset: where the frame that cannot be read begins; every frame before it is intact.
        reason: what is wrong with it.
    """

    offset: int
    reason: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where and why, and what is intact."""
        return (
            f"The frame at byte {self.offset} cannot be read: {self.reason}. "
            "Every frame before it is intact."
        )
