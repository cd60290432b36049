"""Objects are deleted many at once, and those of a session with its metadata last."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import anyio
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions.keys import metadata_key, session_prefix
from otlp_capture.storage import S3Storage, StorageError, StoredObject

_AT_ONCE: Final = 8
_BATCH: Final = 64


@attrs.frozen
class Freed:
    """What a deletion has removed from a store: exactly what it held less afterwards."""

    objects: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Freed") -> "Freed":
        """Return both together."""
        return Freed(self.objects + other.objects, self.size_bytes + other.size_bytes)


def _untold(_freed: Freed) -> None:
    """Tell nobody."""


async def discard_session(
    storage: S3Storage, session_id: str, *, told: Callable[[Freed], None] = _untold
) -> Outcome[Freed, StorageError]:
    """Delete all objects of a session, its metadata last, and return what they were.

    Nothing is asked: `otlp_capture.upkeep.delete_session` does that. When this is interrupted the
    metadata are still there, and it can be done again.

    Args:
        storage: where the session is.
        session_id: which one.
        told: told of each few objects that are gone, also before a failure.

    Fails with:
        StorageError: the store did not answer well; what is left can be discarded again.
    """
    last = metadata_key(session_id)
    total, kept_back = Freed(), list[StoredObject]()
    async for listed in _batches(storage, f"{session_prefix(session_id)}/"):
        if isinstance(listed, Failure):
            return listed
        kept_back += (each for each in listed.unwrap() if each.key == last)
        others = [each for each in listed.unwrap() if each.key != last]
        deleted = await _delete(storage, others, told)
        if isinstance(deleted, Failure):
            return deleted
        total += deleted.unwrap()
    deleted = await _delete(storage, kept_back, told)
    return Success(total + deleted.unwrap()) if isinstance(deleted, Success) else deleted


async def discard_objects(
    storage: S3Storage, prefix: str, *, told: Callable[[Freed], None] = _untold
) -> Outcome[Freed, StorageError]:
    """Delete all objects whose key begins with *prefix*, and return what they were.

    Args:
        storage: where they are.
        prefix: what their keys begin with.
        told: told of each few objects that are gone, also before a failure.

    Fails with:
        StorageError: the store did not answer well; what is left can be discarded again.
    """
    total = Freed()
    async for listed in _batches(storage, prefix):
        deleted = (
            listed if isinstance(listed, Failure) else await _delete(storage, listed.unwrap(), told)
        )
        if isinstance(deleted, Failure):
            return deleted
        total += deleted.unwrap()
    return Success(total)


async def _batches(
    storage: S3Storage, prefix: str
) -> AsyncIterator[Outcome[list[StoredObject], StorageError]]:
    batch = list[StoredObject]()
    async for found in storage.list_objects(prefix):
        if isinstance(found, Failure):
            yield found
            return
        batch.append(found.unwrap())
        if len(batch) == _BATCH:
            yield Success(batch)
            batch = []
    yield Success(batch)


async def _delete(
    storage: S3Storage, objects: Sequence[StoredObject], told: Callable[[Freed], None]
) -> Outcome[Freed, StorageError]:
    """Delete *objects*, a few at once; those under way when one fails are waited for."""
    waiting, freed = iter(objects), list[Freed]()
    failures = list[StorageError]()

    async def work() -> None:
        for each in waiting:
            deleted = await storage.delete_raw_data(each.key)
            if isinstance(deleted, Failure):
                failures.append(deleted.failure())
                return
            freed.append(Freed(1, each.size_bytes))
            told(freed[-1])
            if failures:
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(min(_AT_ONCE, len(objects))):
            tasks.start_soon(work)
    return Failure(failures[0]) if failures else Success(sum(freed, Freed()))
