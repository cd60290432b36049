"""Little that inflates to much."""

import zlib


def bomb(size_mib: int) -> bytes:
    """Compress so many MiB of zeros, without having them."""
    mebibyte = bytes(1 << 20)
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    first = compressor.compress(mebibyte) + compressor.flush(zlib.Z_FULL_FLUSH)
    again = compressor.compress(mebibyte) + compressor.flush(zlib.Z_FULL_FLUSH)
    return first + again * (size_mib - 1)
