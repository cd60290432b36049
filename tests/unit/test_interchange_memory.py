"""What import and export take, whatever the size of what they read: in processes of their own."""

import gzip
from pathlib import Path

import zstandard

from otlp_capture import otlp
from otlp_capture.result import or_raise
from tests.memory import mebibytes_for
from tests.small_requests import small_request

MIB = 1 << 20
LINE = or_raise(otlp.encode(small_request("logs", text="many words " * 9_000), "logs", "json"))

BEFORE = """
import anyio, pathlib
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.interchange import (
    ExportConfig, export_session, import_file, import_folder, import_objects
)
from otlp_capture.layer import open_runtime
from otlp_capture.result import or_raise
from otlp_capture.storage import S3StorageTag, local_storage

root = pathlib.Path({root!r})

async def main(*steps):
    async with open_runtime(local_storage(str(root / "store")), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        for step in steps:
            or_raise(await step(storage))

def take_in(name, session, **options):
    def step(storage):
        take = import_folder if (root / name).is_dir() else import_file
        return take(storage, SYSTEM_CLOCK, root / name, session, **options)
    return step

def put_out(session, name, **options):
    return lambda storage: export_session(storage, session, root / name, ExportConfig(**options))

anyio.run(main, take_in("small.jsonl", "small"), put_out("small", "small.zst", compression="zstd"))
"""


def taken(root: Path, *steps: str) -> int:
    (root / "small.jsonl").write_bytes(LINE)
    before = BEFORE.format(root=str(root))
    return mebibytes_for(f"anyio.run(main, {', '.join(steps)})", before=before)


def test_200_mib_go_in_and_out_and_in_again(tmp_path: Path) -> None:
    with (tmp_path / "large.jsonl").open("wb") as file:
        for _ in range(200 * MIB // len(LINE)):
            file.write(LINE + b"\n")

    mebibytes = taken(
        tmp_path,
        'take_in("large.jsonl", "s")',
        'put_out("s", "s.zst", compression="zstd")',
        'put_out("s", "out", format="binpb")',
        'take_in("s.zst", "a")',
        'take_in("out", "b")',
    )

    assert mebibytes <= 120


def test_2_000_files_are_taken_one_after_the_other(tmp_path: Path) -> None:
    line = or_raise(otlp.encode(small_request("logs"), "logs", "json"))
    for minute in range(2):
        folder = tmp_path / f"tree/year=2026/month=11/day=24/hour=15/minute={minute:02}"
        folder.mkdir(parents=True)
        for number in range(1_000):
            (folder / f"logs_a{number}.json").write_bytes(line)

    assert taken(tmp_path, 'take_in("tree", "s")') <= 40


def test_bombs_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "bombs"
    folder.mkdir()
    zstd = zstandard.ZstdCompressor()
    (folder / "line.json.zst").write_bytes(zstd.compress(b"x" * (300 * MIB)))
    (folder / "logs.pb.zst").write_bytes(zstd.compress(bytes(300 * MIB)))
    (folder / "logs.pb.gz").write_bytes(gzip.compress(bytes(100 * MIB), 1))
    (folder / "request.json.gz").write_bytes(
        gzip.compress(b'{"resourceLogs":[' + b"{}," * 30_000_000, 1)
    )
    (folder / "whole.json").write_bytes(LINE)

    # Of a line, 80 MiB are looked at.
    assert taken(tmp_path, 'take_in("bombs", "s", skip_invalid=True)') <= 180
