"""Streams of bytes, compressed as they are written."""

from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from isal import isal_zlib

Compression: TypeAlias = Literal["gzip", "zstd"]
"""How a whole file is compressed."""

ENDINGS: Final[dict[Compression | None, str]] = {None: "", "gzip": ".gz", "zstd": ".zst"}
"""What is put behind the name of a file that is compressed so."""

_GZIP_LEVEL: Final = 1
_GZIP_WINDOW: Final = 31
_ZSTD_LEVEL: Final = 3


class Compressor(Protocol):
    """A stream that is being compressed."""

    def compress(self, data: bytes, /) -> bytes:
        """Take *data*, and return what there is to write by now."""
        ...

    def flush(self) -> bytes:
        """End the stream, and return the rest of it."""
        ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def compressor(compression: Compression | None) -> Compressor:
    """Begin a stream."""
    return _BEGINNINGS[compression]()


def _gzip() -> Compressor:
    return isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)


def _zstd() -> Compressor:
    import zstandard  # noqa: PLC0415 - heavy, and rarely needed

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()


_BEGINNINGS: Final[dict[Compression | None, Callable[[], Compressor]]] = {
    None: _Plain,
    "gzip": _gzip,
    "zstd": _zstd,
}
