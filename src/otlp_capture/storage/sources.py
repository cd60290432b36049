"""Files on their way into a store, read piece by piece."""

import errno
import os
import stat
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio.to_thread
import attrs

from otlp_capture.result import Failure, Outcome
from otlp_capture.storage.errors import SourceUnreadable, StorageError
from otlp_capture.storage.objects import StoredObject


class SourceFailed(Exception):  # noqa: N818 - it carries an error, and never leaves the package
    """A source could not be read on; `error` is the error value."""

    def __init__(self, error: SourceUnreadable) -> None:
        super().__init__(error.message)
        self.error = error


@attrs.frozen
class Source:
    """An opened file and the size it had then. Its methods block."""

    path: Path
    size_bytes: int
    descriptor: int

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly *length* bytes at *offset*.

        Raises:
            SourceFailed: the file ends before, or cannot be read.
        """
        pieces: list[bytes] = []
        while length:
            try:
                piece = os.pread(self.descriptor, length, offset)
            except OSError as error:
                raise SourceFailed(_unreadable(self.path, error)) from error
            if not piece:
                reason = f"it was {self.size_bytes} bytes long and now ends at {offset}"
                raise SourceFailed(SourceUnreadable(self.path, reason))
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return b"".join(pieces)

    def pieces(self, length: int) -> Iterator[bytes]:
        """Read the whole file in pieces of *length* bytes.

        Raises:
            SourceFailed: the file ends before its size, or cannot be read.
        """
        for offset in range(0, self.size_bytes, length):
            yield self.read(offset, min(length, self.size_bytes - offset))


@contextmanager
def opened_source(path: Path) -> Generator[Source]:
    """Open a regular file for the time of a `with`. Blocks.

    Raises:
        SourceFailed: it is missing, no regular file, or may not be read.
    """
    try:
        # A pipe would wait for its writer without O_NONBLOCK.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise SourceFailed(_unreadable(path, error)) from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise SourceFailed(SourceUnreadable(path, "it is no regular file"))
        yield Source(path, facts.st_size, descriptor)
    finally:
        os.close(descriptor)


async def stored_and_removed(
    store: Callable[[Path, str], Awaitable[Outcome[StoredObject, StorageError]]],
    path: Path,
    key: str,
) -> Outcome[StoredObject, StorageError]:
    """Store a file, and remove it once the store has it."""
    stored = await store(path, key)
    if isinstance(stored, Failure):
        return stored
    try:
        await anyio.to_thread.run_sync(remove_source, path)
    except SourceFailed as failed:
        return Failure(failed.error)
    return stored


def remove_source(path: Path) -> None:
    """Remove a file whose content the store has. Blocks.

    Raises:
        SourceFailed: it may not be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SourceFailed(_unreadable(path, error)) from error


def _unreadable(path: Path, error: OSError | ValueError) -> SourceUnreadable:
    match error:
        case OSError(errno=errno.ENOENT):
            return SourceUnreadable(path, "it does not exist")
        case OSError(strerror=str(reason)):
            return SourceUnreadable(path, reason.lower())
        case _:
            return SourceUnreadable(path, str(error))
