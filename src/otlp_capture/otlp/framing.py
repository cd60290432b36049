"""Files of protobuf requests, each behind its length.

Source: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/ and the collector's file
exporter, which writes the length as four bytes, big-endian.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from otlp_capture.otlp.errors import FramingError
from otlp_capture.otlp.limits import DEFAULT_LIMITS
from otlp_capture.result import Failure, Outcome, Success

_PREFIX_BYTES: Final = 4
_CHUNK_BYTES: Final = 1024 * 1024


def read_framed(
    source: BinaryIO, max_frame_bytes: int = DEFAULT_LIMITS.max_bytes
) -> Iterator[Outcome[bytes, FramingError]]:
    r"""Yield the payload of each frame, in the order of the file.

    Memory is bounded by the largest frame that is really there, whatever its length claims.

    Args:
        source: a binary file, read from where it stands to its end. What it raises is not caught.
        max_frame_bytes: longer frames are refused.

    Fails with:
        FramingError: the tail is torn or a frame is too long. It is the last item; every frame
            before it is intact.

    >>> import io
    >>> list(read_framed(io.BytesIO(b"\0\0\0\2hi" + b"\0\0\0\0")))
    [<Success: b'hi'>, <Success: b''>]
    """
    offset = 0
    while prefix := _read_up_to(source, _PREFIX_BYTES):
        if len(prefix) < _PREFIX_BYTES:
            reason = f"the file ends {len(prefix)} bytes into the length"
            yield Failure(FramingError(offset, reason))
            return
        length = int.from_bytes(prefix, "big")
        if length > max_frame_bytes:
            reason = f"it claims {length:,} bytes where {max_frame_bytes:,} are allowed"
            yield Failure(FramingError(offset, reason))
            return
        payload = _read_up_to(source, length)
        if len(payload) < length:
            reason = f"the file ends after {len(payload):,} of its {length:,} bytes"
            yield Failure(FramingError(offset, reason))
            return
        yield Success(payload)
        offset += _PREFIX_BYTES + length


def _read_up_to(source: BinaryIO, size: int) -> bytes:
    """Read *size* bytes, fewer only at the end of the file."""
    pieces: list[bytes] = []
    missing = size
    while missing and (piece := source.read(min(missing, _CHUNK_BYTES))):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
