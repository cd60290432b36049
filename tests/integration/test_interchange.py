"""Trees on a real S3 server, real captures, and the commands `import` and `export`."""

import gzip
import json
import os
import pty
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from otlp_capture import otlp
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.interchange import (
    Choice,
    ExportConfig,
    export_session,
    import_file,
    import_folder,
    import_objects,
)
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import SIGNALS
from otlp_capture.result import or_raise
from otlp_capture.storage import S3Storage, S3StorageTag, s3_storage
from otlp_replay.verify import verify
from tests.captures import held
from tests.clocks import HANGS_AFTER_S
from tests.command_line import COMMAND, Shell, put_session
from tests.exporter_trees import COMPRESSED, ExporterTree
from tests.servers.s3 import S3Server
from tests.sessions import START, Recorded, write_session
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

MINUTE = 60_000_000_000
UPLOADS = [
    Recorded(
        signal,
        small_request(signal, time=START + number, text=str(number)),
        START + number * MINUTE,
    )
    for number in range(12)
    for signal in SIGNALS
]


@pytest.fixture
async def bucket(rclone_s3: S3Server) -> AsyncIterator[tuple[S3Storage, str]]:
    name = rclone_s3.make_bucket()
    async with open_runtime(s3_storage(rclone_s3.config(name)), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        yield storage, name


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def put_trees(storage: S3Storage) -> int:
    """Put a tree of each kind under a prefix of its own, and say how many objects they are."""
    count = 0
    for marshaler in ("otlp_json", "otlp_proto"):
        for ending in COMPRESSED:
            tree = ExporterTree(f"{marshaler}{ending[1:]}", marshaler=marshaler, ending=ending)
            share = UPLOADS[count % 6 :: 6]
            uploads = [(each.signal, each.request, each.received_unix_nano) for each in share]
            for key, content in tree.objects(uploads).items():
                or_raise(await storage.store_raw_data(content, key))
            count += 1
    return len(UPLOADS)


async def keys(storage: S3Storage) -> list[tuple[str, str]]:
    found = [or_raise(each) async for each in storage.list_objects("")]
    return [(each.key, each.etag) for each in found]


class TestTreesOnS3:
    async def test_they_become_a_session_and_stay_as_they_are(
        self, bucket: tuple[S3Storage, str], memory: S3Storage
    ) -> None:
        storage, _ = bucket
        count = await put_trees(storage)
        before = await keys(storage)

        report = or_raise(await import_objects(memory, SYSTEM_CLOCK, storage, "s", name="s3"))

        await write_session(memory, "t", UPLOADS)
        assert or_raise(await verify(memory, "t", "s", shift="none")).equal
        assert (report.files, report.metadata.captured_requests) == (count, count)
        assert await keys(storage) == before

    async def test_large_objects_are_read_in_parts(
        self,
        bucket: tuple[S3Storage, str],
        memory: S3Storage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("otlp_capture.interchange.stored_tree._SMALL_BYTES", 0)
        monkeypatch.setattr("otlp_capture.interchange.stored_tree._PIECE_BYTES", 1_000)
        storage, _ = bucket
        content = b"".join(
            or_raise(otlp.encode(each.request, each.signal, "json")) + b"\n" for each in UPLOADS
        )
        for ending, compress in COMPRESSED.items():
            or_raise(await storage.store_raw_data(compress(content), f"lines.jsonl{ending}"))

        or_raise(await import_objects(memory, SYSTEM_CLOCK, storage, "s", name="s3"))

        back = sorted((each.signal, each.request) for each in await held(memory))
        assert back == sorted([(each.signal, each.request) for each in UPLOADS] * 3)

    async def test_the_command_takes_a_url(
        self, bucket: tuple[S3Storage, str], rclone_s3: S3Server, shell: Shell
    ) -> None:
        storage, name = bucket
        tree = ExporterTree("prod/lab", marshaler="otlp_proto", ending=".zst")
        uploads = [(each.signal, each.request, each.received_unix_nano) for each in UPLOADS]
        for key, content in tree.objects(uploads).items():
            or_raise(await storage.store_raw_data(content, key))
        or_raise(await storage.store_raw_data(b"Read me.", "prod/README.md"))
        before = await keys(storage)

        url = rclone_s3.url(name, "prod")
        took = shell.run("import", url, "--session", "s", "--json", **rclone_s3.environment)
        wrong = shell.run("import", "s3://user:pass@x", "--session", "t", "--json")

        assert (took.code, took.stderr) == (0, "")
        reason = "its name is none of those to import (the usual ones)"
        assert took.result["leftOut"] == [{"path": "README.md", "reason": reason}]
        counts = ("files", "skipped", "passedOver", "unselected", "capturedTraces")
        assert [took.result[each] for each in counts] == [36, 0, 1, 0, 12]
        assert (wrong.code, wrong.error["error"]) == (2, "InvalidStoreUrl")
        assert await keys(storage) == before


@pytest.mark.shared_data
class TestRealCaptures:
    async def test_all_of_them_come_back_from_each_format(
        self, shared_data: Path, memory: S3Storage, tmp_path: Path
    ) -> None:
        report = or_raise(
            await import_folder(
                memory,
                SYSTEM_CLOCK,
                shared_data / "otlp",
                "s",
                skip_invalid=True,
            )
        )
        assert report.metadata.captured_requests > 250

        for number, config in enumerate(
            [
                ExportConfig(compression="zstd"),
                ExportConfig(is_split=True, compression="gzip"),
                ExportConfig(format="binpb"),
            ]
        ):
            to, back = tmp_path / str(number), f"back-{number}"
            exported = or_raise(await export_session(memory, "s", to, config))
            take = import_folder if config.has_folder else import_file
            or_raise(await take(memory, SYSTEM_CLOCK, to, back))

            assert exported.requests == report.metadata.captured_requests
            assert or_raise(await verify(memory, "s", back, shift="none")).equal
        original = sorted((each.signal, each.request) for each in await held(memory))
        framed = sorted((each.signal, each.request) for each in await held(memory, "back-2"))
        assert framed == original

    async def test_metrics_of_old_lose_fields_in_json_and_none_in_protobuf(
        self, shared_data: Path, memory: S3Storage, tmp_path: Path
    ) -> None:
        folder = shared_data / "otlp" / "husky-otlp07"
        choice = Choice("metrics")
        taken = or_raise(await import_folder(memory, SYSTEM_CLOCK, folder, "s", choice=choice))

        lossy = or_raise(await export_session(memory, "s", tmp_path / "x", ExportConfig()))
        config = ExportConfig(format="binpb", signals=("metrics",))
        exact = or_raise(await export_session(memory, "s", tmp_path / "y", config))
        or_raise(await import_file(memory, SYSTEM_CLOCK, tmp_path / "y", "y", choice=choice))

        assert 0 < lossy.unknown_fields <= taken.metadata.captured_metrics
        assert exact.unknown_fields == 0
        assert or_raise(await verify(memory, "s", "y", shift="none")).equal

    async def test_a_capture_of_the_file_exporter_is_the_same_compressed(
        self, shared_data: Path, memory: S3Storage, tmp_path: Path
    ) -> None:
        content = (shared_data / "otlp/otel-tui/test_data.json").read_bytes()
        half = content.index(b"\n", len(content) // 2) + 1
        (tmp_path / "a").write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]))
        (tmp_path / "b").write_bytes(zstandard.compress(content[:half] + content[half:]))

        for path in (shared_data / "otlp/otel-tui/test_data.json", tmp_path / "a", tmp_path / "b"):
            name = path.stem[0]
            or_raise(await import_file(memory, SYSTEM_CLOCK, path, name))

        original = await held(memory, "t")
        assert len(original) == 97
        assert await held(memory, "a") == await held(memory, "b") == original


class TestCommands:
    def test_a_session_goes_out_and_comes_back(self, shell: Shell) -> None:
        put_session(shell, "s")

        out = shell.run("export", "s", "--to", "s.jsonl.gz", "--compress", "gzip", "--json")
        back = shell.run("import", "s.jsonl.gz", "--session", "t", "--json")

        size = (shell.folder / "s.jsonl.gz").stat().st_size
        assert (out.code, out.stderr, back.code) == (0, "", 0)
        assert out.result == {
            "sessionId": "s",
            "requests": 3,
            "records": out.result["records"],
            "files": [{"path": "s.jsonl.gz", "requests": 3, "sizeBytes": size}],
            "lost": {"unknownFields": 0, "arrivals": 3, "headers": 0},
        }
        assert shell.run("diff", "s", "t", "--shift", "none").code == 0

    def test_people_are_told_what_was_written(self, shell: Shell) -> None:
        put_session(shell, "s")

        out = shell.run("export", "s", "--to", "out", "--format", "binpb")

        assert out.code == 0
        assert [line.partition(":")[0] for line in out.stdout.splitlines()] == [
            *(f"out/{signal}.binpb" for signal in SIGNALS),
            "s",
        ]

    def test_standard_output_holds_the_requests_and_nothing_else(self, shell: Shell) -> None:
        put_session(shell, "s")

        people = shell.run("export", "s", "--to", "-")
        machines = shell.run("export", "s", "--to", "-", "--json", "--signal", "logs")

        assert [len(json.loads(line)) for line in people.stdout.splitlines()] == [1, 1, 1]
        assert people.stderr.startswith("standard output: 3 requests, ")
        assert machines.error["requests"] == len(machines.stdout.splitlines()) == 1

    def test_what_is_binary_is_not_for_a_terminal(self, shell: Shell) -> None:
        put_session(shell, "s")
        ours, theirs = pty.openpty()
        try:
            refused = subprocess.run(
                [COMMAND, "export", "s", "--to", "-", "--compress", "gzip", "--json"],
                check=False,
                cwd=shell.folder,
                env=shell.environment(),
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=subprocess.PIPE,
                timeout=HANGS_AFTER_S,
            )
        finally:
            os.close(theirs)
            os.close(ours)

        assert (refused.returncode, json.loads(refused.stderr)["error"]) == (2, "InvalidExport")

    @pytest.mark.parametrize(
        ("code", "error", "options"),
        [
            (2, "SessionNotFound", "no --to x"),
            (2, "OutputExists", "s --to there"),
            (2, "InvalidExport", "s --to - --format binpb"),
            (2, "InvalidExport", "s --to - --split"),
            (3, "OutputUnwritable", "s --to there/x"),
            (2, "InvalidArguments", "s --to x --format xml"),
            (2, "InvalidArguments", "s"),
        ],
    )
    def test_what_is_wrong_is_told(self, shell: Shell, code: int, error: str, options: str) -> None:
        put_session(shell, "s")
        (shell.folder / "there").write_bytes(b"mine")

        wrong = shell.run("export", *options.split(), "--json")

        assert (wrong.code, wrong.stdout, wrong.error["error"]) == (code, "", error)
        assert (shell.folder / "there").read_bytes() == b"mine"

    def test_what_is_left_out_of_a_folder_is_named_and_counted(self, shell: Shell) -> None:
        folder = shell.folder / "in"
        folder.mkdir()
        (folder / "a.jsonl").write_bytes(b'{"resourceLogs":[]}\nnonsense\n')
        (folder / "notes.txt").write_text("notes")

        refused = shell.run("import", "in", "--session", "s")
        people = shell.run("import", "in", "--session", "s", "--skip-invalid")
        chosen: Any = shell.run("import", "in", "--session", "t", "--include", "*.txt", "--json")

        assert refused.code == 2
        assert people.code == 0
        assert "left out in/a.jsonl, line 2: " in people.stderr
        assert "passed over in/notes.txt: its name is none of those to import" in people.stderr
        assert "left out: 1 broken entry" in people.stderr
        assert "passed over: 1 file" in people.stderr
        assert (chosen.code, chosen.error["path"]) == (2, "in/notes.txt")
