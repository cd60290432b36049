"""A frame's header: our subfields in the header of a gzip member, laid and read.

Source: docs/storage-format.md.
"""

import struct
from typing import Final

import attrs

from otlp_capture.deflate import Buffer, GzipDamaged, GzipTorn, crc32, header, member_header
from otlp_capture.otlp import RequestFacts
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions.frames import Arrival, Headers

VERSION: Final = 1
FACTS: Final = struct.Struct("<BBHIIIQQQQ")
"""Version, flags, nothing, size, size of the request, records, arrival, least and greatest time,
sequence."""

_SUBFIELD: Final = b"OC"
_HEADERS: Final = b"OH"
_CAME_AS_JSON, _REDACTED, CLIENT_DEFLATE = 1, 2, 4
_HEADER_CRC: Final = struct.Struct("<H")
_HEADER_FIELD: Final = struct.Struct("<HH")
_BARE_SIZE: Final = len(header())
_HEADER_SIZE: Final = len(header((_SUBFIELD, bytes(FACTS.size))))
_FACTS_END: Final = _HEADER_SIZE - _HEADER_CRC.size
_FACTS_START: Final = _FACTS_END - FACTS.size
_OPENING: Final = header((_SUBFIELD, bytes(FACTS.size)))[:_FACTS_START]


@attrs.frozen
class FrameHeader:
    """A member's header: how long it is, and our subfield, if it has that."""

    size_bytes: int
    facts: bytes | None


def lay_header(
    raw_size: int, content_size: int, facts: RequestFacts, arrival: Arrival, *, flags: int
) -> bytes:
    """Lay the header of a frame.

    Args:
        raw_size: how long the request is.
        content_size: how long its deflate stream is, with its trailer.
        facts: what was found in the request.
        arrival: when it came.
        flags: what is to be noted beside what the arrival says: 0, or `CLIENT_DEFLATE`.
    """
    flags |= _CAME_AS_JSON if arrival.came_as_json else 0
    flags |= _REDACTED if arrival.is_redacted else 0
    kept = _encode_headers(arrival.headers)
    size = _HEADER_SIZE + (len(header((_HEADERS, kept))) - _BARE_SIZE if kept else 0)
    own = FACTS.pack(
        VERSION,
        flags,
        0,
        size + content_size,
        raw_size,
        facts.record_count,
        arrival.received_unix_nano,
        facts.min_time_unix_nano,
        facts.max_time_unix_nano,
        arrival.sequence,
    )
    if kept:
        return header((_SUBFIELD, own), (_HEADERS, kept))
    head = _OPENING + own
    return head + _HEADER_CRC.pack(crc32(head) & 0xFFFF)


def read_header(data: Buffer, offset: int) -> Outcome[FrameHeader, GzipTorn | GzipDamaged]:
    """Read the header of the member at *offset*."""
    laid = bytes(memoryview(data)[offset : offset + _HEADER_SIZE])
    if _is_laid_as_usual(laid):
        return Success(FrameHeader(_HEADER_SIZE, laid[_FACTS_START:_FACTS_END]))
    found = member_header(data, offset)
    if isinstance(found, Failure):
        return found
    head = found.unwrap()
    facts = next((value for name, value in head.subfields if name == _SUBFIELD), None)
    return Success(FrameHeader(head.deflate_offset - offset, facts))


def has_facts(member: Buffer) -> bool:
    """Whether the frame that *member* is has the facts of its arrival; other writers leave none."""
    return read_header(member, 0).map(lambda head: head.facts is not None).value_or(False)  # noqa: FBT003 - the value where there is no header


def frame_headers(member: Buffer) -> Headers:
    """Return what is kept of a request's headers in the frame that *member* is."""
    laid = bytes(memoryview(member)[:_HEADER_SIZE])
    if _is_laid_as_usual(laid):
        return ()
    subfields = member_header(member, 0).map(lambda head: head.subfields).value_or(())
    return _decode_headers(b"".join(value for name, value in subfields if name == _HEADERS))


def header_bytes(headers: Headers) -> int:
    """Return how much room *headers* take in a frame."""
    return len(_encode_headers(headers))


def _encode_headers(headers: Headers) -> bytes:
    pieces: list[bytes] = []
    for name, value in headers:
        texts = name.encode("latin-1"), value.encode("utf-8", "surrogateescape")
        pieces += (_HEADER_FIELD.pack(len(texts[0]), len(texts[1])), *texts)
    return b"".join(pieces)


def _decode_headers(kept: bytes) -> Headers:
    """Read what is whole; the header's CRC has said that nothing is damaged."""
    headers: list[tuple[str, str]] = []
    at = 0
    while len(kept) - at >= _HEADER_FIELD.size:
        name_size, value_size = _HEADER_FIELD.unpack_from(kept, at)
        at += _HEADER_FIELD.size
        name, value = kept[at : at + name_size], kept[at + name_size : at + name_size + value_size]
        at += name_size + value_size
        headers.append((name.decode("latin-1"), value.decode("utf-8", "surrogateescape")))
    return tuple(headers)


def _is_laid_as_usual(laid: bytes) -> bool:
    """Whether these bytes are a header just as it is written here, and its CRC is right."""
    return (
        len(laid) == _HEADER_SIZE
        and laid.startswith(_OPENING)
        and _HEADER_CRC.unpack_from(laid, _FACTS_END)[0] == crc32(laid[:_FACTS_END]) & 0xFFFF
    )
