"""The files of a folder, walked without ever following a link out of it."""

import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import Final

import anyio.to_thread
import attrs

from otlp_capture.interchange.documents import (
    READ,
    REGULAR_ONLY,
    WHOLE,
    Choice,
    Documents,
    Found,
    opened_regular,
    reason_of,
)
from otlp_capture.interchange.errors import EntryBroken, FileUnreadable, PassedOver
from otlp_capture.result import Failure, Success
from otlp_capture.storage.local_directories import directory

_AT_ONCE: Final = 256
_MAX_DEPTH: Final = 64


@attrs.frozen
class _FileInside:
    """A file of a folder, opened from folder to folder, so that no link is followed."""

    root: str
    segments: Sequence[str]

    @contextmanager
    def open(self) -> Generator[BufferedIOBase]:
        with directory(self.root, self.segments[:-1]) as parent:
            descriptor = os.open(self.segments[-1], READ | os.O_NOFOLLOW, dir_fd=parent)
        with opened_regular(descriptor) as file:
            yield file


async def files_of_folder(root: Path, choice: Choice) -> Documents:
    """Yield what a folder and the folders in it hold, each in the order of its names.

    Of the names, those of one folder and of the folders around it are in memory at a time.
    """
    found = _walk(root, choice)
    while batch := await anyio.to_thread.run_sync(_some_of, found):
        for each in batch:
            yield each


def _some_of(found: Iterator[Found]) -> list[Found]:
    return list(islice(found, _AT_ONCE))


def _walk(root: Path, choice: Choice) -> Iterator[Found]:
    """Yield all that is below *root*: documents, and what is passed over."""
    open_folders: list[tuple[tuple[str, ...], Iterator[str]]] = []
    entered: tuple[str, ...] | None = ()
    while True:
        if entered is not None:
            try:
                open_folders.append((entered, iter(_names(root, entered))))
            except (OSError, ValueError) as error:
                yield _unlisted(root, entered, error)
        entered = None
        if not open_folders:
            return
        folder, names = open_folders[-1]
        name = next(names, None)
        if name is None:
            open_folders.pop()
            continue
        segments = (*folder, name)
        found = _look(root, segments, choice)
        if isinstance(found, _Folder):
            entered = segments
        else:
            yield found


def _unlisted(root: Path, folder: Sequence[str], error: OSError | ValueError) -> Found:
    if not folder:
        return Failure(FileUnreadable(str(root), reason_of(error)))
    return Failure(EntryBroken(_shown(root, folder), WHOLE, _sentence(error)))


class _Folder:
    """What was looked at is a folder to be entered."""


def _names(root: Path, segments: Sequence[str]) -> list[str]:
    with directory(str(root), segments) as opened:
        return sorted(os.listdir(opened), key=os.fsencode)  # noqa: PTH208 - it has no path


def _look(root: Path, segments: Sequence[str], choice: Choice) -> Found | _Folder:
    shown, path = _shown(root, segments), "/".join(segments)
    if segments[-1].startswith("."):
        return Success(PassedOver(shown, "its name begins with a dot"))
    try:
        with directory(str(root), segments[:-1]) as parent:
            facts = os.stat(segments[-1], dir_fd=parent, follow_symlinks=False)
    except OSError as error:
        return Failure(EntryBroken(shown, WHOLE, _sentence(error)))
    if stat.S_ISDIR(facts.st_mode):
        is_deep = len(segments) > _MAX_DEPTH
        too_deep = f"it lies more than {_MAX_DEPTH} folders deep"
        return Success(PassedOver(shown, too_deep)) if is_deep else _Folder()
    if stat.S_ISLNK(facts.st_mode):
        return Success(PassedOver(shown, "it is a symbolic link, which is not followed"))
    if not stat.S_ISREG(facts.st_mode):
        return Success(PassedOver(shown, REGULAR_ONLY))
    refused = choice.refusal(path, facts.st_size)
    if refused is not None:
        return Success(PassedOver(shown, refused))
    inside = _FileInside(str(root), segments)
    modified_ns = facts.st_mtime_ns
    return Success(choice.of_tree(path, inside, modified_ns, root=str(root), shown=shown))


def _shown(root: Path, segments: Sequence[str]) -> str:
    return str(root.joinpath(*segments))


def _sentence(error: OSError | ValueError) -> str:
    return f"it cannot be read: {reason_of(error)}."
