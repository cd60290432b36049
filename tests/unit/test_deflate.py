"""Gzip members, beside the tools that everybody has."""

import gzip
import io
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from returns.result import Failure, Success

from otlp_capture import deflate
from otlp_capture.deflate import (
    GzipDamaged,
    GzipTorn,
    Inflated,
    InflatedTooLarge,
    Member,
    MemberHeader,
    inflate,
    inflate_member,
    member_header,
)
from otlp_capture.result import or_raise
from tests.memory import mebibytes_for

TEXT = b"many a request " * 40
LIMIT = 1 << 20


def member(raw: bytes = TEXT, *subfields: tuple[bytes, bytes]) -> bytes:
    return deflate.header(*subfields) + deflate.deflate(raw) + deflate.trailer(raw)


def with_header(flags: int, optional: bytes, *, has_crc: bool = False) -> bytes:
    """Lay a member by hand, as RFC 1952 describes it."""
    head = struct.pack("<3sBIBB", b"\x1f\x8b\x08", flags | (2 if has_crc else 0), 7, 0, 3)
    head += optional
    if has_crc:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    packer = zlib.compressobj(wbits=-15)
    stream = packer.compress(TEXT) + packer.flush()
    return head + stream + struct.pack("<II", zlib.crc32(TEXT), len(TEXT))


class TestOthersReadIt:
    @pytest.mark.parametrize("raw", [b"", b"x", TEXT, bytes(200_000)])
    def test_a_member_is_gzip_to_the_standard_library(self, raw: bytes) -> None:
        assert gzip.decompress(member(raw, (b"OC", bytes(48)))) == raw

    def test_gzip_itself_tests_members_back_to_back(self, tmp_path: Path) -> None:
        file = tmp_path / "segment.gz"
        stored = deflate.header() + deflate.deflate_stored(TEXT) + deflate.trailer(TEXT)
        file.write_bytes(member() + stored + member(b"", (b"OC", b"abc"), (b"OH", b"")))

        tested = subprocess.run(["gzip", "-t", str(file)], capture_output=True, check=False)
        unpacked = subprocess.run(["gzip", "-dc", str(file)], capture_output=True, check=True)

        assert (tested.returncode, tested.stderr) == (0, b"")
        assert unpacked.stdout == TEXT + TEXT

    def test_stored_blocks_hold_the_bytes_as_they_are(self) -> None:
        assert TEXT in deflate.deflate_stored(TEXT)

    def test_the_header_is_laid_out_as_documented(self) -> None:
        head = deflate.header((b"OC", b"abc"))

        assert head[:10] == b"\x1f\x8b\x08\x06\0\0\0\0\0\xff"
        assert head[10:-2] == struct.pack("<H2sH3s", 7, b"OC", 3, b"abc")
        assert head[-2:] == struct.pack("<H", zlib.crc32(head[:-2]) & 0xFFFF)


class TestOthersWroteIt:
    @pytest.mark.parametrize(
        ("data", "deflate_offset"),
        [
            pytest.param(with_header(0, b""), 10, id="nothing"),
            pytest.param(with_header(8, b"name\0"), 15, id="FNAME"),
            pytest.param(with_header(16, b"said\0"), 15, id="FCOMMENT"),
            pytest.param(with_header(0, b"", has_crc=True), 12, id="FHCRC"),
            pytest.param(with_header(1 | 8 | 16, b"n\0c\0", has_crc=True), 16, id="most"),
            pytest.param(with_header(8, b"\0"), 11, id="an empty name"),
            pytest.param(with_header(8, b"n" * 70_000 + b"\0"), 70_011, id="a long name"),
        ],
    )
    def test_optional_fields_are_passed_over(self, data: bytes, deflate_offset: int) -> None:
        assert gzip.decompress(data) == TEXT

        assert member_header(data, 0) == Success(MemberHeader(deflate_offset, ()))
        assert inflate_member(data, 0, max_bytes=LIMIT) == Success(
            Member(TEXT, deflate_offset, len(data))
        )

    def test_the_files_of_gzip_and_the_standard_library_are_read(self, tmp_path: Path) -> None:
        file = tmp_path / "named"
        file.write_bytes(TEXT)
        subprocess.run(["gzip", "-9", "-N", str(file)], check=True)
        with io.BytesIO() as buffer:
            with gzip.GzipFile("given.txt", "wb", fileobj=buffer) as packed:
                packed.write(TEXT)
            written = buffer.getvalue()

        both = (tmp_path / "named.gz").read_bytes() + written

        assert inflate(both, max_bytes=LIMIT) == Success(Inflated(TEXT + TEXT, 2))

    def test_subfields_are_told_apart(self) -> None:
        extra = struct.pack("<2sH3s2sH", b"BC", 3, b"abc", b"OH", 0)

        head = member_header(with_header(4, struct.pack("<H", len(extra)) + extra), 0)

        assert or_raise(head).subfields == ((b"BC", b"abc"), (b"OH", b""))

    @pytest.mark.parametrize("extra", [b"X", b"BC\xff\xff", struct.pack("<2sH", b"BC", 1)])
    def test_an_extra_field_without_subfields_is_passed_over(self, extra: bytes) -> None:
        data = with_header(4, struct.pack("<H", len(extra)) + extra)
        assert gzip.decompress(data) == TEXT

        assert or_raise(member_header(data, 0)).subfields == ()
        assert or_raise(inflate(data, max_bytes=LIMIT)).raw == TEXT


class TestDamage:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"no", "not gzip"),
            (b"no gzip at all", "not gzip"),
            (b"\x1f\x8b\x09", "not gzip"),
            (with_header(0x20, b""), "reserved flags are set"),
            (member()[:-8] + b"\0\0\0\0" + member()[-4:], "the CRC of the content is wrong"),
            (member()[:-4] + b"\0\0\0\0", "the length of the content is wrong"),
            (member()[:4] + b"\x01" + member()[5:], "the header's CRC is wrong"),
        ],
    )
    def test_it_is_named(self, data: bytes, reason: str) -> None:
        assert inflate(data, max_bytes=LIMIT) == Failure(GzipDamaged(0, reason))

    def test_a_wrong_deflate_stream_is_named(self) -> None:
        head = deflate.header()

        found = inflate_member(head + b"\xff" * 20, 0, max_bytes=LIMIT)

        assert "the deflate stream is wrong" in found.failure().message

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x1f\x8b",
            deflate.header()[:-1],
            deflate.header(),
            with_header(4, b"\x09\x00ab")[:13],
            with_header(4, b"")[:11],
            with_header(8, b"no end")[:16],
            with_header(16, b"n" * 70_000)[:70_000],
            member()[:-1],
            member()[:-8],
        ],
    )
    def test_an_end_that_comes_too_early_is_a_torn_member(self, data: bytes) -> None:
        assert inflate(data, max_bytes=LIMIT) == Failure(GzipTorn(0))

    def test_the_place_of_a_later_member_is_said(self) -> None:
        first = member()

        torn = inflate(first + member()[:-1], max_bytes=LIMIT)
        trailing = inflate(first + b"\0", max_bytes=LIMIT)

        assert torn == Failure(GzipTorn(len(first)))
        assert torn.failure().message == f"the gzip member at byte {len(first)} is cut short"
        assert trailing == Failure(GzipDamaged(len(first), "not gzip"))

    def test_more_members_than_anyone_sends_are_refused(self) -> None:
        most = member(b"") * 1_024

        assert inflate(most, max_bytes=0) == Success(Inflated(b"", 1_024))
        assert inflate(most + member(b""), max_bytes=0) == Failure(
            GzipDamaged(len(most), "it follows 1024 others")
        )


class TestBounds:
    def test_the_limit_itself_is_allowed(self) -> None:
        assert or_raise(inflate(member(), max_bytes=len(TEXT))).raw == TEXT

    def test_one_byte_more_is_refused(self) -> None:
        refused = inflate(member(), max_bytes=len(TEXT) - 1)

        assert refused == Failure(InflatedTooLarge(len(TEXT) - 1))
        assert refused.failure().message == (
            "decompressed it is larger than the 599 bytes that are allowed"
        )

    def test_the_limit_holds_over_all_members_together(self) -> None:
        assert inflate(member() * 3, max_bytes=3 * len(TEXT) - 1) == Failure(
            InflatedTooLarge(3 * len(TEXT) - 1)
        )

    def test_a_bomb_of_a_gibibyte_takes_no_more_than_the_limit_allows(self) -> None:
        before = """
import gzip, io
from otlp_capture.deflate import inflate
buffer = io.BytesIO()
with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as bomb:
    for _ in range(1024):
        bomb.write(bytes(1 << 20))
bomb = buffer.getvalue()
"""
        taken = mebibytes_for(
            "assert type(inflate(bomb, max_bytes=1 << 20).failure()).__name__ == "
            "'InflatedTooLarge'",
            before=before,
        )

        assert taken <= 8
