"""What every store offers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from otlp_capture.layer import Tag
from otlp_capture.result import Outcome
from otlp_capture.storage.errors import StorageError
from otlp_capture.storage.objects import ByteRange, Condition, StoredObject


@runtime_checkable
class S3Storage(Protocol):
    """Objects by key, with the semantics of S3.

    Writes are atomic: a reader sees the whole old object or the whole new one. An object is
    durable once its write succeeded, as far as the store can make it so. Every operation may fail
    with `InvalidKey` before the store is touched, and with `AccessDenied`, `CredentialsMissing`,
    `BucketNotFound`, `StorageUnreachable`, `StorageBusy` or `StorageFault`. Operations may run
    concurrently, and are bounded in time. Cancelling a write leaves it done or not done, never
    half done.
    """

    @property
    def name(self) -> str:
        """How messages call the store; different stores have different names."""
        ...

    @property
    def spool_directory(self) -> Path | None:
        """Where a spool shares the store's file system; None where the store is none."""
        ...

    async def store_raw_data(
        self, data: bytes, key: str, *, condition: Condition | None = None
    ) -> Outcome[StoredObject, StorageError]:
        """Store *data* under *key*, over what is there unless a condition forbids it.

        Args:
            data: the object's content, in memory once.
            key: a relative path such as `sessions/a/metadata.json`.
            condition: what must hold at the moment of the write.

        Fails with:
            PreconditionFailed: the condition did not hold. `IfMatch` never holds for a key that
                is absent.
            ConditionsUnsupported: a condition was given and the store does not honour them.
            KeyConflict: a folder has the key's name, or a file a folder's (directories only).
            StorageFull: there is no room.
            ChecksumMismatch: the data was damaged on its way.
        """
        ...

    async def store_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        """Store the content of a file, in memory bounded by a part of it.

        The file must keep still meanwhile: it is stored with the size it had at the beginning.

        Fails with:
            SourceUnreadable: the file is missing, no regular file, or became shorter.
            KeyConflict: as for `store_raw_data`.
            StorageFull: there is no room.
            ChecksumMismatch: the data was damaged on its way.
        """
        ...

    async def publish_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        """Move a file into the store: it is gone from *path* once the object is there.

        A directory renames it where both lie on one file system; others store its content, as
        `store_file` does, and remove it. The file must keep still, and be synced. What was cut
        short can be done again.

        Fails with:
            SourceUnreadable, KeyConflict, StorageFull, ChecksumMismatch: as `store_file` does; the
                file is still there.
        """
        ...

    async def retrieve_raw_data(
        self, key: str, *, byte_range: ByteRange | None = None
    ) -> Outcome[bytes, StorageError]:
        """Read an object, or a part of it.

        Fails with:
            ObjectNotFound: no object has the key.
            RangeNotSatisfiable: the range begins at or past the object's end.
            ChecksumMismatch: the data was damaged on its way.
        """
        ...

    async def head(self, key: str) -> Outcome[StoredObject, StorageError]:
        """Tell size, etag and time of an object without reading it.

        Fails with:
            ObjectNotFound: no object has the key.
        """
        ...

    def list_objects(self, prefix: str) -> AsyncIterator[Outcome[StoredObject, StorageError]]:
        """Stream the objects whose key begins with *prefix*, in the order of their keys' bytes.

        What changes meanwhile may or may not be seen; everything else is listed exactly once.
        Objects whose name no key can have are passed over. The first `Failure` is the last item.

        Args:
            prefix: any beginning of a key; `""` lists everything.
        """
        ...

    def list_folders(self, prefix: str) -> AsyncIterator[Outcome[str, StorageError]]:
        """Stream what keys that begin with *prefix* share up to the next slash, each once.

        They come in the order of their bytes, slash included. What lies below a folder is not
        read, so this costs by folders, not by objects. A directory may show a folder that has
        just lost its last object. The first `Failure` is the last item.

        Args:
            prefix: any beginning of a key, such as `sessions/`; the folders end with a slash.
        """
        ...

    async def delete_raw_data(self, key: str) -> Outcome[None, StorageError]:
        """Remove an object; one that is absent is removed already."""
        ...

    async def health_check(self) -> Outcome[None, StorageError]:
        """Ask the store for something small, to see that it answers and lets us in."""
        ...

    async def honours_conditions(self) -> Outcome[bool, StorageError]:
        """Tell whether conditions hold here.

        Tried out once for each opened store, under a key that no one else can have; what was
        written for it is removed.
        """
        ...


S3StorageTag: Final = Tag[S3Storage]("otlp_capture.S3Storage")
