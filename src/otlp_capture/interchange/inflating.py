"""Compressed files, inflated piece by piece: gzip of many members, zstd of many frames.

Memory is bounded by the window that a zstd frame asks for, and by what 1 KiB of it can hold.
Source: RFC 1952; RFC 8878.
"""

import io
import re
from typing import Final, Literal, TypeAlias

from isal import igzip_lib
from typing_extensions import Buffer

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
"""A frame, or one to be skipped, such as parallel compressors begin with."""

_MAGIC_BYTES: Final = 4
_PIECE_BYTES: Final = 65_536
_ZSTD_PIECE_BYTES: Final = 1_024
"""Four bytes of zstd can hold 128 KiB, and its library has no bound on what it returns."""

_MAX_WINDOW_BYTES: Final = 1 << 27
_MAX_RATIO: Final = 1_000
_FREE_BYTES: Final = 1 << 30
_TOO_MUCH: Final = (
    f"it holds more than {_FREE_BYTES >> 30} GiB and {_MAX_RATIO:,} times its own size"
)


class StreamBroken(Exception):  # noqa: N818 - it carries a reason, and never leaves the package
    """A compressed file stops making sense; what came before is sound."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _GzipMember:
    """One member. isal checks its CRC and its length."""

    piece_bytes = _PIECE_BYTES
    name = "gzip member"

    def __init__(self) -> None:
        self._stream = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)

    @property
    def is_ended(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._stream.needs_input

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data

    def inflate(self, piece: bytes) -> bytes:
        try:
            return self._stream.decompress(piece, _PIECE_BYTES)
        except igzip_lib.IsalError as error:
            raise StreamBroken(f"the gzip stream is damaged ({error})") from error


class _ZstdFrame:
    piece_bytes = _ZSTD_PIECE_BYTES
    name = "zstd frame"
    needs_input = True

    def __init__(self) -> None:
        import zstandard  # noqa: PLC0415 - heavy, and rarely needed

        self._error = zstandard.ZstdError
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        self._stream = decompressor.decompressobj()

    @property
    def is_ended(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data

    def inflate(self, piece: bytes) -> bytes:
        try:
            return self._stream.decompress(piece)
        except self._error as error:
            raise StreamBroken(f"the zstd stream is damaged ({error})") from error


_Part: TypeAlias = _GzipMember | _ZstdFrame


class _Inflated(io.RawIOBase):
    """The content of a compressed file, read once from its beginning."""

    def __init__(self, compressed: io.BufferedIOBase, kind: type[_Part]) -> None:
        super().__init__()
        self._compressed, self._kind = compressed, kind
        self._part: _Part | None = kind()
        self._given, self._at = b"", 0
        self._held: bytes = b""
        self._held_at = 0
        self._taken_bytes, self._made_bytes = 0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        while self._held_at == len(self._held):
            if self._part is None:
                return 0
            self._held, self._held_at = self._inflated(self._part), 0
        length = min(len(view), len(self._held) - self._held_at)
        view[:length] = self._held[self._held_at : self._held_at + length]
        self._held_at += length
        return length

    def _inflated(self, part: _Part) -> bytes:
        if part.is_ended:
            self._part = self._next_part(part)
            return b""
        piece = self._piece() if part.needs_input else b""
        if part.needs_input and not piece:
            raise StreamBroken(f"the {part.name} at its end is cut short")
        made = part.inflate(piece)
        self._made_bytes += len(made)
        if self._made_bytes > _FREE_BYTES + _MAX_RATIO * self._taken_bytes:
            raise StreamBroken(_TOO_MUCH)
        return made

    def _piece(self) -> bytes:
        if self._at == len(self._given):
            self._refill()
        piece = self._given[self._at : self._at + self._kind.piece_bytes]
        self._at += len(piece)
        return piece

    def _next_part(self, part: _Part) -> _Part | None:
        """Begin what follows *part*; None where nothing does."""
        self._at -= len(part.rest)
        while True:
            if self._at == len(self._given):
                self._refill()
            if not self._given:
                return None
            # Archives pad with zeros, which gzip itself passes over as well.
            padding = self._given[self._at :]
            self._at += len(padding) - len(padding.lstrip(b"\0"))
            if self._at < len(self._given):
                return self._kind()

    def _refill(self) -> None:
        self._given, self._at = self._compressed.read(_PIECE_BYTES), 0
        self._taken_bytes += len(self._given)


def opened(file: io.BufferedIOBase) -> io.BufferedIOBase:
    """Return what a file holds, inflated where its first bytes say that it is compressed.

    Args:
        file: a seekable file, at its beginning. Where it stands is how much of it was used.

    Returns:
        The content, not seekable if it was compressed; it raises `StreamBroken` where it is
        damaged.
    """
    head = file.read(_MAGIC_BYTES)
    file.seek(0)
    match compression_of(head):
        case "gzip":
            return _buffered(_Inflated(file, _GzipMember))
        case "zstd":
            return _buffered(_Inflated(file, _ZstdFrame))
        case None:
            return file


def _buffered(raw: _Inflated) -> io.BufferedIOBase:
    return io.BufferedReader(raw, _PIECE_BYTES)


def compression_of(head: bytes) -> Literal["gzip", "zstd"] | None:
    """Say by its first bytes how something is compressed."""
    if head.startswith(_GZIP):
        return "gzip"
    return "zstd" if _ZSTD.match(head) else None


def inflate_zstd(payload: bytes, max_bytes: int) -> bytes:
    """Inflate a payload of zstd frames.

    Raises:
        StreamBroken: it is damaged, or holds more than *max_bytes*.
    """
    content = opened(io.BytesIO(payload)).read(max_bytes + 1)
    if len(content) > max_bytes:
        raise StreamBroken(f"decompressed it is larger than the {max_bytes:,} bytes allowed")
    return content
