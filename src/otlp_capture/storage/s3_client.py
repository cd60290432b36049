"""What this package uses of an aiobotocore client, with types, and the answers it reads."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

from isal import isal_zlib

from otlp_capture.storage.objects import StoredObject

Answer = Mapping[str, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class S3Client(Protocol):
    """The operations of an S3 client that a store needs, by their names in botocore."""

    async def put_object(self, **parameters: Any) -> Answer:
        """Write an object."""
        ...

    async def get_object(self, **parameters: Any) -> Answer:
        """Read an object or a range of it."""
        ...

    async def head_object(self, **parameters: Any) -> Answer:
        """Tell of an object."""
        ...

    async def delete_object(self, **parameters: Any) -> Answer:
        """Remove an object."""
        ...

    async def list_objects_v2(self, **parameters: Any) -> Answer:
        """List a page of objects."""
        ...

    async def create_multipart_upload(self, **parameters: Any) -> Answer:
        """Begin an upload in parts."""
        ...

    async def upload_part(self, **parameters: Any) -> Answer:
        """Write one part."""
        ...

    async def complete_multipart_upload(self, **parameters: Any) -> Answer:
        """Make an object of the parts."""
        ...

    async def abort_multipart_upload(self, **parameters: Any) -> Answer:
        """Give an upload up, with its parts."""
        ...


def crc32_base64(data: bytes) -> str:
    """Tell the CRC-32 of *data* as S3's headers carry it.

    >>> crc32_base64(b"hello")
    'NhCmhg=='
    """
    return base64.b64encode(isal_zlib.crc32(data).to_bytes(4, "big")).decode()


def unquoted(etag: str) -> str:
    """Take off the quotes that some stores put around etags in some answers."""
    return etag.strip('"')


def written_object(key: str, size_bytes: int, answer: Answer) -> StoredObject:
    """Read the answer to a write; its time is the server's, from the Date header."""
    headers: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return StoredObject(key, size_bytes, unquoted(answer["ETag"]), _unix_nano(_date(headers)))


def headed_object(key: str, answer: Answer) -> StoredObject:
    """Read the answer to a HEAD."""
    return StoredObject(
        key, answer["ContentLength"], unquoted(answer["ETag"]), _unix_nano(answer["LastModified"])
    )


def listed_object(key: str, entry: Answer) -> StoredObject:
    """Read one entry of a page of a listing."""
    return StoredObject(
        key, entry["Size"], unquoted(entry.get("ETag", "")), _unix_nano(entry["LastModified"])
    )


def _date(headers: Mapping[str, str]) -> datetime:
    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return datetime.now(UTC)


def _unix_nano(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
