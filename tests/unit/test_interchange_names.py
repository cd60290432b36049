"""What the path of a file says."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure

from otlp_capture.interchange import PartitionFormatInvalid
from otlp_capture.interchange.names import (
    check_partition_format,
    is_wanted,
    partition_time_unix_nano,
    signal_of_path,
)
from otlp_capture.otlp import SIGNALS, Signal
from tests.exporter_trees import PARTITION, ExporterTree

moments = st.integers(1_440, 153_000_000).map(
    lambda minutes: datetime.fromtimestamp(60 * minutes, UTC)
)


class TestSignals:
    @given(
        signal=st.sampled_from(SIGNALS),
        file_prefix=st.sampled_from(["", "logs_", "lab-metrics-", "traces", "a/logs/b"]),
        is_uuid=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def test_the_exporter_s_names_say_theirs_whatever_their_prefix(
        self, signal: Signal, file_prefix: str, seed: int, *, is_uuid: bool
    ) -> None:
        tree = ExporterTree("logs", file_prefix=file_prefix, is_uuid=is_uuid)
        (key,) = tree.objects([(signal, b"", 0)], seed)

        assert signal_of_path(key) == signal
        assert is_wanted(key, ())

    @pytest.mark.parametrize(
        ("path", "signal"),
        [
            ("traces.binpb", "traces"),
            ("logs-2026-11-24T15-03-00.000.pb", "logs"),
            ("my-trace.pb", "traces"),
            ("METRIC.BIN", "metrics"),
            ("logs-to-metrics.pb", "metrics"),
            ("traces/2026/a.pb", "traces"),
            ("traces/logs/a.pb", "logs"),
            ("dialogs/blog.pb", None),
            ("backtraces.pb", None),
            ("a.pb", None),
        ],
    )
    def test_words_in_names_and_folders_say_it(self, path: str, signal: str | None) -> None:
        assert signal_of_path(path) == signal


class TestPartitions:
    @given(
        moment=moments,
        partition_format=st.sampled_from(
            [PARTITION, "%Y/%m/%d/%H/%M", "%F/%H/%M", "dt=%Y%m%d/%H-%M", "%s", "%d.%m.%Y/%R"]
        ),
    )
    def test_a_time_is_read_as_it_was_written(
        self, moment: datetime, partition_format: str
    ) -> None:
        nanoseconds = int(moment.timestamp()) * 1_000_000_000
        written = ExporterTree(partition_format=partition_format.replace("%s", "%Y"))
        (key,) = written.objects([("logs", b"", nanoseconds)])
        if partition_format == "%s":
            key = f"prod/{int(moment.timestamp())}/logs_a.json"

        assert partition_time_unix_nano(key, partition_format) == nanoseconds

    @pytest.mark.parametrize(
        ("path", "time"),
        [
            ("year=2026/month=11/day=24/hour=15/minute=03/a.json", "2026-11-24T15:03"),
            ("year=2026/month=11/day=24/hour=15/a.json", "2026-11-24T15:00"),
            ("a/2026/11/24/15/03/lab/a.json", "2026-11-24T15:03"),
            ("2025/01/01/00/00/x/2026/11/24/15/03/a.json", "2026-11-24T15:03"),
            ("2026-11-24/15/a.json", "2026-11-24T15:00"),
            ("2026-11-24/a.json", "2026-11-24T00:00"),
        ],
    )
    def test_the_usual_forms_are_known(self, path: str, time: str) -> None:
        expected = datetime.fromisoformat(time).replace(tzinfo=UTC)

        assert partition_time_unix_nano(path, None) == int(expected.timestamp()) * 1_000_000_000

    @pytest.mark.parametrize(
        "path",
        ["a.json", "2026/13/24/15/03/a.json", "year=2026/month=11/a.json", "2026/11/2/a.json"],
    )
    def test_others_say_nothing(self, path: str) -> None:
        assert partition_time_unix_nano(path, None) is None

    @pytest.mark.parametrize(
        ("partition_format", "reason"),
        [
            ("%Y/%j", "it holds %j"),
            ("%Y/%m", "it holds no whole date"),
            ("", "it holds no whole date"),
            ("%Y/%m/%d/%", "it holds %"),
        ],
    )
    def test_a_format_that_cannot_be_read_back_is_refused(
        self, partition_format: str, reason: str
    ) -> None:
        refused = check_partition_format(partition_format)

        assert refused == Failure(PartitionFormatInvalid(partition_format, reason))
        assert "Use %Y" in refused.failure().message


class TestPatterns:
    @pytest.mark.parametrize(
        ("path", "patterns", "is_it"),
        [
            ("a.jsonl", (), True),
            ("a.json.gz", (), True),
            ("A.JSON.ZST", (), True),
            ("README.md", (), False),
            ("traces_817263544", (), True),
            ("logs_1.sumo_ic", (), False),
            ("x/a.txt", ("*.txt",), True),
            ("x/a.json", ("*.txt",), False),
            ("x/a.txt", ("x/*.txt",), True),
            ("y/a.txt", ("x/*.txt", "z/*"), False),
        ],
    )
    def test_names_and_paths_choose(
        self, path: str, patterns: tuple[str, ...], *, is_it: bool
    ) -> None:
        assert is_wanted(path, patterns) is is_it
