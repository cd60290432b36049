"""Uploading a large file in parts, one of them in memory at a time."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import anyio
import anyio.to_thread
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage.errors import ObjectNotFound, StorageError, StorageFault
from otlp_capture.storage.objects import StoredObject
from otlp_capture.storage.s3_client import Answer, S3Client, crc32_base64
from otlp_capture.storage.sources import Source

# Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
_MOST_PARTS: Final = 10_000

_logger = logging.getLogger(__name__)

Ask = Callable[[Callable[[], Awaitable[Answer]], int], Awaitable[Outcome[Answer, StorageError]]]
"""Sends a request with so many bytes of body, with a slot and a deadline of its own."""


@attrs.frozen
class MultipartUpload:
    """The upload of one object in parts; what did not end well is aborted.

    Attributes:
        target: `Bucket` and `Key`.
        metadata: kept with the object.
        find_stored: finds the object that is there after all, where the last answer was lost.
    """

    client: S3Client
    target: Mapping[str, str]
    metadata: Mapping[str, str]
    part_size_bytes: int
    ask: Ask
    find_stored: Callable[[], Awaitable[StoredObject | None]]

    async def run(self, source: Source) -> Outcome[None, StorageError]:
        """Upload the whole source.

        Raises:
            SourceFailed: the source could not be read on.
        """
        started = await self.ask(
            lambda: self.client.create_multipart_upload(
                **self.target, Metadata=self.metadata, ChecksumAlgorithm="CRC32"
            ),
            0,
        )
        if isinstance(started, Failure):
            return started
        upload = {**self.target, "UploadId": str(started.unwrap()["UploadId"])}
        completed = False
        try:
            outcome = await self._upload_and_complete(source, upload)
            completed = isinstance(outcome, Success)
        finally:
            if not completed:
                await self._abort(upload)
        return outcome

    async def _upload_and_complete(
        self, source: Source, upload: Mapping[str, str]
    ) -> Outcome[None, StorageError]:
        part_size = max(self.part_size_bytes, -(-source.size_bytes // _MOST_PARTS))
        parts: list[dict[str, Any]] = []
        for offset in range(0, source.size_bytes, part_size):
            length = min(part_size, source.size_bytes - offset)
            data = await anyio.to_thread.run_sync(source.read, offset, length)
            outcome = await self._upload_part(upload, len(parts) + 1, data)
            if isinstance(outcome, Failure):
                return outcome
            parts.append(outcome.unwrap())
        completed = await self.ask(
            lambda: self.client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": parts}
            ),
            0,
        )
        if isinstance(completed, Failure) and await self.find_stored() is None:
            return completed
        return Success(None)

    async def _upload_part(
        self, upload: Mapping[str, str], number: int, data: bytes
    ) -> Outcome[dict[str, Any], StorageError]:
        crc32 = crc32_base64(data)
        outcome = await self.ask(
            lambda: self.client.upload_part(
                **upload, PartNumber=number, Body=data, ChecksumCRC32=crc32
            ),
            len(data),
        )
        if isinstance(outcome, Failure):
            return outcome
        etag = outcome.unwrap()["ETag"]
        return Success({"PartNumber": number, "ETag": etag, "ChecksumCRC32": crc32})

    async def _abort(self, upload: Mapping[str, str]) -> None:
        with anyio.CancelScope(shield=True):
            await self._abort_or_warn(upload)

    async def _abort_or_warn(self, upload: Mapping[str, str]) -> None:
        match await self.ask(lambda: self.client.abort_multipart_upload(**upload), 0):
            case Success(_) | Failure(StorageFault(code="NoSuchUpload") | ObjectNotFound()):
                return
            case Failure(error):
                _logger.warning(
                    "An unfinished upload of %s stays in its bucket: %s",
                    upload["Key"],
                    error.message,
                )
