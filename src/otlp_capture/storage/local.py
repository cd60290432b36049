"""A store in a directory: each object is a file below it, at its key."""

import errno
import os
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

import anyio.lowlevel
import anyio.to_thread
import attrs

from otlp_capture.layer import Layer, Scope, scoped
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage.errors import (
    StorageError,
    StorageUnusable,
)
from otlp_capture.storage.keys import SPOOL, key_fault, prefix_fault
from otlp_capture.storage.local_directories import make_root
from otlp_capture.storage.local_errors import local_error
from otlp_capture.storage.local_files import LocalFiles, prepare
from otlp_capture.storage.objects import ByteRange, Condition, StoredObject
from otlp_capture.storage.protocol import S3Storage, S3StorageTag
from otlp_capture.storage.sources import SourceFailed, opened_source, remove_source

T = TypeVar("T")

_THREADS: Final = 8
_PIECE_BYTES: Final = 1 << 20
_BATCH_OBJECTS: Final = 256
_BATCH_S: Final = 0.05


def local_storage(directory: str | os.PathLike[str]) -> Layer[StorageError]:
    """Make the layer of a store in a directory, which is made where it is missing.

    Objects lie at `{directory}/{key}`, readable by any tool. Writes are atomic and synced.
    Conditional writes are exact among all processes of one machine. The folder `.spool/` in it is
    the store's own. Symbolic links below the directory are not followed, and not listed.

    Opening fails with:
        StorageUnusable: the directory is a file, or cannot be made.
        AccessDenied: it may not be written.
    """

    async def open_store(_: Scope) -> Outcome[S3Storage, StorageError]:
        try:
            root = await anyio.to_thread.run_sync(_made, os.fspath(directory))
        except OSError as error:
            return Failure(_opening_error(error, f"file:{os.fspath(directory)}"))
        except ValueError as error:
            return Failure(StorageUnusable(f"file:{os.fspath(directory)}", str(error)))
        return Success(_LocalStorage(LocalFiles(root), anyio.CapacityLimiter(_THREADS)))

    return scoped(S3StorageTag, open_store)


@attrs.frozen(eq=False)
class _LocalStorage:
    _files: LocalFiles
    _threads: anyio.CapacityLimiter

    async def store_raw_data(
        self, data: bytes, key: str, *, condition: Condition | None = None
    ) -> Outcome[StoredObject, StorageError]:
        return await self._run(key, lambda: self._files.write(key, (data,), condition))

    async def store_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        def copy() -> Outcome[StoredObject, StorageError]:
            with opened_source(path) as source:
                return self._files.write(key, source.pieces(_PIECE_BYTES), None)

        return await self._run(key, copy)

    @property
    def name(self) -> str:
        return self._files.store

    @property
    def spool_directory(self) -> Path:
        return Path(self._files.root, SPOOL)

    async def publish_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        def move() -> Outcome[StoredObject, StorageError]:
            with opened_source(path) as source:
                moved = self._files.move_in(key, path, source.descriptor)
                if moved is None:
                    moved = self._files.write(key, source.pieces(_PIECE_BYTES), None)
            if isinstance(moved, Success):
                remove_source(path)
            return moved

        return await self._run(key, move)

    async def retrieve_raw_data(
        self, key: str, *, byte_range: ByteRange | None = None
    ) -> Outcome[bytes, StorageError]:
        return await self._run(key, lambda: self._files.read(key, byte_range))

    async def head(self, key: str) -> Outcome[StoredObject, StorageError]:
        return await self._run(key, lambda: self._files.head(key))

    def list_objects(self, prefix: str) -> AsyncIterator[Outcome[StoredObject, StorageError]]:
        return self._stream(prefix, self._files.walk)

    def list_folders(self, prefix: str) -> AsyncIterator[Outcome[str, StorageError]]:
        return self._stream(prefix, self._files.folders)

    async def _stream(
        self, prefix: str, walk: Callable[[str], Iterator[T]]
    ) -> AsyncIterator[Outcome[T, StorageError]]:
        if (fault := prefix_fault(prefix)) is not None:
            yield Failure(fault)
            return
        with closing(self._outcomes(prefix, walk)) as outcomes:
            while batch := await anyio.to_thread.run_sync(
                _next_batch, outcomes, limiter=self._threads
            ):
                for outcome in batch:
                    yield outcome

    async def delete_raw_data(self, key: str) -> Outcome[None, StorageError]:
        return await self._run(key, lambda: self._files.delete(key))

    async def health_check(self) -> Outcome[None, StorageError]:
        try:
            await anyio.to_thread.run_sync(prepare, self._files.root, limiter=self._threads)
        except OSError as error:
            return Failure(local_error(error, self._files.store, ""))
        return Success(None)

    async def honours_conditions(self) -> Outcome[bool, StorageError]:
        await anyio.lowlevel.checkpoint()
        return Success(True)

    async def _run(
        self, key: str, work: Callable[[], Outcome[T, StorageError]]
    ) -> Outcome[T, StorageError]:
        if (fault := key_fault(key)) is not None:
            return Failure(fault)
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
        except SourceFailed as failed:
            return Failure(failed.error)
        except OSError as error:
            return Failure(local_error(error, self._files.store, key))

    def _outcomes(
        self, prefix: str, walk: Callable[[str], Iterator[T]]
    ) -> Generator[Outcome[T, StorageError]]:
        try:
            for found in walk(prefix):
                yield Success(found)
        except OSError as error:
            yield Failure(local_error(error, self._files.store, prefix))


def _made(path: str) -> str:
    root = os.path.realpath(path)
    make_root(root)
    prepare(root)
    return root


def _next_batch(outcomes: Iterator[T]) -> list[T]:
    batch: list[T] = []
    deadline = time.monotonic() + _BATCH_S
    for outcome in outcomes:
        batch.append(outcome)
        if len(batch) == _BATCH_OBJECTS or time.monotonic() > deadline:
            break
    return batch


def _opening_error(error: OSError, store: str) -> StorageError:
    match error.errno:
        case errno.ENOTDIR | errno.EEXIST | errno.ELOOP:
            return StorageUnusable(store, "it, or a part of its path, is a file")
        case errno.ENOENT | errno.ENAMETOOLONG:
            return StorageUnusable(store, (error.strerror or str(error)).lower())
        case _:
            return local_error(error, store, "")
