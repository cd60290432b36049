"""Objects as files below a root: reading, writing, listing and removing them. Everything blocks.

An object is written to a file of its own in `.spool/writes/`, synced, and renamed into place; its
directory is synced after. Whatever changes what a key names holds that key's lock, one of a fixed
number of files in `.spool/locks/`, so a condition is exact among all processes of a machine.
"""

import errno
import fcntl
import os
import stat
import time
import uuid
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zlib import crc32

import anyio.from_thread
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage.errors import (
    KeyConflict,
    ObjectNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    StorageBusy,
    StorageError,
)
from otlp_capture.storage.etags import EtagHash, etag_of_file, remember_etag
from otlp_capture.storage.keys import SPOOL, key_fault
from otlp_capture.storage.local_directories import directory, made_directory, remove_emptied
from otlp_capture.storage.objects import ByteRange, Condition, IfAbsent, IfMatch, StoredObject

WRITES: Final = (SPOOL, "writes")
LOCKS: Final = (SPOOL, "locks")

_LOCK_FILES: Final = 64
_LOCK_PATIENCE_S: Final = 10.0
_LOCK_LONGEST_PAUSE_S: Final = 0.02
_PUBLISH_ATTEMPTS: Final = 100
_ABANDONED_AFTER_S: Final = 3600.0
_OBJECT: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_IN_THE_WAY: Final = frozenset(
    {errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY}
)


class _LockTimeoutError(Exception):
    pass


@attrs.frozen
class LocalFiles:
    """The files of one store.

    Attributes:
        root: the store's directory, absolute and without links.
    """

    root: str

    @property
    def store(self) -> str:
        """How errors call this store."""
        return f"file:{self.root}"

    def write(
        self, key: str, pieces: Iterable[bytes], condition: Condition | None
    ) -> Outcome[StoredObject, StorageError]:
        """Store an object durably, if its condition holds.

        Raises:
            OSError: the file system refused.
        """
        with self._spooled() as (spool, name, descriptor):
            content = EtagHash()
            for piece in pieces:
                anyio.from_thread.check_cancelled()
                content.update(piece)
                _write_whole(descriptor, piece)
            facts = os.fstat(descriptor)
            remember_etag(descriptor, content.etag(), facts)
            os.fsync(descriptor)
            try:
                with self._locked(key):
                    if condition is not None and not self._holds(condition, key):
                        return Failure(PreconditionFailed(key, self.store, condition))
                    if (conflict := self._publish(spool, name, key)) is not None:
                        return Failure(conflict)
            except _LockTimeoutError:
                return Failure(self._locked_out(key))
            return Success(StoredObject(key, facts.st_size, content.etag(), facts.st_mtime_ns))

    def move_in(
        self, key: str, path: Path, descriptor: int
    ) -> Outcome[StoredObject, StorageError] | None:
        """Rename a file, which is synced and open, to where its object lies.

        Its etag is drawn, not computed: nobody changes it any more, and its content is not read.

        Returns:
            None where it lies on another file system.

        Raises:
            OSError: the file system refused.
        """
        facts, etag = os.fstat(descriptor), uuid.uuid4().hex
        remember_etag(descriptor, etag, facts)
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with self._locked(key):
                if (conflict := self._publish(parent, path.name, key)) is not None:
                    return Failure(conflict)
            os.fsync(parent)
        except _LockTimeoutError:
            return Failure(self._locked_out(key))
        except OSError as error:
            if error.errno == errno.EXDEV:
                return None
            raise
        finally:
            os.close(parent)
        return Success(
            StoredObject(key, facts.st_size, etag_of_file(descriptor, facts), facts.st_mtime_ns)
        )

    def read(self, key: str, byte_range: ByteRange | None) -> Outcome[bytes, StorageError]:
        """Read an object or a part of it.

        Raises:
            OSError: the file system refused.
        """
        with self._object(key) as opened:
            if opened is None:
                return Failure(ObjectNotFound(key, self.store))
            descriptor, facts = opened
            if byte_range is None:
                return Success(_read_whole(descriptor, 0, facts.st_size))
            if byte_range.start >= facts.st_size:
                return Failure(RangeNotSatisfiable(key, self.store, byte_range.start))
            length = min(byte_range.length, facts.st_size - byte_range.start)
            return Success(_read_whole(descriptor, byte_range.start, length))

    def head(self, key: str) -> Outcome[StoredObject, StorageError]:
        """Tell the facts of an object.

        Raises:
            OSError: the file system refused.
        """
        found = self._head(key)
        return Failure(ObjectNotFound(key, self.store)) if found is None else Success(found)

    def delete(self, key: str) -> Outcome[None, StorageError]:
        """Remove an object durably, and the directories it leaves empty.

        Raises:
            OSError: the file system refused.
        """
        *parents, name = key.split("/")
        try:
            with self._locked(key):
                if not self._exists(key):
                    return Success(None)
                with directory(self.root, parents) as parent:
                    os.unlink(name, dir_fd=parent)
                    os.fsync(parent)
        except _LockTimeoutError:
            return Failure(self._locked_out(key))
        remove_emptied(self.root, parents)
        return Success(None)

    def walk(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects below a prefix in the order of their keys' bytes.

        In memory lie the names of one directory at each depth, never the tree.

        Raises:
            OSError: the file system refused.
        """
        with directory(self.root, ()):
            pass
        *parents, _ = prefix.split("/")
        yield from self._walk_directory(parents, prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the folders that begin with a prefix, to the next slash, in the order of bytes.

        Raises:
            OSError: the file system refused.
        """
        with directory(self.root, ()):
            pass
        *parents, _ = prefix.split("/")
        base = "".join(f"{segment}/" for segment in parents)
        for name, is_directory in self._entries(parents, prefix):
            if is_directory:
                yield f"{base}{name}/"

    def _walk_directory(self, segments: list[str], prefix: str) -> Iterator[StoredObject]:
        for name, is_directory in self._entries(segments, prefix):
            if is_directory:
                yield from self._walk_directory([*segments, name], prefix)
            elif (found := self._head("/".join([*segments, name]))) is not None:
                yield found

    def _entries(self, segments: list[str], prefix: str) -> list[tuple[str, bool]]:
        try:
            with directory(self.root, segments) as descriptor, os.scandir(descriptor) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError as error:
            if error.errno == errno.ENOENT or error.errno in _IN_THE_WAY:
                return []
            raise
        base = "".join(f"{segment}/" for segment in segments)
        wanted = [
            (name, is_directory)
            for name, is_directory in found
            if key_fault(f"{base}{name}") is None
            and _may_hold(f"{base}{name}/" if is_directory else f"{base}{name}", prefix)
        ]
        # A folder's keys go on with "/", and so does its place among its siblings.
        return sorted(wanted, key=lambda entry: os.fsencode(entry[0]) + b"/" * entry[1])

    def _head(self, key: str) -> StoredObject | None:
        with self._object(key) as opened:
            if opened is None:
                return None
            descriptor, facts = opened
            etag = etag_of_file(descriptor, facts)
            return StoredObject(key, facts.st_size, etag, facts.st_mtime_ns)

    def _exists(self, key: str) -> bool:
        with self._object(key) as opened:
            return opened is not None

    @contextmanager
    def _object(self, key: str) -> Generator[tuple[int, os.stat_result] | None]:
        descriptor = self._open_object(key)
        if descriptor is None:
            yield None
            return
        try:
            facts = os.fstat(descriptor)
            yield (descriptor, facts) if stat.S_ISREG(facts.st_mode) else None
        finally:
            os.close(descriptor)

    def _open_object(self, key: str) -> int | None:
        *parents, name = key.split("/")
        with directory(self.root, ()):
            pass
        try:
            with directory(self.root, parents) as parent:
                return os.open(name, _OBJECT, dir_fd=parent)
        except OSError as error:
            # ENXIO is a socket, or a pipe that no one reads.
            if error.errno in {errno.ENOENT, errno.ENXIO} or error.errno in _IN_THE_WAY:
                return None
            raise

    def _holds(self, condition: Condition, key: str) -> bool:
        match condition:
            case IfAbsent():
                return not self._exists(key)
            case IfMatch(etag):
                found = self._head(key)
                return found is not None and found.etag == etag

    def _publish(self, spool: int, name: str, key: str) -> KeyConflict | None:
        *parents, target = key.split("/")
        for attempt in range(1, _PUBLISH_ATTEMPTS + 1):
            try:
                with made_directory(self.root, parents) as parent:
                    os.rename(name, target, src_dir_fd=spool, dst_dir_fd=parent)
                    os.fsync(parent)
            except FileNotFoundError:
                # A concurrent delete has removed the directory that this key needs again.
                if attempt == _PUBLISH_ATTEMPTS:
                    raise
            except OSError as error:
                if error.errno in _IN_THE_WAY:
                    reason = "a folder, a link or a file of that name is in its way"
                    return KeyConflict(key, self.store, reason)
                raise
            else:
                return None
        return None

    @contextmanager
    def _spooled(self) -> Generator[tuple[int, str, int]]:
        name = uuid.uuid4().hex
        with made_directory(self.root, WRITES) as spool:
            descriptor = os.open(
                name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=spool
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield spool, name, descriptor
            finally:
                _unlink_if_there(name, spool)
                os.close(descriptor)

    @contextmanager
    def _locked(self, key: str) -> Generator[None]:
        name = f"{crc32(key.encode()) % _LOCK_FILES:02x}"
        with made_directory(self.root, LOCKS) as locks:
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666, dir_fd=locks)
        try:
            _lock_patiently(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _locked_out(self, key: str) -> StorageBusy:
        detail = f"another process has held its lock for {_LOCK_PATIENCE_S:g} s"
        return StorageBusy(self.store, key, detail)


def prepare(root: str) -> None:
    """Make a store's own folders, and remove what writers that died left in them.

    Raises:
        OSError: the root cannot be written.
    """
    with made_directory(root, LOCKS):
        pass
    with made_directory(root, WRITES) as writes:
        if not os.access(".", os.W_OK, dir_fd=writes):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), root)
        for name in os.listdir(writes):  # noqa: PTH208 - its names, not paths
            _remove_abandoned(name, writes)


def _remove_abandoned(name: str, writes: int) -> None:
    try:
        descriptor = os.open(name, _OBJECT, dir_fd=writes)
    except OSError:
        return
    try:
        if time.time() - os.fstat(descriptor).st_mtime < _ABANDONED_AFTER_S:
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _unlink_if_there(name, writes)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _lock_patiently(descriptor: int) -> None:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    pause_s = 0.0005
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise _LockTimeoutError from None
        else:
            return
        anyio.from_thread.check_cancelled()
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LOCK_LONGEST_PAUSE_S)


def _write_whole(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _read_whole(descriptor: int, offset: int, length: int) -> bytes:
    pieces: list[bytes] = []
    while length and (piece := os.pread(descriptor, length, offset)):
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)


def _unlink_if_there(name: str, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return


def _may_hold(path: str, prefix: str) -> bool:
    return path.startswith(prefix) or (path.endswith("/") and prefix.startswith(path))
