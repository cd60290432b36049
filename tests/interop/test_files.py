"""A file that the collector's file exporter has written is imported, and nothing differs."""

from pathlib import Path

import pytest

from otlp_capture.otlp import SIGNALS
from tests.command_line import Shell
from tests.interop.collector import Collector
from tests.interop.recording import ORIGINAL, assert_equal, replay

pytestmark = pytest.mark.interop


def test_json_lines_of_all_signals_are_one_session(
    collector: Collector, shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "all.jsonl"
    with collector.exporting(tmp_path, {"file": {"path": str(file)}}) as url:
        replay(shell, url)
    imported = shell.run("import", str(file), "--session", "json-lines", "--json")

    assert (imported.code, imported.result["skipped"]) == (0, 0), imported.stderr
    assert_equal(shell, "json-lines")


def test_protobuf_behind_lengths_is_a_session_for_each_signal(
    collector: Collector, shell: Shell, tmp_path: Path
) -> None:
    files = {signal: tmp_path / f"{signal}.binpb" for signal in SIGNALS}
    exporters = {
        f"file/{signal}": {"path": str(file), "format": "proto"} for signal, file in files.items()
    }
    with collector.exporting(tmp_path, exporters) as url:
        replay(shell, url)

    for signal, file in files.items():
        session = f"framed-{signal}"
        imported = shell.run("import", str(file), "--session", session, "--signal", signal)
        assert imported.code == 0, imported.stderr
        compared = shell.run("diff", ORIGINAL, session, "--shift", "none", "--json")
        others = [each for each in compared.result["byService"] if each["signal"] != signal]
        missing = sum(each["recordsA"] for each in others)
        told = [compared.result[name] for name in ("missing", "extra", "duplicated", "changed")]
        assert told == [missing, 0, 0, 0]
