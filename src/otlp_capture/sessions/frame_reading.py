"""The frames of a segment, found and opened, those that other writers left included.

Source: docs/storage-format.md.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal

import attrs

from otlp_capture import otlp
from otlp_capture.deflate import Buffer, GzipError, GzipTorn, inflate_content, inflate_member
from otlp_capture.otlp import InvalidRequest, RequestFacts, RequestTooLarge, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions.frame_header import FACTS, VERSION, read_header
from otlp_capture.sessions.frames import STORED_LIMITS, Frame, SegmentCorrupted, StoredFrame

_TRAILER_SIZE: Final = 8
_LOOKS_LIKE_JSON: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\{")


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
    head = read_header(member, 0)
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
    head = read_header(segment, offset)
    if isinstance(head, Failure):
        return Failure(_corrupted(key, offset, head.failure()))
    own = head.unwrap().facts
    if own is None:
        return _foreign_frame(key, segment, offset, signal, fallback_unix_nano)
    if own[:1] != bytes([VERSION]):
        version = own[0] if own else "none"
        reason = f"its frame header is of version {version}; this reads version {VERSION}"
        return Failure(SegmentCorrupted(key, offset, reason))
    if len(own) < FACTS.size:
        reason = f"its frame header has {len(own)} bytes where {FACTS.size} are needed"
        return Failure(SegmentCorrupted(key, offset, reason))
    _, _, _, size, raw_size, records, received, earliest, latest, sequence = FACTS.unpack_from(own)
    if size < head.unwrap().size_bytes + _TRAILER_SIZE:
        return Failure(SegmentCorrupted(key, offset, f"a frame cannot be {size} bytes long"))
    if size > len(segment) - offset:
        return Failure(_corrupted(key, offset, GzipTorn(offset)))
    return Success(Frame(offset, size, raw_size, records, received, sequence, earliest, latest))


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
