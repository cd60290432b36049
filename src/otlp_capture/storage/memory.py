"""A store in memory: for tests, and for what may be forgotten."""

import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Never

import anyio.lowlevel
import anyio.to_thread
import attrs

from otlp_capture.layer import Layer, Scope, scoped
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage.errors import (
    ObjectNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    StorageError,
)
from otlp_capture.storage.keys import key_fault, prefix_fault
from otlp_capture.storage.objects import ByteRange, Condition, IfAbsent, IfMatch, StoredObject
from otlp_capture.storage.protocol import S3Storage, S3StorageTag
from otlp_capture.storage.sources import SourceFailed, opened_source, stored_and_removed

_STORE: Final = "memory:"


def memory_storage() -> Layer[Never]:
    """Make the layer of a store in memory: empty when opened, gone when closed."""
    return scoped(S3StorageTag, _open)


async def _open(_: Scope) -> Outcome[S3Storage, Never]:
    await anyio.lowlevel.checkpoint()
    return Success(_MemoryStorage())


@attrs.frozen
class _Held:
    facts: StoredObject
    data: bytes


class _MemoryStorage:
    name = _STORE
    spool_directory = None

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    async def store_raw_data(
        self, data: bytes, key: str, *, condition: Condition | None = None
    ) -> Outcome[StoredObject, StorageError]:
        if (fault := key_fault(key)) is not None:
            return Failure(fault)
        await anyio.lowlevel.checkpoint()
        if condition is not None and not self._holds(condition, key):
            return Failure(PreconditionFailed(key, _STORE, condition))
        content = bytes(data)
        etag = hashlib.blake2b(content, digest_size=16).hexdigest()
        facts = StoredObject(key, len(content), etag, time.time_ns())
        self._held[key] = _Held(facts, content)
        return Success(facts)

    def _holds(self, condition: Condition, key: str) -> bool:
        held = self._held.get(key)
        match condition:
            case IfAbsent():
                return held is None
            case IfMatch(etag):
                return held is not None and held.facts.etag == etag

    async def store_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        if (fault := key_fault(key)) is not None:
            return Failure(fault)
        try:
            data = await anyio.to_thread.run_sync(_content, path)
        except SourceFailed as failed:
            return Failure(failed.error)
        return await self.store_raw_data(data, key)

    async def publish_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        return await stored_and_removed(self.store_file, path, key)

    async def retrieve_raw_data(
        self, key: str, *, byte_range: ByteRange | None = None
    ) -> Outcome[bytes, StorageError]:
        if (fault := key_fault(key)) is not None:
            return Failure(fault)
        await anyio.lowlevel.checkpoint()
        held = self._held.get(key)
        if held is None:
            return Failure(ObjectNotFound(key, _STORE))
        if byte_range is None:
            return Success(held.data)
        if byte_range.start >= len(held.data):
            return Failure(RangeNotSatisfiable(key, _STORE, byte_range.start))
        return Success(held.data[byte_range.start : byte_range.start + byte_range.length])

    async def head(self, key: str) -> Outcome[StoredObject, StorageError]:
        if (fault := key_fault(key)) is not None:
            return Failure(fault)
        await anyio.lowlevel.checkpoint()
        held = self._held.get(key)
        return Failure(ObjectNotFound(key, _STORE)) if held is None else Success(held.facts)

    async def list_objects(self, prefix: str) -> AsyncIterator[Outcome[StoredObject, StorageError]]:
        if (fault := prefix_fault(prefix)) is not None:
            yield Failure(fault)
            return
        # The order of code points is the order of UTF-8's bytes.
        for key in sorted(key for key in self._held if key.startswith(prefix)):
            await anyio.lowlevel.checkpoint()
            if (held := self._held.get(key)) is not None:
                yield Success(held.facts)

    async def list_folders(self, prefix: str) -> AsyncIterator[Outcome[str, StorageError]]:
        if (fault := prefix_fault(prefix)) is not None:
            yield Failure(fault)
            return
        tails = (key[len(prefix) :] for key in self._held if key.startswith(prefix))
        # With its slash, because "a-/" comes before "a/".
        for folder in sorted({f"{tail.split('/')[0]}/" for tail in tails if "/" in tail}):
            await anyio.lowlevel.checkpoint()
            yield Success(prefix + folder)

    async def delete_raw_data(self, key: str) -> Outcome[None, StorageError]:
        if (fault := key_fault(key)) is not None:
            return Failure(fault)
        await anyio.lowlevel.checkpoint()
        self._held.pop(key, None)
        return Success(None)

    async def health_check(self) -> Outcome[None, StorageError]:
        await anyio.lowlevel.checkpoint()
        return Success(None)

    async def honours_conditions(self) -> Outcome[bool, StorageError]:
        await anyio.lowlevel.checkpoint()
        return Success(True)


def _content(path: Path) -> bytes:
    with opened_source(path) as source:
        return source.read(0, source.size_bytes)
