"""Files that are written whole or not at all. All methods block.

Source: rename(2), link(2).
"""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import ClassVar, Final

import attrs

from otlp_capture.interchange.deflating import Compression, compressor
from otlp_capture.result import Failure, Outcome, Success

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_MODE: Final = 0o666
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
STDOUT: Final = "standard output"


@attrs.frozen
class OutputExists:
    """There is a file already where one is to be written."""

    path: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is in the way, and what to do."""
        return f"{self.path} exists already. Nothing was written; --force overwrites it."


@attrs.frozen
class OutputUnwritable:
    """Something cannot be written."""

    path: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What, and why not."""
        return f"{self.path} cannot be written: {self.reason}."


OutputError = OutputExists | OutputUnwritable


class Output:
    """Bytes on their way to a descriptor, compressed where that is asked for.

    Attributes:
        size_bytes: how many were written.
        requests: how many requests they are; the caller counts.
    """

    def __init__(self, descriptor: int, compression: Compression | None) -> None:
        self.size_bytes = 0
        self.requests = 0
        self._descriptor = descriptor
        self._stream = compressor(compression)

    def write(self, data: bytes) -> None:
        """Write *data*, all of it.

        Raises:
            OSError: it cannot be written.
        """
        self._put(self._stream.compress(data))

    def finish(self) -> None:
        """Write the end of the stream.

        Raises:
            OSError: it cannot be written.
        """
        self._put(self._stream.flush())

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.size_bytes += len(data)


class Draft:
    """A file that gets its name when it is whole; until then it is hidden, and called partial.

    Args:
        path: what it will be called.
        compression: how it is compressed.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, path: Path, compression: Compression | None) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        self._descriptor = os.open(self._partial, _NEW, _MODE)
        self.output = Output(self._descriptor, compression)

    def finish(self) -> None:
        """Write the end of it, and make it durable, still without its name.

        Raises:
            OSError: it cannot be written.
        """
        self.output.finish()
        os.fsync(self._descriptor)

    def publish(self, *, is_over: bool) -> None:
        """Give it its name.

        Args:
            is_over: whether it may take the place of another file.

        Raises:
            FileExistsError: there is such a file, and it may not.
            OSError: it cannot be renamed.
        """
        if is_over:
            self._partial.replace(self._path)
        else:
            self._publish_new()
        _sync_folder(self._path.parent)

    def _publish_new(self) -> None:
        try:
            os.link(self._partial, self._path, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Some filesystems have no links; there, between the look and the name, another can win.
            if os.path.lexists(self._path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
            self._partial.replace(self._path)

    def close(self) -> None:
        """Leave nothing behind but the file that was published."""
        os.close(self._descriptor)
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)


def look(path: Path, *, is_over: bool) -> Outcome[None, OutputError]:
    """See whether a file can be written at *path*, as far as looking tells.

    Fails with:
        OutputExists: there is one, and it may not be overwritten.
        OutputUnwritable: there is something that is no file.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return Success(None)
    except (OSError, ValueError) as error:
        return Failure(unwritable(path, error))
    if not stat.S_ISREG(mode):
        return Failure(OutputUnwritable(str(path), "something that is no file has this name"))
    return Success(None) if is_over else Failure(OutputExists(str(path)))


def unwritable(path: Path | str, error: OSError | ValueError) -> OutputError:
    """Make an error value of what the system says."""
    if isinstance(error, FileExistsError):
        return OutputExists(str(path))
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return OutputUnwritable(str(path), reason)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
