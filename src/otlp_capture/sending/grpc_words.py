"""What gRPC's own side says where a target says nothing, or nothing that can be read.

gRPC has no other word for where a status comes from than the text that its own side writes. A
target that writes the same is taken for one that breaks the protocol: it is tried again, within
what the policy allows, and counts as unknown.
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from otlp_capture.sending.answers import Answer, NoAnswer, Unreadable, one_line

TOO_LATE: Final = "no answer came in time"
_Reading: TypeAlias = Callable[[str, int], Answer]


def _nothing_left(text: str, _limit: int) -> Answer:
    return NoAnswer(one_line(text), may_have_arrived=False)


def _cut_off(text: str, _limit: int) -> Answer:
    return NoAnswer(one_line(text), may_have_arrived=True)


def _late(_text: str, _limit: int) -> Answer:
    return NoAnswer(TOO_LATE, may_have_arrived=True)


def _unreadable(text: str, _limit: int) -> Answer:
    return Unreadable(f"the answer cannot be read: {one_line(text)}")


def _too_long(_text: str, limit: int) -> Answer:
    return Unreadable(f"the answer holds more than {limit:,} bytes", is_too_long=True)


def _too_many_headers(_text: str, _limit: int) -> Answer:
    return Unreadable("the answer's headers are too long", is_too_long=True)


_WORDS: Final[tuple[tuple[re.Pattern[str], _Reading], ...]] = tuple(
    (re.compile(pattern), reading)
    for pattern, reading in (
        ("CLIENT: Received message larger than max", _too_long),
        ("^Decompressed message larger than max", _too_long),
        ("received metadata size exceeds", _too_many_headers),
        ("^Compression bit set but no encoding configured", _unreadable),
        ("^Decompression failed", _unreadable),
        ("^No status received", _unreadable),
        (r"^Stream removed \(Data frame with END_STREAM flag", _unreadable),
        ("^failed to connect to ", _nothing_left),
        ("^errors resolving ", _nothing_left),
        ("^DNS resolution failed", _nothing_left),
        ("^Address resolution failed", _nothing_left),
        ("^Received http2 header with status: 1[0-9][0-9]$", _cut_off),
        (r"^Stream removed \(Deadline Exceeded", _late),
        # How HTTP/2 ends one stream says something, and gRPC has statuses for it.
        (r"^Stream removed \((?!RST_STREAM)", _cut_off),
        ("Socket closed", _cut_off),
        ("Connection reset", _cut_off),
        ("Broken pipe", _cut_off),
        ("Endpoint closing", _cut_off),
        ("Cancelling all calls", _cut_off),
        ("GOAWAY", _cut_off),
    )
)


def own_words(text: str, limit: int) -> Answer | None:
    """Read what gRPC's own side says.

    Args:
        text: the details of a status.
        limit: how many bytes of an answer are read.

    Returns:
        None where it is none of its own words: a target said it.

    >>> own_words("no spans", 4)
    >>> own_words("failed to connect to all addresses", 4)
    NoAnswer(reason='failed to connect to all addresses', may_have_arrived=False, obstacle=None)
    """
    found = (reading for pattern, reading in _WORDS if pattern.search(text))
    reading = next(found, None)
    return None if reading is None else reading(text, limit)
