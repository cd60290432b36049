"""Walking a local store's directories without ever following a symbolic link out of them.

Each segment is opened relative to the directory before it, so no path is resolved twice and no link
inside the store is followed, wherever it leads. All functions block.

Source: open(2), O_NOFOLLOW and O_DIRECTORY.
"""

import contextlib
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

_ROOT: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_INNER: Final = _ROOT | os.O_NOFOLLOW


@contextmanager
def directory(root: str, segments: Sequence[str]) -> Generator[int]:
    """Open the directory at *segments* below *root* for the time of a `with`.

    Raises:
        OSError: it is missing (ENOENT), or a file or link is in the way (ENOTDIR, ELOOP).
    """
    descriptor = os.open(root, _ROOT)
    try:
        for segment in segments:
            descriptor = _replaced(descriptor, os.open(segment, _INNER, dir_fd=descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def made_directory(root: str, segments: Sequence[str]) -> Generator[int]:
    """Open the directory at *segments*, made durably with its parents where it is missing.

    Raises:
        OSError: it cannot be made, or a file or link is in the way (ENOTDIR, ELOOP).
    """
    descriptor = os.open(root, _ROOT)
    try:
        for segment in segments:
            descriptor = _replaced(descriptor, _opened_or_made(segment, descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def make_root(root: str) -> None:
    """Make a store's root and its parents durably, where they are missing.

    Raises:
        OSError: it cannot be made, or is no directory.
    """
    missing: list[str] = []
    existing = root
    while not os.path.lexists(existing):
        existing, segment = os.path.split(existing)
        missing.append(segment)
    with made_directory(existing, missing[::-1]):
        pass


def remove_emptied(root: str, segments: Sequence[str]) -> None:
    """Remove the directory at *segments* and its parents, as far as they are empty."""
    for depth in range(len(segments), 0, -1):
        try:
            with directory(root, segments[: depth - 1]) as parent:
                os.rmdir(segments[depth - 1], dir_fd=parent)
        except OSError:
            return


def _opened_or_made(segment: str, parent: int) -> int:
    try:
        return os.open(segment, _INNER, dir_fd=parent)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(segment, dir_fd=parent)
        os.fsync(parent)
        return os.open(segment, _INNER, dir_fd=parent)


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new
