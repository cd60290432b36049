"""What commands share: exit codes, output for people and for machines, options."""

import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any, ClassVar, get_args

import attrs
import pytest
import typer
from rich.table import Table
from typer.core import TyperGroup, TyperOption

from otlp_capture.capture import CaptureError, InvalidConfig, StorageFailure
from otlp_capture.cli.app import build, speaks_json
from otlp_capture.cli.options import SignalName, chosen_signals
from otlp_capture.cli.terminal import (
    BAD_INPUT,
    DONE,
    FINDING,
    OUT_OF_REACH,
    exit_code,
    plain,
    print_error,
    print_json,
    print_table,
    progress,
    put,
    run_with,
    summary,
    tell,
)
from otlp_capture.clock import SystemClock, moment
from otlp_capture.result import Failure, Fault, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    MetadataCorrupted,
    RecordCounts,
    SegmentCorrupted,
)
from otlp_capture.storage import (
    InvalidKey,
    InvalidStoreUrl,
    S3Storage,
    S3StorageTag,
    StorageError,
    StorageUnreachable,
)

UNREACHABLE = StorageUnreachable("s3://bucket", "connection refused")


def of_type(error: type) -> Any:
    """Make an error of a type, whatever it holds."""
    return error(*(None for _ in attrs.fields(error)))


class TestExitCodes:
    def test_errors_of_a_store_are_out_of_reach(self) -> None:
        codes = {error: exit_code(of_type(error), {}) for error in get_args(StorageError)}

        out_of_reach = dict.fromkeys(get_args(StorageError), OUT_OF_REACH)
        assert codes == out_of_reach | {InvalidKey: BAD_INPUT}

    def test_errors_of_a_capture_are_bad_input_but_for_three(self) -> None:
        codes = {error: exit_code(of_type(error), {}) for error in get_args(CaptureError)}

        bad_input = dict.fromkeys(get_args(CaptureError), BAD_INPUT)
        assert codes == bad_input | {StorageFailure: OUT_OF_REACH, MetadataCorrupted: FINDING}

    def test_damage_is_a_finding(self) -> None:
        assert exit_code(of_type(SegmentCorrupted), {}) == FINDING

    def test_a_command_may_know_better(self) -> None:
        assert exit_code(UNREACHABLE, {StorageUnreachable: 9}) == 9


class TestOutput:
    def test_an_error_is_a_line_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_error(InvalidConfig("field", "[red]", "red\nor " * 40), as_json=False)

        written = capsys.readouterr()
        assert written.out == ""
        assert written.err == "error: field cannot be '[red]': " + r"red\nor " * 40 + ".\n"

    def test_an_error_is_an_object_for_machines(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_error(StorageFailure("s", UNREACHABLE), as_json=True)
        print_error(InvalidConfig("size", float("nan"), "a number"), as_json=True)

        written = capsys.readouterr()
        assert written.out == ""
        assert [json.loads(line) for line in written.err.splitlines()] == [
            {
                "error": "StorageFailure",
                "message": f"Session 's': {UNREACHABLE.message}",
                "session_id": "s",
                "cause": UNREACHABLE.message,
            },
            {
                "error": "InvalidConfig",
                "message": "size cannot be nan: a number.",
                "field": "size",
                "value": "nan",
                "allowed": "a number",
            },
        ]

    def test_an_error_without_fields_is_an_object_too(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Odd:
            retryable: ClassVar[bool] = False
            message = "it is odd"

        print_error(Odd(), as_json=True)

        assert json.loads(capsys.readouterr().err) == {"error": "Odd", "message": "it is odd"}

    def test_a_document_comes_out_as_it_went_in(self, capsys: pytest.CaptureFixture[str]) -> None:
        document = {"text": "[red]:smile: ü\t\x1b" + "long " * 100, "nested": {"list": [1, None]}}

        print_json(document)

        assert json.loads(capsys.readouterr().out) == document

    def test_data_are_neither_markup_nor_control(self, capsys: pytest.CaptureFixture[str]) -> None:
        put("[bold]a[/] :smile: \x1b[2J\r\n\u202e\ud800é")
        tell("[/]\x07")

        written = capsys.readouterr()
        assert written.out == "[bold]a[/] :smile: \\x1b[2J\\r\\n\\u202e\\ud800é\n"
        assert written.err == "[/]\\x07\n"

    def test_a_table_is_never_cut_off(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "20")
        table = Table("name", box=None, pad_edge=False)
        table.add_column("count", justify="right")
        table.add_row(plain("[x]" * 40), "1")
        table.add_row("y", "10,000")

        print_table(table)

        header, first, second = capsys.readouterr().out.splitlines()
        assert first == f"{'[x]' * 40}       1"
        assert second == f"y{' ' * 121}10,000"
        assert len(header) == len(first)

    @pytest.mark.parametrize("as_json", [False, True])
    def test_progress_is_silent_where_nobody_looks(
        self, capsys: pytest.CaptureFixture[str], *, as_json: bool
    ) -> None:
        with progress(as_json=as_json) as bar:
            bar.update(bar.add_task("working", total=1, unit="bytes"), completed=1)

        written = capsys.readouterr()
        assert (written.out, written.err) == ("", "")

    def test_a_summary_counts_in_words(self) -> None:
        metadata = CaptureSessionMetadata(
            session_id="s",
            start_time=moment(0),
            status="completed",
            s3_prefix="sessions/s",
            created_by="tests",
            captured_traces=1_000,
            captured_logs=2,
            record_counts=RecordCounts(1, 4_551, 0),
            total_raw_bytes=1_000_000,
            total_size_bytes=1_024,
        )

        assert summary(metadata) == (
            "s: 1,002 requests with 1 span, 4,551 data points and 0 log records; "
            "1,000,000 bytes, 1,024 stored"
        )


@pytest.fixture
def logs_again() -> Generator[None]:
    """Undo that output for machines turns logging off."""
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("logs_again")
class TestRunning:
    def run(self, ended: Outcome[int, Any], store: str = "memory:", **options: Any) -> int:
        async def work(_: S3Storage) -> Outcome[int, Any]:
            return ended

        with pytest.raises(typer.Exit) as exited:
            run_with(store, SystemClock, S3StorageTag, work, **{"as_json": True, **options})
        return exited.value.exit_code

    def test_the_work_says_the_code(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(Success(DONE)) == DONE
        assert self.run(Success(42), failed=125) == 42
        assert capsys.readouterr() == ("", "")

    @pytest.mark.parametrize(
        ("error", "options", "code"),
        [
            (UNREACHABLE, {}, OUT_OF_REACH),
            (UNREACHABLE, {"failed": 125}, 125),
            (UNREACHABLE, {"codes": {StorageUnreachable: 7}}, 7),
            (UNREACHABLE, {"codes": {StorageUnreachable: 7}, "failed": 125}, 7),
            (InvalidConfig("field", 1, "two"), {}, BAD_INPUT),
        ],
    )
    def test_an_error_is_printed_and_coded(
        self,
        capsys: pytest.CaptureFixture[str],
        error: Fault,
        options: dict[str, Any],
        code: int,
    ) -> None:
        assert self.run(Failure(error), **options) == code
        assert json.loads(capsys.readouterr().err)["message"] == error.message

    def test_a_store_that_cannot_be_opened_is_an_error(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").touch()

        assert self.run(Success(DONE), f"file:{tmp_path}/file") == OUT_OF_REACH
        assert self.run(Success(DONE), "nonsense") == BAD_INPUT

        opened, parsed = map(json.loads, capsys.readouterr().err.splitlines())
        assert (opened["error"], parsed["error"]) == ("StorageUnusable", InvalidStoreUrl.__name__)


class TestOptions:
    def options(self) -> dict[str, TyperOption]:
        """Return all options of all commands, by how a user would write them."""
        app = typer.main.get_command(build())
        found: dict[str, TyperOption] = {}
        commands: list[Any] = [
            ((name,), command) for name, command in vars(app)["commands"].items()
        ]
        while commands:
            path, command = commands.pop()
            if isinstance(command, TyperGroup):
                commands += [((*path, name), each) for name, each in command.commands.items()]
                continue
            for option in command.params:
                if isinstance(option, TyperOption):
                    found[" ".join((*path, option.opts[0]))] = option
        return found

    def test_each_has_the_variable_of_its_name(self) -> None:
        for written, option in self.options().items():
            own = written.rpartition("--")[2].replace("-", "_").upper()
            path = written.rpartition(" ")[0].replace(" ", "_").upper()
            if own in {"STORE", "JSON", "SPOOL"}:
                assert option.envvar == f"OTLP_CAPTURE_{own}", written
            else:
                # It is made of the parameter's name, unless that cannot be the option's.
                made = f"OTLP_CAPTURE_{path}_{option.name.upper()}"
                assert (option.envvar or made) == f"OTLP_CAPTURE_{path}_{own}", written

    def test_each_says_what_it_is_for(self) -> None:
        assert [written for written, option in self.options().items() if not option.help] == []

    @pytest.mark.parametrize(
        ("arguments", "environment", "expected"),
        [
            (["sessions", "list"], {}, False),
            (["sessions", "list", "--json"], {}, True),
            (["sessions", "list"], {"OTLP_CAPTURE_JSON": "Yes"}, True),
            (["sessions", "list"], {"OTLP_CAPTURE_JSON": "0"}, False),
            (["record", "--", "command", "--json"], {}, False),
            (["record", "--json", "--", "command"], {}, True),
        ],
    )
    def test_whether_output_is_for_machines_is_seen_before_parsing(
        self, arguments: list[str], environment: dict[str, str], *, expected: bool
    ) -> None:
        assert speaks_json(arguments, environment) == expected

    @pytest.mark.parametrize("names", [None, [], ["logs", "traces", "metrics"]])
    def test_no_signal_means_all(self, names: list[str] | None) -> None:
        chosen = None if names is None else [SignalName(name) for name in names]

        assert chosen_signals(chosen) == ("traces", "metrics", "logs")
