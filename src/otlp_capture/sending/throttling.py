"""When a target wants to see a request again."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from otlp_capture.clock import unix_nano

LONGEST_S: Final = 1e9
"""What a longer wait is taken for, in seconds: nobody waits for it."""


def retry_after_s(value: str | None, now_unix_nano: int) -> float | None:
    """Read a Retry-After header: seconds, or a date.

    Returns:
        Seconds from now, 0 for a moment that has passed; None where there is no such header, or
        one that makes no sense.

    Source: RFC 9110, 10.2.3.

    >>> retry_after_s("120", now_unix_nano=0)
    120.0
    >>> retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", now_unix_nano=0)
    60.0
    >>> retry_after_s("soon", now_unix_nano=0)
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_S)
    try:
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        wait_ns = unix_nano(when) - now_unix_nano
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(max(wait_ns / 1e9, 0.0), LONGEST_S)
