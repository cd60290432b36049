"""The command line as a user meets it: what it prints, what it keeps, how it exits."""

import json
import os
import pty
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.clocks import HANGS_AFTER_S
from tests.command_line import COMMAND, Run, Shell, put_session, wait_until
from tests.export_requests import traces

COMMANDS = (
    "record",
    "serve",
    "import",
    "export",
    "sessions list",
    "sessions show",
    "sessions verify",
    "sessions reindex",
    "sessions delete",
    "sessions hold",
    "sessions recover",
    "sessions release",
    "retention usage",
    "retention plan",
    "retention run",
    "retention schedule",
    "redact check",
    "replay",
    "replays",
    "diff",
    "demo",
)
NOWHERE = "--to http://127.0.0.1:9"
LINE = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"%d"}]}]}]}\n'


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run commands in an empty folder."""
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("bad-input"))
    put_session(shell, "here")
    (shell.folder / "lines.jsonl").write_text(LINE % 1)
    (shell.folder / "framed.bin").write_bytes(b"\0\0\0\0")
    return shell


class TestHelp:
    def test_each_command_shows_an_example(self, shell: Shell) -> None:
        for command, shown in zip(
            COMMANDS, shell.run_all(*(f"{command} --help" for command in COMMANDS)), strict=True
        ):
            assert (shown.code, shown.stderr) == (0, "")
            assert f"Example: otlp-capture {command}" in shown.stdout
            assert max(map(len, shown.stdout.splitlines())) <= 80
            assert "…" not in shown.stdout

    def test_all_commands_are_listed(self, shell: Shell) -> None:
        shown = shell.run("-h")

        assert shown.code == 0
        assert all(f"│ {command.split()[0]} " in shown.stdout for command in COMMANDS)

    def test_the_version_is_told(self, shell: Shell) -> None:
        assert shell.run("--version").stdout.startswith("otlp-capture 0.")


class TestUsageErrors:
    CASES = (
        "nonsense",
        "sessions show",
        "import file.jsonl",
        "replay s",
        "replay s --to http://127.0.0.1:9 --speed fast",
        "replay s --to http://127.0.0.1:9 --timestamps later",
        "diff a b --shift some",
        "serve --session s --http-port many",
        "serve --session s --linger-ms nan",
        "serve --session s --max-request-mib 0",
        "record --session s",
    )

    def test_people_are_told_how_to_get_help(self, shell: Shell) -> None:
        for wrong in shell.run_all(*self.CASES[:3]):
            assert (wrong.code, wrong.stdout) == (2, "")
            assert "Usage: otlp-capture" in wrong.stderr
            assert "Traceback" not in wrong.stderr

    def test_an_option_of_what_is_not_asked_for_is_refused(self, shell: Shell) -> None:
        commands = (
            "serve --session s --forward-gzip",
            "record --session s --forward-timeout 1 -- true",
            "serve --session s --unready-after 3",
        )
        anywhere = {"OTLP_CAPTURE_SERVE_HTTP_PORT": "0", "OTLP_CAPTURE_SERVE_GRPC_PORT": "0"}

        errors = [run.error for run in shell.run_all(*commands, OTLP_CAPTURE_JSON="1", **anywhere)]

        assert [(each["error"], each["field"]) for each in errors] == [
            ("InvalidConfig", "--forward"),
            ("InvalidConfig", "--forward"),
            ("InvalidConfig", "--unready-after"),
        ]

    def test_machines_are_told_in_json(self, shell: Shell) -> None:
        for wrong in shell.run_all(*self.CASES, OTLP_CAPTURE_JSON="1"):
            assert (wrong.code, wrong.stdout) == (2, "")
            assert wrong.error["error"] == "InvalidArguments"
            assert wrong.error["message"]


class TestBadInput:
    @pytest.mark.parametrize(
        ("code", "error", "commands"),
        [
            (2, "SessionNotFound", ["sessions show x", "diff here x", f"replay x {NOWHERE}"]),
            (
                2,
                "InvalidSessionId",
                [
                    "sessions show ../here",
                    "diff ../here here",
                    f"replay ../here {NOWHERE}",
                    "import lines.jsonl --session ../x",
                    "serve --session ../x --http-port 0 --grpc-port 0",
                ],
            ),
            (
                2,
                "SessionAlreadyExists",
                [
                    "import lines.jsonl --session here",
                    "serve --session here --http-port 0 --grpc-port 0",
                ],
            ),
            (
                2,
                "InvalidConfig",
                [
                    "replay here --to nowhere",
                    f"replay here {NOWHERE} --speed 0",
                    "serve --session x --http-port 0 --grpc-port 0 --label nameless",
                    "serve --session x --http-port 0 --grpc-port 0 --max-size-mb nan",
                    "serve --session x --http-port 0 --grpc-port 0 --keep-header cookie",
                    "serve --session x --no-http --no-grpc",
                ],
            ),
            (
                2,
                "FileUnreadable",
                ["import absent.jsonl --session x", "import otlp-data/.spool --session x"],
            ),
            (2, "SignalMissing", ["import framed.bin --session x"]),
            (
                2,
                "CannotListen",
                [
                    "serve --session x --http-port 70000 --grpc-port 0",
                    "serve --session x --http-port 0 --grpc-port 70000",
                ],
            ),
            (
                2,
                "InvalidStoreUrl",
                ["sessions list --store ftp://x", "sessions list --store s3://key:secret@bucket"],
            ),
            (3, "StorageUnusable", ["sessions list --store file:lines.jsonl"]),
            (125, "StorageUnusable", ["record --session x --store file:lines.jsonl -- true"]),
            (125, "SessionAlreadyExists", ["record --session here -- true"]),
            (125, "InvalidSessionId", ["record --session ../x -- true"]),
            (
                125,
                "InvalidConfig",
                [
                    "record --session x --max-size-mb=-1 -- true",
                    "record --session x --keep-header x-api-key -- true",
                ],
            ),
            (127, "CommandNotFound", ["record --session x -- no-such-program"]),
        ],
    )
    def test_it_is_told_and_exits_as_documented(
        self, held: Shell, code: int, error: str, commands: list[str]
    ) -> None:
        for wrong in held.run_all(*map(for_machines, commands)):
            assert (wrong.code, wrong.stdout) == (code, "")
            assert wrong.error["error"] == error
            assert "secret" not in wrong.stderr

    @pytest.mark.parametrize(
        ("command", "code"),
        [
            ("sessions show ../here", 2),
            ("sessions list --store file:lines.jsonl", 3),
            ("record --session here -- true", 125),
        ],
    )
    def test_people_are_told_the_same(self, held: Shell, command: str, code: int) -> None:
        people, machines = held.run_all(command, for_machines(command))

        assert people == Run(code, "", f"error: {machines.error['message']}\n")
        assert people.stderr.count("\n") == 1

    def test_a_store_out_of_reach_is_told(self, held: Shell) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        codes = {
            "sessions list": 3,
            "sessions show s": 3,
            "import lines.jsonl --session s": 3,
            f"replay s {NOWHERE}": 3,
            "diff a b": 3,
            "serve --session s --http-port 0 --grpc-port 0": 3,
            "record --session s -- true": 125,
        }

        tried = held.run_all(
            *map(for_machines, codes),
            OTLP_CAPTURE_STORE=f"s3://bucket/p?endpoint={endpoint}&region=us-east-1",
            AWS_ACCESS_KEY_ID="a",
            AWS_SECRET_ACCESS_KEY="b",
        )

        assert [(run.code, run.stdout) for run in tried] == [(code, "") for code in codes.values()]
        told = [run.error["message"] for run in tried]
        assert [endpoint in message and "Cannot reach" in message for message in told] == [True] * 7

    def test_a_target_out_of_reach_is_told(self, held: Shell) -> None:
        replay = f"replay here {NOWHERE} --speed max"
        people, machines = held.run_all(replay, for_machines(replay))

        assert (people.code, machines.code) == (3, 3)
        assert machines.result["status"]["status"] == "failed"
        assert machines.result["status"]["delivery"]["delivered"] == 0
        assert sum(machines.result["status"]["delivery"].values()) == 3
        assert "127.0.0.1:9" in people.stderr.splitlines()[-1]


def for_machines(command: str) -> str:
    """Ask a command line for JSON."""
    own, separator, rest = command.partition(" -- ")
    return f"{own} --json{separator}{rest}"


class TestDamage:
    @pytest.fixture
    def segment(self, shell: Shell) -> Path:
        folder = put_session(shell, "damaged")
        put_session(shell, "sound")
        (segment,) = folder.glob("raw/*/*/traces-*.otlp.gz")
        return segment

    def check(self, shell: Shell, segment: Path) -> None:
        commands = ["diff sound damaged", f"replay damaged {NOWHERE} --speed max"]
        for run in shell.run_all(*commands, *map(for_machines, commands)):
            told = run.stderr + run.stdout
            assert run.code == 1
            assert segment.name in told
            assert "is damaged at byte" in told
            assert "Traceback" not in told
        assert shell.run("sessions", "show", "damaged").code == 0

    def test_flipped_bytes_are_told(self, shell: Shell, segment: Path) -> None:
        content = bytearray(segment.read_bytes())
        content[-12] ^= 0xFF
        segment.write_bytes(content)

        self.check(shell, segment)

    def test_a_truncated_segment_is_told(self, shell: Shell, segment: Path) -> None:
        segment.write_bytes(segment.read_bytes()[:-9])

        self.check(shell, segment)

    def test_metadata_that_are_no_json_are_told(self, shell: Shell, segment: Path) -> None:
        metadata = segment.parents[3] / "metadata.json"
        metadata.write_text("{")

        shown = shell.run("sessions", "show", "damaged", "--json")
        listed = shell.run("sessions", "list")

        assert (shown.code, shown.error["error"]) == (1, "MetadataCorrupted")
        assert listed.code == 0
        assert "damaged is left out" in listed.stderr.replace("damaged/", "damaged")
        assert "sound" in listed.stdout


class TestImport:
    def test_a_broken_line_is_named_and_nothing_is_kept(self, shell: Shell) -> None:
        (shell.folder / "f.jsonl").write_text(
            LINE % 1 + LINE % 2 + '{"resourceSpans": [\n' + LINE % 3
        )

        imported = shell.run("import", "f.jsonl", "--session", "s", "--json")

        assert (imported.code, imported.error["error"]) == (2, "EntryBroken")
        assert imported.error["place"] == "line 3"
        assert "Nothing was imported" in imported.error["message"]
        assert shell.run("sessions", "list", "--json").result == {"sessions": []}

    def test_what_is_broken_can_be_left_out(self, shell: Shell) -> None:
        (shell.folder / "f.jsonl").write_text(LINE % 1 + "nonsense\n" + LINE % 3)

        imported = shell.run("import", "f.jsonl", "--session", "s", "--skip-invalid")

        assert imported.code == 0
        assert imported.stderr.startswith("left out f.jsonl, line 2: ")
        assert imported.stdout.startswith("s: 2 requests with 0 spans, 0 data points and 2 log rec")
        document = shell.run("sessions", "show", "s", "--json").result
        assert document["recordCounts"] == {"spans": 0, "dataPoints": 0, "logRecords": 2}

    def test_framed_protobuf_is_imported(self, shell: Shell) -> None:
        frames = b"".join(
            len(request).to_bytes(4, "big") + request for request in (traces("a"), traces("b", "c"))
        )
        (shell.folder / "f.bin").write_bytes(frames)

        imported = shell.run("import", "f.bin", "--session", "s", "--signal", "traces", "--json")

        assert (imported.code, imported.stderr) == (0, "")
        assert imported.result["recordCounts"] == {"spans": 3, "dataPoints": 0, "logRecords": 0}

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupted_import_leaves_nothing(
        self, shell: Shell, number: signal.Signals
    ) -> None:
        (shell.folder / "f.jsonl").write_text(LINE % 1 * 200_000)
        process = shell.start("import", "f.jsonl", "--session", "s")
        wait_until((shell.folder / "otlp-data/sessions/s/metadata.json").exists)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=HANGS_AFTER_S)

        assert (process.returncode, stdout, stderr) == (128 + number, "", "")
        assert shell.run("sessions", "list", "--json").result == {"sessions": []}

    def test_progress_is_shown_on_a_terminal(self, shell: Shell) -> None:
        (shell.folder / "[red]f.jsonl").write_text(LINE % 1)
        shown = [
            on_a_terminal(shell, "import", name, "--session", "s")
            for name in ("[red]f.jsonl", "no")
        ]

        assert [code for code, _ in shown] == [0, 2]
        assert "importing [red]f.jsonl" in shown[0][1]
        assert "error:" in shown[1][1]
        assert "Traceback" not in shown[1][1]


def on_a_terminal(shell: Shell, *arguments: str) -> tuple[int, str]:
    """Run with a terminal for standard error, and return the code and what stood there."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [COMMAND, *arguments],
            cwd=shell.folder,
            env=shell.environment(TERM="xterm"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        try:
            while piece := terminal.read(65_536):
                shown += piece
        except OSError:  # how Linux says that the other side of a terminal is gone
            pass
        return process.wait(HANGS_AFTER_S), shown.decode()


class TestSessions:
    def test_ids_are_whole_and_numbers_stand_below_each_other(self, shell: Shell) -> None:
        long = "a" * 128
        put_session(shell, long)
        put_session(shell, "b")

        listed = shell.run("sessions", "list")

        header, *rows = listed.stdout.splitlines()
        assert header.split() == [
            "session",
            "status",
            "start",
            "(UTC)",
            *("requests", "spans", "points", "logs", "stored"),
        ]
        assert [row.split()[0] for row in rows] == [long, "b"]
        assert [row.split()[1:7] for row in rows] == [
            ["completed", "2025-11-23", "01:23", "3", "1", "1"]
        ] * 2
        assert len({len(row) for row in (header, *rows)}) == 1

    def test_an_empty_store_is_said_to_be_empty(self, shell: Shell) -> None:
        listed = shell.run("sessions", "list")

        assert (listed.code, listed.stdout) == (0, "")
        assert listed.stderr == "There are no sessions in this store.\n"

    def test_the_document_is_the_metadata(self, shell: Shell) -> None:
        folder = put_session(shell, "s")

        shown = shell.run("sessions", "show", "s", "--json")

        assert shown.result == json.loads((folder / "metadata.json").read_text())
        assert shell.run("sessions", "list", "--json").result == {"sessions": [shown.result]}

    def test_what_others_wrote_is_shown_as_it_is(self, shell: Shell) -> None:
        folder = put_session(shell, "s")
        document = json.loads((folder / "metadata.json").read_text())
        document |= {"description": "[/] [red]\x1b[2J\nnext", "labels": {"[b]": "ü"}, "other": 1.5}
        (folder / "metadata.json").write_text(json.dumps(document))

        shown = shell.run("sessions", "show", "s", PYTHONIOENCODING="ascii")

        assert shown.code == 0
        lines = dict(line.split(None, 1) for line in shown.stdout.splitlines())
        assert lines["description"] == r"[/] [red]\x1b[2J\nnext"
        assert lines["labels"] == r"[b]=\xfc"
        assert lines["other"] == "1.5"

    def test_a_reader_that_has_enough_is_no_trouble(self, shell: Shell) -> None:
        put_session(shell, "s")
        process = shell.start("sessions", "show", "s")
        assert process.stdout is not None
        process.stdout.close()
        _, stderr = process.communicate(timeout=HANGS_AFTER_S)

        assert (process.returncode, stderr) == (0, "")


class TestEnvironment:
    def test_options_are_read_from_it(self, shell: Shell) -> None:
        put_session(shell, "s", folder="elsewhere")
        (shell.folder / "f.jsonl").write_text(LINE % 1)
        store = f"file:{shell.folder}/elsewhere"

        listed = shell.run("sessions", "list", OTLP_CAPTURE_STORE=store, OTLP_CAPTURE_JSON="true")
        imported = shell.run(
            "import", "f.jsonl", OTLP_CAPTURE_STORE=store, OTLP_CAPTURE_IMPORT_SESSION="imported"
        )

        assert [document["sessionId"] for document in listed.result["sessions"]] == ["s"]
        assert imported.code == 0
        assert (shell.folder / "elsewhere" / "sessions" / "imported").is_dir()
        assert not (shell.folder / "otlp-data").exists()


class TestDiff:
    def test_a_difference_is_a_finding(self, shell: Shell) -> None:
        put_session(shell, "s")
        (shell.folder / "f.jsonl").write_text(LINE % 1)
        shell.run("import", "f.jsonl", "--session", "t")

        people = shell.run("diff", "s", "t", "--shift", "none")
        machines = shell.run("diff", "s", "t", "--shift", "none", "--json")

        assert (people.code, machines.code) == (1, 1)
        assert people.stdout.startswith("different: 3 records against 1\n")
        assert not machines.result["equal"]
        assert {*machines.result} >= {"missing", "extra", "duplicated", "changed", "shift"}

    def test_a_given_shift_is_the_only_one_that_is_undone(self, shell: Shell) -> None:
        for session, time in (("early", 1_000), ("late", 1_700)):
            (shell.folder / "f.jsonl").write_text(LINE % time)
            shell.run("import", "f.jsonl", "--session", session)
        diff = ("diff", "early", "late", "--shift", "constant", "--shift-ns")

        right = shell.run(*diff, "700", "--json")
        wrong = shell.run(*diff, "699", "--json")

        assert (right.code, right.result["shift"]["ns"]) == (0, 700)
        assert (wrong.code, wrong.result["shift"]["ns"]) == (1, 699)
