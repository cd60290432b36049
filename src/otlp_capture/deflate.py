"""Gzip members: found, inflated within a bound, and built. Source: RFC 1951, RFC 1952."""

import struct
import zlib
from collections.abc import Iterator
from typing import ClassVar, Final, TypeAlias

import attrs
from isal import igzip_lib, isal_zlib

from otlp_capture.result import Failure, Outcome, Success

_MAGIC: Final = b"\x1f\x8b\x08"
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16
_RESERVED_FLAGS: Final = 0xE0
_FIXED: Final = struct.Struct("<3sBIBB")
_TRAILER: Final = struct.Struct("<II")
_SUBFIELD: Final = struct.Struct("<2sH")
_UNKNOWN_OS: Final = 255
_LEVEL: Final = 1
_RAW: Final = -15
_U16: Final = 2
_PIECE: Final = 65_536
_LARGEST_PIECE: Final = 1 << 20
_ROOM: Final = 65_536
_SIZE_BYTES: Final = 4
_MAX_MEMBERS: Final = 1_024

Buffer: TypeAlias = bytes | bytearray | memoryview


@attrs.frozen
class GzipTorn:
    """The bytes end inside the member that begins at *offset*."""

    offset: int
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and where."""
        return f"the gzip member at byte {self.offset} is cut short"


@attrs.frozen
class GzipDamaged:
    """The member that begins at *offset* is no sound gzip."""

    offset: int
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and where."""
        return f"the gzip member at byte {self.offset} is damaged: {self.reason}"


@attrs.frozen
class InflatedTooLarge:
    """Decompressed, the bytes would be more than *limit_bytes*."""

    limit_bytes: int
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is allowed."""
        return f"decompressed it is larger than the {self.limit_bytes} bytes that are allowed"


GzipError: TypeAlias = GzipTorn | GzipDamaged | InflatedTooLarge


@attrs.frozen
class MemberHeader:
    """Where a member's deflate stream begins, and the subfields of its FEXTRA field."""

    deflate_offset: int
    subfields: tuple[tuple[bytes, bytes], ...]


@attrs.frozen
class Member:
    """One inflated member, which ends before *end*."""

    raw: bytes
    deflate_offset: int
    end: int


@attrs.frozen
class Inflated:
    """What all members of a gzip file hold together, and how many there are."""

    raw: bytes
    member_count: int


def crc32(data: Buffer, before: int = 0) -> int:
    """Return the CRC-32 that gzip uses, of *data* behind what has the CRC *before*."""
    return isal_zlib.crc32(data, before)


def member_header(data: Buffer, offset: int) -> Outcome[MemberHeader, GzipTorn | GzipDamaged]:
    """Read the header of the member at *offset*.

    Fails with:
        GzipTorn: the data ends inside the header.
        GzipDamaged: there is no gzip member here, or its header CRC is wrong.
    """
    view = memoryview(data)
    if len(view) - offset < _FIXED.size:
        is_start = _MAGIC.startswith(bytes(view[offset : offset + len(_MAGIC)]))
        return Failure(GzipTorn(offset) if is_start else GzipDamaged(offset, "not gzip"))
    magic, flags, _, _, _ = _FIXED.unpack_from(view, offset)
    if magic != _MAGIC:
        return Failure(GzipDamaged(offset, "not gzip"))
    if flags & _RESERVED_FLAGS:
        return Failure(GzipDamaged(offset, "reserved flags are set"))
    at = offset + _FIXED.size
    subfields: tuple[tuple[bytes, bytes], ...] = ()
    if flags & _FEXTRA:
        if len(view) - at < _U16 or len(view) - at - _U16 < (size := _u16(view, at)):
            return Failure(GzipTorn(offset))
        subfields = tuple(_subfields(bytes(view[at + _U16 : at + _U16 + size])))
        at += _U16 + size
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            at = _end_of_text(view, at)
            if at < 0:
                return Failure(GzipTorn(offset))
    if flags & _FHCRC:
        if len(view) - at < _U16:
            return Failure(GzipTorn(offset))
        if _u16(view, at) != crc32(view[offset:at]) & 0xFFFF:
            return Failure(GzipDamaged(offset, "the header's CRC is wrong"))
        at += _U16
    return Success(MemberHeader(at, subfields))


def inflate_member(data: Buffer, offset: int, *, max_bytes: int) -> Outcome[Member, GzipError]:
    """Inflate the member at *offset* and check its CRC and its length.

    Fails with:
        GzipTorn: the data ends inside the member.
        GzipDamaged: the member is not gzip, or its CRC or length is wrong.
        InflatedTooLarge: it holds more than *max_bytes*; no more than that was inflated.
    """
    header = member_header(data, offset)
    if isinstance(header, Failure):
        return header
    return inflate_content(data, offset, header.unwrap().deflate_offset, max_bytes=max_bytes)


def inflate_content(
    data: Buffer, offset: int, deflate_offset: int, *, max_bytes: int
) -> Outcome[Member, GzipError]:
    """Inflate the member at *offset* whose header has been read, and check CRC and length.

    Args:
        data: the member, and what lies around it.
        offset: where it begins; a member that begins the data is taken for the most of it.
        deflate_offset: where its deflate stream begins.
        max_bytes: how much it may hold.

    Fails with:
        GzipTorn: the data ends inside the member.
        GzipDamaged: the deflate stream, the CRC or the length is wrong.
        InflatedTooLarge: it holds more than *max_bytes*; no more than one byte above was inflated.
    """
    view = memoryview(data)
    stream = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)
    at, left = deflate_offset, max_bytes + 1
    pieces: list[bytes] = []
    # What lies behind the member in a piece is copied, and room is taken before it is filled.
    length, room = (_PIECE, _ROOM) if offset else (_LARGEST_PIECE, _told_size(view) + 1)
    while not stream.eof:
        piece = view[at : at + length] if stream.needs_input else view[:0]
        if stream.needs_input and not piece:
            return Failure(GzipTorn(offset))
        try:
            inflated = stream.decompress(piece, min(room, left))
        except igzip_lib.IsalError as error:
            return Failure(GzipDamaged(offset, f"the deflate stream is wrong ({error})"))
        left -= len(inflated)
        if not left:
            return Failure(InflatedTooLarge(max_bytes))
        pieces.append(inflated)
        at += len(piece)
        length, room = min(2 * length, _LARGEST_PIECE), 2 * room
    raw = b"".join(pieces)
    at -= len(stream.unused_data)
    if len(view) - at < _TRAILER.size:
        return Failure(GzipTorn(offset))
    crc, size = _TRAILER.unpack_from(view, at)
    if crc != crc32(raw):
        return Failure(GzipDamaged(offset, "the CRC of the content is wrong"))
    if size != len(raw) & 0xFFFFFFFF:
        return Failure(GzipDamaged(offset, "the length of the content is wrong"))
    return Success(Member(raw, deflate_offset, at + _TRAILER.size))


def inflate(data: Buffer, *, max_bytes: int) -> Outcome[Inflated, GzipError]:
    """Inflate all members of *data*, of which there is at least one and nothing else.

    Fails with:
        GzipTorn: the data ends inside a member.
        GzipDamaged: a member is not gzip, its CRC or length is wrong, or there are more than
            1,024 members, which no client sends.
        InflatedTooLarge: together they hold more than *max_bytes*; no more than that was inflated.
    """
    raw: list[bytes] = []
    offset, left = 0, max_bytes
    while offset < len(data) or not raw:
        if len(raw) == _MAX_MEMBERS:
            return Failure(GzipDamaged(offset, f"it follows {_MAX_MEMBERS} others"))
        found = inflate_member(data, offset, max_bytes=left)
        if isinstance(found, Failure):
            is_too_large = isinstance(found.failure(), InflatedTooLarge)
            return Failure(InflatedTooLarge(max_bytes)) if is_too_large else found
        member = found.unwrap()
        raw.append(member.raw)
        left -= len(member.raw)
        offset = member.end
    return Success(Inflated(b"".join(raw), len(raw)))


def deflate(raw: Buffer) -> bytes:
    """Compress *raw* into a deflate stream, fast."""
    return igzip_lib.compress(raw, _LEVEL, igzip_lib.COMP_DEFLATE)


def deflate_with_trailer(raw: Buffer) -> bytes:
    """Compress *raw* into all of a member but its header, in one pass."""
    return igzip_lib.compress(raw, _LEVEL, igzip_lib.COMP_GZIP_NO_HDR)


def deflate_stored(raw: Buffer) -> bytes:
    """Lay *raw* into a deflate stream of stored blocks: nothing is compressed."""
    stream = zlib.compressobj(0, zlib.DEFLATED, _RAW)
    return stream.compress(raw) + stream.flush()


def trailer(raw: Buffer) -> bytes:
    """Return the trailer of a member that holds *raw*: its CRC and its length."""
    return _TRAILER.pack(crc32(raw), len(raw) & 0xFFFFFFFF)


def header(*subfields: tuple[bytes, bytes]) -> bytes:
    """Build a member's header: no name, no time, *subfields* in FEXTRA, and a CRC of its own.

    Args:
        subfields: pairs of a two-byte name and a value of less than 64 KiB in all.
    """
    extra = b"".join(_SUBFIELD.pack(name, len(value)) + value for name, value in subfields)
    plain = _FIXED.pack(_MAGIC, _FEXTRA | _FHCRC, 0, 0, _UNKNOWN_OS)
    plain += struct.pack("<H", len(extra)) + extra
    return plain + struct.pack("<H", crc32(plain) & 0xFFFF)


def _told_size(view: memoryview) -> int:
    """Return how much the data holds, if they are one member and it does not lie."""
    return int.from_bytes(view[-_SIZE_BYTES:], "little")


def _subfields(extra: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the whole subfields; a reader need not understand the rest."""
    at = 0
    while len(extra) - at >= _SUBFIELD.size:
        name, size = _SUBFIELD.unpack_from(extra, at)
        at += _SUBFIELD.size
        if size > len(extra) - at:
            return
        yield name, extra[at : at + size]
        at += size


def _end_of_text(view: memoryview, at: int) -> int:
    """Return where the zero-terminated text at *at* ends, its zero included; -1 if it does not."""
    for start in range(at, len(view), _PIECE):
        zero = bytes(view[start : start + _PIECE]).find(0)
        if zero >= 0:
            return start + zero + 1
    return -1


def _u16(view: memoryview, at: int) -> int:
    return view[at] | view[at + 1] << 8
