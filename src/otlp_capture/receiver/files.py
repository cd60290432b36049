"""Small files that a receiver is set up by: tokens, certificates, keys."""

import logging
import stat
from pathlib import Path
from typing import ClassVar, Final

import attrs

from otlp_capture.result import Failure, Outcome, Success

_log = logging.getLogger(__name__)

_MAX_FILE_BYTES: Final = 256 << 10


@attrs.frozen
class FileUnreadable:
    """A file that access depends on cannot be read."""

    path: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which file, and why not."""
        return f"{self.path} cannot be read: {self.reason}."


def read_file(path: str) -> Outcome[bytes, FileUnreadable]:
    """Read a small file whole; it blocks.

    Fails with:
        FileUnreadable: it is not there, not to be read, or not small.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        return Failure(FileUnreadable(path, error.strerror or type(error).__name__))
    except ValueError as error:
        return Failure(FileUnreadable(path, str(error)))
    if len(content) > _MAX_FILE_BYTES:
        return Failure(FileUnreadable(path, f"it has more than {_MAX_FILE_BYTES:,} bytes"))
    return Success(content)


def read_secret_file(path: str) -> Outcome[bytes, FileUnreadable]:
    """Read a file that is nobody else's business; the log tells where others may read it, too.

    Fails with:
        FileUnreadable: it is not there, not to be read, or not small.
    """
    read = read_file(path)
    if isinstance(read, Failure):
        return read
    try:
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except OSError as error:
        return Failure(FileUnreadable(path, error.strerror or type(error).__name__))
    if mode & stat.S_IROTH:
        _log.warning("Every user of this machine can read %s (mode %03o)", path, mode)
    return read
