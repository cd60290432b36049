"""Laws of gzip members: nothing raises, and nothing wrong comes out."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture import deflate
from otlp_capture.deflate import (
    GzipDamaged,
    GzipTorn,
    Inflated,
    InflatedTooLarge,
    inflate,
    inflate_member,
)
from otlp_capture.result import or_raise

LIMIT = 1 << 20

contents = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda piece, times: piece * times, st.binary(max_size=8), st.integers(0, 20_000)),
)


@st.composite
def gzipped(draw: st.DrawFn, raw: bytes) -> bytes:
    """Any gzip member: ours, in one pass or in two, stored, or one of zlib's ways to compress."""
    how = draw(st.sampled_from(["ours", "one pass", "stored", "zlib"]))
    if how == "zlib":
        strategy = draw(st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_RLE]))
        packer = zlib.compressobj(draw(st.integers(0, 9)), zlib.DEFLATED, 31, 8, strategy)
        return packer.compress(raw) + packer.flush()
    head = deflate.header((b"OC", draw(st.binary(max_size=60))))
    if how == "one pass":
        return head + deflate.deflate_with_trailer(raw)
    stream = deflate.deflate(raw) if how == "ours" else deflate.deflate_stored(raw)
    return head + stream + deflate.trailer(raw)


members = contents.flatmap(lambda raw: st.tuples(st.just(raw), gzipped(raw)))


@given(st.lists(members, min_size=1, max_size=5))
def test_members_back_to_back_are_read_as_one(pairs: list[tuple[bytes, bytes]]) -> None:
    raw, data = b"".join(raw for raw, _ in pairs), b"".join(data for _, data in pairs)

    assert inflate(data, max_bytes=len(raw)) == Success(Inflated(raw, len(pairs)))
    assert gzip.decompress(data) == raw


@given(members, st.binary(max_size=30), st.binary(max_size=30))
def test_a_member_is_found_among_other_bytes(
    pair: tuple[bytes, bytes], before: bytes, after: bytes
) -> None:
    raw, data = pair

    found = or_raise(inflate_member(before + data + after, len(before), max_bytes=len(raw)))

    assert (found.raw, found.end) == (raw, len(before) + len(data))


@given(members, st.integers(1, 40), st.integers(1, 40), st.sampled_from(["first", "second"]))
def test_the_pieces_in_which_it_is_read_and_inflated_do_not_matter(
    pair: tuple[bytes, bytes], piece: int, room: int, which: str
) -> None:
    raw, data = pair
    offset = 0 if which == "first" else len(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deflate, "_PIECE", piece)
        patch.setattr(deflate, "_LARGEST_PIECE", piece)
        patch.setattr(deflate, "_ROOM", room)

        found = or_raise(inflate_member(data + data, offset, max_bytes=LIMIT))

    assert (found.raw, found.end) == (raw, offset + len(data))


@given(members, st.binary(min_size=4, max_size=4))
def test_what_the_last_bytes_say_of_the_size_does_not_matter(
    pair: tuple[bytes, bytes], told: bytes
) -> None:
    raw, data = pair

    found = or_raise(inflate_member(data + told, 0, max_bytes=LIMIT))

    assert (found.raw, found.end) == (raw, len(data))


@given(members, st.data())
def test_what_is_cut_is_torn(pair: tuple[bytes, bytes], data: st.DataObject) -> None:
    _, whole = pair
    cut = data.draw(st.integers(0, len(whole) - 1))

    assert inflate(whole[:cut], max_bytes=LIMIT) == Failure(GzipTorn(0))


@given(members, st.data())
def test_what_is_flipped_is_noticed_or_harmless(
    pair: tuple[bytes, bytes], data: st.DataObject
) -> None:
    raw, whole = pair
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8

    found = inflate(flipped, max_bytes=LIMIT)

    if isinstance(found, Failure):
        assert isinstance(found.failure(), GzipTorn | GzipDamaged | InflatedTooLarge)
        assert found.failure().message
    else:
        assert found == Success(Inflated(raw, 1))


@given(st.one_of(st.binary(), st.binary().map(lambda rest: b"\x1f\x8b\x08" + rest)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    found = inflate(data, max_bytes=1_000)

    assert isinstance(found, Success) or found.failure().message


@given(members, st.data())
def test_a_limit_below_the_content_is_kept(pair: tuple[bytes, bytes], data: st.DataObject) -> None:
    raw, whole = pair
    limit = data.draw(st.integers(0, max(len(raw) - 1, 0)))

    found = inflate(whole, max_bytes=limit)

    assert found == (Failure(InflatedTooLarge(limit)) if raw else Success(Inflated(b"", 1)))
