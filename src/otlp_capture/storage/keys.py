"""Which keys there are: the same for every store, so that what one takes all take."""

import re
from typing import Final

from otlp_capture.storage.errors import InvalidKey

SPOOL: Final = ".spool"
"""The first segment that no key has: stores and spools keep their own files there."""

LONGEST_KEY_BYTES: Final = 1024
"""Source: Amazon S3 User Guide, "Naming Amazon S3 objects"."""

# The noncharacters U+FFFE and U+FFFF cannot stand in XML 1.0, in which S3 lists keys.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def key_fault(key: str) -> InvalidKey | None:
    """Say what is wrong with a key, if anything is.

    >>> key_fault("sessions/a/metadata.json")
    >>> key_fault("sessions/../secret").reason
    "it has the segment '..'"
    """
    if not key:
        return InvalidKey(key, "it is empty")
    return _text_fault(key) or _segment_fault(key, key.split("/"))


def prefix_fault(prefix: str) -> InvalidKey | None:
    """Say what is wrong with a prefix to list, if anything is.

    Any beginning of a key is a prefix, the empty one too; it may end inside a segment.

    >>> prefix_fault("sessions/a-")
    >>> prefix_fault("/sessions").reason
    "it begins with '/'"
    """
    return _text_fault(prefix) or _segment_fault(prefix, prefix.split("/")[:-1])


def _text_fault(key: str) -> InvalidKey | None:
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError:
        return InvalidKey(key, "it holds a lone surrogate, which UTF-8 cannot carry")
    if size_bytes > LONGEST_KEY_BYTES:
        return InvalidKey(key, f"it is {size_bytes} bytes long")
    if unfit := _UNFIT.search(key):
        return InvalidKey(key, f"it holds the control character {unfit.group()!r}")
    if "\\" in key:
        return InvalidKey(key, "it holds a backslash")
    return None


def _segment_fault(key: str, segments: list[str]) -> InvalidKey | None:
    if key.startswith("/"):
        return InvalidKey(key, "it begins with '/'")
    for segment in segments:
        if not segment:
            return InvalidKey(key, "it has an empty segment")
        if segment in {".", ".."}:
            return InvalidKey(key, f"it has the segment {segment!r}")
    if segments and segments[0] == SPOOL:
        return InvalidKey(key, f"{SPOOL}/ is the store's own")
    return None
