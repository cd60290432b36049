"""Folders and trees that collectors have written are imported, and nothing differs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from otlp_capture.otlp import SIGNALS
from tests.command_line import Shell
from tests.interop.collector import Collector
from tests.interop.recording import assert_equal, replay
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("written", ["json", "proto"])
@pytest.mark.parametrize(
    ("name", "settings", "arguments"),
    [
        ("plain", {}, ()),
        ("frames", {"compression": "zstd"}, ()),
        (
            "stream",
            {"compression": "zstd"},
            ("--feature-gates", "exporter.file.nativeCompression"),
        ),
    ],
)
def test_a_folder_of_files_is_one_session(
    collector: Collector,
    shell: Shell,
    tmp_path: Path,
    written: str,
    name: str,
    settings: Mapping[str, Any],
    arguments: Sequence[str],
) -> None:
    folder = tmp_path / "written"
    folder.mkdir()
    ending = {"json": "json", "proto": "binpb"}[written]
    exporters = {
        f"file/{signal}": {
            "path": str(folder / f"{signal}.{ending}"),
            "format": written,
            **settings,
        }
        for signal in SIGNALS
    }
    with collector.exporting(tmp_path, exporters, *arguments) as url:
        replay(shell, url)
    session = f"folder-{written}-{name}"
    imported = shell.run("import", str(folder), "--session", session, "--json")

    assert (imported.code, imported.result["skipped"]) == (0, 0), imported.stderr
    assert_equal(shell, session)


@pytest.mark.parametrize("marshaler", ["otlp_json", "otlp_proto"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_tree_in_s3_is_one_session(
    collector_to_s3: Collector,
    shell: Shell,
    tmp_path: Path,
    rclone_s3: S3Server,
    marshaler: str,
    compression: str,
) -> None:
    bucket = rclone_s3.make_bucket()
    uploader = {
        "region": "us-east-1",
        "endpoint": rclone_s3.endpoint_url,
        "s3_force_path_style": True,
        "disable_ssl": True,
        "s3_bucket": bucket,
        "s3_prefix": "exported",
        "compression": compression,
    }
    exporter = {"s3uploader": uploader, "marshaler": marshaler}
    with collector_to_s3.exporting(tmp_path, {"awss3": exporter}, **rclone_s3.environment) as url:
        replay(shell, url)
    session = f"tree-{marshaler}-{compression}"
    tree = rclone_s3.url(bucket, "exported")
    imported = shell.run("import", tree, "--session", session, "--json", **rclone_s3.environment)

    assert (imported.code, imported.result["skipped"]) == (0, 0), imported.stderr
    assert_equal(shell, session)
