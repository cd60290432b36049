"""The derived index of a session."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture.deflate import deflate, header, trailer
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    Frame,
    FrameTable,
    RequestReader,
    SegmentCorrupted,
    SegmentIndex,
    SessionIndex,
    in_order,
    index_session,
    save_manifest,
)
from otlp_capture.sessions.manifest import (
    ManifestCorrupted,
    decode_manifest,
    encode_manifest,
    index_segment,
)
from otlp_capture.storage import ObjectNotFound, S3Storage
from tests.faulty_storage import FaultyStorage
from tests.memory import mebibytes_for
from tests.sessions import SECOND, START, arriving, opened_memory, write_session
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

PART = "sessions/s/manifest/2025-11-23-01.json.gz"
U63 = st.integers(1, 2**62)

frames = st.builds(Frame, U63, U63, *[st.integers(0, 2**64 - 1)] * 6)
tables = st.lists(frames, max_size=4).map(FrameTable)
indexes = st.builds(
    SegmentIndex,
    key=st.text(max_size=8),
    signal=st.sampled_from(SIGNALS),
    size_bytes=st.just(2**63),
    checksum=st.text(max_size=8),
    services=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    frames=tables,
)


REQUESTS = arriving(
    [
        (signal, small_request(signal, service=service))
        for service in ("cart", "checkout")
        for signal in SIGNALS
        for _ in range(2)
    ],
    every=3_600 * SECOND,
)


@pytest.fixture
async def storage() -> AsyncIterator[S3Storage]:
    async with opened_memory() as opened:
        yield opened


async def keys(storage: S3Storage, prefix: str) -> list[str]:
    return [or_raise(found).key async for found in storage.list_objects(prefix)]


class TestPart:
    @given(st.lists(indexes, max_size=3))
    def test_it_comes_back_in_the_order_of_its_keys(self, segments: list[SegmentIndex]) -> None:
        ordered = tuple(sorted(segments, key=lambda segment: segment.key))

        assert decode_manifest(PART, encode_manifest(segments)) == Success(ordered)

    def test_it_is_gzip_over_json_with_columns(self) -> None:
        frame = Frame(0, 100, 60, 3, START, 7, START - 2, START - 1)
        index = SegmentIndex("k", "logs", 100, "crc32:0", ("cart",), FrameTable([frame]))

        assert json.loads(gzip.decompress(encode_manifest([index]))) == {
            "schemaVersion": 1,
            "segments": [
                {
                    "key": "k",
                    "signal": "logs",
                    "sizeBytes": 100,
                    "checksum": "crc32:0",
                    "services": ["cart"],
                    "frames": {
                        "offset": [0],
                        "size": [100],
                        "rawSize": [60],
                        "recordCount": [3],
                        "arrival": [START],
                        "sequence": [7],
                        "minTime": [START - 2],
                        "maxTime": [START - 1],
                    },
                }
            ],
        }

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"schemaVersion": 2}, "its version is 2; this reads 1"),
            ({"segments": 7}, "TypeError"),
            ({"segments": [{}]}, "KeyError: 'key'"),
            ({"segments": [[]]}, "TypeError"),
            ({"segment": {"frames": {"offset": []}}}, "KeyError: 'size'"),
            ({"segment": {"frames": 7}}, "TypeError"),
            ({"frames": {"offset": [0, 1]}}, "the columns differ in length"),
            ({"frames": {"offset": [-1]}}, "OverflowError"),
            ({"frames": {"offset": [2**64]}}, "OverflowError"),
            ({"frames": {"offset": ["0"]}}, "TypeError"),
            ({"frames": {"size": [0]}}, "a frame lies outside of k"),
            ({"frames": {"offset": [1]}}, "a frame lies outside of k"),
            ({"segment": {"signal": "profiles"}}, "KeyError: 'profiles'"),
            ({"segment": {"sizeBytes": "many"}}, "ValueError"),
        ],
    )
    def test_what_does_not_fit_is_told(self, change: dict[str, Any], reason: str) -> None:
        frame = Frame(0, 100, 60, 3, START, 7, START, START)
        index = SegmentIndex("k", "logs", 100, "crc32:0", (), FrameTable([frame]))
        document = json.loads(gzip.decompress(encode_manifest([index])))
        document["segments"][0]["frames"].update(change.pop("frames", {}))
        document["segments"][0].update(change.pop("segment", {}))
        document.update(change)

        decoded = decode_manifest(PART, gzip.compress(json.dumps(document).encode()))

        assert reason in decoded.failure().reason
        assert decoded.failure().message.startswith(f"{PART} is not part of a manifest: ")

    @pytest.mark.parametrize(
        "part", [b"", b"junk", gzip.compress(b"{"), gzip.compress(b"[]"), gzip.compress(b"\xff")]
    )
    def test_what_is_no_part_is_told(self, part: bytes) -> None:
        assert isinstance(decode_manifest(PART, part).failure(), ManifestCorrupted)

    def test_it_takes_little_more_memory_than_its_text_and_what_it_returns(self) -> None:
        before = """
from array import array
from otlp_capture.sessions import FrameTable, SegmentIndex, decode_manifest, encode_manifest
names = ("size", "rawSize", "recordCount", "arrival", "sequence", "minTime", "maxTime")
columns = {name: array("Q", range(1 << 62, (1 << 62) + 1000)) for name in names}
frames = FrameTable.from_json({**columns, "offset": array("Q", range(1000)), "size": [1] * 1000})
part = encode_manifest(SegmentIndex(str(n), "logs", 1001, "", (), frames) for n in range(200))
"""

        # Text and columns are 40 MiB; as numbers of Python the columns alone would be 60.
        assert mebibytes_for("decode_manifest('', part)", before=before) < 75


class TestFrameTable:
    @given(st.lists(frames, max_size=5))
    def test_it_holds_its_frames(self, members: list[Frame]) -> None:
        table = FrameTable(members)

        assert list(table) == members
        assert [table[row] for row in range(len(table))] == members
        assert table == FrameTable(members)
        assert repr(table) == f"FrameTable({members!r})"
        assert list(table.column("sequence")) == [frame.sequence for frame in members]

    def test_it_differs_from_others(self) -> None:
        frame = Frame(0, 100, 60, 3, START, 7, START, START)

        assert FrameTable([frame]) != FrameTable()
        assert FrameTable() != []


class TestSession:
    async def test_rebuilding_it_changes_nothing(self, storage: S3Storage) -> None:
        await write_session(storage, "s", REQUESTS)
        written = or_raise(await index_session(storage, "s"))
        parts = await keys(storage, "sessions/s/manifest/")
        before = [or_raise(await storage.retrieve_raw_data(key)) for key in parts]
        for key in parts:
            or_raise(await storage.delete_raw_data(key))

        rebuilt = or_raise(await index_session(storage, "s"))
        or_raise(await save_manifest(storage, "s", rebuilt.segments))

        assert rebuilt == written
        assert await keys(storage, "sessions/s/manifest/") == parts
        assert [or_raise(await storage.retrieve_raw_data(key)) for key in parts] == before

    async def test_it_has_a_part_for_each_hour_folder(self, storage: S3Storage) -> None:
        await write_session(storage, "s", REQUESTS, requests_per_segment=1)

        hours = sorted(
            {
                key.split("/")[3] + "-" + key.split("/")[4]
                for key in await keys(storage, "sessions/s/raw/")
            }
        )

        assert len(hours) == 12
        assert await keys(storage, "sessions/s/manifest/") == [
            f"sessions/s/manifest/{hour}.json.gz" for hour in hours
        ]

    async def test_it_saves_reading_the_segments(self, storage: S3Storage) -> None:
        await write_session(storage, "s", REQUESTS)
        watched = FaultyStorage(storage)

        or_raise(await index_session(watched, "s"))

        assert {key.split("/")[2] for key in watched.read} == {"manifest"}

    async def test_its_services_and_checksums_are_those_of_the_segments(
        self, storage: S3Storage
    ) -> None:
        await write_session(storage, "s", REQUESTS, requests_per_segment=100)

        index = or_raise(await index_session(storage, "s"))

        assert [segment.services for segment in index.segments] == [("cart", "checkout")] * 3
        for segment in index.segments:
            content = or_raise(await storage.retrieve_raw_data(segment.key))
            again = index_segment(segment.key, content, segment.signal, 0)
            assert (again.index, again.damage) == (segment, None)

    @pytest.mark.parametrize("part", [b"", b"\x1f\x8b\x08", gzip.compress(b'{"schemaVersion": 9}')])
    async def test_a_damaged_part_is_passed_over_and_the_log_says_so(
        self, storage: S3Storage, part: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        await write_session(storage, "s", REQUESTS)
        written = or_raise(await index_session(storage, "s"))
        damaged = (await keys(storage, "sessions/s/manifest/"))[0]
        or_raise(await storage.store_raw_data(part, damaged))

        assert or_raise(await index_session(storage, "s")) == written
        assert f"{damaged} is not part of a manifest" in caplog.text

    async def test_a_segment_of_another_size_is_read_again(self, storage: S3Storage) -> None:
        await write_session(storage, "s", REQUESTS)
        index = or_raise(await index_session(storage, "s"))
        torn = index.segments[0]
        content = or_raise(await storage.retrieve_raw_data(torn.key))
        or_raise(await storage.store_raw_data(content[:-1], torn.key))

        found = or_raise(await index_session(storage, "s"))

        last = torn.frames[len(torn.frames) - 1]
        reason = f"the gzip member at byte {last.offset} is cut short"
        assert found.damages == (SegmentCorrupted(torn.key, last.offset, reason, "tail"),)
        assert list(found.segments[0].frames) == list(torn.frames)[:-1]
        assert found.segments[0].size_bytes == torn.size_bytes - 1
        assert found.segments[1:] == index.segments[1:]
        assert found.sound_segments == index.segments[1:]

    async def test_damage_is_found_again_after_the_manifest_is_saved(
        self, storage: S3Storage
    ) -> None:
        await write_session(storage, "s", REQUESTS, has_manifest=False)
        key = (await keys(storage, "sessions/s/raw/"))[0]
        content = or_raise(await storage.retrieve_raw_data(key))
        or_raise(await storage.store_raw_data(content + b"\0", key))
        first = or_raise(await index_session(storage, "s"))
        or_raise(await save_manifest(storage, "s", first.sound_segments))

        again = or_raise(await index_session(storage, "s"))

        assert again == first
        assert [damage.key for damage in again.damages] == [key]

    async def test_foreign_segments_are_dated_by_their_key_or_by_the_store(
        self, storage: S3Storage
    ) -> None:
        folder = "sessions/s/raw/2025-11-23/01"
        dated, undated = f"{folder}/logs-1763861000123-x.otlp.gz", f"{folder}/logs-x.otlp.gz"
        for key in (dated, undated):
            or_raise(await storage.store_raw_data(gzip.compress(small_request("logs")), key))
        or_raise(await storage.store_raw_data(b"?", f"{folder}/.DS_Store"))
        modified = or_raise(await storage.head(undated)).modified_unix_nano

        index = or_raise(await index_session(storage, "s"))

        arrivals = [(ref.segment.key, ref.frame.received_unix_nano) for ref in in_order(index)]
        assert arrivals == [(dated, 1_763_861_000_123_000_000), (undated, modified)]

    def test_a_request_whose_content_is_no_request_has_no_services(self) -> None:
        good = small_request("logs")
        facts = b"\x01" + bytes(3) + (66 + len(deflate(b"junk")) + 8).to_bytes(4, "little")
        facts += (4).to_bytes(4, "little") + bytes(36)
        member = header((b"OC", facts)) + deflate(b"junk") + trailer(b"junk")
        key = "sessions/s/raw/2025-11-23/01/logs-1763861000123-x.otlp.gz"

        indexed = index_segment(key, member + gzip.compress(good), "logs", 0)

        assert (indexed.damage, len(indexed.index.frames)) == (None, 2)
        assert indexed.index.services == ("cart",)

    @pytest.mark.parametrize("method", ["list_objects", "retrieve_raw_data"])
    async def test_what_the_store_says_is_passed_on(self, storage: S3Storage, method: str) -> None:
        await write_session(storage, "s", REQUESTS)
        faulty = FaultyStorage(storage)
        faulty.fail(method, times=2)

        by_manifest = await index_session(faulty, "s")
        by_segments = await index_session(faulty, "s", known={})

        assert (by_manifest, by_segments) == (Failure(faulty.error), Failure(faulty.error))

    async def test_a_manifest_that_cannot_be_stored_is_a_failure(self, storage: S3Storage) -> None:
        await write_session(storage, "s", REQUESTS)
        index = or_raise(await index_session(storage, "s"))
        faulty = FaultyStorage(storage)
        faulty.fail("store_raw_data")

        assert await save_manifest(faulty, "s", index.segments) == Failure(faulty.error)


class TestOrder:
    def test_frames_come_by_arrival_then_sequence_then_key_then_offset(self) -> None:
        def segment(key: str, signal: Signal, *rows: tuple[int, int, int]) -> SegmentIndex:
            members = [Frame(offset, 9, 9, 1, at, sequence, 0, 0) for at, sequence, offset in rows]
            return SegmentIndex(key, signal, 99, "", (), FrameTable(members))

        index = SessionIndex(
            (
                segment("b", "logs", (5, 0, 0), (4, 9, 9), (5, 1, 18)),
                segment("a", "traces", (5, 0, 9), (5, 0, 0), (3, 2, 18)),
            )
        )

        order = [(ref.segment.key, ref.frame.offset) for ref in in_order(index)]
        signals: tuple[Signal, ...] = ("logs",)
        logs = [ref.frame.offset for ref in in_order(index, signals)]

        assert order == [("a", 18), ("b", 9), ("a", 0), ("a", 9), ("b", 0), ("b", 18)]
        assert logs == [9, 0, 18]


class TestRequestReader:
    async def test_it_reads_the_requests_back_in_order(self, storage: S3Storage) -> None:
        await write_session(storage, "s", REQUESTS)
        refs = in_order(or_raise(await index_session(storage, "s")))

        read = [or_raise(each) async for each in RequestReader(storage).read_all(refs)]

        assert [(each.signal, each.request, each.frame.received_unix_nano) for each in read] == [
            (each.signal, each.request, each.received_unix_nano) for each in REQUESTS
        ]
        assert [each.key for each in read] == [ref.segment.key for ref in refs]

    async def test_a_segment_is_fetched_once_while_it_fits_the_cache(
        self, storage: S3Storage
    ) -> None:
        await write_session(storage, "s", REQUESTS, requests_per_segment=2)
        refs = in_order(or_raise(await index_session(storage, "s")))
        watched, starved = FaultyStorage(storage), FaultyStorage(storage)

        async for each in RequestReader(watched).read_all(refs + refs):
            or_raise(each)
        async for each in RequestReader(starved, cache_bytes=0).read_all(refs + refs):
            or_raise(each)

        assert len(watched.read) == 6
        assert len(starved.read) == 12

    async def test_of_a_large_segment_only_the_frame_is_fetched(self, storage: S3Storage) -> None:
        await write_session(storage, "s", REQUESTS)
        refs = in_order(or_raise(await index_session(storage, "s")))
        large = attrs.evolve(refs[0], segment=attrs.evolve(refs[0].segment, size_bytes=17 << 20))
        watched = FaultyStorage(storage)

        read = or_raise(await RequestReader(watched).read(large))

        assert read.request == REQUESTS[0].request
        assert watched.read_bytes == [large.frame.size_bytes]

    async def test_a_large_request_is_read_too(self, storage: S3Storage) -> None:
        large = small_request("logs", text="x" * 300_000)
        await write_session(storage, "s", arriving([("logs", large)]))
        refs = in_order(or_raise(await index_session(storage, "s")))

        assert or_raise(await RequestReader(storage).read(refs[0])).request == large

    async def test_the_first_failure_is_the_last_item(self, storage: S3Storage) -> None:
        await write_session(storage, "s", REQUESTS)
        refs = in_order(or_raise(await index_session(storage, "s")))
        first = refs[0].segment.key
        content = bytearray(or_raise(await storage.retrieve_raw_data(first)))
        content[-5] ^= 1
        or_raise(await storage.store_raw_data(bytes(content), first))

        read = [each async for each in RequestReader(storage).read_all([refs[1], *refs[::-1]])]

        assert isinstance(read[-1].failure(), SegmentCorrupted)
        assert all(isinstance(each, Success) for each in read[:-1])
        assert len(read) < len(refs)

    async def test_what_the_store_says_is_passed_on(self, storage: S3Storage) -> None:
        await write_session(storage, "s", REQUESTS)
        refs = in_order(or_raise(await index_session(storage, "s")))
        or_raise(await storage.delete_raw_data(refs[0].segment.key))

        read = await RequestReader(storage).read(refs[0])

        assert isinstance(read.failure(), ObjectNotFound)
