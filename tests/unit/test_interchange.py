"""Files of other tools become sessions."""

import json
import os
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
import zstandard
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.clock import moment
from otlp_capture.interchange import (
    Choice,
    EntryBroken,
    FileUnreadable,
    ImportReport,
    SignalMissing,
    Watcher,
    import_file,
)
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    InvalidSessionId,
    RecordCounts,
    SessionAlreadyExists,
    SessionTakenOver,
    counted,
    create_session,
    in_order,
    index_session,
    load_session,
    uncounted,
)
from tests.captures import held, indexed
from tests.clocks import START, VirtualClock
from tests.faulty_storage import FaultyStorage
from tests.memory import mebibytes_for
from tests.sessions import SECOND, opened_memory
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

MIXED = [
    (signal, small_request(signal, time=START + number * SECOND))
    for number, signal in enumerate([*SIGNALS, *SIGNALS])
]


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


def line(signal: Signal, request: bytes) -> bytes:
    return or_raise(otlp.encode(request, signal, "json"))


def lines(requests: Iterable[tuple[Signal, bytes]], end: bytes = b"\n") -> bytes:
    return b"".join(line(*each) + end for each in requests)


def framed(requests: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(request)) + request for request in requests)


async def keys(storage: FaultyStorage) -> list[str]:
    return [or_raise(found).key async for found in storage.list_objects("")]


async def arrivals(storage: FaultyStorage) -> list[tuple[Signal, int]]:
    refs = in_order(await indexed(storage))
    return [(ref.segment.signal, ref.frame.received_unix_nano - START) for ref in refs]


class Importing:
    """Imports the content of one file into session `s`."""

    def __init__(self, storage: FaultyStorage, folder: Path) -> None:
        self.storage = storage
        self.clock = VirtualClock(START + 3_600 * SECOND)
        self.path = folder / "file"

    async def __call__(
        self,
        content: bytes,
        signal: Signal | None = None,
        advanced: Callable[[int], object] = lambda _: None,
        modified: int = START,
        **options: Any,
    ) -> Any:
        self.path.write_bytes(content)
        os.utime(self.path, ns=(modified, modified))
        return await import_file(
            self.storage,
            self.clock,
            self.path,
            "s",
            choice=Choice(signal),
            watcher=Watcher(lambda read_bytes, _: advanced(read_bytes)),
            **options,
        )

    def broken(self, place: str, reason: str) -> EntryBroken:
        return EntryBroken(str(self.path), place, reason)


@pytest.fixture
def importing(storage: FaultyStorage, tmp_path: Path) -> Importing:
    return Importing(storage, tmp_path)


class TestJsonLines:
    async def test_mixed_signals_become_a_session(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        read: list[int] = []
        content = lines(MIXED)

        report = or_raise(await importing(content, advanced=read.append))

        expected = CaptureSessionMetadata(
            session_id="s",
            start_time=moment(START),
            end_time=moment(START + 5 * SECOND),
            status="completed",
            s3_prefix="sessions/s",
            created_by="otlp-capture import",
            end_reason="stopped",
            last_checkpoint_time=moment(importing.clock.time_ns()),
        )
        index = await indexed(storage)
        assert report == ImportReport(counted(expected, index.segments), 1, 0, 0, 0, ())
        assert or_raise(await load_session(storage, "s")).metadata == report.metadata
        assert report.metadata.record_counts == RecordCounts(2, 2, 2)
        assert [(each.signal, each.request) for each in await held(storage)] == MIXED
        assert or_raise(await index_session(storage, "s")) == index
        assert read == [len(content)]

    async def test_one_line_may_hold_several_signals(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        both = b"{" + b",".join(line(*each)[1:-1] for each in MIXED[:3]) + b"}"

        or_raise(await importing(both))

        assert [(each.signal, each.request) for each in await held(storage)] == MIXED[:3]

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(lines(MIXED, b"\r\n"), id="CRLF"),
            pytest.param(b"\xef\xbb\xbf" + lines(MIXED), id="BOM"),
            pytest.param(lines(MIXED)[:-1], id="no last line feed"),
            pytest.param(b"\n \n" + lines(MIXED, b"\n\n \t\n"), id="blank lines"),
            pytest.param(b"\n" * 10_000 + lines(MIXED), id="many blank lines"),
        ],
    )
    async def test_layout_does_not_matter(
        self, storage: FaultyStorage, importing: Importing, content: bytes
    ) -> None:
        or_raise(await importing(content))

        assert [(each.signal, each.request) for each in await held(storage)] == MIXED

    async def test_a_signal_selects(self, storage: FaultyStorage, importing: Importing) -> None:
        report = or_raise(await importing(lines(MIXED), signal="logs"))

        assert [(each.signal, each.request) for each in await held(storage)] == MIXED[2::3]
        assert (report.metadata.captured_requests, report.skipped) == (2, 0)

    @pytest.mark.parametrize("indent", [1, "\t"])
    @pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\r\n\n"])
    async def test_one_document_may_be_laid_out_over_many_lines(
        self, storage: FaultyStorage, importing: Importing, indent: Any, before: bytes
    ) -> None:
        text = json.dumps(json.loads(line(*MIXED[0])), indent=indent).encode()

        or_raise(await importing(before + text))

        assert [(each.signal, each.request) for each in await held(storage)] == MIXED[:1]

    async def test_a_document_may_begin_on_its_first_line(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        or_raise(await importing(line(*MIXED[0]).replace(b"[", b"[\n")))

        assert [(each.signal, each.request) for each in await held(storage)] == MIXED[:1]


class TestBrokenEntries:
    BROKEN = b'{"resourceSpans": 7}'

    @pytest.fixture
    def content(self) -> bytes:
        return lines(MIXED[:2]) + self.BROKEN + b"\n" + lines(MIXED[2:]) + b"hardly JSON\n"

    async def test_the_first_is_named_and_nothing_is_left_behind(
        self, storage: FaultyStorage, importing: Importing, content: bytes
    ) -> None:
        outcome = await importing(content)

        reason = otlp.decode_export_line(self.BROKEN).failure().message
        assert outcome == Failure(importing.broken("line 3", reason))
        assert outcome.failure().message == (
            f"{importing.path}, line 3: {reason} "
            f"Nothing was imported; --skip-invalid leaves such entries out and keeps the rest."
        )
        assert await keys(storage) == []

    async def test_they_can_be_left_out(
        self, storage: FaultyStorage, importing: Importing, content: bytes
    ) -> None:
        report = or_raise(await importing(content, skip_invalid=True))

        assert [(each.signal, each.request) for each in await held(storage)] == MIXED
        assert (report.skipped, report.metadata.captured_requests) == (2, 6)
        assert [each.place for each in report.examples] == ["line 3", "line 8"]

    @pytest.mark.parametrize("first", [b"hardly JSON", BROKEN, b'{"resourceSpans":[', b"{}"])
    async def test_the_first_line_is_no_different(
        self, storage: FaultyStorage, importing: Importing, first: bytes
    ) -> None:
        content = first + b"\n" + lines(MIXED)

        refused = await importing(content)
        report = or_raise(await importing(content, skip_invalid=True))

        assert refused.failure().place == "line 1"
        assert [each.place for each in report.examples] == ["line 1"]
        assert [(each.signal, each.request) for each in await held(storage)] == MIXED

    async def test_a_document_that_is_broken_is_told_as_a_whole(self, importing: Importing) -> None:
        outcome = await importing(b'{\n  "resourceSpans": 7\n}\n')

        assert outcome.failure().place == "the whole"
        assert "resourceSpans" in outcome.failure().reason

    async def test_of_many_the_first_are_shown(self, importing: Importing) -> None:
        content = lines(MIXED[:1]) + b"?\n" * 1_000 + lines(MIXED[1:])

        report = or_raise(await importing(content, skip_invalid=True))

        assert (report.skipped, report.metadata.captured_requests) == (1_000, 6)
        assert [each.place for each in report.examples] == [f"line {n}" for n in range(2, 22)]

    async def test_a_line_that_is_too_long_is_one_broken_entry(
        self, importing: Importing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits = otlp.Limits(max_bytes=1_000)
        monkeypatch.setattr("otlp_capture.interchange.entries._LIMITS", limits)
        monkeypatch.setattr("otlp_capture.otlp.export_lines.DEFAULT_LIMITS", limits)
        long = small_request("logs", text="x" * 5_000)
        content = lines([MIXED[0], ("logs", long), *MIXED[1:]])

        report = or_raise(await importing(content, skip_invalid=True))

        assert (report.skipped, report.metadata.captured_requests) == (1, 6)
        assert report.examples[0].place == "line 2"
        assert "it holds more than" in report.examples[0].reason

    async def test_a_request_that_is_refused_once_it_is_protobuf_is_broken_too(
        self, importing: Importing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        few = partial(otlp.scan, limits=otlp.Limits(max_elements=1))
        monkeypatch.setattr(
            "otlp_capture.otlp.scan", lambda request, signal, **_: few(request, signal)
        )

        outcome = await importing(lines(MIXED))

        assert outcome.failure().place == "line 1"
        assert "more than 1 elements" in outcome.failure().reason

    async def test_where_all_are_broken_the_session_is_empty(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        report = or_raise(await importing(b"?\n?\n", skip_invalid=True))

        now = moment(importing.clock.time_ns())
        assert (report.skipped, report.metadata.captured_requests) == (2, 0)
        assert (report.metadata.start_time, report.metadata.end_time) == (now, now)
        assert await keys(storage) == ["sessions/s/metadata.json"]


class TestProtobuf:
    LOGS = tuple(request for signal, request in MIXED if signal == "logs")

    async def test_frames_become_a_session(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        read: list[int] = []
        content = framed([*self.LOGS, b""])

        report = or_raise(await importing(content, signal="logs", advanced=read.append))

        assert [each.request for each in await held(storage)] == [*self.LOGS, b""]
        assert (report.metadata.captured_logs, read) == (3, [len(content)])

    async def test_a_single_request_becomes_a_session(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        read: list[int] = []

        or_raise(await importing(self.LOGS[0], signal="logs", advanced=read.append))

        assert [each.request for each in await held(storage)] == [self.LOGS[0]]
        assert read == [len(self.LOGS[0])]

    async def test_a_single_request_that_begins_like_json_is_protobuf(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        tries = (small_request("logs", text="x" * size) for size in range(200))
        request = next(each for each in tries if each[:2] == b"\n{")

        or_raise(await importing(request, signal="logs"))

        assert [each.request for each in await held(storage)] == [request]

    @pytest.mark.parametrize("content", [framed(LOGS), LOGS[0]])
    async def test_it_needs_its_signal(
        self, storage: FaultyStorage, importing: Importing, content: bytes
    ) -> None:
        outcome = await importing(content)

        assert outcome == Failure(SignalMissing(str(importing.path)))
        assert outcome.failure().message == (
            f"{importing.path} is no JSON, and protobuf does not tell its signal. "
            f"Say --signal traces, metrics or logs."
        )
        assert await keys(storage) == []

    async def test_a_torn_tail_is_named(self, storage: FaultyStorage, importing: Importing) -> None:
        content = framed(self.LOGS)[:-1]

        refused = await importing(content, signal="logs")
        left = await keys(storage)
        report = or_raise(await importing(content, signal="logs", skip_invalid=True))

        offset = 4 + len(self.LOGS[0])
        assert refused.failure().place == "frame 2"
        assert f"The frame at byte {offset} cannot be read" in refused.failure().reason
        assert left == []
        assert (report.skipped, report.metadata.captured_logs) == (1, 1)

    async def test_a_broken_frame_is_named_and_can_be_left_out(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        content = framed([self.LOGS[0], b"\xff" * 11, self.LOGS[1]])

        refused = await importing(content, signal="logs")
        report = or_raise(await importing(content, signal="logs", skip_invalid=True))

        assert refused.failure().place == "frame 2"
        assert [each.place for each in report.examples] == ["frame 2"]
        assert [each.request for each in await held(storage)] == list(self.LOGS)

    async def test_zeros_without_end_are_padding(self, importing: Importing) -> None:
        content = framed(self.LOGS) + bytes(4 * 5_000)

        report = or_raise(await importing(content, signal="logs", skip_invalid=True))

        assert [each.place for each in report.examples] == ["frame 1003"]
        assert report.metadata.captured_logs == 2 + 1_000

    @pytest.mark.parametrize("is_json", [True, False])
    async def test_payloads_of_frames_may_be_compressed_and_json(
        self, storage: FaultyStorage, importing: Importing, *, is_json: bool
    ) -> None:
        payloads = [line("logs", each) if is_json else each for each in self.LOGS]
        broken = zstandard.compress(payloads[0])[:-3]
        content = framed([*map(zstandard.compress, payloads), broken])
        signal: Signal | None = None if is_json else "logs"

        report = or_raise(await importing(content, signal=signal, skip_invalid=True))

        assert [each.request for each in await held(storage)] == list(self.LOGS)
        assert [each.place for each in report.examples] == ["frame 3"]

    async def test_a_single_request_that_is_broken_is_told_as_a_whole(
        self, importing: Importing
    ) -> None:
        outcome = await importing(b"\x0a\x05\x00", signal="logs")

        assert outcome.failure().place == "the whole"


class TestArrivals:
    async def test_a_request_arrived_at_its_latest_time(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        message = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[%s]}]}]}'
        times = [START + 7, START + 9, START + 8]
        records = b",".join(b'{"timeUnixNano":"%d"}' % time for time in times)

        or_raise(await importing(message % records))

        assert await arrivals(storage) == [("logs", 9)]

    async def test_one_without_a_time_arrived_with_the_one_before_it(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        offsets = [None, None, 5, None, 3, None, 5]
        requests = [
            small_request("logs", time=0 if offset is None else START + offset, text=str(number))
            for number, offset in enumerate(offsets)
        ]

        report = or_raise(await importing(lines(("logs", each) for each in requests)))

        kept = [each.request for each in await held(storage)]
        assert kept == [requests[number] for number in (4, 5, 0, 1, 2, 3, 6)]
        assert [offset for _, offset in await arrivals(storage)] == [3, 3, 5, 5, 5, 5, 5]
        assert [each.sequence for each in await held(storage)] == [4, 5, 0, 1, 2, 3, 6]
        assert (report.metadata.start_time, report.metadata.end_time) == (
            moment(START + 3),
            moment(START + 5),
        )

    async def test_the_order_of_the_file_decides_between_equals(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        requests = [(SIGNALS[n % 3], small_request(SIGNALS[n % 3], text=str(n))) for n in range(9)]

        or_raise(await importing(lines(requests)))

        assert [(each.signal, each.request) for each in await held(storage)] == requests

    async def test_where_none_has_a_time_it_is_that_of_the_file(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        content = lines([("logs", small_request("logs", time=0))] * 2)

        report = or_raise(await importing(content, modified=START + 7))

        assert await arrivals(storage) == [("logs", 7)] * 2
        assert report.metadata.start_time == report.metadata.end_time == moment(START + 7)

    async def test_the_last_moment_that_there_is_can_be_one(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        or_raise(await importing(lines([("logs", small_request("logs", time=2**64 - 1))])))

        assert await arrivals(storage) == [("logs", 2**64 - 1 - START)]


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "signal"),
        [
            (b"", None),
            (b"", "logs"),
            (b"\n \r\n", None),
        ],
    )
    async def test_one_without_requests_is_refused(
        self, storage: FaultyStorage, importing: Importing, content: bytes, signal: Any
    ) -> None:
        outcome = await importing(content, signal=signal)

        assert outcome == Failure(FileUnreadable(str(importing.path), "it holds no export request"))
        assert await keys(storage) == []

    async def test_one_without_requests_of_the_signal_is_refused(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        outcome = await importing(lines(MIXED[:1]), signal="logs")

        reason = "it holds no export request of this signal"
        assert outcome == Failure(FileUnreadable(str(importing.path), reason))
        assert await keys(storage) == []

    async def test_one_that_is_not_there_is_told(
        self, storage: FaultyStorage, tmp_path: Path
    ) -> None:
        missing = tmp_path / "missing"

        outcomes = [
            await import_file(storage, VirtualClock(), path, "s") for path in (missing, tmp_path)
        ]

        assert outcomes == [
            Failure(FileUnreadable(str(missing), "No such file or directory")),
            Failure(FileUnreadable(str(tmp_path), "Is a directory")),
        ]


class TestSessions:
    async def test_an_id_that_is_taken_stays_as_it_is(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        first = or_raise(await importing(lines(MIXED)))

        again = await importing(lines(MIXED[:1]) + b'{"resourceSpans": 7}\n')

        assert again == Failure(SessionAlreadyExists("s", "completed"))
        assert or_raise(await load_session(storage, "s")).metadata == first.metadata
        assert len(await held(storage)) == 6

    async def test_an_id_that_cannot_be_is_told_before_the_file_is_read(
        self, storage: FaultyStorage, tmp_path: Path
    ) -> None:
        outcome = await import_file(storage, VirtualClock(), tmp_path / "missing", "../s")

        assert outcome == Failure(InvalidSessionId("../s"))

    @pytest.mark.parametrize(
        ("within", "when"),
        [
            ("/raw/", "before"),
            ("/raw/", "after"),
            ("/manifest/", "before"),
            ("/manifest/", "after"),
        ],
    )
    async def test_where_the_store_fails_nothing_is_left_behind(
        self, storage: FaultyStorage, importing: Importing, within: str, when: Any
    ) -> None:
        storage.fail("store_raw_data", within=within, when=when)

        assert await importing(lines(MIXED)) == Failure(storage.error)
        assert await keys(storage) == []
        assert isinstance(await importing(lines(MIXED)), Success)

    async def test_where_the_session_cannot_be_made_nothing_is_read(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        storage.fail("store_raw_data")

        assert await importing(lines(MIXED)) == Failure(storage.error)
        assert await keys(storage) == []

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_where_the_end_cannot_be_written_nothing_is_left_behind(
        self, storage: FaultyStorage, importing: Importing, when: Any
    ) -> None:
        storage.follow_write(
            "/manifest/",
            lambda: storage.fail("store_raw_data", within="metadata.json", when=when),
        )

        assert await importing(lines(MIXED)) == Failure(storage.error)
        assert await keys(storage) == []

    async def test_what_cannot_be_undone_is_logged(
        self,
        storage: FaultyStorage,
        importing: Importing,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        storage.fail("store_raw_data", within="/manifest/")
        storage.fail("delete_raw_data")

        assert await importing(lines(MIXED)) == Failure(storage.error)
        assert f"Parts of s are left: {storage.error.message}" in caplog.text

    @pytest.mark.parametrize("within", ["metadata.json", "/raw/", "/manifest/"])
    async def test_cancelled_it_leaves_nothing_behind(
        self, storage: FaultyStorage, importing: Importing, within: str
    ) -> None:
        with anyio.CancelScope() as scope:
            storage.follow_write(within, scope.cancel)
            await importing(lines(MIXED))

        assert scope.cancelled_caught
        assert await keys(storage) == []

    async def test_while_it_is_filled_it_has_checkpoints(
        self, storage: FaultyStorage, importing: Importing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("otlp_capture.interchange.filling._BATCH_ENTRIES", 1)
        steps_s = iter([9.0, 1.0, 3.0, 7.5, 9.0, 0.0])

        report = or_raise(
            await importing(lines(MIXED), advanced=lambda _: importing.clock.step(next(steps_s)))
        )

        assert storage.written.count("sessions/s/metadata.json") == 1 + 2 + 1
        assert report.metadata.last_checkpoint_time == moment(importing.clock.time_ns())
        assert await keys(storage) == sorted(set(storage.written))

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_where_a_checkpoint_cannot_be_written_nothing_is_left_behind(
        self, storage: FaultyStorage, importing: Importing, when: Any
    ) -> None:
        def advanced(_: int) -> None:
            importing.clock.step(10.0)
            storage.fail("store_raw_data", within="metadata.json", when=when)

        assert await importing(lines(MIXED), advanced=advanced) == Failure(storage.error)
        assert await keys(storage) == []

    async def test_a_session_that_another_process_took_is_left_to_it(
        self, storage: FaultyStorage, importing: Importing
    ) -> None:
        loaded: list[CaptureSessionMetadata] = []

        async def take() -> None:
            stored = or_raise(await load_session(storage, "s"))
            taken = attrs.evolve(stored.metadata, created_by="another process")
            loaded.append(taken)
            or_raise(await storage.delete_raw_data("sessions/s/metadata.json"))
            raw = [key for key in await keys(storage) if "/raw/" in key]
            for key in raw:
                or_raise(await storage.delete_raw_data(key))
            or_raise(await create_session(storage, taken))

        storage.interrupt_write("/manifest/", take)

        assert await importing(lines(MIXED)) == Failure(SessionTakenOver("s"))
        assert or_raise(await load_session(storage, "s")).metadata == loaded[0]


class TestSize:
    async def test_segments_are_closed_at_their_size(
        self, storage: FaultyStorage, importing: Importing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("otlp_capture.interchange.filling._SEGMENT_BYTES", 500)
        signals = SIGNALS * 20
        many = [(signal, small_request(signal, text=str(n))) for n, signal in enumerate(signals)]

        report = or_raise(await importing(lines(many)))

        index = await indexed(storage)
        assert [(each.signal, each.request) for each in await held(storage)] == many
        for signal in SIGNALS:
            segments = [each for each in index.segments if each.signal == signal]
            sizes = [list(each.frames.column("size_bytes")) for each in segments]
            assert len(sizes) > 3
            assert all(sum(members[:-1]) < 500 for members in sizes)
            assert sum(sum(members) < 500 for members in sizes) <= 1
        assert report.metadata == counted(uncounted(report.metadata), index.segments)

    async def test_where_one_of_many_cannot_be_stored_nothing_is_left_behind(
        self, storage: FaultyStorage, importing: Importing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("otlp_capture.interchange.filling._SEGMENT_BYTES", 1)
        storage.fail("store_raw_data", within="/metrics-")

        assert await importing(lines(MIXED)) == Failure(storage.error)
        assert await keys(storage) == []

    async def test_requests_are_encoded_a_few_at_a_time(
        self, importing: Importing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("otlp_capture.interchange.filling._BATCH_BYTES", 1)
        read: list[int] = []

        or_raise(await importing(lines(MIXED), advanced=read.append))

        sizes = [len(lines([each])) for each in MIXED]
        assert read == [sum(sizes[: count + 1]) for count in range(6)]

    def test_memory_does_not_grow_with_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "large.jsonl"
        record = line("logs", small_request("logs", text="many words " * 9_000)) + b"\n"
        with path.open("wb") as file:
            for _ in range((60 << 20) // len(record)):
                file.write(record)
        before = f"""
import anyio, pathlib
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.interchange import import_file
from otlp_capture.layer import open_runtime
from otlp_capture.result import or_raise
from otlp_capture.storage import S3StorageTag, local_storage

async def main(path):
    async with open_runtime(local_storage({str(tmp_path / "store")!r}), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        or_raise(await import_file(storage, SYSTEM_CLOCK, path, path.stem))

small = pathlib.Path({str(tmp_path / "small.jsonl")!r})
small.write_bytes({record!r})
anyio.run(main, small)
"""
        taken = mebibytes_for(f"anyio.run(main, pathlib.Path({str(path)!r}))", before=before)

        assert taken <= 40
