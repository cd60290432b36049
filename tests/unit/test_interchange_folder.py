"""Folders, and the trees of an awss3 exporter, become sessions."""

import gzip
import os
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard
from returns.result import Failure

from otlp_capture import otlp
from otlp_capture.interchange import (
    Choice,
    EntryBroken,
    FileUnreadable,
    LeftOut,
    PartitionFormatInvalid,
    PassedOver,
    Watcher,
    import_file,
    import_folder,
    import_objects,
)
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.storage import ObjectNotFound, S3Storage
from tests.captures import held, indexed
from tests.clocks import START, VirtualClock
from tests.exporter_trees import ExporterTree
from tests.faulty_storage import FaultyStorage
from tests.sessions import SECOND, opened_memory
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

MINUTE = 60 * SECOND
REQUESTS: list[tuple[Signal, bytes]] = [
    (SIGNALS[number % 3], small_request(SIGNALS[number % 3], time=START + number * MINUTE))
    for number in range(9)
]


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
async def source() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def line(signal: Signal, request: bytes) -> bytes:
    return or_raise(otlp.encode(request, signal, "json")) + b"\n"


def framed(*requests: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(request)) + request for request in requests)


def lay(root: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


async def take_in(storage: S3Storage, root: Path, **options: Any) -> Any:
    return await import_folder(storage, VirtualClock(START), root, "s", **options)


async def requests_of(storage: S3Storage) -> list[tuple[Signal, bytes]]:
    return [(each.signal, each.request) for each in await held(storage)]


async def arrivals(storage: S3Storage) -> list[int]:
    return sorted(
        arrival - START
        for segment in (await indexed(storage)).segments
        for arrival in segment.frames.column("received_unix_nano")
    )


class TestTrees:
    @pytest.mark.parametrize("marshaler", ["otlp_json", "otlp_proto"])
    @pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
    @pytest.mark.parametrize("partition_format", [None, "%Y-%m-%d/h%H%M"])
    async def test_one_becomes_a_session_by_arrival(
        self,
        storage: FaultyStorage,
        root: Path,
        marshaler: str,
        ending: str,
        partition_format: str | None,
    ) -> None:
        tree = ExporterTree(marshaler=marshaler, ending=ending)
        uploads = [
            (signal, request, START + (10 - number) * MINUTE)
            for number, (signal, request) in enumerate(REQUESTS)
        ]
        lay(root, tree.objects(uploads))

        choice = Choice(partition_format=partition_format)
        report = or_raise(await take_in(storage, root, choice=choice))

        assert await requests_of(storage) == REQUESTS
        assert (report.files, report.skipped, report.passed_over) == (9, 0, 0)

    @pytest.mark.parametrize("marshaler", ["otlp_json", "otlp_proto"])
    async def test_what_has_no_time_arrived_with_its_partition(
        self, storage: FaultyStorage, root: Path, marshaler: str
    ) -> None:
        tree = ExporterTree(marshaler=marshaler, partition_format="%Y/%m/%d/%H/%M")
        timeless = small_request("logs", time=0)
        uploads: list[tuple[Signal, bytes, int]] = [
            ("logs", timeless, START + number * MINUTE + 7 * SECOND) for number in range(3)
        ]
        lay(root, tree.objects(uploads))

        or_raise(await take_in(storage, root))

        begun = START - START % MINUTE - START
        assert await arrivals(storage) == [begun + number * MINUTE for number in range(3)]

    async def test_where_the_folders_name_no_time_it_is_the_file_s(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        lay(root, {"a.jsonl": line("logs", small_request("logs", time=0))})
        os.utime(root / "a.jsonl", ns=(START + 5, START + 5))

        or_raise(await take_in(storage, root))

        assert await arrivals(storage) == [5]

    async def test_the_folder_itself_may_be_part_of_the_partition(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        inside = root / "year=2026" / "month=11"
        content = line("logs", small_request("logs", time=0))
        lay(inside, {"day=24/hour=15/minute=03/logs_a1.json": content})

        or_raise(await take_in(storage, inside))

        assert await arrivals(storage) == [1_795_532_580 * SECOND - START]

    async def test_a_format_that_cannot_be_read_back_is_refused(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        choice = Choice(partition_format="week %U")

        refused = [
            await take_in(storage, root, choice=choice),
            await import_objects(
                storage, VirtualClock(), storage, "s", name="store", choice=choice
            ),
        ]

        assert refused == [Failure(PartitionFormatInvalid("week %U", "it holds %U"))] * 2


class TestFolders:
    async def test_files_of_all_kinds_become_one_session(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        traces, metrics, logs = (
            [request for signal, request in REQUESTS if signal == wanted] for wanted in SIGNALS
        )
        lay(
            root,
            {
                "a/mixed.jsonl.gz": gzip.compress(line("traces", traces[0]))
                + gzip.compress(line("logs", logs[0])),
                "a/logs.binpb": framed(*logs[1:]),
                "metrics/2026.pb.zst": zstandard.compress(framed(*metrics)),
                "traces-1.bin": traces[1],
                "z.json": framed(zstandard.compress(line("traces", traces[2]).strip())),
            },
        )

        report = or_raise(await take_in(storage, root))

        assert sorted(await requests_of(storage)) == sorted(REQUESTS)
        assert (report.files, report.metadata.captured_requests) == (5, 9)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.jsonl", gzip.compress(line(*REQUESTS[2]))),
            ("a.jsonl.gz", zstandard.compress(line(*REQUESTS[2]))),
            ("a.zst.json", line(*REQUESTS[2])),
            ("a.json.gz", line(*REQUESTS[2])),
            ("logs.jsonl", REQUESTS[2][1]),
            ("traces.binpb", line(*REQUESTS[2])),
        ],
    )
    async def test_the_content_decides_not_the_ending(
        self, storage: FaultyStorage, root: Path, name: str, content: bytes
    ) -> None:
        lay(root, {name: content})

        or_raise(await take_in(storage, root))

        assert await requests_of(storage) == [REQUESTS[2]]

    async def test_a_signal_is_taken_where_no_name_says_one_and_selects_where_one_does(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        logs = [request for signal, request in REQUESTS if signal == "logs"]
        lay(
            root,
            {
                "a.pb": logs[0],
                "traces.pb": REQUESTS[0][1],
                "mixed.jsonl": b"".join(line(*each) for each in REQUESTS[3:6]),
            },
        )

        report = or_raise(await take_in(storage, root, choice=Choice("logs")))

        assert await requests_of(storage) == [("logs", logs[0]), ("logs", logs[1])]
        assert (report.unselected, report.metadata.captured_requests) == (3, 2)

    async def test_a_lone_file_is_what_it_is_said_to_be(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        lay(root, {"traces.pb": REQUESTS[2][1]})

        named = Choice("logs")
        or_raise(
            await import_file(storage, VirtualClock(START), root / "traces.pb", "s", choice=named)
        )

        assert await requests_of(storage) == [REQUESTS[2]]

    async def test_what_went_in_is_stored_or_told(self, storage: FaultyStorage, root: Path) -> None:
        lay(
            root,
            {
                "good.jsonl": b"".join(line(*each) for each in REQUESTS),
                "half.jsonl": line(*REQUESTS[0]) + b"nonsense\n" + line(*REQUESTS[1]),
                "torn.jsonl.gz": gzip.compress(line(*REQUESTS[2]) * 3)[:-5],
                "unnamed.pb": REQUESTS[0][1],
                "twice.json": gzip.compress(gzip.compress(line(*REQUESTS[0]))),
                "empty.json": b"",
                "README.md": b"Read me.",
                ".hidden.json": line(*REQUESTS[0]),
                ".git/config.json": b"{}",
            },
        )
        (root / "link.json").symlink_to(root / "good.jsonl")
        (root / "outside").symlink_to("/")
        os.mkfifo(root / "pipe.json")
        told: list[LeftOut] = []

        report = or_raise(
            await take_in(storage, root, skip_invalid=True, watcher=Watcher(left_out=told.append))
        )

        def sentence(name: str, reason: str) -> PassedOver:
            return PassedOver(str(root / name), reason)

        unwanted = "its name is none of those to import (the usual ones)"
        link = "it is a symbolic link, which is not followed"
        passed = [each for each in told if isinstance(each, PassedOver)]
        broken = [each for each in told if isinstance(each, EntryBroken)]
        assert passed == [
            sentence(".git", "its name begins with a dot"),
            sentence(".hidden.json", "its name begins with a dot"),
            sentence("README.md", unwanted),
            sentence("empty.json", "it is empty"),
            sentence("link.json", link),
            sentence("outside", link),
            sentence("pipe.json", "it is no regular file"),
        ]
        assert [(Path(each.path).name, each.place) for each in broken] == [
            ("half.jsonl", "line 2"),
            ("torn.jsonl.gz", "after line 3"),
            ("twice.json", "the whole"),
            ("unnamed.pb", "the whole"),
        ]
        stored = REQUESTS + REQUESTS[:2] + [REQUESTS[2]] * 3
        assert sorted(await requests_of(storage)) == sorted(stored)
        assert (report.files, report.skipped, report.passed_over) == (5, 4, 7)
        assert report.examples == tuple(told)

    async def test_a_torn_file_that_begins_badly_keeps_what_is_sound(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        content = b"nonsense\n" + b"".join(line(*each) for each in REQUESTS)
        lay(root, {"a.jsonl.gz": gzip.compress(content)[:-4]})

        report = or_raise(await take_in(storage, root, skip_invalid=True))

        places = [each.place for each in report.examples if isinstance(each, EntryBroken)]
        assert places == ["line 1", "after line 10"]
        assert await requests_of(storage) == REQUESTS

    async def test_what_is_broken_is_named_and_nothing_is_left_behind(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        lay(root, {"a.jsonl": line(*REQUESTS[0]), "b.jsonl": b"nonsense\n"})

        refused = await take_in(storage, root)

        assert (refused.failure().path, refused.failure().place) == (
            str(root / "b.jsonl"),
            "line 1",
        )
        assert [found async for found in storage.list_objects("")] == []

    async def test_one_without_requests_is_refused(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        empty = await take_in(storage, root)
        lay(root, {"README.md": b"Read me."})
        unwanted = await take_in(storage, root)

        assert [empty, unwanted] == [
            Failure(FileUnreadable(str(root), "it holds no export request")),
            Failure(
                FileUnreadable(str(root), "it holds no file to import, and 1 were passed over")
            ),
        ]

    async def test_one_that_is_not_there_is_told(self, storage: FaultyStorage, root: Path) -> None:
        refused = [
            await take_in(storage, path, skip_invalid=True) for path in (root / "x", Path("\0"))
        ]

        assert refused == [
            Failure(FileUnreadable(str(root / "x"), "No such file or directory")),
            Failure(FileUnreadable("\0", "embedded null byte")),
        ]

    async def test_a_folder_that_may_not_be_read_is_broken(
        self, storage: FaultyStorage, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lay(root, {"a/a.jsonl": line(*REQUESTS[0]), "b/b.jsonl": line(*REQUESTS[1])})
        listed = iter([["a", "b"], [], ["b.jsonl"]])

        def refuse(_: int) -> list[str]:
            names = next(listed)
            if not names:
                raise PermissionError(13, "Permission denied")
            return names

        monkeypatch.setattr(os, "listdir", refuse)

        report = or_raise(await take_in(storage, root, skip_invalid=True))

        reason = "it cannot be read: Permission denied."
        assert report.examples == (EntryBroken(str(root / "a"), "the whole", reason),)
        assert await requests_of(storage) == [REQUESTS[1]]

    async def test_a_file_that_may_not_be_read_is_broken(
        self, storage: FaultyStorage, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lay(root, {"a.jsonl": line(*REQUESTS[0]), "b.jsonl": line(*REQUESTS[1])})
        opened = os.open

        def refuse(path: Any, *arguments: Any, **options: Any) -> int:
            if path == "a.jsonl":
                raise PermissionError(13, "Permission denied")
            return opened(path, *arguments, **options)

        monkeypatch.setattr(os, "open", refuse)

        refused = await take_in(storage, root)
        report = or_raise(await take_in(storage, root, skip_invalid=True))

        broken = EntryBroken(
            str(root / "a.jsonl"), "the whole", "it cannot be read: Permission denied."
        )
        assert refused == Failure(broken)
        assert (report.examples, await requests_of(storage)) == ((broken,), [REQUESTS[1]])

    async def test_a_folder_that_becomes_a_link_is_not_followed(
        self,
        storage: FaultyStorage,
        root: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("otlp_capture.interchange.filling._GROUP", 1)
        lay(root, {"a/a.jsonl": line(*REQUESTS[0]), "b/b.jsonl": line(*REQUESTS[1])})
        lay(tmp_path / "secret", {"b.jsonl": line(*REQUESTS[2])})

        def swap(*_: object) -> None:
            (root / "b").rename(tmp_path / "gone")
            (root / "b").symlink_to(tmp_path / "secret")

        report = or_raise(
            await take_in(storage, root, skip_invalid=True, watcher=Watcher(advanced=swap))
        )

        assert await requests_of(storage) == [REQUESTS[0]]
        assert report.skipped + report.passed_over == 1

    async def test_the_order_is_that_of_the_names(self, storage: FaultyStorage, root: Path) -> None:
        same = [("logs", small_request("logs", text=str(number))) for number in range(40)]
        lay(root, {f"{n % 3}/{n:02}.jsonl": line("logs", same[n][1]) for n in range(40)})

        or_raise(await take_in(storage, root))

        expected = [same[n] for rest in range(3) for n in range(rest, 40, 3)]
        assert await requests_of(storage) == expected

    async def test_what_lies_very_deep_is_passed_over(
        self, storage: FaultyStorage, root: Path
    ) -> None:
        lay(root, {"/".join(["d"] * 70) + "/a.jsonl": b"", "a.jsonl": line(*REQUESTS[0])})

        report = or_raise(await take_in(storage, root))

        assert [each.reason for each in report.examples if isinstance(each, PassedOver)] == [
            "it lies more than 64 folders deep"
        ]


class TestStores:
    async def put(self, source: S3Storage, objects: Mapping[str, bytes]) -> None:
        for key, content in objects.items():
            or_raise(await source.store_raw_data(content, key))

    async def take_in(self, storage: S3Storage, source: S3Storage, **options: Any) -> Any:
        clock = VirtualClock(START)
        return await import_objects(storage, clock, source, "s", name="s3://source", **options)

    async def test_a_tree_becomes_a_session(
        self, storage: FaultyStorage, source: FaultyStorage
    ) -> None:
        uploads = [(signal, request, START) for signal, request in REQUESTS]
        await self.put(source, ExporterTree(ending=".gz").objects(uploads))
        written = len(source.written)

        report = or_raise(await self.take_in(storage, source))

        assert await requests_of(storage) == REQUESTS
        assert (report.files, len(source.written)) == (9, written)

    async def test_large_objects_are_read_range_by_range(
        self, storage: FaultyStorage, source: FaultyStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("otlp_capture.interchange.stored_tree._SMALL_BYTES", 10)
        monkeypatch.setattr("otlp_capture.interchange.stored_tree._PIECE_BYTES", 1_000)
        many = [REQUESTS[number % 9] for number in range(500)]
        content = b"".join(line(*each) for each in many)
        await self.put(source, {"a.jsonl": content, "b.jsonl.zst": zstandard.compress(content)})

        report = or_raise(await self.take_in(storage, source))

        assert sorted(await requests_of(storage)) == sorted(many * 2)
        assert report.metadata.captured_requests == 1_000

    @pytest.mark.parametrize("small_bytes", [0, 1 << 20])
    async def test_an_object_that_is_gone_is_broken(
        self,
        storage: FaultyStorage,
        source: FaultyStorage,
        small_bytes: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("otlp_capture.interchange.stored_tree._SMALL_BYTES", small_bytes)
        await self.put(source, {"a.json": line(*REQUESTS[0]), "b.json": line(*REQUESTS[1])})
        source.error = ObjectNotFound("a.json", "memory")
        source.fail("retrieve_raw_data", within="a.json")

        report = or_raise(await self.take_in(storage, source, skip_invalid=True))

        assert report.examples == (EntryBroken("a.json", "the whole", source.error.message),)
        assert await requests_of(storage) == [REQUESTS[1]]

    @pytest.mark.parametrize("small_bytes", [0, 1 << 20])
    @pytest.mark.parametrize("operation", ["retrieve_raw_data", "list_objects"])
    async def test_a_store_that_fails_ends_it(
        self,
        storage: FaultyStorage,
        source: FaultyStorage,
        small_bytes: int,
        operation: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("otlp_capture.interchange.stored_tree._SMALL_BYTES", small_bytes)
        await self.put(source, {"a.json": line(*REQUESTS[0]), "b.json": line(*REQUESTS[1])})
        source.fail(operation, within="b.json" if operation == "retrieve_raw_data" else "")

        failed = await self.take_in(storage, source, skip_invalid=True)

        assert failed == Failure(source.error)
        assert [found async for found in storage.list_objects("")] == []

    async def test_where_the_store_begins_may_tell_the_partition(
        self, storage: FaultyStorage, source: FaultyStorage
    ) -> None:
        content = line("logs", small_request("logs", time=0))
        await self.put(source, {"hour=15/minute=03/logs_a.json": content})

        prefix = "p/year=2026/month=11/day=24"
        or_raise(await self.take_in(storage, source, prefix=prefix))

        assert await arrivals(storage) == [1_795_532_580 * SECOND - START]
