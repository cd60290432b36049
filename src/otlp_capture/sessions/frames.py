"""One request as one gzip member, with the facts of its arrival in the member's header.

Source: docs/storage-format.md.
"""

import re
import struct
from collections.abc import Iterator
from typing import ClassVar, Final, Literal, TypeAlias

import attrs

from otlp_capture import otlp
from otlp_capture.deflate import (
    Buffer,
    GzipDamaged,
    GzipError,
    GzipTorn,
    crc32,
    deflate_stored,
    deflate_with_trailer,
    header,
    inflate_content,
    inflate_member,
    member_header,
    trailer,
)
from otlp_capture.otlp import InvalidRequest, RequestFacts, RequestTooLarge, Signal
from otlp_capture.result import Failure, Outcome, Success

_SUBFIELD: Final = b"OC"
_HEADERS: Final = b"OH"
_VERSION: Final = 1
_FACTS: Final = struct.Struct("<BBHIIIQQQQ")
_CAME_AS_JSON, _REDACTED, _CLIENT_DEFLATE = 1, 2, 4
_HEADER_CRC: Final = struct.Struct("<H")
_HEADER_FIELD: Final = struct.Struct("<HH")
_BARE_SIZE: Final = len(header())
_HEADER_SIZE: Final = len(header((_SUBFIELD, bytes(_FACTS.size))))
_FACTS_END: Final = _HEADER_SIZE - _HEADER_CRC.size
_FACTS_START: Final = _FACTS_END - _FACTS.size
_OPENING: Final = header((_SUBFIELD, bytes(_FACTS.size)))[:_FACTS_START]
_TRAILER_SIZE: Final = 8
_LOOKS_LIKE_JSON: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\{")

STORED_LIMITS: Final = otlp.Limits(max_bytes=1 << 28, max_elements=1 << 23)
"""What is stored was accepted once; other writers may have accepted more than we do."""


MAX_HEADER_BYTES: Final = 16_384
"""How much of a request's headers a frame holds, as `header_bytes` counts it."""

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Names, in lower case, and values, as they came: a name may stand twice."""


@attrs.frozen
class SegmentCorrupted:
    """A stored segment stops making sense at *offset*.

    Attributes:
        key: which segment.
        offset: where the frame begins that makes none.
        reason: what is wrong.
        part: what of the frame it is; `tail`: the segment ends within it, as one does whose writer
            was interrupted.
    """

    key: str
    offset: int
    reason: str
    part: Literal["framing", "compression", "content", "tail"] = "framing"
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is damaged, and what is not."""
        return (
            f"{self.key} is damaged at byte {self.offset}: {self.reason.removesuffix('.')}. "
            f"The frames before it are intact."
        )


@attrs.frozen
class Arrival:
    """When a request came, and as which of the session's.

    Attributes:
        received_unix_nano: when it came, in nanoseconds since the Unix epoch.
        sequence: its place in the order of arrival, counted over all signals of the session.
        came_as_json: it was OTLP/JSON on the wire.
        is_redacted: it was changed by redaction before it was stored.
        headers: what is kept of its headers: at most `MAX_HEADER_BYTES` of names and values.
    """

    received_unix_nano: int
    sequence: int
    came_as_json: bool = False
    is_redacted: bool = False
    headers: Headers = ()


@attrs.frozen
class Frame:
    """Where a request lies in a segment, and what its header says of it.

    Attributes:
        offset: where the member begins in the segment, in bytes.
        size_bytes: how long the member is, header and trailer included.
        raw_size_bytes: how long the request is.
        record_count: spans, data points or log records.
        received_unix_nano: when it arrived.
        sequence: its place in the order of arrival.
        min_time_unix_nano: the earliest time of its records; 0 when none is set.
        max_time_unix_nano: the latest; 0 when none is set.
    """

    offset: int
    size_bytes: int
    raw_size_bytes: int
    record_count: int
    received_unix_nano: int
    sequence: int
    min_time_unix_nano: int
    max_time_unix_nano: int


@attrs.frozen
class StoredFrame:
    """A frame together with its request, canonical protobuf."""

    frame: Frame
    request: bytes


def encode_frame(request: bytes, facts: RequestFacts, arrival: Arrival) -> bytes:
    """Compress *request* into a frame."""
    return _assemble(request, (deflate_with_trailer(request),), facts, arrival, flags=0)


def encode_frame_stored(request: bytes, facts: RequestFacts, arrival: Arrival) -> bytes:
    """Lay *request* into a frame of stored deflate blocks: still gzip, nothing compressed."""
    content = deflate_stored(request), trailer(request)
    return _assemble(request, content, facts, arrival, flags=0)


def adopt_member(body: bytes, request: bytes, facts: RequestFacts, arrival: Arrival) -> bytes:
    """Make a frame of a client's own gzip: its header is replaced, the rest of it stays.

    Args:
        body: the client's bytes: one gzip member, inflated before and found sound.
        request: what it holds.
        facts: what was found in the request.
        arrival: when it came.
    """
    content = memoryview(body)[member_header(body, 0).unwrap().deflate_offset :]
    return _assemble(request, (content,), facts, arrival, flags=_CLIENT_DEFLATE)


def _assemble(
    request: bytes,
    content: tuple[Buffer, ...],
    facts: RequestFacts,
    arrival: Arrival,
    *,
    flags: int,
) -> bytes:
    """Lay a header before *content*: a deflate stream and its trailer, in pieces."""
    flags |= _CAME_AS_JSON if arrival.came_as_json else 0
    flags |= _REDACTED if arrival.is_redacted else 0
    kept = _encode_headers(arrival.headers)
    size = _HEADER_SIZE + (len(header((_HEADERS, kept))) - _BARE_SIZE if kept else 0)
    own = _FACTS.pack(
        _VERSION,
        flags,
        0,
        size + sum(map(len, content)),
        len(request),
        facts.record_count,
        arrival.received_unix_nano,
        facts.min_time_unix_nano,
        facts.max_time_unix_nano,
        arrival.sequence,
    )
    if kept:
        return b"".join((header((_SUBFIELD, own), (_HEADERS, kept)), *content))
    head = _OPENING + own
    return b"".join((head, _HEADER_CRC.pack(crc32(head) & 0xFFFF), *content))


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


def index_frames(
    key: str, segment: Buffer, signal: Signal, fallback_unix_nano: int
) -> Iterator[Outcome[Frame, SegmentCorrupted]]:
    """Yield the frames of a segment in the order in which they lie, without inflating ours.

    Args:
        key: the segment's key, for the message of an error.
        segment: the whole object.
        signal: what its requests are.
        fallback_unix_nano: the arrival of members that other writers left without facts.

    Fails with:
        SegmentCorrupted: a member is torn or damaged. It is the last item; every frame before it
            is intact as far as its header tells.
    """
    offset = 0
    while offset < len(segment):
        found = _frame_at(key, segment, offset, signal, fallback_unix_nano)
        yield found
        if isinstance(found, Failure):
            return
        offset += found.unwrap().size_bytes


def open_frame(
    key: str, member: Buffer, frame: Frame, signal: Signal
) -> Outcome[bytes, SegmentCorrupted]:
    """Inflate a frame's request, check its CRC, and return it as canonical protobuf.

    Args:
        key: the segment's key, for the message of an error.
        member: the frame's bytes.
        frame: what is known of it.
        signal: what the request is.

    Fails with:
        SegmentCorrupted: the member is damaged, or does not hold what its header says.
    """
    head = _read_header(member, 0)
    if isinstance(head, Failure):
        reason = head.failure().message
        return Failure(SegmentCorrupted(key, frame.offset, reason, "compression"))
    max_bytes = min(frame.raw_size_bytes, STORED_LIMITS.max_bytes)
    inflated = inflate_content(member, 0, head.unwrap().size_bytes, max_bytes=max_bytes)
    if isinstance(inflated, Failure):
        reason = inflated.failure().message
        return Failure(SegmentCorrupted(key, frame.offset, reason, "compression"))
    opened = inflated.unwrap()
    if opened.end != len(member) or len(opened.raw) != frame.raw_size_bytes:
        reason = "the frame's header disagrees with what it holds"
        return Failure(SegmentCorrupted(key, frame.offset, reason))
    if head.unwrap().facts is not None:
        return Success(opened.raw)
    found = _foreign_content(opened.raw, signal)
    if isinstance(found, Failure):
        return Failure(SegmentCorrupted(key, frame.offset, found.failure().message, "content"))
    return Success(found.unwrap().request)


def has_facts(member: Buffer) -> bool:
    """Whether the frame that *member* is has the facts of its arrival; other writers leave none."""
    return _read_header(member, 0).map(lambda head: head.facts is not None).value_or(False)  # noqa: FBT003 - the value where there is no header


def frame_headers(member: Buffer) -> Headers:
    """Return what is kept of a request's headers in the frame that *member* is."""
    laid = bytes(memoryview(member)[:_HEADER_SIZE])
    if _is_laid_as_usual(laid):
        return ()
    subfields = member_header(member, 0).map(lambda head: head.subfields).value_or(())
    return _decode_headers(b"".join(value for name, value in subfields if name == _HEADERS))


def read_frames(
    key: str, segment: Buffer, signal: Signal, fallback_unix_nano: int
) -> Iterator[Outcome[StoredFrame, SegmentCorrupted]]:
    """Yield the frames of a segment with their requests, each checked, as they lie.

    Args:
        key: the segment's key, for the message of an error.
        segment: the whole object.
        signal: what its requests are.
        fallback_unix_nano: the arrival of members that other writers left without facts.

    Fails with:
        SegmentCorrupted: a member is torn or its CRC is wrong. It is the last item; every frame
            before it is intact.
    """
    view = memoryview(segment)
    for found in index_frames(key, segment, signal, fallback_unix_nano):
        if isinstance(found, Failure):
            yield found
            return
        frame = found.unwrap()
        member = view[frame.offset : frame.offset + frame.size_bytes]
        request = open_frame(key, member, frame, signal)
        if isinstance(request, Failure):
            yield request
            return
        yield Success(StoredFrame(frame, request.unwrap()))


def _frame_at(
    key: str, segment: Buffer, offset: int, signal: Signal, fallback_unix_nano: int
) -> Outcome[Frame, SegmentCorrupted]:
    head = _read_header(segment, offset)
    if isinstance(head, Failure):
        return Failure(_corrupted(key, offset, head.failure()))
    own = head.unwrap().facts
    if own is None:
        return _foreign_frame(key, segment, offset, signal, fallback_unix_nano)
    if own[:1] != bytes([_VERSION]):
        version = own[0] if own else "none"
        reason = f"its frame header is of version {version}; this reads version {_VERSION}"
        return Failure(SegmentCorrupted(key, offset, reason))
    if len(own) < _FACTS.size:
        reason = f"its frame header has {len(own)} bytes where {_FACTS.size} are needed"
        return Failure(SegmentCorrupted(key, offset, reason))
    _, _, _, size, raw_size, records, received, earliest, latest, sequence = _FACTS.unpack_from(own)
    if size < head.unwrap().size_bytes + _TRAILER_SIZE:
        return Failure(SegmentCorrupted(key, offset, f"a frame cannot be {size} bytes long"))
    if size > len(segment) - offset:
        return Failure(_corrupted(key, offset, GzipTorn(offset)))
    return Success(Frame(offset, size, raw_size, records, received, sequence, earliest, latest))


@attrs.frozen
class _Header:
    """A member's header: how long it is, and our subfield, if it has that."""

    size_bytes: int
    facts: bytes | None


def _read_header(data: Buffer, offset: int) -> Outcome[_Header, GzipTorn | GzipDamaged]:
    laid = bytes(memoryview(data)[offset : offset + _HEADER_SIZE])
    if _is_laid_as_usual(laid):
        return Success(_Header(_HEADER_SIZE, laid[_FACTS_START:_FACTS_END]))
    found = member_header(data, offset)
    if isinstance(found, Failure):
        return found
    head = found.unwrap()
    facts = next((value for name, value in head.subfields if name == _SUBFIELD), None)
    return Success(_Header(head.deflate_offset - offset, facts))


def _is_laid_as_usual(laid: bytes) -> bool:
    """Whether these bytes are a header just as it is written here, and its CRC is right."""
    return (
        len(laid) == _HEADER_SIZE
        and laid.startswith(_OPENING)
        and _HEADER_CRC.unpack_from(laid, _FACTS_END)[0] == crc32(laid[:_FACTS_END]) & 0xFFFF
    )


def _foreign_frame(
    key: str, segment: Buffer, offset: int, signal: Signal, fallback_unix_nano: int
) -> Outcome[Frame, SegmentCorrupted]:
    inflated = inflate_member(segment, offset, max_bytes=STORED_LIMITS.max_bytes)
    if isinstance(inflated, Failure):
        return Failure(_corrupted(key, offset, inflated.failure()))
    member = inflated.unwrap()
    found = _foreign_content(member.raw, signal)
    if isinstance(found, Failure):
        return Failure(SegmentCorrupted(key, offset, found.failure().message, "content"))
    facts = found.unwrap().facts
    return Success(
        Frame(
            offset=offset,
            size_bytes=member.end - offset,
            raw_size_bytes=len(member.raw),
            record_count=facts.record_count,
            received_unix_nano=fallback_unix_nano,
            sequence=0,
            min_time_unix_nano=facts.min_time_unix_nano,
            max_time_unix_nano=facts.max_time_unix_nano,
        )
    )


@attrs.frozen
class _Content:
    request: bytes
    facts: RequestFacts


def _foreign_content(
    raw: bytes, signal: Signal
) -> Outcome[_Content, InvalidRequest | RequestTooLarge]:
    """Read what others stored: protobuf, or OTLP/JSON, which never reads as protobuf."""
    request, scanned = raw, otlp.scan(raw, signal, limits=STORED_LIMITS)
    if isinstance(scanned, Failure) and _LOOKS_LIKE_JSON.match(raw):
        decoded = _foreign_json(raw, signal)
        if isinstance(decoded, Failure):
            return decoded
        request = decoded.unwrap()
        scanned = otlp.scan(request, signal, limits=STORED_LIMITS)
    if isinstance(scanned, Failure):
        return scanned
    return Success(_Content(request, scanned.unwrap()))


def _foreign_json(text: bytes, signal: Signal) -> Outcome[bytes, InvalidRequest | RequestTooLarge]:
    decoded = otlp.decode(text, signal, "json", dialect="import", limits=STORED_LIMITS)
    if decoded == Success(b""):
        others = otlp.decode_export_line(text).value_or(())
        held = next((each for each, _ in others if each != signal), None)
        if held is not None:
            return Failure(InvalidRequest("the document", held, f"{signal}, as its key says"))
    return decoded


def _corrupted(key: str, offset: int, error: GzipError) -> SegmentCorrupted:
    part: Literal["framing", "tail"] = "tail" if isinstance(error, GzipTorn) else "framing"
    return SegmentCorrupted(key, offset, error.message, part)
