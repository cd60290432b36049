"""A store around another one, which fails when a test says so, and remembers what was asked."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import anyio.lowlevel

from otlp_capture.layer import Layer, succeed
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage import (
    ByteRange,
    Condition,
    S3Storage,
    S3StorageTag,
    StorageError,
    StorageUnreachable,
    StoredObject,
)

When = Literal["before", "after"]


Work = TypeVar("Work")


def _taken(waiting: list[tuple[str, Work]], key: str) -> list[Work]:
    due = [each for each in waiting if each[0] in key]
    for each in due:
        waiting.remove(each)
    return [work for _, work in due]


class FaultyStorage:
    """Does what the other store does, but for what a test changes.

    Attributes:
        error: what it fails with.
        is_exact: whether it honours conditions; where not, it ignores them, as some stores do.
        written: the keys of successful and failed writes, in their order.
        read: the keys of reads.
        read_bytes: how many bytes were read each time.
    """

    def __init__(self, inner: S3Storage, *, is_exact: bool = True) -> None:
        self._inner = inner
        self.error: StorageError = StorageUnreachable("memory:", "out of order")
        self.is_exact = is_exact
        self.written: list[str] = []
        self.read: list[str] = []
        self.read_bytes: list[int] = []
        self._left: Counter[tuple[str, When]] = Counter()
        self._passing: Counter[tuple[str, When]] = Counter()
        self._within: dict[tuple[str, When], str] = {}
        self._gates: dict[str, anyio.Event] = {}
        self._before_read: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        self._before_write: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        self._after_write: list[tuple[str, Callable[[], object]]] = []

    @property
    def layer(self) -> Layer[Any]:
        return succeed(S3StorageTag, self)

    def fail(
        self,
        method: str,
        *,
        times: int = 1,
        within: str = "",
        when: When = "before",
        passing: int = 0,
    ) -> None:
        """Let the next calls of a method fail.

        Args:
            method: the name of the method.
            times: how many calls.
            within: what their key must contain.
            when: `before` it is done, or `after`: it was done all the same.
            passing: how many calls succeed first.
        """
        self._passing[method, when] = passing
        self._left[method, when] = times
        self._within[method, when] = within

    @property
    def still_fails(self) -> bool:
        """Whether a call is still to fail."""
        return any(self._left.values())

    def mend(self) -> None:
        """Let nothing fail any more."""
        self._left.clear()

    def hold(self, within: str) -> anyio.Event:
        """Let writes wait, whose key contains *within*, until the event is set."""
        self._gates[within] = anyio.Event()
        return self._gates[within]

    def interrupt_read(self, within: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do *work* right before the next read of a key that contains *within*."""
        self._before_read.append((within, work))

    def interrupt_write(self, within: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do *work* right before the next write of a key that contains *within*."""
        self._before_write.append((within, work))

    def follow_write(self, within: str, work: Callable[[], object]) -> None:
        """Do *work* right after the next write of a key that contains *within*."""
        self._after_write.append((within, work))

    def _fails(self, method: str, key: str, when: When) -> bool:
        if not self._left[method, when] or self._within[method, when] not in key:
            return False
        if self._passing[method, when]:
            self._passing[method, when] -= 1
            return False
        self._left[method, when] -= 1
        return True

    async def _do(
        self, method: str, key: str, work: Callable[[], Awaitable[Outcome[Any, StorageError]]]
    ) -> Outcome[Any, StorageError]:
        if self._fails(method, key, "before"):
            return Failure(self.error)
        done = await work()
        return Failure(self.error) if self._fails(method, key, "after") else done

    async def store_raw_data(
        self, data: bytes, key: str, *, condition: Condition | None = None
    ) -> Outcome[StoredObject, StorageError]:
        for within, gate in self._gates.items():
            if within in key:
                await gate.wait()
        for interrupt in _taken(self._before_write, key):
            await interrupt()
        self.written.append(key)
        kept = condition if self.is_exact else None
        stored = await self._do(
            "store_raw_data",
            key,
            lambda: self._inner.store_raw_data(data, key, condition=kept),
        )
        for work in _taken(self._after_write, key):
            work()
            await anyio.lowlevel.checkpoint()
        return stored

    async def store_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        return await self._do("store_file", key, lambda: self._inner.store_file(path, key))

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def spool_directory(self) -> Path | None:
        return self._inner.spool_directory

    async def publish_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        for within, gate in self._gates.items():
            if within in key:
                await gate.wait()
        self.written.append(key)
        return await self._do("publish_file", key, lambda: self._inner.publish_file(path, key))

    async def retrieve_raw_data(
        self, key: str, *, byte_range: ByteRange | None = None
    ) -> Outcome[bytes, StorageError]:
        for work in _taken(self._before_read, key):
            await work()
        self.read.append(key)
        read = await self._do(
            "retrieve_raw_data",
            key,
            lambda: self._inner.retrieve_raw_data(key, byte_range=byte_range),
        )
        self.read_bytes.append(len(read.value_or(b"")))
        return read

    async def head(self, key: str) -> Outcome[StoredObject, StorageError]:
        return await self._do("head", key, lambda: self._inner.head(key))

    async def list_objects(self, prefix: str) -> AsyncIterator[Outcome[StoredObject, StorageError]]:
        if self._fails("list_objects", prefix, "before"):
            yield Failure(self.error)
            return
        async for found in self._inner.list_objects(prefix):
            yield found

    async def list_folders(self, prefix: str) -> AsyncIterator[Outcome[str, StorageError]]:
        if self._fails("list_folders", prefix, "before"):
            yield Failure(self.error)
            return
        async for found in self._inner.list_folders(prefix):
            yield found

    async def delete_raw_data(self, key: str) -> Outcome[None, StorageError]:
        return await self._do("delete_raw_data", key, lambda: self._inner.delete_raw_data(key))

    async def health_check(self) -> Outcome[None, StorageError]:
        return await self._inner.health_check()

    async def honours_conditions(self) -> Outcome[bool, StorageError]:
        if self._fails("honours_conditions", "", "before"):
            return Failure(self.error)
        return Success(self.is_exact)
