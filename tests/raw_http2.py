"""HTTP/2 as bytes: frames that a test writes go out as they are, what comes back is taken apart.

Header blocks are spelled without Huffman coding and without the dynamic table.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Final

import anyio
import attrs
from anyio.abc import SocketStream

from tests.clocks import HANGS_AFTER_S

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
CONTINUATION = 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@attrs.frozen
class Frame:
    """A frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Spell a frame."""
    return (
        len(payload).to_bytes(3, "big")
        + bytes([kind, flags])
        + struct.pack(">I", stream)
        + bytes(payload)
    )


def opening() -> bytes:
    """Spell what a client begins a connection with."""
    return PREFACE + frame(SETTINGS, 0, 0)


def call(path: str, headers: Mapping[str, str], stream: int = 1, method: str = "POST") -> bytes:
    """Spell the head of a gRPC call."""
    fields = {
        ":method": method,
        ":scheme": "http",
        ":path": path,
        ":authority": "receiver",
        "te": "trailers",
        "content-type": "application/grpc",
        **headers,
    }
    return frame(HEADERS, END_HEADERS, stream, header_block(fields.items()))


def header_block(fields: Iterable[tuple[str, str]]) -> bytes:
    """Spell fields literally."""
    return b"".join(
        b"\0" + b"".join(_length(each) + each for each in map(_spelled, field)) for field in fields
    )


def _length(text: bytes) -> bytes:
    """Spell a length with a prefix of seven bits. Source: RFC 7541, 5.1."""
    most = 127
    if len(text) < most:
        return bytes([len(text)])
    spelled, left = bytearray([most]), len(text) - most
    while left >= 128:
        spelled.append(left % 128 + 128)
        left //= 128
    return bytes([*spelled, left])


def _spelled(text: str) -> bytes:
    """Spell a text; what stands for a byte that is no UTF-8 is that byte."""
    return text.encode("utf-8", "surrogateescape")


def message(content: bytes, *, is_compressed: bool = False) -> bytes:
    """Spell a gRPC message."""
    return struct.pack(">BI", is_compressed, len(content)) + content


async def frames_until_end(stream: SocketStream) -> list[Frame]:
    """Read frames until a stream or the connection ends."""
    frames: list[Frame] = []
    unread = b""
    with anyio.fail_after(HANGS_AFTER_S):
        while not (frames and is_last(frames[-1])):
            while len(unread) < 9 or len(unread) < 9 + int.from_bytes(unread[:3], "big"):
                try:
                    unread += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return frames
            end = 9 + int.from_bytes(unread[:3], "big")
            number = struct.unpack(">I", unread[5:9])[0]
            frames.append(Frame(unread[3], unread[4], number, unread[9:end]))
            unread = unread[end:]
    return frames


def is_last(last: Frame) -> bool:
    return last.kind in {RST_STREAM, GOAWAY} or (last.kind == HEADERS and bool(last.flags & 1))
