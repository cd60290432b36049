"""The operations of a store in a bucket."""

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage.errors import (
    BucketNotFound,
    ConditionsUnsupported,
    InvalidKey,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    StorageFault,
)
from otlp_capture.storage.keys import LONGEST_KEY_BYTES, SPOOL, key_fault, prefix_fault
from otlp_capture.storage.objects import ByteRange, Condition, IfAbsent, IfMatch, StoredObject
from otlp_capture.storage.s3 import S3Config
from otlp_capture.storage.s3_client import (
    Answer,
    S3Client,
    crc32_base64,
    headed_object,
    listed_object,
    unquoted,
    written_object,
)
from otlp_capture.storage.s3_download import Download
from otlp_capture.storage.s3_errors import S3_EXCEPTIONS, Request, storage_error
from otlp_capture.storage.s3_multipart import MultipartUpload
from otlp_capture.storage.sources import Source, SourceFailed, opened_source, stored_and_removed

T = TypeVar("T")

_LARGE_BYTES: Final = 1 << 20
_WRITE_ID: Final = "otlp-capture-write"
_NO_SUCH_ETAG: Final = "0" * 32

_logger = logging.getLogger(__name__)


class S3Store:
    """A store in a bucket, over a client that someone else opens and closes."""

    def __init__(self, config: S3Config, store: str, client: S3Client) -> None:
        self._config = config
        self._store = store
        self._client = client
        self._base = f"{config.prefix}/" if config.prefix else ""
        self._slots = anyio.Semaphore(config.max_connections)
        self._large_slots = anyio.Semaphore(config.max_large_transfers)
        self._probing = anyio.Lock()
        self._conditions: bool | None = None
        self._bucket_seen = False

    @property
    def name(self) -> str:
        """The bucket, the prefix, and the server where it is named."""
        return self._store

    @property
    def spool_directory(self) -> None:
        """None: a bucket is on no disk of ours."""

    async def store_raw_data(
        self, data: bytes, key: str, *, condition: Condition | None = None
    ) -> Outcome[StoredObject, StorageError]:
        """Store an object with one PUT.

        A conditional PUT whose answer was lost is sent again, and meets its own object. So each
        carries an id of its own, and a refusal is believed only if the object bears another.
        """
        if (fault := self._key_fault(key)) is not None:
            return Failure(fault)
        if condition is None:
            return await self._put(data, key, {})
        match await self.honours_conditions():
            case Failure(error):
                return Failure(error)
            case Success(False):
                return Failure(ConditionsUnsupported(key, self._store))
            case _:
                return await self._put_if(data, key, condition)

    async def store_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        """Store a file with one PUT, or in parts where it is large."""
        if (fault := self._key_fault(key)) is not None:
            return Failure(fault)
        try:
            with opened_source(path) as source:
                if source.size_bytes >= self._config.multipart_threshold_bytes:
                    return await self._store_in_parts(source, key)
                data = await anyio.to_thread.run_sync(source.read, 0, source.size_bytes)
        except SourceFailed as failed:
            return Failure(failed.error)
        return await self._put(data, key, {})

    async def publish_file(self, path: Path, key: str) -> Outcome[StoredObject, StorageError]:
        """Store a file, and remove it."""
        return await stored_and_removed(self.store_file, path, key)

    async def retrieve_raw_data(
        self, key: str, *, byte_range: ByteRange | None = None
    ) -> Outcome[bytes, StorageError]:
        """Read an object with one GET, and one more each time its transfer breaks off."""
        if (fault := self._key_fault(key)) is not None:
            return Failure(fault)
        at = self._at(key, start=0 if byte_range is None else byte_range.start)
        async with self._slots:
            try:
                with anyio.fail_after(self._config.deadline_s) as scope:

                    def expect(size_bytes: int) -> None:
                        scope.deadline += size_bytes / self._config.slowest_bytes_per_s

                    name = self._base + key
                    return await Download(self._client, at, name, byte_range, expect).run()
            except S3_EXCEPTIONS as error:
                return Failure(storage_error(error, at))

    async def head(self, key: str) -> Outcome[StoredObject, StorageError]:
        """Ask with one HEAD; its 404 does not tell a missing object from a missing bucket."""
        if (fault := self._key_fault(key)) is not None:
            return Failure(fault)
        outcome = await self._head(key)
        match outcome:
            case Success(answer):
                self._bucket_seen = True
                return Success(headed_object(key, answer))
            case Failure(ObjectNotFound() as missing):
                return Failure(await self._what_is_missing(missing))
            case _:
                return outcome

    async def list_objects(self, prefix: str) -> AsyncIterator[Outcome[StoredObject, StorageError]]:
        """List page by page; a store that lists out of order is found out."""
        last_key = ""
        async for page in self._pages(prefix):
            if isinstance(page, Failure):
                yield page
                return
            for entry in page.unwrap().get("Contents", ()):
                key = str(entry["Key"]).removeprefix(self._base)
                if key <= last_key:
                    detail = f"{key} is listed after {last_key}"
                    yield Failure(StorageFault(self._store, key, "ListingOutOfOrder", detail))
                    return
                last_key = key
                if key_fault(key) is None:
                    yield Success(listed_object(key, entry))

    async def list_folders(self, prefix: str) -> AsyncIterator[Outcome[str, StorageError]]:
        """List the common prefixes up to the next slash, page by page."""
        async for page in self._pages(prefix, Delimiter="/"):
            if isinstance(page, Failure):
                yield page
                return
            for entry in page.unwrap().get("CommonPrefixes", ()):
                folder = str(entry["Prefix"]).removeprefix(self._base)
                if prefix_fault(folder) is None:
                    yield Success(folder)

    async def _pages(
        self, prefix: str, **parameters: str
    ) -> AsyncIterator[Outcome[Answer, StorageError]]:
        if (fault := prefix_fault(prefix)) is not None:
            yield Failure(fault)
            return
        token: dict[str, str] = {}
        while True:
            page = await self._page(prefix, {**parameters, **token}, size=self._config.page_size)
            yield page
            if isinstance(page, Failure):
                return
            if not (next_token := page.unwrap().get("NextContinuationToken")):
                return
            token = {"ContinuationToken": next_token}

    async def delete_raw_data(self, key: str) -> Outcome[None, StorageError]:
        """Remove an object with one DELETE."""
        if (fault := self._key_fault(key)) is not None:
            return Failure(fault)
        return await self._delete(key)

    async def health_check(self) -> Outcome[None, StorageError]:
        """List one object, which needs the network, the credentials and the bucket."""
        outcome = await self._page("", {}, size=1)
        return outcome if isinstance(outcome, Failure) else Success(None)

    async def honours_conditions(self) -> Outcome[bool, StorageError]:
        """Try out both conditions on an object of our own, once; a failure is not remembered."""
        async with self._probing:
            if self._conditions is not None:
                return Success(self._conditions)
            key = f"{SPOOL}/probe-{uuid.uuid4()}"
            try:
                outcome = await self._probe(key)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._delete_probe(key)
            if isinstance(outcome, Success):
                self._conditions = outcome.unwrap()
            return outcome

    async def _probe(self, key: str) -> Outcome[bool, StorageError]:
        first = await self._put(b"", key, {}, IfAbsent())
        if isinstance(first, Failure):
            return _not_implemented(first.failure())
        for condition, should_hold in (
            (IfAbsent(), False),
            (IfMatch(_NO_SUCH_ETAG), False),
            (IfMatch(first.unwrap().etag), True),
        ):
            match await self._put(b"", key, {}, condition):
                case Success(_):
                    holds = True
                case Failure(PreconditionFailed()):
                    holds = False
                case Failure(error):
                    return _not_implemented(error)
            if holds is not should_hold:
                return Success(False)
        return Success(True)

    async def _delete_probe(self, key: str) -> None:
        deleted = await self._delete(key)
        if isinstance(deleted, Failure):
            _logger.warning("The probe %s stays: %s", key, deleted.failure().message)

    async def _put_if(
        self, data: bytes, key: str, condition: Condition
    ) -> Outcome[StoredObject, StorageError]:
        write_id = uuid.uuid4().hex
        outcome = await self._put(data, key, {_WRITE_ID: write_id}, condition)
        if not isinstance(outcome, Failure) or not isinstance(
            outcome.failure(), PreconditionFailed
        ):
            return outcome
        ours = await self._find_ours(key, write_id)
        return outcome if ours is None else Success(ours)

    async def _find_ours(self, key: str, write_id: str) -> StoredObject | None:
        match await self._head(key):
            case Success(answer) if answer.get("Metadata", {}).get(_WRITE_ID) == write_id:
                return headed_object(key, answer)
            case _:
                return None

    async def _put(
        self,
        data: bytes,
        key: str,
        metadata: Mapping[str, str],
        condition: Condition | None = None,
    ) -> Outcome[StoredObject, StorageError]:
        parameters: dict[str, Any] = {
            **self._object(key),
            "Body": data,
            "ChecksumCRC32": crc32_base64(data),
            **({"Metadata": metadata} if metadata else {}),
            **_header(condition),
        }
        outcome = await self._ask(
            lambda: self._client.put_object(**parameters), self._at(key, condition), len(data)
        )
        if isinstance(outcome, Failure):
            return outcome
        self._bucket_seen = True
        return Success(written_object(key, len(data), outcome.unwrap()))

    async def _store_in_parts(
        self, source: Source, key: str
    ) -> Outcome[StoredObject, StorageError]:
        write_id = uuid.uuid4().hex
        parts = MultipartUpload(
            client=self._client,
            target=self._object(key),
            metadata={_WRITE_ID: write_id},
            part_size_bytes=self._config.part_size_bytes,
            ask=lambda request, size_bytes: self._ask(request, self._at(key), size_bytes),
            find_stored=lambda: self._find_ours(key, write_id),
        )
        outcome = await parts.run(source)
        if isinstance(outcome, Failure):
            return outcome
        # Some stores name another etag now than the one they answer to a HEAD.
        return await self.head(key)

    async def _head(self, key: str) -> Outcome[Answer, StorageError]:
        return await self._ask(lambda: self._client.head_object(**self._object(key)), self._at(key))

    async def _what_is_missing(self, missing: ObjectNotFound) -> StorageError:
        if self._bucket_seen:
            return missing
        match await self.health_check():
            case Failure(BucketNotFound() as error):
                return error
            case _:
                return missing

    async def _page(
        self, prefix: str, extra: Mapping[str, str], *, size: int
    ) -> Outcome[Answer, StorageError]:
        parameters: dict[str, Any] = {
            "Bucket": self._config.bucket,
            "Prefix": self._base + prefix,
            "MaxKeys": size,
            **extra,
        }
        outcome = await self._ask(
            lambda: self._client.list_objects_v2(**parameters), self._at(prefix)
        )
        if isinstance(outcome, Failure):
            return outcome
        if "IsTruncated" not in outcome.unwrap():
            detail = "what it sent is no listing, so it may be no S3 server"
            return Failure(StorageFault(self._store, prefix, "NoListing", detail))
        self._bucket_seen = True
        return outcome

    async def _delete(self, key: str) -> Outcome[None, StorageError]:
        outcome = await self._ask(
            lambda: self._client.delete_object(**self._object(key)), self._at(key)
        )
        match outcome:
            case Success(_) | Failure(ObjectNotFound()):
                return Success(None)
            case _:
                return outcome

    async def _ask(
        self, request: Callable[[], Awaitable[T]], at: Request, size_bytes: int = 0
    ) -> Outcome[T, StorageError]:
        slots = self._slots if size_bytes < _LARGE_BYTES else self._large_slots
        deadline_s = self._config.deadline_s + size_bytes / self._config.slowest_bytes_per_s
        async with slots:
            try:
                with anyio.fail_after(deadline_s):
                    return Success(await request())
            except S3_EXCEPTIONS as error:
                return Failure(storage_error(error, at))

    def _at(self, key: str, condition: Condition | None = None, *, start: int = 0) -> Request:
        return Request(self._store, self._config.bucket, key, condition, start)

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self._config.bucket, "Key": self._base + key}

    def _key_fault(self, key: str) -> InvalidKey | None:
        if (fault := key_fault(key)) is not None:
            return fault
        if (size_bytes := len((self._base + key).encode())) > LONGEST_KEY_BYTES:
            return InvalidKey(key, f"with the store's prefix it is {size_bytes} bytes long")
        return None


def _header(condition: Condition | None) -> dict[str, str]:
    match condition:
        case IfAbsent():
            return {"IfNoneMatch": "*"}
        case IfMatch(etag):
            return {"IfMatch": f'"{unquoted(etag)}"'}
        case None:
            return {}


def _not_implemented(error: StorageError) -> Outcome[bool, StorageError]:
    match error:
        case StorageFault(code="NotImplemented" | "501") | PreconditionFailed():
            return Success(False)
        case _:
            return Failure(error)
