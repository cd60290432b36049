"""Sessions become files."""

import gzip
import json
import os
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import zstandard
from returns.result import Failure

from otlp_capture import otlp
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.interchange import (
    ExportConfig,
    ExportedFile,
    ExportReport,
    InvalidExport,
    OutputExists,
    OutputUnwritable,
    RequestUnwritable,
    export_session,
    import_file,
    import_folder,
)
from otlp_capture.interchange.arrival_order import by_arrival
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    InvalidSessionId,
    SegmentCorrupted,
    SessionNotFound,
    in_order,
    index_session,
)
from otlp_capture.storage import S3Storage
from otlp_replay.verify import verify
from tests.captures import held
from tests.clocks import START
from tests.faulty_storage import FaultyStorage
from tests.sessions import SECOND, Recorded, arriving, opened_memory, write_session
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

REQUESTS: list[tuple[Signal, bytes]] = [
    (SIGNALS[number % 3], small_request(SIGNALS[number % 3], time=START + number * SECOND))
    for number in range(20)
]
JSONL = ExportConfig()
BINPB = ExportConfig(format="binpb")
UNKNOWN = b"\xc0\x3e\x01"


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
async def session(storage: FaultyStorage) -> FaultyStorage:
    await write_session(storage, "s", arriving(REQUESTS))
    return storage


def lines(requests: list[tuple[Signal, bytes]]) -> bytes:
    return b"".join(
        or_raise(otlp.encode(request, signal, "json")) + b"\n" for signal, request in requests
    )


def framed(requests: list[tuple[Signal, bytes]]) -> bytes:
    return b"".join(struct.pack(">I", len(request)) + request for _, request in requests)


def of(*signals: Signal) -> list[tuple[Signal, bytes]]:
    return [each for each in REQUESTS if each[0] in signals]


async def export(storage: S3Storage, to: Path | int, config: ExportConfig = JSONL) -> Any:
    return await export_session(storage, "s", to, config)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestFormats:
    async def test_json_lines_stand_in_the_order_of_arrival(
        self, session: FaultyStorage, tmp_path: Path
    ) -> None:
        to, told = tmp_path / "s.jsonl", list[tuple[int, int]]()

        report = or_raise(
            await export_session(
                session, "s", to, JSONL, advanced=lambda *progress: told.append(progress)
            )
        )

        assert to.read_bytes() == lines(REQUESTS)
        size = len(lines(REQUESTS))
        assert report == ExportReport("s", (ExportedFile(str(to), 20, size),), 20, 0, 0, 0)
        assert (report.requests, told, names(tmp_path)) == (20, [(0, 20), (20, 20)], ["s.jsonl"])

    async def test_json_lines_can_be_split_by_signal(
        self, session: FaultyStorage, tmp_path: Path
    ) -> None:
        report = or_raise(await export(session, tmp_path / "out", ExportConfig(is_split=True)))

        written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        assert written == {f"{signal}.jsonl": lines(of(signal)) for signal in SIGNALS}
        assert [Path(each.path).name for each in report.files] == [f"{s}.jsonl" for s in SIGNALS]

    async def test_protobuf_is_framed_in_a_file_for_each_signal(
        self, session: FaultyStorage, tmp_path: Path
    ) -> None:
        or_raise(await export(session, tmp_path, BINPB))

        written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert written == {f"{signal}.binpb": framed(of(signal)) for signal in SIGNALS}

    async def test_one_signal_of_protobuf_is_one_file(
        self, session: FaultyStorage, tmp_path: Path
    ) -> None:
        config = ExportConfig(format="binpb", signals=("logs",))

        or_raise(await export(session, tmp_path / "x", config))

        assert (tmp_path / "x").read_bytes() == framed(of("logs"))

    @pytest.mark.parametrize("compression", ["gzip", "zstd"])
    async def test_a_file_can_be_compressed_as_a_whole(
        self, session: FaultyStorage, tmp_path: Path, compression: Any
    ) -> None:
        to = tmp_path / "x"

        report = or_raise(await export(session, to, ExportConfig(compression=compression)))

        stream = zstandard.ZstdDecompressor().decompressobj()
        content = to.read_bytes()
        inflated = gzip.decompress(content) if compression == "gzip" else stream.decompress(content)
        assert inflated == lines(REQUESTS)
        assert report.files[0].size_bytes == len(content)

    async def test_signals_are_selected(self, session: FaultyStorage, tmp_path: Path) -> None:
        or_raise(await export(session, tmp_path / "x", ExportConfig(signals=("traces", "logs"))))

        assert (tmp_path / "x").read_bytes() == lines(of("traces", "logs"))

    async def test_a_signal_without_requests_has_no_file(
        self, storage: FaultyStorage, tmp_path: Path
    ) -> None:
        await write_session(storage, "s", arriving(of("logs")))

        report = or_raise(await export(storage, tmp_path, BINPB))

        assert (names(tmp_path), report.requests) == (["logs.binpb"], len(of("logs")))

    async def test_an_empty_session_is_an_empty_file(
        self, storage: FaultyStorage, tmp_path: Path
    ) -> None:
        await write_session(storage, "s", [])

        report = or_raise(await export(storage, tmp_path / "x"))

        assert (report.requests, (tmp_path / "x").read_bytes()) == (0, b"")

    async def test_a_descriptor_is_written_to_and_stays_open(self, session: FaultyStorage) -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as pipe:
            report = or_raise(await export(session, writing))
            os.close(writing)

            assert pipe.read() == lines(REQUESTS)
            assert report.files[0].path == "standard output"


class TestLosses:
    async def test_what_the_files_cannot_say_is_counted(
        self, storage: FaultyStorage, tmp_path: Path
    ) -> None:
        known = small_request("logs", time=START)
        recorded = [
            Recorded("logs", known, START),
            Recorded("logs", known + UNKNOWN, START),
            Recorded("traces", UNKNOWN, START + 1),
        ]
        await write_session(storage, "s", recorded)

        json_report = or_raise(await export(storage, tmp_path / "x"))
        binpb_report = or_raise(await export(storage, tmp_path / "y", BINPB))

        losses = [
            (each.unknown_fields, each.arrivals, each.headers)
            for each in (json_report, binpb_report)
        ]
        assert losses == [(2, 1, 0), (0, 1, 0)]
        last = (tmp_path / "x").read_bytes().splitlines()[-1]
        assert json.loads(last) == {"resourceSpans": []}

    async def test_a_request_that_json_cannot_hold_is_told(
        self, session: FaultyStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        error = otlp.InvalidRequest("byte 7", "a value nested too deep", "32")
        monkeypatch.setattr(otlp, "encode", lambda *_: Failure(error))

        failed = (await export(session, tmp_path / "x")).failure()

        assert isinstance(failed, RequestUnwritable)
        assert failed.message.endswith(f"cannot be written as JSON: {error.message} Use binpb.")
        assert names(tmp_path) == []


class TestFiles:
    @pytest.mark.parametrize("config", [JSONL, BINPB])
    async def test_what_is_there_stays_as_it_is(
        self, session: FaultyStorage, tmp_path: Path, config: ExportConfig
    ) -> None:
        to = tmp_path if config is BINPB else tmp_path / "logs.binpb"
        (tmp_path / "logs.binpb").write_bytes(b"mine")

        refused = await export(session, to, config)

        assert refused == Failure(OutputExists(str(tmp_path / "logs.binpb")))
        assert "--force" in refused.failure().message
        assert (names(tmp_path), (tmp_path / "logs.binpb").read_bytes()) == (
            ["logs.binpb"],
            b"mine",
        )

    async def test_forced_what_is_there_afterwards_is_the_export(
        self, storage: FaultyStorage, tmp_path: Path
    ) -> None:
        await write_session(storage, "s", arriving(of("logs")))
        for name in ("logs.binpb", "traces.binpb", "other"):
            (tmp_path / name).write_bytes(b"old")

        or_raise(await export(storage, tmp_path, ExportConfig(format="binpb", is_over=True)))

        assert names(tmp_path) == ["logs.binpb", "other"]
        assert (tmp_path / "logs.binpb").read_bytes() == framed(of("logs"))

    @pytest.mark.parametrize("is_over", [True, False])
    async def test_what_is_no_file_is_never_replaced(
        self, session: FaultyStorage, tmp_path: Path, *, is_over: bool
    ) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to("/dev/null")

        config = ExportConfig(is_over=is_over)
        refused = [await export(session, tmp_path / each, config) for each in ("pipe", "link", "")]

        assert all(isinstance(each.failure(), OutputUnwritable) for each in refused)
        assert names(tmp_path) == ["link", "pipe"]

    async def test_a_file_that_appears_meanwhile_is_not_overwritten(
        self, session: FaultyStorage, tmp_path: Path
    ) -> None:
        async def appear() -> None:
            (tmp_path / "metrics.binpb").write_bytes(b"mine")

        session.interrupt_read("/raw/", appear)

        refused = await export(session, tmp_path, BINPB)

        assert refused == Failure(OutputExists(str(tmp_path / "metrics.binpb")))
        assert names(tmp_path) == ["metrics.binpb"]

    @pytest.mark.parametrize("errno", [1, 95])
    async def test_without_links_it_is_renamed(
        self,
        session: FaultyStorage,
        tmp_path: Path,
        errno: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(errno, "no links")

        monkeypatch.setattr(os, "link", refuse)

        or_raise(await export(session, tmp_path / "x"))

        assert (names(tmp_path), (tmp_path / "x").read_bytes()) == (["x"], lines(REQUESTS))

    async def test_a_folder_that_cannot_be_made_is_told(
        self, session: FaultyStorage, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_bytes(b"")

        refused = [
            await export(session, tmp_path / "file" / "x", config) for config in (JSONL, BINPB)
        ]

        assert all(isinstance(each.failure(), OutputUnwritable) for each in refused)

    @pytest.mark.parametrize("when", ["write", "fsync"])
    async def test_a_full_disk_leaves_nothing_behind(
        self, session: FaultyStorage, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, when, refuse)
            failed = await export(session, tmp_path / "x")

        assert failed == Failure(OutputUnwritable(str(tmp_path / "x"), "No space left on device"))
        assert names(tmp_path) == []

    async def test_cancelled_it_leaves_nothing_behind(
        self, session: FaultyStorage, tmp_path: Path
    ) -> None:
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                scope.cancel()
                await anyio.lowlevel.checkpoint()

            session.interrupt_read("/metrics-", cancel)
            await export(session, tmp_path, BINPB)

        assert scope.cancelled_caught
        assert names(tmp_path) == []

    async def test_a_reader_that_leaves_is_told(self, session: FaultyStorage) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        try:
            failed = await export(session, writing)
        finally:
            os.close(writing)

        assert failed == Failure(OutputUnwritable("standard output", "Broken pipe"))


class TestSessions:
    async def test_what_cannot_be_exported_is_told(
        self, session: FaultyStorage, tmp_path: Path
    ) -> None:
        to = tmp_path / "x"

        refused = [
            await export_session(session, "t", to, JSONL),
            await export_session(session, "../s", to, JSONL),
            await export(session, 1, BINPB),
            await export(session, to, ExportConfig(signals=())),
        ]

        assert refused == [
            Failure(SessionNotFound("t")),
            Failure(InvalidSessionId("../s")),
            Failure(
                InvalidExport(
                    "one stream holds one file; choose one signal, or JSON Lines without --split"
                )
            ),
            Failure(InvalidExport("no signal was chosen")),
        ]
        assert names(tmp_path) == []

    @pytest.mark.parametrize("method", ["head", "list_objects", "retrieve_raw_data"])
    async def test_where_the_store_fails_nothing_is_left_behind(
        self, session: FaultyStorage, tmp_path: Path, method: str
    ) -> None:
        session.fail(method)

        assert await export(session, tmp_path / "x") == Failure(session.error)
        assert names(tmp_path) == []

    async def test_damage_is_told_if_it_is_of_the_signal(
        self, session: FaultyStorage, tmp_path: Path
    ) -> None:
        keys = [or_raise(found).key async for found in session.list_objects("")]
        damaged = next(key for key in keys if "/logs-" in key)
        or_raise(await session.store_raw_data(b"no gzip", damaged))

        refused = await export(session, tmp_path / "x")
        spared = await export(session, tmp_path / "y", ExportConfig(signals=("traces",)))

        assert isinstance(refused.failure(), SegmentCorrupted)
        assert (or_raise(spared).requests, names(tmp_path)) == (len(of("traces")), ["y"])

    @pytest.mark.parametrize("config", [JSONL, BINPB, ExportConfig(compression="zstd")])
    async def test_exported_and_imported_it_is_equal(
        self, session: FaultyStorage, tmp_path: Path, config: ExportConfig
    ) -> None:
        to = tmp_path / "x"
        or_raise(await export(session, to, config))

        take = import_folder if config is BINPB else import_file
        or_raise(await take(session, SYSTEM_CLOCK, to, "back"))

        assert or_raise(await verify(session, "s", "back", shift="none")).equal
        back = [(each.signal, each.request) for each in await held(session, "back")]
        assert back == REQUESTS


async def test_the_order_is_that_of_the_whole_list(storage: FaultyStorage) -> None:
    recorded = [
        Recorded(signal, request, START + (number * 7 % 5) * SECOND)
        for number, (signal, request) in enumerate(REQUESTS)
    ]
    await write_session(storage, "s", recorded, requests_per_segment=4)
    index = or_raise(await index_session(storage, "s"))

    for signals in (SIGNALS, ("logs", "traces")):
        assert [*by_arrival(index, signals)] == in_order(index, signals)
