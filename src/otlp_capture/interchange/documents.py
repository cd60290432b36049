"""What is imported: documents, each a file or an object, opened when its turn comes."""

import os
import stat
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Protocol, TypeAlias

import anyio.to_thread
import attrs

from otlp_capture.interchange.errors import EntryBroken, FileUnreadable, PassedOver
from otlp_capture.interchange.names import is_wanted, partition_time_unix_nano, signal_of_path
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage import StorageError

WHOLE = "the whole"
"""The place of an entry that is the file itself."""

REGULAR_ONLY = "it is no regular file"


class Openable(Protocol):
    """Something whose bytes can be read, more than once."""

    def open(self) -> AbstractContextManager[BufferedIOBase]:
        """Open it at its beginning, seekable. Blocks.

        Raises:
            OSError: it cannot be opened, or later not be read on.
        """
        ...


@attrs.frozen
class Document:
    """A file or an object that may hold requests.

    Attributes:
        path: how it is called in messages.
        content: its bytes.
        signal: what its protobuf is; None: nobody knows.
        selected: the only signal that is taken from it; None: all are.
        time_unix_nano: when requests arrived of which nothing tells it: the time of its partition,
            or else its own.
        is_alone: it is all that is imported, so that what is wrong with it is wrong with it all.
    """

    path: str
    content: Openable
    signal: Signal | None
    selected: Signal | None
    time_unix_nano: int
    is_alone: bool = False


Found: TypeAlias = Outcome[Document | PassedOver, FileUnreadable | EntryBroken | StorageError]
Documents: TypeAlias = AsyncGenerator[Found]
"""What a source has, in a stable order; only an `EntryBroken` is not the last failure."""


@attrs.frozen
class Choice:
    """What of a source is imported, and how it is taken.

    Attributes:
        signal: what protobuf is where no name tells it, and the only signal that is taken.
        patterns: names, or paths with a slash, of the files of a tree; none: the usual endings.
        partition_format: the strftime format of its folders; None: the usual ones.
    """

    signal: Signal | None = None
    patterns: Sequence[str] = ()
    partition_format: str | None = None

    def of_tree(
        self, path: str, content: Openable, modified_unix_nano: int, *, root: str, shown: str
    ) -> Document:
        """Make a document of what lies at *path* inside a tree.

        Where the tree lies tells times, but no signal: much lies in a folder `log`.
        """
        partition_ns = partition_time_unix_nano(f"{root}/{path}", self.partition_format)
        return Document(
            path=shown,
            content=content,
            signal=signal_of_path(path) or self.signal,
            selected=self.signal,
            time_unix_nano=modified_unix_nano if partition_ns is None else partition_ns,
        )

    def refusal(self, path: str, size_bytes: int) -> str | None:
        """Say why a file of a tree is not read; None where it is."""
        if not is_wanted(path, self.patterns):
            allowed = ", ".join(self.patterns) or "the usual ones"
            return f"its name is none of those to import ({allowed})"
        return None if size_bytes else "it is empty"


@attrs.frozen
class LocalFile:
    """A file by its path."""

    path: Path

    @contextmanager
    def open(self) -> Generator[BufferedIOBase]:
        """Open it for the time of a `with`."""
        with opened_regular(os.open(self.path, READ)) as file:
            yield file


READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""A pipe without a writer would be waited for, without O_NONBLOCK."""


@contextmanager
def opened_regular(descriptor: int) -> Generator[BufferedIOBase]:
    """Read a descriptor, and close it.

    Raises:
        OSError: it is no regular file.
    """
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(REGULAR_ONLY)
        yield file


async def one_file(path: Path, choice: Choice) -> Documents:
    """Yield the document that a single file is; what protobuf in it is, *choice* decides first."""
    try:
        facts = await anyio.to_thread.run_sync(os.stat, path)
    except (OSError, ValueError) as error:
        yield Failure(FileUnreadable(str(path), reason_of(error)))
        return
    name = path.name
    partition_ns = partition_time_unix_nano(str(path), choice.partition_format)
    yield Success(
        Document(
            path=str(path),
            content=LocalFile(path),
            signal=choice.signal or signal_of_path(name),
            selected=choice.signal,
            time_unix_nano=facts.st_mtime_ns if partition_ns is None else partition_ns,
            is_alone=True,
        )
    )


def reason_of(error: OSError | ValueError) -> str:
    """Return what an error of the system says."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
