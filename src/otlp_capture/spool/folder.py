"""Where a store's spool lies on this machine.

```
{spool}/segments/{session-id}/owner                                    locked by who records
{spool}/segments/{session-id}/{YYYY-MM-DD}_{HH}_{signal}-{ms}-{uuid}.otlp.gz
{spool}/rings/{name}/…                                                 as sessions have them
{spool}/quarantine/{session-id}-{ms}/…                                 of sessions that are gone
```

Everything blocks.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import check_session_id
from otlp_capture.spool.claims import OWNER, SpoolClaim, claim
from otlp_capture.storage import S3Storage, StorageError, local_error, make_root


@attrs.frozen
class SpoolFolder:
    """The spool of one store.

    Attributes:
        root: its folder, which is there.
    """

    root: Path

    @property
    def name(self) -> str:
        """How errors call it."""
        return f"the spool {self.root}"

    @property
    def segments(self) -> Path:
        """Where sessions have their folders."""
        return self.root / "segments"

    @property
    def rings(self) -> Path:
        """Where rings have their folders."""
        return self.root / "rings"

    @property
    def quarantine(self) -> Path:
        """Where what belongs to no session any more is kept."""
        return self.root / "quarantine"

    def session_ids(self) -> list[str]:
        """Return the sessions that have something here, sorted."""
        try:
            names = sorted(path.name for path in self.segments.iterdir())
        except FileNotFoundError:
            return []
        return [name for name in names if isinstance(check_session_id(name), Success)]

    def size_bytes(self, session_id: str) -> int:
        """Return how much waits in the folder of a session."""
        return sum(
            _size_bytes(entry)
            for entry in _entries(self.segments / session_id)
            if entry.name != OWNER
        )

    def claim_ring(self, name: str) -> Outcome[SpoolClaim | None, StorageError]:
        """Take the folder of a ring, as `claim` takes that of a session."""
        return self._claim(self.rings, name)

    def claim(self, session_id: str) -> Outcome[SpoolClaim | None, StorageError]:
        """Take the folder of a session, which is made where it is missing.

        Returns:
            None where another process has it.

        Fails with:
            StorageError: the file system refused.
        """
        return self._claim(self.segments, session_id)

    def _claim(self, parent: Path, name: str) -> Outcome[SpoolClaim | None, StorageError]:
        try:
            make_root(str(parent))
            return Success(claim(parent / name, name))
        except OSError as error:
            return Failure(local_error(error, self.name, name))


def open_spool(
    storage: S3Storage, directory: Path | None = None
) -> Outcome[SpoolFolder | None, StorageError]:
    """Open the spool of a store.

    Args:
        storage: whose spool it is.
        directory: where spools are, for a store that lies on no disk of this machine; without it,
            the user's folder for the state of programs.

    Returns:
        None for a store in memory, which outlives no process.

    Fails with:
        StorageError: the folder cannot be made.
    """
    own = _root(storage, directory)
    if own is None:
        return Success(None)
    try:
        make_root(os.path.realpath(own))
    except OSError as error:
        return Failure(local_error(error, f"the spool {own}", ""))
    return Success(SpoolFolder(Path(os.path.realpath(own))))


def waiting_bytes(storage: S3Storage, session_id: str, directory: Path | None = None) -> int:
    """Return how much of a session waits in the spool of this machine; nothing is made or taken.

    Args:
        storage: whose spool it is.
        session_id: the session.
        directory: where spools are, as for `open_spool`.
    """
    own = _root(storage, directory)
    if own is None or isinstance(check_session_id(session_id), Failure):
        return 0
    folder = SpoolFolder(Path(own)).segments / session_id
    try:
        entries = [entry for entry in _entries(folder) if entry.name != OWNER]
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except OSError:  # it is being published, or is not ours to read
        return 0


def _root(storage: S3Storage, directory: Path | None) -> Path | None:
    """Return where the spool of a store is; None: it has none."""
    own = storage.spool_directory
    if own is not None:
        return Path(own)
    if storage.name == "memory:" and directory is None:
        return None
    # Each store has a folder of its own, so that nothing is published into another.
    digest = hashlib.blake2b(storage.name.encode(), digest_size=8).hexdigest()
    return (directory or default_directory()) / digest


def default_directory() -> Path:
    """Return where spools are unless one says otherwise.

    Source: XDG Base Directory Specification, XDG_STATE_HOME.
    """
    state = os.environ.get("XDG_STATE_HOME")
    base = Path(state) if state and os.path.isabs(state) else Path.home() / ".local" / "state"  # noqa: PTH117 - a text may be no path
    return base / "otlp-capture" / "spool"


def _size_bytes(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0  # its owner has published it meanwhile


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except FileNotFoundError:
        return
