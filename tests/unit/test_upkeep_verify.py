"""What a look through a session finds: each kind of damage, and nothing where there is none."""

import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture import otlp
from otlp_capture.deflate import crc32
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.sessions import (
    Arrival,
    Hold,
    InvalidSessionId,
    SegmentName,
    SessionNotFound,
    decode_manifest,
    encode_frame,
    encode_manifest,
    encode_metadata,
    load_session,
)
from otlp_capture.storage import S3Storage
from otlp_capture.upkeep import Finding, VerifyReport, verify_session
from otlp_capture.upkeep.findings import FindingsLog
from otlp_capture.upkeep.segments import inspect_segment
from tests.faulty_storage import FaultyStorage
from tests.sessions import SECOND, START, Recorded, arriving, opened_memory, write_session
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

METADATA = "sessions/s/metadata.json"
REQUESTS = arriving(
    [
        (signal, small_request(signal, service=service, text="x" * 40))
        for service in ("cart", "checkout")
        for signal in SIGNALS
        for _ in range(2)
    ],
    every=600 * SECOND,
)
FOREIGN = {
    "sessionId": "s",
    "startTime": "2025-11-23T01:23:20.123Z",
    "status": "completed",
    "enabledFlags": [],
    "capturedTraces": 2,
    "capturedMetrics": 0,
    "capturedLogs": 1,
    "s3Prefix": "sessions/s",
    "createdBy": "another",
}


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
async def recorded(storage: FaultyStorage) -> FaultyStorage:
    await write_session(storage, "s", REQUESTS)
    return storage


async def keys(storage: S3Storage, within: str) -> list[str]:
    listed = [or_raise(found).key async for found in storage.list_objects("sessions/s/")]
    return [key for key in listed if within in key]


async def verify(storage: S3Storage) -> VerifyReport:
    return or_raise(await verify_session(storage, "s"))


async def change(storage: S3Storage, key: str, work: Callable[[bytearray], object]) -> bytes:
    content = bytearray(or_raise(await storage.retrieve_raw_data(key)))
    work(content)
    or_raise(await storage.store_raw_data(bytes(content), key))
    return bytes(content)


async def edit_metadata(storage: S3Storage, **changes: Any) -> None:
    metadata = or_raise(await load_session(storage, "s")).metadata
    document = encode_metadata(attrs.evolve(metadata, **changes))
    or_raise(await storage.store_raw_data(document, METADATA))


def told(report: VerifyReport) -> set[tuple[str, str]]:
    return {(finding.kind, finding.key) for finding in report.findings.listed}


def frame_of(recorded: Recorded, sequence: int, **changes: Any) -> bytes:
    facts = or_raise(otlp.scan(recorded.request, recorded.signal))
    arrival = Arrival(recorded.received_unix_nano, sequence)
    return encode_frame(recorded.request, attrs.evolve(facts, **changes), arrival)


class TestSound:
    async def test_nothing_is_found_in_a_recording(self, recorded: FaultyStorage) -> None:
        report = await verify(recorded)

        segments = await keys(recorded, "/raw/")
        sizes = [len(or_raise(await recorded.retrieve_raw_data(key))) for key in segments]
        assert report.findings.listed == ()
        assert report.is_sound
        assert attrs.evolve(report, counters={}) == VerifyReport(
            session_id="s",
            status="completed",
            segments=len(segments),
            frames=12,
            foreign_frames=0,
            size_bytes=sum(sizes),
            manifest_parts=3,
            counters={},
            findings=report.findings,
        )
        assert report.counters["capturedTraces"] == 4
        assert report.counters["recordCounts.dataPoints"] == 4

    async def test_progress_is_told_in_bytes(self, recorded: FaultyStorage) -> None:
        steps: list[tuple[int, int]] = []

        report = or_raise(
            await verify_session(recorded, "s", advanced=lambda *step: steps.append(step))
        )

        assert steps == sorted(steps)
        assert steps[-1] == (report.size_bytes, report.size_bytes)

    async def test_nothing_is_written(self, recorded: FaultyStorage) -> None:
        recorded.written.clear()

        await verify(recorded)

        assert recorded.written == []

    async def test_nothing_is_found_in_what_another_writer_left(
        self, storage: FaultyStorage
    ) -> None:
        raw = "sessions/s/raw/2025-11-23/01"
        traces, logs = small_request("traces"), small_request("logs")
        line = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"7"}]}]}]}'
        for key, content in {
            f"{raw}/traces-1763861000000-a.otlp.gz": gzip.compress(traces),
            f"{raw}/traces-1763861000001-b.otlp.gz": gzip.compress(traces),
            f"{raw}/logs-1763861000000-c.otlp.gz": gzip.compress(line),
            METADATA: json.dumps(FOREIGN).encode(),
        }.items():
            or_raise(await storage.store_raw_data(content, key))

        report = await verify(storage)

        assert (report.frames, report.foreign_frames, report.findings.damages) == (3, 3, 0)
        (note,) = report.findings.listed
        assert (note.kind, note.is_damage) == ("notInManifest", False)
        assert logs

    async def test_refused_requests_leave_a_note_and_no_damage(
        self, storage: FaultyStorage
    ) -> None:
        (written,) = arriving([("logs", small_request("logs"))])
        await write_session(storage, "s", [written])
        (key,) = await keys(storage, "/raw/")
        or_raise(await storage.store_raw_data(frame_of(written, 3), key))

        report = await verify(storage)

        notes = {finding.kind: finding.detail for finding in report.findings.listed}
        assert notes["missingSequence"].startswith("3 sequence numbers are missing, in 1 places")

    async def test_a_hold_is_no_finding(self, recorded: FaultyStorage) -> None:
        await edit_metadata(recorded, hold=Hold("audit"))

        assert (await verify(recorded)).findings.listed == ()


class TestSegments:
    @given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    async def test_any_flipped_bit_is_found(self, at: float, bit: int) -> None:
        async with opened_memory() as storage:
            await write_session(storage, "s", REQUESTS)
            key = (await keys(storage, "/raw/"))[0]

            def flip(content: bytearray) -> None:
                content[int(at * len(content))] ^= 1 << bit

            await change(storage, key, flip)

            report = await verify(storage)

            assert not report.is_sound
            assert any(finding.key == key for finding in report.findings.listed)

    @given(cut=st.integers(1, 400))
    async def test_any_cut_is_found(self, cut: int) -> None:
        async with opened_memory() as storage:
            await write_session(storage, "s", REQUESTS)
            key = (await keys(storage, "/raw/"))[0]
            size = len(or_raise(await storage.retrieve_raw_data(key)))

            await change(storage, key, lambda content: content.__delitem__(slice(-cut, None)))

            report = await verify(storage)
            assert ("manifestDisagrees", key) in told(report)
            assert ("countsDisagree", METADATA) in told(report)
            kinds = {finding.kind for finding in report.findings.listed if finding.key == key}
            assert kinds <= {"tornTail", "manifestDisagrees"}
            assert size

    async def test_a_torn_tail_says_where_and_how_much(self, recorded: FaultyStorage) -> None:
        key = (await keys(recorded, "/raw/"))[0]
        whole = or_raise(await recorded.retrieve_raw_data(key))
        await change(recorded, key, lambda content: content.extend(whole[:50]))

        report = await verify(recorded)

        detail = "is cut short; nothing can be read from here on (50 bytes)"
        assert Finding("tornTail", key, len(whole), detail) in report.findings.listed
        assert report.frames == 12

    async def test_frames_behind_a_damaged_one_are_read(self, recorded: FaultyStorage) -> None:
        key = (await keys(recorded, "/raw/"))[0]
        await change(recorded, key, lambda content: content.__setitem__(100, content[100] ^ 255))

        report = await verify(recorded)

        (damaged,) = [f for f in report.findings.listed if f.kind == "damagedFrame"]
        assert (damaged.key, damaged.offset) == (key, 0)
        assert report.frames == 11

    async def test_a_request_of_another_signal_is_found(self, storage: FaultyStorage) -> None:
        (written,) = arriving([("logs", small_request("logs"))])
        await write_session(storage, "s", [written])
        (key,) = await keys(storage, "/raw/")
        nonsense = attrs.evolve(written, request=b"\xff\xff")
        facts = or_raise(otlp.scan(b"", "logs"))
        member = encode_frame(nonsense.request, facts, Arrival(START, 0))
        or_raise(await storage.store_raw_data(member, key))

        assert ("unreadableRequest", key) in told(await verify(storage))

    @pytest.mark.parametrize(
        "changes",
        [{"record_count": 2}, {"min_time_unix_nano": 1}, {"max_time_unix_nano": 2**63}],
    )
    async def test_facts_that_are_not_so_are_found(
        self, storage: FaultyStorage, changes: dict[str, int]
    ) -> None:
        (written,) = arriving([("logs", small_request("logs"))])
        await write_session(storage, "s", [written])
        (key,) = await keys(storage, "/raw/")
        or_raise(await storage.store_raw_data(frame_of(written, 0, **changes), key))

        report = await verify(storage)

        assert ("wrongFacts", key) in told(report)
        assert not report.is_sound

    async def test_a_frame_that_stands_twice_is_found(self, recorded: FaultyStorage) -> None:
        key = (await keys(recorded, "/raw/"))[0]
        whole = or_raise(await recorded.retrieve_raw_data(key))
        await change(recorded, key, lambda content: content.extend(whole))

        report = await verify(recorded)

        repeated = [f for f in report.findings.listed if f.kind == "repeatedSequence"]
        assert [finding.key for finding in repeated] == [key] * 3
        assert all((finding.offset or 0) >= len(whole) for finding in repeated)

    async def test_a_clock_that_was_set_back_is_a_note(self, storage: FaultyStorage) -> None:
        back = [Recorded("logs", small_request("logs"), START - n * SECOND) for n in range(3)]
        await write_session(storage, "s", back)

        report = await verify(storage)

        (note,) = report.findings.listed
        assert note.kind == "arrivalDisorder"
        assert note.detail.startswith("2 frames came before the one")
        assert "by 1.000 s at most" in note.detail

    async def test_large_segments_are_read_in_windows(self, storage: FaultyStorage) -> None:
        await write_session(storage, "s", REQUESTS, requests_per_segment=12)
        whole = await verify(storage)
        assert whole.findings.listed == ()
        async for found in storage.list_objects("sessions/s/raw/"):
            stored = or_raise(found)
            signal: Signal = next(name for name in SIGNALS if f"/{name}-" in stored.key)
            inspected = [
                or_raise(
                    await inspect_segment(
                        storage,
                        stored,
                        SegmentName(signal, "", None),
                        FindingsLog(),
                        read=lambda _: None,
                        window_bytes=window,
                    )
                )
                for window in (1, 60, 150, 1 << 20)
            ]
            assert inspected[0].frames == 4
            assert all(each == inspected[-1] for each in inspected)
        assert max(storage.read_bytes[-20:]) > 0

    async def test_damage_past_the_first_window_is_told_where_it_is(
        self, storage: FaultyStorage
    ) -> None:
        await write_session(storage, "s", REQUESTS, requests_per_segment=12)
        key = (await keys(storage, "/raw/"))[0]
        content = await change(storage, key, lambda content: content.extend(b"nonsense at the end"))
        stored = or_raise(await storage.head(key))
        logs: list[Any] = []
        for window in (100, 1 << 20):
            log = FindingsLog()
            found = await inspect_segment(
                storage,
                stored,
                SegmentName("metrics", "", None),
                log,
                read=lambda _: None,
                window_bytes=window,
            )
            logs.append((log.findings.listed[0].offset, or_raise(found).index.checksum))

        assert logs == [(len(content) - 19, f"crc32:{crc32(content):08x}")] * 2


class TestManifest:
    async def test_a_segment_that_is_gone_is_missed(self, recorded: FaultyStorage) -> None:
        key = (await keys(recorded, "/raw/"))[0]
        or_raise(await recorded.delete_raw_data(key))

        report = await verify(recorded)

        assert ("missingSegment", key) in told(report)
        assert ("countsDisagree", METADATA) in told(report)

    async def test_a_part_that_is_damaged_is_found(self, recorded: FaultyStorage) -> None:
        key = (await keys(recorded, "/manifest/"))[0]
        await change(recorded, key, lambda content: content.__setitem__(20, content[20] ^ 255))

        report = await verify(recorded)

        assert ("damagedManifest", key) in told(report)
        assert not report.is_sound

    async def test_a_part_that_is_gone_is_a_note(self, recorded: FaultyStorage) -> None:
        or_raise(await recorded.delete_raw_data((await keys(recorded, "/manifest/"))[0]))

        report = await verify(recorded)

        assert {finding.kind for finding in report.findings.listed} == {"notInManifest"}
        assert report.is_sound

    @pytest.mark.parametrize(
        ("changes", "detail"),
        [
            ({"checksum": "crc32:00000000"}, "checksum is crc32:00000000, and the segment's is"),
            ({"services": ("nobody",)}, "services is ['nobody'], and the segment's is ['cart'"),
            ({"size_bytes": 2**30}, "sizeBytes is 1073741824, and the segment's is"),
        ],
    )
    async def test_what_it_says_wrongly_is_told(
        self, recorded: FaultyStorage, changes: dict[str, Any], detail: str
    ) -> None:
        key = (await keys(recorded, "/manifest/"))[0]
        part = or_raise(await recorded.retrieve_raw_data(key))
        first, *others = or_raise(decode_manifest(key, part))
        wrong = encode_manifest([attrs.evolve(first, **changes), *others])
        or_raise(await recorded.store_raw_data(wrong, key))

        (finding,) = (await verify(recorded)).findings.listed

        assert (finding.kind, finding.key) == ("manifestDisagrees", first.key)
        assert detail in finding.detail

    async def test_what_lies_there_otherwise_is_a_note(self, recorded: FaultyStorage) -> None:
        for key in ("manifest/x", "raw/2025-11-23/01/x.txt", "notes.txt"):
            or_raise(await recorded.store_raw_data(b"?", f"sessions/s/{key}"))

        report = await verify(recorded)

        assert report.is_sound
        assert told(report) == {
            ("unknownObject", f"sessions/s/{key}")
            for key in ("manifest/x", "raw/2025-11-23/01/x.txt", "notes.txt")
        }


class TestMetadata:
    @pytest.mark.parametrize(
        "name", ["captured_traces", "captured_logs", "total_size_bytes", "total_raw_bytes"]
    )
    async def test_a_count_that_is_not_so_is_found(
        self, recorded: FaultyStorage, name: str
    ) -> None:
        await edit_metadata(recorded, **{name: 7_777})

        (finding,) = (await verify(recorded)).findings.listed

        assert (finding.kind, finding.is_damage) == ("countsDisagree", True)
        assert "is 7,777, and the segments hold" in finding.detail

    async def test_an_active_session_may_lag(self, recorded: FaultyStorage) -> None:
        await edit_metadata(recorded, captured_logs=1, status="active", end_time=None)

        report = await verify(recorded)

        (note,) = report.findings.listed
        assert (note.kind, report.is_sound) == ("countsLag", True)
        assert note.detail == (
            "capturedLogs is 1, and the segments hold 4; "
            "the session is active, and is counted at its checkpoints"
        )

    async def test_a_document_that_is_damaged_keeps_nothing_from_being_read(
        self, recorded: FaultyStorage
    ) -> None:
        or_raise(await recorded.store_raw_data(b"{", METADATA))

        report = await verify(recorded)

        assert (report.status, report.frames) == (None, 12)
        assert told(report) == {("damagedMetadata", METADATA)}

    async def test_one_that_is_missing_is_damage(self, recorded: FaultyStorage) -> None:
        or_raise(await recorded.delete_raw_data(METADATA))

        assert told(await verify(recorded)) == {("missingMetadata", METADATA)}

    async def test_where_nothing_lies_there_is_no_session(self, storage: FaultyStorage) -> None:
        assert await verify_session(storage, "s") == Failure(SessionNotFound("s"))
        assert await verify_session(storage, "../s") == Failure(InvalidSessionId("../s"))

    @pytest.mark.parametrize("method", ["list_objects", "retrieve_raw_data"])
    @pytest.mark.parametrize("within", ["", "/raw/", "/manifest/", "metadata"])
    async def test_what_the_store_says_is_passed_on(
        self, recorded: FaultyStorage, method: str, within: str
    ) -> None:
        recorded.fail(method, within=within if method == "retrieve_raw_data" else "")

        assert await verify_session(recorded, "s") == Failure(recorded.error)


def test_findings_are_listed_to_a_bound_and_counted_beyond() -> None:
    log = FindingsLog()
    for number in range(1_500):
        log.add("wrongFacts", "k", number, "")
    log.add("countsLag", "k", None, "")

    findings = log.findings

    assert (len(findings.listed), findings.unlisted, findings.damages) == (1_001, 500, 1_500)
    assert Success(findings.counts) == Success({"wrongFacts": 1_500, "countsLag": 1})
