"""A segment on its way into the store: a file that grows by synced appends, or memory."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import anyio.to_thread

from otlp_capture.result import Failure, Outcome
from otlp_capture.sessions import KeptFrame, NewFrame, SegmentIndex, SegmentTally, spool_name
from otlp_capture.spool.claims import SpoolClaim, sync_folder
from otlp_capture.storage import S3Storage, StorageError, StoredObject, local_error

_PIECES: Final = 512
"""Fewer than one call takes, IOV_MAX."""

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class SealedSegment(Protocol):
    """A segment that does not grow any more, on its way into the store."""

    @property
    def key(self) -> str:
        """Where it is to lie in the store."""
        ...

    @property
    def size_bytes(self) -> int:
        """How much of it is acknowledged."""
        ...

    async def publish(self, storage: S3Storage) -> Outcome[StoredObject, StorageError]:
        """Move the segment into the store; where this fails it can be done again."""
        ...

    def close(self) -> None:
        """Let go of the segment, wherever it is now."""
        ...


class SpoolSegment(SealedSegment, Protocol):
    """A segment that grows until it is sealed."""

    def append(self, frames: Sequence[NewFrame]) -> list[KeptFrame]:
        """Lay *frames* behind the others; they are as durable as they get when this returns.

        Blocks. Where it raises none of them counts, and the segment takes no more.

        Raises:
            OSError: the file system refused.
        """
        ...

    def seal(self) -> SegmentIndex:
        """End the growth, and say what was acknowledged.

        Blocks.
        """
        ...


class Destination(Protocol):
    """Where sealed segments go."""

    def put(self, segment: SealedSegment, index: SegmentIndex) -> None:
        """Take a segment over; *index* is what it holds."""
        ...

    async def hurry(self) -> Outcome[None, StorageError]:
        """Do at once what is to be done with all segments that were taken over.

        Fails with:
            StorageError: of one with which it could not be done.
        """
        ...

    def close(self) -> None:
        """Do nothing more; what is not done yet stays where it is."""
        ...


SegmentMaker = Callable[[NewFrame], SpoolSegment]


class FileSegment:
    """A segment in a file, locked by this process.

    Args:
        claim: the session whose segment it is.
        first: the frame that it begins with; it is not added yet.

    Raises:
        OSError: the file system refused.
    """

    def __init__(self, claim: SpoolClaim, first: NewFrame) -> None:
        self.tally = SegmentTally(claim.session_id, first)
        self.path = claim.folder / spool_name(self.tally.key)
        self._descriptor = os.open(self.path, _NEW, 0o666)
        self._is_damaged = False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sync_folder(claim.folder)
        except BaseException:
            self.close()
            self.path.unlink(missing_ok=True)
            raise

    @property
    def key(self) -> str:
        """Where it is to lie in the store."""
        return self.tally.key

    @property
    def size_bytes(self) -> int:
        """How much of it is acknowledged."""
        return self.tally.size_bytes

    def append(self, frames: Sequence[NewFrame]) -> list[KeptFrame]:
        """Write *frames*, sync them, and count them."""
        # What is not known to be on the disk is never counted, and a sync that failed is never
        # tried again: the kernel may have dropped what it could not write.
        self._is_damaged = True
        write_whole(self._descriptor, [new.member for new in frames])
        os.fdatasync(self._descriptor)
        self._is_damaged = False
        return [self.tally.add(new) for new in frames]

    def seal(self) -> SegmentIndex:
        """Cut off what was not acknowledged, now or before it is published, and end the growth."""
        with contextlib.suppress(OSError):
            self._cut_off()
        if not self.tally.size_bytes:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        return self.tally.index()

    async def publish(self, storage: S3Storage) -> Outcome[StoredObject, StorageError]:
        """Rename the file into the store, or store and remove it."""
        try:
            await anyio.to_thread.run_sync(self._cut_off)
        except OSError as error:
            return Failure(local_error(error, "the spool", self.path.name))
        return await storage.publish_file(self.path, self.tally.key)

    def _cut_off(self) -> None:
        if self._is_damaged:
            os.ftruncate(self._descriptor, self.tally.size_bytes)
            # For the size alone: nothing is counted that an earlier sync did not keep.
            os.fsync(self._descriptor)
            self._is_damaged = False

    def close(self) -> None:
        """Close the file, which ends the lock."""
        os.close(self._descriptor)


class MovedSegment:
    """A sealed segment whose file lies in another session's folder now.

    Args:
        claim: that session.
        path: where the file is until then.
        index: what it holds, under the key that it is to have.

    Raises:
        OSError: the file system refused.
    """

    def __init__(self, claim: SpoolClaim, path: Path, index: SegmentIndex) -> None:
        self.key, self.size_bytes = index.key, index.size_bytes
        self._path = claim.folder / spool_name(index.key)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._cut_off()
            path.rename(self._path)
            try:
                sync_folder(claim.folder)
                sync_folder(path.parent)
            except OSError:
                # Whose the file is has to be clear to those who go on: it is not moved.
                self._path.rename(path)
                raise
        except BaseException:
            self.close()
            raise

    def _cut_off(self) -> None:
        """Cut off what was not acknowledged, where that could not be done when it was sealed."""
        if os.fstat(self._descriptor).st_size > self.size_bytes:
            os.ftruncate(self._descriptor, self.size_bytes)
            os.fsync(self._descriptor)

    async def publish(self, storage: S3Storage) -> Outcome[StoredObject, StorageError]:
        """Rename the file into the store, or store and remove it."""
        return await storage.publish_file(self._path, self.key)

    def close(self) -> None:
        """Close the file, which ends the lock."""
        os.close(self._descriptor)


class MemorySegment:
    """A segment in memory, which ends with its process.

    Args:
        session_id: whose segment it is.
        first: the frame that it begins with; it is not added yet.
    """

    def __init__(self, session_id: str, first: NewFrame) -> None:
        self.tally = SegmentTally(session_id, first)
        self._members: list[bytes] = []

    @property
    def key(self) -> str:
        """Where it is to lie in the store."""
        return self.tally.key

    @property
    def size_bytes(self) -> int:
        """How much of it is acknowledged."""
        return self.tally.size_bytes

    def append(self, frames: Sequence[NewFrame]) -> list[KeptFrame]:
        """Keep *frames*, and count them."""
        self._members += (new.member for new in frames)
        return [self.tally.add(new) for new in frames]

    def seal(self) -> SegmentIndex:
        """End the growth."""
        return self.tally.index()

    async def publish(self, storage: S3Storage) -> Outcome[StoredObject, StorageError]:
        """Store what was kept."""
        return await storage.store_raw_data(b"".join(self._members), self.tally.key)

    def close(self) -> None:
        """Forget what was kept."""
        self._members.clear()


def write_whole(descriptor: int, pieces: Sequence[bytes]) -> None:
    """Write all of *pieces* where the file ends.

    Raises:
        OSError: the file system refused; some of it may be written.
    """
    for start in range(0, len(pieces), _PIECES):
        rest: list[bytes | memoryview] = list(pieces[start : start + _PIECES])
        while rest:
            written = os.writev(descriptor, rest)
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if written:
                rest[0] = memoryview(rest[0])[written:]
