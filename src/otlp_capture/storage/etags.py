"""Etags of files: a hash of the content, remembered beside it where the file system can.

A listing must not read every object to tell its etag, so the hash is kept in an extended attribute,
together with the size and time it was true for. A file that was changed in place, or that came
without the attribute, is hashed again. All functions block.
"""

import contextlib
import hashlib
import os
import sys
from typing import Final

_ATTRIBUTE: Final = "user.otlp_capture.etag"
_PIECE_BYTES: Final = 1 << 20


class EtagHash:
    """The etag of content that comes in pieces."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def update(self, piece: bytes) -> None:
        """Take in the next piece."""
        self._hash.update(piece)

    def etag(self) -> str:
        """Tell the etag of all pieces so far."""
        return self._hash.hexdigest()


def etag_of_file(descriptor: int, facts: os.stat_result) -> str:
    """Tell the etag of an open file, from memory where that still holds.

    Raises:
        OSError: the file cannot be read.
    """
    if (etag := _remembered(descriptor, facts)) is not None:
        return etag
    content = EtagHash()
    offset = 0
    while piece := os.pread(descriptor, _PIECE_BYTES, offset):
        content.update(piece)
        offset += len(piece)
    remember_etag(descriptor, content.etag(), facts)
    return content.etag()


if sys.platform == "linux":

    def remember_etag(descriptor: int, etag: str, facts: os.stat_result) -> None:
        """Keep an etag with its file, if the file system and our rights allow it."""
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, _ATTRIBUTE, f"{etag} {_stamp(facts)}".encode())

    def _remembered(descriptor: int, facts: os.stat_result) -> str | None:
        try:
            etag, _, stamp = os.getxattr(descriptor, _ATTRIBUTE).decode().partition(" ")
        except (OSError, UnicodeDecodeError):
            return None
        return etag if stamp == _stamp(facts) else None

    def _stamp(facts: os.stat_result) -> str:
        return f"{facts.st_size} {facts.st_mtime_ns}"

else:

    def remember_etag(descriptor: int, etag: str, facts: os.stat_result) -> None:
        """Do nothing: Python reaches extended attributes on Linux only."""

    def _remembered(_descriptor: int, _facts: os.stat_result) -> str | None:
        return None
