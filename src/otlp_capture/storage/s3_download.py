"""Reading an object whole, although its transfer may break off."""

import logging
import re
from collections.abc import Callable
from typing import Any, Final

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage.errors import ChecksumMismatch, StorageError, StorageFault
from otlp_capture.storage.objects import ByteRange
from otlp_capture.storage.s3_client import Answer, S3Client, crc32_base64
from otlp_capture.storage.s3_errors import INTERRUPTIONS, Request

_PIECE_BYTES: Final = 1 << 18
_LONGEST_STALL: Final = 3
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")

_logger = logging.getLogger(__name__)


@attrs.frozen
class _Body:
    """What the first answer says of the whole body to come."""

    etag: str
    length: int | None
    crc32: str | None

    @classmethod
    def announced(cls, answer: Answer) -> "_Body":
        return cls(answer.get("ETag", ""), answer.get("ContentLength"), answer.get("ChecksumCRC32"))


@attrs.frozen
class Download:
    """One object, or a part of it, on its way.

    botocore retries a request until its answer begins. Where an answer's body breaks off, the rest
    is asked for by range, under the condition that the object is still the same.

    Attributes:
        name: the key in the bucket, the store's prefix included.
        expect: told how many bytes will come, once that is known.
    """

    client: S3Client
    at: Request
    name: str
    byte_range: ByteRange | None
    expect: Callable[[int], None]

    async def run(self) -> Outcome[bytes, StorageError]:
        """Read everything, in as many requests as it takes while there is progress.

        Raises:
            Exception: one of `S3_EXCEPTIONS`.
        """
        answer = await self.client.get_object(**self._parameters())
        body = _Body.announced(answer)
        if (fault := self._refused_range(answer, self._start(0))) is not None:
            return Failure(fault)
        self.expect(body.length or 0)
        received = bytearray()
        stalled = 0
        while (interruption := await _read(answer["Body"], received, body)) is not None:
            stalled = 0 if interruption.progress else stalled + 1
            if stalled == _LONGEST_STALL or not body.etag:
                raise interruption.error
            _logger.info("The transfer of %s broke off at byte %d", self.at.key, len(received))
            answer = await self.client.get_object(**self._rest(body, len(received)))
            if (fault := self._refused_range(answer, self._start(len(received)))) is not None:
                return Failure(fault)
        return self._checked(bytes(received), body)

    def _parameters(self) -> dict[str, Any]:
        parameters = {"Bucket": self.at.bucket, "Key": self.name}
        if self.byte_range is None:
            return {**parameters, "ChecksumMode": "ENABLED"}
        last = self.byte_range.start + self.byte_range.length - 1
        return {**parameters, "Range": f"bytes={self.byte_range.start}-{last}"}

    def _rest(self, body: _Body, received: int) -> dict[str, Any]:
        start = self._start(received)
        last = "" if body.length is None else self._start(body.length) - 1
        return {
            "Bucket": self.at.bucket,
            "Key": self.name,
            "Range": f"bytes={start}-{last}",
            "IfMatch": body.etag,
        }

    def _start(self, received: int) -> int:
        return received + (0 if self.byte_range is None else self.byte_range.start)

    def _refused_range(self, answer: Answer, start: int) -> StorageFault | None:
        if self.byte_range is None and start == 0:
            return None
        told = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
        if told is not None and int(told[1]) == start:
            return None
        answer["Body"].close()
        detail = f"asked for the bytes from {start} on, it sent others"
        return StorageFault(self.at.store, self.at.key, "RangeIgnored", detail)

    def _checked(self, received: bytes, body: _Body) -> Outcome[bytes, StorageError]:
        # The checksum is of the object, so of a part it says nothing; one with a dash is of parts.
        if self.byte_range is not None or body.crc32 is None or "-" in body.crc32:
            return Success(received)
        if (crc32 := crc32_base64(received)) != body.crc32:
            detail = f"its CRC-32 is {body.crc32}, what arrived has {crc32}"
            return Failure(ChecksumMismatch(self.at.key, self.at.store, detail))
        return Success(received)


@attrs.frozen
class _Interruption:
    error: Exception
    progress: bool


async def _read(stream: Any, received: bytearray, body: _Body) -> _Interruption | None:
    before = len(received)
    try:
        while piece := await stream.read(_PIECE_BYTES):
            received += piece
    except INTERRUPTIONS as error:
        if len(received) == body.length:
            return None
        return _Interruption(error, len(received) > before)
    finally:
        stream.close()
    return None
