"""One object is copied to another store and read back, a large one in pieces."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import anyio.to_thread
import attrs

from otlp_capture.deflate import crc32
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention.errors import CopyDiffers
from otlp_capture.storage import ByteRange, ObjectNotFound, S3Storage, StorageError

_PIECE_BYTES: Final = 16 << 20


@attrs.frozen
class _Digest:
    size_bytes: int = 0
    crc: int = 0

    def followed_by(self, piece: bytes) -> "_Digest":
        return _Digest(self.size_bytes + len(piece), crc32(piece, self.crc))


async def copy_object(
    storage: S3Storage,
    archive: S3Storage,
    session_id: str,
    key: str,
    size_bytes: int,
    *,
    piece_bytes: int = _PIECE_BYTES,
) -> Outcome[None, CopyDiffers | StorageError]:
    """Copy an object, unless the same content lies there already, and read the copy back.

    Memory is bounded by a piece; an object that is larger goes through a file.

    Fails with:
        CopyDiffers: what was read back is not what was read here.
        StorageError: one of the stores did not answer well.
    """
    copied = await archive.head(key)
    if isinstance(copied, Failure) and not isinstance(copied.failure(), ObjectNotFound):
        return copied
    if copied.map(lambda stored: stored.size_bytes) == Success(size_bytes):
        original = await _digest(storage, key, size_bytes, piece_bytes)
        there = await _digest(archive, key, size_bytes, piece_bytes)
        if isinstance(original, Success) and original == there:
            return Success(None)
    transfer = _through_memory if size_bytes <= piece_bytes else _through_a_file
    original = await transfer(storage, archive, key, size_bytes, piece_bytes)
    if isinstance(original, Failure):
        return original
    there = await _digest(archive, key, original.unwrap().size_bytes, piece_bytes)
    if isinstance(there, Failure):
        return there
    if there == original:
        return Success(None)
    told, held = there.unwrap(), original.unwrap()
    detail = (
        f"it has {told.size_bytes:,} bytes with CRC-32 {told.crc:08x}, "
        f"and not {held.size_bytes:,} with {held.crc:08x}"
    )
    return Failure(CopyDiffers(session_id, key, detail))


async def _through_memory(
    storage: S3Storage, archive: S3Storage, key: str, _size_bytes: int, _piece_bytes: int
) -> Outcome[_Digest, StorageError]:
    content = await storage.retrieve_raw_data(key)
    if isinstance(content, Failure):
        return content
    stored = await archive.store_raw_data(content.unwrap(), key)
    return (
        stored if isinstance(stored, Failure) else Success(_Digest().followed_by(content.unwrap()))
    )


async def _through_a_file(
    storage: S3Storage, archive: S3Storage, key: str, size_bytes: int, piece_bytes: int
) -> Outcome[_Digest, StorageError]:
    digest = _Digest()
    with tempfile.TemporaryDirectory(prefix="otlp-capture-") as folder:
        path = Path(folder) / "object"
        with path.open("wb") as file:
            async for piece in _pieces(storage, key, size_bytes, piece_bytes):
                if isinstance(piece, Failure):
                    return piece
                digest = digest.followed_by(piece.unwrap())
                await anyio.to_thread.run_sync(file.write, piece.unwrap())
        stored = await archive.store_file(path, key)
    return stored if isinstance(stored, Failure) else Success(digest)


async def _digest(
    storage: S3Storage, key: str, size_bytes: int, piece_bytes: int
) -> Outcome[_Digest, StorageError]:
    digest = _Digest()
    async for piece in _pieces(storage, key, size_bytes, piece_bytes):
        if isinstance(piece, Failure):
            return piece
        digest = digest.followed_by(piece.unwrap())
    return Success(digest)


async def _pieces(
    storage: S3Storage, key: str, size_bytes: int, piece_bytes: int
) -> AsyncIterator[Outcome[bytes, StorageError]]:
    if size_bytes <= piece_bytes:
        yield await storage.retrieve_raw_data(key)
        return
    for start in range(0, size_bytes, piece_bytes):
        piece = await storage.retrieve_raw_data(key, byte_range=ByteRange(start, piece_bytes))
        yield piece
        if isinstance(piece, Failure):
            return
