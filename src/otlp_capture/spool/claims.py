"""Who may write, publish and remove what a session has in the spool: one process at a time.

The lock is on an open file, so it ends with its process, however that ends. Everything blocks.
"""

import contextlib
import fcntl
import os
import uuid
from pathlib import Path
from typing import Final

import attrs

OWNER: Final = "owner"
"""The file in a folder that is locked by who has it."""
_ID_BYTES: Final = 32


@attrs.frozen(eq=False)
class SpoolClaim:
    """The folder of a session, held by this process.

    Attributes:
        folder: where it is.
        session_id: whose it is.
        recorder_id: who records the session now: this process, as long as it has the claim.
        last_recorder_id: who had it before, and left something in it; None where nobody had.
        next_recorder_id: who was about to have it after that one, and died; mostly None.
    """

    folder: Path
    session_id: str
    recorder_id: str
    last_recorder_id: str | None
    next_recorder_id: str | None
    _descriptor: int

    def names(self) -> list[str]:
        """Return the names of all files in it but our own, sorted."""
        return sorted(path.name for path in self.folder.iterdir() if path.name != OWNER)

    @property
    def is_inherited(self) -> bool:
        """Whether somebody had the folder before."""
        return self.last_recorder_id is not None or self.next_recorder_id is not None

    def was_of(self, recorder_id: str) -> bool:
        """Tell whether *recorder_id* had the folder before, or was about to."""
        return recorder_id in {self.last_recorder_id, self.next_recorder_id}

    def announce(self, recorder_id: str | None) -> None:
        """Write down that this process is about to record the session after *recorder_id*.

        The metadata name the one or the other then, whenever this process dies.

        Raises:
            OSError: the file system refused.
        """
        self._write(recorder_id or "", self.recorder_id)
        sync_folder(self.folder)

    def sign(self) -> None:
        """Write down that this process records the session, as its metadata say, too.

        Raises:
            OSError: the file system refused.
        """
        self._write(self.recorder_id, "")

    def _write(self, last: str, following: str) -> None:
        os.pwrite(self._descriptor, f"{last:{_ID_BYTES}}{following:{_ID_BYTES}}".encode(), 0)
        os.fsync(self._descriptor)

    def release(self) -> None:
        """Leave the folder, to be taken up by another process."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Leave the folder, and remove it where nothing is in it any more."""
        try:
            if not self.names():
                # The owner's file first: who waits for its lock sees that it is gone.
                (self.folder / OWNER).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self.folder.rmdir()
        finally:
            self.release()


def claim(folder: Path, session_id: str) -> SpoolClaim | None:
    """Take *folder*, which is made where it is missing; None where another process has it.

    Raises:
        OSError: the file system refused.
    """
    while True:
        _make(folder)
        try:
            descriptor = os.open(folder / OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        if _is_still(descriptor, folder / OWNER):
            written = os.pread(descriptor, 2 * _ID_BYTES, 0).decode(errors="replace")
            last, following = written[:_ID_BYTES].strip(), written[_ID_BYTES:].strip()
            recorder_id = uuid.uuid4().hex
            return SpoolClaim(
                folder, session_id, recorder_id, last or None, following or None, descriptor
            )
        os.close(descriptor)


def _make(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    # Also where it was there: who made it may have died before this.
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """See to it that the names in *folder* are on the disk.

    Raises:
        OSError: the file system refused.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_still(descriptor: int, path: Path) -> bool:
    """Tell whether *path* still names the open file: its last owner may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
