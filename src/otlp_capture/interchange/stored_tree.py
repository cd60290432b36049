"""The objects of a store, read as the files of a tree are. Nothing is ever written there."""

import io
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import anyio
import anyio.from_thread
import attrs
from typing_extensions import Buffer

from otlp_capture.interchange.documents import (
    WHOLE,
    Choice,
    Document,
    Documents,
    Found,
    Openable,
)
from otlp_capture.interchange.errors import EntryBroken, PassedOver
from otlp_capture.result import Failure, Success
from otlp_capture.storage import (
    AccessDenied,
    ByteRange,
    ChecksumMismatch,
    InvalidKey,
    ObjectNotFound,
    S3Storage,
    StorageError,
    StoredObject,
)

_AT_ONCE: Final = 16
_SMALL_BYTES: Final = 1 << 20
_PIECE_BYTES: Final = 4 << 20
_OF_ONE_OBJECT: Final = (AccessDenied, ChecksumMismatch, InvalidKey, ObjectNotFound)
"""What is wrong with one object, and says nothing of the others."""


class StoreFailed(Exception):  # noqa: N818 - it carries an error, and never leaves the package
    """A store did not answer well while an object was read; `error` is the error value."""

    def __init__(self, error: StorageError) -> None:
        super().__init__(error.message)
        self.error = error


@attrs.frozen
class _Fetched:
    """A small object, which is in memory already."""

    content: bytes

    @contextmanager
    def open(self) -> Generator[io.BufferedIOBase]:
        yield io.BytesIO(self.content)


@attrs.frozen
class _Remote:
    """A large object, read range by range from a worker thread."""

    storage: S3Storage
    stored: StoredObject

    @contextmanager
    def open(self) -> Generator[io.BufferedIOBase]:
        ranges = _Ranges(self.storage, self.stored)
        yield io.BufferedReader(ranges, _PIECE_BYTES)


class _Ranges(io.RawIOBase):
    def __init__(self, storage: S3Storage, stored: StoredObject) -> None:
        super().__init__()
        self._storage, self._stored, self._at = storage, stored, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._stored.size_bytes}
        self._at = base[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), self._stored.size_bytes - self._at)
        if length <= 0:
            return 0
        read = anyio.from_thread.run(self._read, ByteRange(self._at, length))
        view[: len(read)] = read
        self._at += len(read)
        return len(read)

    async def _read(self, byte_range: ByteRange) -> bytes:
        read = await self._storage.retrieve_raw_data(self._stored.key, byte_range=byte_range)
        if isinstance(read, Failure):
            raise StoreFailed(read.failure())
        return read.unwrap()


async def objects_of_store(storage: S3Storage, choice: Choice, prefix: str = "") -> Documents:
    """Yield what a store holds, in the order of its keys; small objects are read a few at once.

    Args:
        storage: where the tree is.
        choice: what of it is imported.
        prefix: where the store itself begins in its bucket; it may tell times.
    """
    tree = _Tree(storage, choice, prefix)
    waiting: list[StoredObject | PassedOver] = []
    async for listed in storage.list_objects(""):
        if isinstance(listed, Failure):
            yield listed
            return
        stored = listed.unwrap()
        refused = choice.refusal(stored.key, stored.size_bytes)
        waiting.append(stored if refused is None else PassedOver(stored.key, refused))
        if len(waiting) == _AT_ONCE:
            for found in await tree.fetch_all(waiting):
                yield found
            waiting = []
    for found in await tree.fetch_all(waiting):
        yield found


@attrs.frozen
class _Tree:
    storage: S3Storage
    choice: Choice
    prefix: str

    async def fetch_all(self, waiting: list[StoredObject | PassedOver]) -> list[Found]:
        """Read what is small of *waiting*, at once, and keep its order."""
        found: dict[int, Found] = {}

        async def fetch(place: int, stored: StoredObject) -> None:
            found[place] = await self._fetch(stored)

        async with anyio.create_task_group() as tasks:
            for place, each in enumerate(waiting):
                if isinstance(each, PassedOver):
                    found[place] = Success(each)
                else:
                    tasks.start_soon(fetch, place, each)
        return [found[place] for place in range(len(waiting))]

    async def _fetch(self, stored: StoredObject) -> Found:
        if stored.size_bytes > _SMALL_BYTES:
            return Success(self._document(stored, _Remote(self.storage, stored)))
        read = await self.storage.retrieve_raw_data(stored.key)
        if isinstance(read, Success):
            return Success(self._document(stored, _Fetched(read.unwrap())))
        return of_one_object(stored.key, read.failure())

    def _document(self, stored: StoredObject, content: Openable) -> Document:
        key, modified_ns = stored.key, stored.modified_unix_nano
        return self.choice.of_tree(key, content, modified_ns, root=self.prefix, shown=key)


def of_one_object(key: str, error: StorageError) -> Failure[EntryBroken | StorageError]:
    """Tell what is wrong with one object from what is wrong with its store."""
    if isinstance(error, _OF_ONE_OBJECT):
        return Failure(EntryBroken(key, WHOLE, error.message))
    return Failure(error)
