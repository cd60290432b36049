"""Gzip within a bound, against zlib."""

import zlib
from typing import Final

from fuzz.mutations import mutate_bytes
from fuzz.seeds import drawn_requests
from fuzz.target import Target
from otlp_capture.deflate import (
    Inflated,
    InflatedTooLarge,
    deflate,
    deflate_stored,
    header,
    inflate,
    inflate_member,
    trailer,
)
from otlp_capture.result import Failure, Success

_MAX_BYTES: Final = 20_000
_GZIP, _RAW = 31, -15
_SEEDS: Final = 60


def _seeds() -> list[bytes]:
    drawn = [request for _, request in drawn_requests()[:_SEEDS]]
    contents = [b"", b"a" * 30_000, *drawn]
    streams = [pack(content) for content in contents for pack in (deflate, deflate_stored)]
    members = [header((b"OC", b"fact")) + deflate(each) + trailer(each) for each in contents]
    named = b"\x1f\x8b\x08\x1a" + bytes(6) + b"name\0note\0\0\0" + b"\x03\0" + bytes(8)
    return [*streams, *members, zlib.compress(b"text" * 99, 9, _GZIP) * 3, named]


def _check(data: bytes) -> None:
    _check_file(data)
    _check_stream(data)


def _check_file(data: bytes) -> None:
    found = inflate(data, max_bytes=_MAX_BYTES)
    by_zlib = _inflated_by_zlib(data)
    if isinstance(found, Success):
        assert found.unwrap() == by_zlib, "zlib reads something else"
    else:
        assert found.failure().message
        assert by_zlib is None or isinstance(found.failure(), InflatedTooLarge), "zlib reads it"
        assert by_zlib is None or len(by_zlib.raw) > _MAX_BYTES, "it is within the bound"


def _inflated_by_zlib(data: bytes) -> Inflated | None:
    """Inflate all members; None where there are other bytes, or more than the bound and a bit."""
    raw, count = b"", 0
    while data or not count:
        stream = zlib.decompressobj(_GZIP)
        try:
            raw += stream.decompress(data, _MAX_BYTES + 1)
        except zlib.error:
            return None
        if not stream.eof:
            return None
        data, count = stream.unused_data, count + 1
    return Inflated(raw, count)


def _check_stream(data: bytes) -> None:
    """Take *data* as a deflate stream of a member that is sound otherwise."""
    stream = zlib.decompressobj(_RAW)
    try:
        raw = stream.decompress(data, _MAX_BYTES + 1)
    except zlib.error:
        return
    if not stream.eof:
        return
    head = header()
    size = len(data) - len(stream.unused_data)
    member = head + data[:size] + trailer(raw)
    found = inflate_member(member + data, 0, max_bytes=_MAX_BYTES)
    if len(raw) > _MAX_BYTES:
        assert found == Failure(InflatedTooLarge(_MAX_BYTES))
    else:
        assert (found.unwrap().raw, found.unwrap().end) == (raw, len(member))


TARGET: Final = Target(_seeds, mutate_bytes, _check)
