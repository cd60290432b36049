"""What a frame is: one request as one gzip member, and the facts of its arrival.

Source: docs/storage-format.md.
"""

from typing import ClassVar, Final, Literal, TypeAlias

import attrs

from otlp_capture import otlp

STORED_LIMITS: Final = otlp.Limits(max_bytes=1 << 28, max_elements=1 << 23)
"""What is stored was accepted once; other writers may have accepted more than we do."""

MAX_HEADER_BYTES: Final = 16_384
"""How much of a request's headers a frame holds, as `header_bytes` counts it."""

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Names, in lower case, and values, as they came: a name may stand twice."""


@attrs.frozen
class SegmentCorrupted:
    """A stored segment stops making sense at *offset*.

    Attributes:
        key: which segment.
        offset: where the frame begins that makes none.
        reason: what is wrong.
        part: what of the frame it is; `tail`: the segment ends within it, as one does whose writer
            was interrupted.
    """

    key: str
    offset: int
    reason: str
    part: Literal["framing", "compression", "content", "tail"] = "framing"
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is damaged, and what is not."""
        return (
            f"{self.key} is damaged at byte {self.offset}: {self.reason.removesuffix('.')}. "
            f"The frames before it are intact."
        )


@attrs.frozen
class Arrival:
    """When a request came, and as which of the session's.

    Attributes:
        received_unix_nano: when it came, in nanoseconds since the Unix epoch.
        sequence: its place in the order of arrival, counted over all signals of the session.
        came_as_json: it was OTLP/JSON on the wire.
        is_redacted: it was changed by redaction before it was stored.
        headers: what is kept of its headers: at most `MAX_HEADER_BYTES` of names and values.
    """

    received_unix_nano: int
    sequence: int
    came_as_json: bool = False
    is_redacted: bool = False
    headers: Headers = ()


@attrs.frozen
class Frame:
    """Where a request lies in a segment, and what its header says of it.

    Attributes:
        offset: where the member begins in the segment, in bytes.
        size_bytes: how long the member is, header and trailer included.
        raw_size_bytes: how long the request is.
        record_count: spans, data points or log records.
        received_unix_nano: when it arrived.
        sequence: its place in the order of arrival.
        min_time_unix_nano: the earliest time of its records; 0 when none is set.
        max_time_unix_nano: the latest; 0 when none is set.
    """

    offset: int
    size_bytes: int
    raw_size_bytes: int
    record_count: int
    received_unix_nano: int
    sequence: int
    min_time_unix_nano: int
    max_time_unix_nano: int


@attrs.frozen
class StoredFrame:
    """A frame together with its request, canonical protobuf."""

    frame: Frame
    request: bytes
