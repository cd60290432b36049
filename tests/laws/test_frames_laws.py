"""Laws of segments: what is stored comes back, and any tool can read it."""

import gzip
import json
import struct
import subprocess
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.deflate import deflate, header, trailer
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Outcome, or_raise
from otlp_capture.sessions import (
    Arrival,
    Frame,
    SegmentCorrupted,
    adopt_member,
    encode_frame,
    encode_frame_stored,
    frame_headers,
    index_frames,
    read_frames,
)
from otlp_capture.sessions.frame_reading import open_frame
from tests.strategies import LEVELS, REQUEST_TYPES, otlp_requests, requests_of
from tests.walks import parse

KEY = "sessions/s/raw/2025-11-23/01/traces-1763861000000-x.otlp.gz"
FALLBACK = 1_763_861_000_000_000_000
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)

arrivals = st.builds(Arrival, U64, U64, st.booleans(), st.booleans())
encoders = st.sampled_from([encode_frame, encode_frame_stored])


@attrs.frozen
class Laid:
    """A request, and the frame it was laid into."""

    request: bytes
    arrival: Arrival
    member: bytes


@st.composite
def segments(draw: st.DrawFn, signal: Signal) -> list[Laid]:
    requests = draw(st.lists(requests_of(signal), min_size=1, max_size=5))
    laid: list[Laid] = []
    for request in requests:
        arrival = draw(arrivals)
        facts = or_raise(otlp.scan(request, signal))
        encode = draw(encoders)
        laid.append(Laid(request, arrival, encode(request, facts, arrival)))
    return laid


any_segments = st.sampled_from(SIGNALS).flatmap(
    lambda signal: st.tuples(st.just(signal), segments(signal))
)


def joined(frames: Iterable[Laid]) -> bytes:
    return b"".join(frame.member for frame in frames)


def outcomes(segment: bytes, signal: Signal) -> list[Outcome[Any, SegmentCorrupted]]:
    return list(read_frames(KEY, segment, signal, FALLBACK))


def whole_requests(found: Sequence[Outcome[Any, SegmentCorrupted]]) -> list[bytes]:
    return [each.unwrap().request for each in found if isinstance(each, Success)]


def plain(signal: Signal, name: str = "cart") -> bytes:
    """A request with one resource and one record, as anyone would build it."""
    resources, scopes, items = LEVELS[signal]
    message = REQUEST_TYPES[signal]()
    container = getattr(message, resources).add()
    container.resource.attributes.add(key="service.name").value.string_value = name
    getattr(getattr(container, scopes).add(), items).add()
    return bytes(message.SerializeToString())


def framed(request: bytes, signal: Signal = "traces", *, sequence: int = 0) -> bytes:
    facts = or_raise(otlp.scan(request, signal))
    return encode_frame(request, facts, Arrival(FALLBACK, sequence))


class TestOurFrames:
    @given(any_segments)
    def test_requests_come_back_byte_for_byte(self, case: tuple[Signal, list[Laid]]) -> None:
        signal, frames = case

        found = [or_raise(each) for each in outcomes(joined(frames), signal)]

        assert [each.request for each in found] == [frame.request for frame in frames]

    @given(any_segments)
    def test_facts_come_back(self, case: tuple[Signal, list[Laid]]) -> None:
        signal, frames = case
        expected, offset = [], 0
        for laid in frames:
            facts = or_raise(otlp.scan(laid.request, signal))
            expected.append(
                Frame(
                    offset=offset,
                    size_bytes=len(laid.member),
                    raw_size_bytes=len(laid.request),
                    record_count=facts.record_count,
                    received_unix_nano=laid.arrival.received_unix_nano,
                    sequence=laid.arrival.sequence,
                    min_time_unix_nano=facts.min_time_unix_nano,
                    max_time_unix_nano=facts.max_time_unix_nano,
                )
            )
            offset += len(laid.member)

        segment = joined(frames)

        assert [or_raise(f) for f in index_frames(KEY, segment, signal, 0)] == expected
        assert [or_raise(f).frame for f in outcomes(segment, signal)] == expected

    @given(any_segments, st.floats(0, 1))
    def test_a_torn_tail_loses_nothing_before_it(
        self, case: tuple[Signal, list[Laid]], cut: float
    ) -> None:
        signal, frames = case
        segment = joined(frames)
        torn = segment[: int(len(segment) * cut)]

        found = outcomes(torn, signal)

        whole = whole_requests(found)
        assert whole == [frame.request for frame in frames[: len(whole)]]
        ends = len(joined(frames[: len(whole)]))
        assert len(whole) == len(frames) or len(joined(frames[: len(whole) + 1])) > len(torn)
        reason = f"the gzip member at byte {ends} is cut short"
        torn_tail = [Failure(SegmentCorrupted(KEY, ends, reason, "tail"))]
        assert found[len(whole) :] == (torn_tail if ends < len(torn) else [])

    @given(
        otlp_requests(),
        arrivals,
        st.lists(st.tuples(st.from_regex(r"[a-z-]{1,20}", fullmatch=True), st.text(max_size=40))),
    )
    def test_headers_come_back(
        self, case: tuple[Signal, bytes], arrival: Arrival, headers: list[tuple[str, str]]
    ) -> None:
        signal, request = case
        facts = or_raise(otlp.scan(request, signal))

        member = encode_frame(request, facts, attrs.evolve(arrival, headers=tuple(headers)))

        (found,) = [or_raise(each) for each in read_frames(KEY, member, signal, FALLBACK)]
        assert found.request == request
        assert found.frame.size_bytes == len(member)
        assert frame_headers(member) == tuple(headers)
        assert gzip.decompress(member) == request

    @given(any_segments, st.data())
    def test_a_flipped_bit_never_gives_another_request(
        self, case: tuple[Signal, list[Laid]], data: st.DataObject
    ) -> None:
        signal, frames = case
        segment = bytearray(joined(frames))
        bit = data.draw(st.integers(0, 8 * len(segment) - 1))
        segment[bit // 8] ^= 1 << bit % 8

        found = outcomes(bytes(segment), signal)

        whole = whole_requests(found)
        assert whole == [frame.request for frame in frames[: len(whole)]]
        assert len(whole) == len(frames) or isinstance(found[-1], Failure)

    def test_every_flipped_bit_of_a_header_is_noticed(self) -> None:
        member = framed(plain("traces"))

        for bit in range(8 * 66):
            flipped = bytearray(member)
            flipped[bit // 8] ^= 1 << bit % 8
            assert isinstance(outcomes(bytes(flipped), "traces")[-1], Failure), bit

    @given(st.binary(max_size=200))
    def test_any_bytes_are_read_or_refused(self, junk: bytes) -> None:
        segment = framed(plain("logs"), "logs") + junk

        found = outcomes(segment, "logs")

        assert whole_requests(found)[0] == plain("logs")
        assert all(isinstance(each, Success) for each in found[:-1])


class TestOthersReadOurs:
    @given(any_segments)
    def test_a_segment_is_one_request_to_plain_tools(self, case: tuple[Signal, list[Laid]]) -> None:
        signal, frames = case
        merged = REQUEST_TYPES[signal]()
        for frame in frames:
            merged.MergeFromString(frame.request)

        inflated = gzip.decompress(joined(frames))

        assert inflated == b"".join(frame.request for frame in frames)
        assert parse(inflated, signal) == merged

    def test_zcat_reads_it(self) -> None:
        segment = framed(plain("metrics"), "metrics") + framed(b"", "metrics")

        read = subprocess.run(["gzip", "-dc"], input=segment, capture_output=True, check=True)

        assert read.stdout == plain("metrics")

    @given(otlp_requests(), arrivals)
    def test_the_header_has_its_fields_where_the_documentation_says(
        self, case: tuple[Signal, bytes], arrival: Arrival
    ) -> None:
        signal, request = case
        facts = or_raise(otlp.scan(request, signal))

        member = encode_frame(request, facts, arrival)

        assert member[:10] == b"\x1f\x8b\x08\x06\0\0\0\0\0\xff"
        assert struct.unpack_from("<H2sH", member, 10) == (52, b"OC", 48)
        assert struct.unpack_from("<BBHIIIQQQQ", member, 16) == (
            1,
            arrival.came_as_json + 2 * arrival.is_redacted,
            0,
            len(member),
            len(request),
            facts.record_count,
            arrival.received_unix_nano,
            facts.min_time_unix_nano,
            facts.max_time_unix_nano,
            arrival.sequence,
        )
        assert struct.unpack_from("<H", member, 64) == (zlib.crc32(member[:64]) & 0xFFFF,)
        assert zlib.decompress(member[66:-8], wbits=-15) == request
        assert struct.unpack("<II", member[-8:]) == (zlib.crc32(request), len(request))

    @given(otlp_requests(), arrivals)
    def test_a_stored_frame_holds_the_request_uncompressed(
        self, case: tuple[Signal, bytes], arrival: Arrival
    ) -> None:
        signal, request = case

        member = encode_frame_stored(request, or_raise(otlp.scan(request, signal)), arrival)

        assert request in member
        assert len(member) <= len(request) + 66 + 5 * (len(request) // 16_000 + 1) + 8


class TestAdoptedMembers:
    @given(otlp_requests(), arrivals, st.integers(0, 9), st.sampled_from([b"", b"name.json"]))
    def test_a_clients_deflate_stream_and_trailer_stay(
        self, case: tuple[Signal, bytes], arrival: Arrival, level: int, name: bytes
    ) -> None:
        signal, request = case
        head = struct.pack("<3sBIBB", b"\x1f\x8b\x08", 8 if name else 0, 1_763_861_000, 2, 3)
        head += name + b"\0" if name else b""
        packer = zlib.compressobj(level, wbits=-15)
        stream = packer.compress(request) + packer.flush()
        body = head + stream + struct.pack("<II", zlib.crc32(request), len(request))
        assert gzip.decompress(body) == request

        member = adopt_member(body, request, or_raise(otlp.scan(request, signal)), arrival)

        assert member[66:] == body[len(head) :]
        assert member[17] == 4 + arrival.came_as_json + 2 * arrival.is_redacted
        assert whole_requests(outcomes(member, signal)) == [request]


class TestForeignMembers:
    @given(otlp_requests())
    def test_plain_gzip_of_protobuf_is_a_frame(self, case: tuple[Signal, bytes]) -> None:
        signal, request = case
        facts = or_raise(otlp.scan(request, signal))
        member = gzip.compress(request)

        (found,) = outcomes(member, signal)

        assert or_raise(found).request == request
        assert or_raise(found).frame == Frame(
            offset=0,
            size_bytes=len(member),
            raw_size_bytes=len(request),
            record_count=facts.record_count,
            received_unix_nano=FALLBACK,
            sequence=0,
            min_time_unix_nano=facts.min_time_unix_nano,
            max_time_unix_nano=facts.max_time_unix_nano,
        )

    @given(otlp_requests(unknown=st.just(b"")), st.sampled_from([b"", b"\n ", b"\xef\xbb\xbf"]))
    def test_plain_gzip_of_json_is_a_frame(self, case: tuple[Signal, bytes], before: bytes) -> None:
        signal, request = case
        text = or_raise(otlp.encode(request, signal, "json"))

        (found,) = outcomes(gzip.compress(before + text + b"\n"), signal)

        assert or_raise(found).request == or_raise(otlp.decode(text, signal, "json"))

    @given(st.sampled_from(SIGNALS), st.data())
    @settings(max_examples=30)
    def test_each_member_is_a_frame_whoever_wrote_it(
        self, signal: Signal, data: st.DataObject
    ) -> None:
        requests = data.draw(st.lists(requests_of(signal), min_size=1, max_size=4))
        ours = data.draw(st.lists(st.booleans(), min_size=len(requests), max_size=len(requests)))
        members = [
            framed(request, signal) if is_ours else gzip.compress(request)
            for request, is_ours in zip(requests, ours, strict=True)
        ]

        found = outcomes(b"".join(members), signal)

        assert whole_requests(found) == requests

    def test_protobuf_that_begins_like_json_stays_protobuf(self) -> None:
        # A resource of 123 bytes: 0x0a, which is a line feed, and 0x7b, which is a brace.
        name = next(
            "n" * size for size in range(100) if plain("traces", "n" * size)[:2] == b"\x0a\x7b"
        )
        request = plain("traces", name)
        ends_like_json = request + b"\x52\x01}"
        assert ends_like_json.strip().startswith(b"{")

        for each in (request, ends_like_json):
            assert whole_requests(outcomes(gzip.compress(each), "traces")) == [each]

    def test_an_empty_member_is_an_empty_request(self) -> None:
        assert whole_requests(outcomes(gzip.compress(b""), "logs")) == [b""]
        assert whole_requests(outcomes(gzip.compress(b"{}"), "logs")) == [b""]

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"not a request", "Invalid OTLP request"),
            (b'{"resourceSpans": [', "one JSON object. The frames before it are intact."),
            (b'{"resourceSpans": 7}', "resourceSpans"),
            (b'{"resourceLogs": []}', "found logs; allowed: traces, as its key says"),
        ],
    )
    def test_other_content_is_damage_that_says_what_it_is(
        self, content: bytes, reason: str
    ) -> None:
        first = gzip.compress(plain("traces"))

        found = outcomes(first + gzip.compress(content), "traces")

        assert whole_requests(found) == [plain("traces")]
        error = found[-1].failure()
        assert (error.key, error.offset, error.part) == (KEY, len(first), "content")
        assert reason in error.message

    def test_json_with_more_elements_than_are_read_back_is_damage(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits = otlp.Limits(max_elements=1)
        monkeypatch.setattr("otlp_capture.sessions.frame_reading.STORED_LIMITS", limits)

        (found,) = outcomes(gzip.compress(plain("traces")), "traces")

        assert "more than 1 elements" in found.failure().message

    def test_a_bomb_is_damage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        limits = otlp.Limits(max_bytes=1_000)
        monkeypatch.setattr("otlp_capture.sessions.frame_reading.STORED_LIMITS", limits)

        (found,) = outcomes(gzip.compress(bytes(1_001)), "traces")

        assert "larger than the 1000 bytes" in found.failure().message

    def test_json_that_says_more_than_is_read_back_is_damage(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        numbers = b"1," * 200 + b"1"
        text = (
            b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":'
            b'[{"explicitBounds":[' + numbers + b"]}]}}]}]}]}"
        )
        limits = otlp.Limits(max_bytes=len(text))
        monkeypatch.setattr("otlp_capture.sessions.frame_reading.STORED_LIMITS", limits)

        (found,) = outcomes(gzip.compress(text), "metrics")

        assert found.failure().part == "content"
        assert f"more than {len(text):,} bytes" in found.failure().message

    def test_the_damage_of_one_that_was_sound_is_found_when_it_is_opened(self) -> None:
        member = gzip.compress(b"hardly a request")
        frame = Frame(0, len(member), 16, 0, 0, 0, 0, 0)

        opened = open_frame(KEY, member, frame, "traces")

        assert opened.failure().part == "content"

    def test_an_index_ends_at_the_damage(self) -> None:
        member = framed(plain("traces"))

        found = list(index_frames(KEY, member + b"?", "traces", 0))

        assert [type(each) for each in found] == [Success, Failure]

    def test_a_subfield_of_someone_else_is_passed_over(self) -> None:
        request = plain("logs")
        member = header((b"BC", b"\0\0")) + deflate(request) + trailer(request)

        assert whole_requests(outcomes(member, "logs")) == [request]


def with_facts(request: bytes, **changes: int) -> bytes:
    """Lay a frame whose header says what it should not, under a right CRC."""
    member = framed(request)
    names = "version flags reserved size raw_size records received earliest latest sequence"
    fields = dict(zip(names.split(), struct.unpack_from("<BBHIIIQQQQ", member, 16), strict=True))
    packed = struct.pack("<BBHIIIQQQQ", *(fields | changes).values())
    return header((b"OC", packed)) + member[66:]


class TestHostileHeaders:
    REQUEST = plain("traces")

    def the_only(self, segment: bytes) -> SegmentCorrupted:
        (found,) = outcomes(segment, "traces")
        error = found.failure()
        assert isinstance(error, SegmentCorrupted)
        return error

    def test_another_version_is_not_guessed_at(self) -> None:
        error = self.the_only(with_facts(self.REQUEST, version=2))

        assert error.reason == "its frame header is of version 2; this reads version 1"

    @pytest.mark.parametrize(
        ("facts", "reason"),
        [
            (b"", "its frame header is of version none; this reads version 1"),
            (b"\x01" * 47, "its frame header has 47 bytes where 48 are needed"),
        ],
    )
    def test_a_header_that_is_too_short_is_damage(self, facts: bytes, reason: str) -> None:
        member = header((b"OC", facts)) + deflate(self.REQUEST) + trailer(self.REQUEST)

        assert self.the_only(member).reason == reason

    def test_a_longer_header_of_this_version_is_read(self) -> None:
        member = framed(self.REQUEST)
        longer = header((b"OC", member[16:64] + b"more"), (b"OH", b""))
        size = len(longer) + len(member) - 66
        facts = member[16:20] + struct.pack("<I", size) + member[24:64] + b"more"

        segment = header((b"OC", facts), (b"OH", b"")) + member[66:]

        assert whole_requests(outcomes(segment, "traces")) == [self.REQUEST]

    @given(otlp_requests(), arrivals, st.binary(max_size=9), U32)
    def test_our_facts_count_whatever_stands_around_them(
        self, case: tuple[Signal, bytes], arrival: Arrival, name: bytes, mtime: int
    ) -> None:
        signal, request = case
        member = encode_frame(request, or_raise(otlp.scan(request, signal)), arrival)
        name = name.replace(b"\0", b"") + b"\0"
        size = struct.pack("<I", len(member) + len(name))
        head = struct.pack("<3sBIBB", b"\x1f\x8b\x08", 2 | 4 | 8, mtime, 0, 3)
        head += member[10:20] + size + member[24:64] + name
        other = head + struct.pack("<H", zlib.crc32(head) & 0xFFFF) + member[66:]

        (found,) = outcomes(other, signal)

        (ours,) = outcomes(member, signal)
        assert gzip.decompress(other) == request
        assert or_raise(found).request == request
        assert or_raise(found).frame == attrs.evolve(or_raise(ours).frame, size_bytes=len(other))

    @pytest.mark.parametrize("size", [0, 1, 73])
    def test_a_size_that_no_frame_has_is_damage(self, size: int) -> None:
        error = self.the_only(with_facts(self.REQUEST, size=size))

        assert error.reason == f"a frame cannot be {size} bytes long"

    def test_a_size_past_the_end_is_a_torn_tail(self) -> None:
        member = with_facts(self.REQUEST, size=2**32 - 1)

        assert self.the_only(member).reason == "the gzip member at byte 0 is cut short"

    def test_a_size_that_is_too_small_is_damage(self) -> None:
        short = len(framed(self.REQUEST)) - 1

        assert self.the_only(with_facts(self.REQUEST, size=short)).part == "compression"

    def test_a_size_that_swallows_the_next_frame_is_damage(self) -> None:
        both = len(framed(self.REQUEST)) * 2

        error = self.the_only(with_facts(self.REQUEST, size=both) + framed(self.REQUEST))

        assert error.reason == "the frame's header disagrees with what it holds"

    @pytest.mark.parametrize("difference", [-1, 1])
    def test_a_wrong_length_of_the_request_is_damage(self, difference: int) -> None:
        member = with_facts(self.REQUEST, raw_size=len(self.REQUEST) + difference)

        assert self.the_only(member).offset == 0

    def test_a_length_that_no_request_has_takes_no_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "otlp_capture.sessions.frame_reading.STORED_LIMITS", otlp.Limits(max_bytes=100)
        )
        bomb = bytes(1_000_000)
        member = header((b"OC", bytes(48))) + deflate(bomb) + trailer(bomb)
        frame = Frame(0, len(member), 2**32 - 1, 0, 0, 0, 0, 0)

        opened = open_frame(KEY, member, frame, "traces")

        assert "larger than the 100 bytes" in opened.failure().message


def test_a_header_that_is_damaged_after_it_was_indexed_is_damage() -> None:
    member = bytearray(framed(plain("traces")))
    (indexed,) = index_frames(KEY, member, "traces", 0)
    member[64] ^= 1

    opened = open_frame(KEY, member, or_raise(indexed), "traces")

    reason = "the gzip member at byte 0 is damaged: the header's CRC is wrong"
    assert opened == Failure(SegmentCorrupted(KEY, 0, reason, "compression"))


def test_damage_says_where_it_is_and_what_is_intact() -> None:
    error = SegmentCorrupted(KEY, 7, "a reason")

    assert error.message == (
        f"{KEY} is damaged at byte 7: a reason. The frames before it are intact."
    )
    assert json.dumps(attrs.asdict(error))
