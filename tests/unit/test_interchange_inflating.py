"""Compressed content, read as a stream."""

import gzip
import io
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture.interchange import inflating
from otlp_capture.interchange.inflating import StreamBroken, compression_of, inflate_zstd, opened

CONTENT = b"".join(b"line %d\n" % number for number in range(50_000))
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"


def zstd(content: bytes, *, has_size: bool = True) -> bytes:
    compressor = zstandard.ZstdCompressor(write_content_size=has_size)
    if has_size:
        return compressor.compress(content)
    stream = compressor.compressobj()
    return stream.compress(content) + stream.flush()


def read(compressed: bytes) -> bytes:
    return opened(io.BytesIO(compressed)).read()


def broken(compressed: bytes) -> tuple[bytes, str]:
    """Return what was read before the damage, and how it was told."""
    stream, content = opened(io.BytesIO(compressed)), b""
    try:
        while piece := stream.read1(1_000):
            content += piece
    except StreamBroken as error:
        return content, error.reason
    raise AssertionError("nothing was broken")


class TestSoundStreams:
    @pytest.mark.parametrize(
        "compressed",
        [
            pytest.param(gzip.compress(CONTENT), id="gzip"),
            pytest.param(gzip.compress(CONTENT[:9]) + gzip.compress(CONTENT[9:]), id="members"),
            pytest.param(gzip.compress(CONTENT) + b"\0" * 100_000, id="padded gzip"),
            pytest.param(gzip.compress(CONTENT) + gzip.compress(b""), id="an empty member"),
            pytest.param(zstd(CONTENT), id="zstd"),
            pytest.param(zstd(CONTENT, has_size=False), id="zstd without a size"),
            pytest.param(zstd(CONTENT[:9]) + zstd(CONTENT[9:], has_size=False), id="frames"),
            pytest.param(SKIPPABLE + zstd(CONTENT), id="a skippable frame"),
            pytest.param(CONTENT, id="plain"),
        ],
    )
    def test_content_comes_back(self, compressed: bytes) -> None:
        assert read(compressed) == CONTENT

    @given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=40), kind=st.booleans())
    def test_any_parts_come_back_as_one(self, parts: list[bytes], *, kind: bool) -> None:
        compressed = b"".join((gzip.compress if kind else zstd)(part) for part in parts)

        assert read(compressed) == b"".join(parts)

    def test_what_compresses_is_told_by_the_first_bytes(self) -> None:
        heads = [gzip.compress(b"x"), zstd(b"x"), SKIPPABLE, b"{}", b""]

        assert [*map(compression_of, heads)] == ["gzip", "zstd", "zstd", None, None]


class TestBrokenStreams:
    @pytest.mark.parametrize("whole", [gzip.compress(CONTENT), zstd(CONTENT)], ids=["gzip", "zstd"])
    @pytest.mark.parametrize("cut", [0.2, 0.9, 1.0])
    def test_one_that_is_cut_is_told_behind_what_is_sound(self, whole: bytes, cut: float) -> None:
        content, reason = broken(whole[: int(cut * (len(whole) - 1))])

        assert CONTENT.startswith(content)
        assert reason.endswith("at its end is cut short")

    @pytest.mark.parametrize("compress", [gzip.compress, zstd])
    def test_nonsense_behind_a_part_is_told(self, compress: Callable[[bytes], bytes]) -> None:
        content, reason = broken(compress(CONTENT) + b"nonsense, and more of it")

        assert content == CONTENT
        assert "is damaged" in reason

    @pytest.mark.parametrize("place", [-1, -5])
    def test_a_wrong_trailer_is_told(self, place: int) -> None:
        wrong = bytearray(gzip.compress(CONTENT))
        wrong[place] ^= 1

        assert "is damaged" in broken(bytes(wrong))[1]

    def test_a_window_beyond_128_mib_is_refused(self) -> None:
        compressor = zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters(window_log=28)
        ).compressobj()
        large = compressor.compress(CONTENT) + compressor.flush()

        assert "is damaged" in broken(large)[1]

    @pytest.mark.parametrize("name", ["gzip", "zstd"])
    def test_a_bomb_is_told_once_it_is_one(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inflating, "_FREE_BYTES", 1 << 20)
        monkeypatch.setattr(inflating, "_MAX_RATIO", 100)
        zeros = bytes(40 << 20)

        content, reason = broken(gzip.compress(zeros) if name == "gzip" else zstd(zeros))

        assert reason == inflating._TOO_MUCH
        assert len(content) < 40 << 20

    def test_a_payload_is_inflated_up_to_its_limit(self) -> None:
        compressed = zstd(CONTENT)

        assert inflate_zstd(compressed, len(CONTENT)) == CONTENT
        with pytest.raises(StreamBroken, match="larger than"):
            inflate_zstd(compressed, len(CONTENT) - 1)

    @given(compressed=st.binary(min_size=1, max_size=200), kind=st.sampled_from(["gzip", "zstd"]))
    def test_any_bytes_are_content_or_broken(self, compressed: bytes, kind: str) -> None:
        head = b"\x1f\x8b\x08" if kind == "gzip" else b"\x28\xb5\x2f\xfd"
        try:
            content = read(head + compressed)
        except StreamBroken:
            return
        oracle = zlib.decompressobj(31).decompress if kind == "gzip" else zstd_oracle
        assert content.startswith(oracle(head + compressed))


def zstd_oracle(compressed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(compressed)
