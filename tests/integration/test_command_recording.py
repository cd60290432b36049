"""The commands that record and replay: what they keep, whom they tell, how they end."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clocks import HANGS_AFTER_S
from tests.command_line import COMMAND, Shell, export, put_session, send, wait_until
from tests.export_requests import JSON, PROTOBUF, TRACES, logs
from tests.raw_http import post


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run commands in an empty folder."""
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("record"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, str]:
    shell = Shell(tmp_path_factory.mktemp("demo"))
    demo = shell.run("demo")
    assert demo.code == 0
    return shell, demo.stdout


class TestRecord:
    @pytest.mark.parametrize(
        ("script", "code"),
        [
            ("exit 0", 0),
            ("exit 7", 7),
            ("exit 125", 125),
            ("kill -TERM $$", 143),
            ("kill -KILL $$", 137),
        ],
    )
    def test_it_exits_as_the_command_does(self, recorder: Shell, script: str, code: int) -> None:
        session = f"exit-{script.replace(' ', '-').replace('$', 'S')}"
        recorded = recorder.run("record", "--session", session, "--json", "--", "sh", "-c", script)

        assert recorded.code == code
        assert recorded.stderr == ""
        assert (recorded.result["status"], recorded.result["endReason"]) == ("completed", "stopped")

    @pytest.mark.parametrize(
        ("content", "mode"),
        [("\x7fELF", 0o755), ("#!/no/such/interpreter\n", 0o755), ("#!/bin/sh", 0o644)],
    )
    def test_what_cannot_be_run_is_told(self, recorder: Shell, content: str, mode: int) -> None:
        program = recorder.folder / "program"
        program.write_text(content)
        program.chmod(mode)
        session = f"not-run-{len(content)}"
        recorded = recorder.run("record", "--session", session, "--json", "--", str(program))

        assert (recorded.code, recorded.stdout) == (126, "")
        assert recorded.error["error"] == "CommandNotExecutable"

    def test_output_input_and_arguments_are_the_commands_own(self, recorder: Shell) -> None:
        script = 'echo "$1"; echo "$0" >&2; cat'
        recorded = recorder.run(
            "record", "--session", "own", "sh", "-c", script, "--json", "--help"
        )

        assert (recorded.code, recorded.stdout) == (0, "--help\n")
        assert recorded.stderr.splitlines()[0] == "--json"
        assert recorded.stderr.splitlines()[1].startswith("own: 0 requests with 0 spans, ")
        assert "Nothing was kept" in recorded.stderr

    def test_with_json_standard_output_is_for_the_result(self, recorder: Shell) -> None:
        recorded = recorder.run("record", "--session", "j", "--json", "--", "echo", "loud")

        assert (recorded.code, recorded.stderr) == (0, "loud\n")
        assert recorded.result["sessionId"] == "j"

    def test_what_the_command_sends_is_kept(self, recorder: Shell) -> None:
        program = recorder.folder / "client.py"
        program.write_text(
            "import os, urllib.request\n"
            "url = os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] + '/v1/logs'\n"
            "for body in (b'{}', b'{\"resourceLogs\":[]}'):\n"
            f"    request = urllib.request.Request(url, body, {{'Content-Type': '{JSON}'}})\n"
            "    urllib.request.urlopen(request).close()\n"
            "try:\n"
            "    urllib.request.urlopen(url)\n"
            "except urllib.error.HTTPError as error:\n"
            "    error.close()\n"
        )
        options = [
            "--label",
            "a=b=c",
            "--label",
            "d=",
            "--description",
            "[red]",
            "--signal",
            "logs",
        ]
        recorded = recorder.run(
            *("record", "--session", "kept", *options, "--json"),
            *("--", sys.executable, str(program)),
            http_proxy="http://127.0.0.1:9",
        )

        assert (recorded.code, recorded.stderr) == (0, "")
        document = recorded.result
        assert (document["capturedLogs"], document["refused"]) == (2, {"MethodNotAllowed": 1})
        assert document["labels"] == {"a": "b=c", "d": ""}
        assert document["description"] == "[red]"
        assert document["capture"]["logs"]
        assert not document["capture"]["traces"]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signals_are_passed_on(self, recorder: Shell, number: signal.Signals) -> None:
        program = (
            "import signal, sys\n"
            "def leave(number, frame): print('asked', number, flush=True); sys.exit(9)\n"
            "signal.signal(signal.SIGINT, leave); signal.signal(signal.SIGTERM, leave)\n"
            "print('ready', flush=True); signal.pause()\n"
        )
        session = f"signal-{number.name}"
        process = recorder.start(
            "record", "--session", session, "--", sys.executable, "-c", program
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        stdout, _ = process.communicate(timeout=HANGS_AFTER_S)

        assert (process.returncode, stdout) == (9, f"asked {number.value}\n")
        shown = recorder.run("sessions", "show", session, "--json")
        assert shown.result["status"] == "completed"

    def test_at_a_terminal_the_command_is_interrupted_once(self, recorder: Shell) -> None:
        program = (
            "import signal, sys\n"
            "signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))\n"
            "print('ready', flush=True); print(sys.stdin.readline())\n"
        )
        at_terminal = (
            "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
            "os.execv(sys.argv[1], sys.argv[1:])"
        )
        command = [COMMAND, "record", "--session", "tty", "--", sys.executable, "-c", program]
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", at_terminal, *command],
            cwd=recorder.folder,
            env=recorder.environment(),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        os.close(theirs)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.write(ours, b"\x03")
        assert process.stdout.readline() == "interrupted\n"
        os.write(ours, b"over\n")
        stdout, _ = process.communicate(timeout=HANGS_AFTER_S)
        os.close(ours)

        assert (process.returncode, stdout) == (0, "over\n\n")

    def test_a_command_that_a_signal_ends_is_told_by_its_code(self, recorder: Shell) -> None:
        process = recorder.start(
            "record", "--session", "ended", "--", "sh", "-c", "echo; exec sleep 60"
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=HANGS_AFTER_S)

        assert process.returncode == 143


class TestServe:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_it_cleanly(self, shell: Shell, number: signal.Signals) -> None:
        with shell.serving("--session", "s") as serving:
            assert serving.announced == {
                "sessionId": "s",
                "listening": serving.url,
                "listeningGrpc": serving.grpc_url,
            }
            statuses = send(serving.port, TRACES, post("/v1/logs", b"{}", JSON), b"garbage\r\n\r\n")
            ended = serving.end(number)

        assert statuses == [200, 200, 400]
        assert (ended.code, ended.stderr) == (0, "")
        document = ended.result
        assert (document["status"], document["endReason"]) == ("completed", "stopped")
        assert (document["capturedTraces"], document["capturedLogs"]) == (1, 1)
        assert document.pop("refused") == {"MalformedHttp": 1}
        assert shell.run("sessions", "show", "s", "--json").result == document

    def test_people_are_told_where_and_what(self, shell: Shell) -> None:
        process = shell.start("serve", "--session", "s", "--http-port", "0", "--no-grpc")
        assert process.stderr is not None
        announced = process.stderr.readline()
        port = int(announced.partition("http://127.0.0.1:")[2].partition(".")[0])
        send(port, TRACES, TRACES, post("/v1/logs", b"{", JSON))
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=HANGS_AFTER_S)

        assert announced == (
            f"Recording into session s: OTLP/HTTP on http://127.0.0.1:{port}. Ctrl-C ends it.\n"
        )
        assert (process.returncode, stdout) == (0, "")
        assert stderr.splitlines()[0].startswith("s: 2 requests with 2 spans, 0 data points and 0 ")
        assert stderr.splitlines()[1:] == ["1 request refused: InvalidRequest"]

    def test_people_are_told_of_both_transports(self, shell: Shell) -> None:
        process = shell.start("serve", "--session", "s", "--http-port", "0", "--grpc-port", "0")
        assert process.stderr is not None
        announced = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=HANGS_AFTER_S)

        assert re.fullmatch(
            r"Recording into session s: OTLP/HTTP on http://127\.0\.0\.1:\d+, "
            r"OTLP/gRPC on http://127\.0\.0\.1:\d+\. Ctrl-C ends it\.\n",
            announced,
        )
        assert process.returncode == 0

    def test_both_transports_record_into_one_session(self, shell: Shell) -> None:
        with shell.serving("--session", "s", "--keep-header", "x-tenant") as serving:
            assert send(serving.port, TRACES) == [200]
            codes = export(serving.grpc_url, ("logs", logs()), ("logs", b"\x0b"))
            ended = serving.end()

        assert codes == [0, 3]
        assert (ended.code, ended.stderr) == (0, "")
        assert ended.result["recordCounts"] == {"spans": 1, "dataPoints": 0, "logRecords": 1}
        assert ended.result["refused"] == {"InvalidRequest": 1}

    def test_grpc_alone_is_served(self, shell: Shell) -> None:
        options = ["--session", "s", "--no-http", "--grpc-port", "0", "--json"]
        process = shell.start("serve", *options)
        assert process.stderr is not None
        announced = json.loads(process.stderr.readline())
        codes = export(announced["listeningGrpc"], ("traces", b""), ("no signal", b""))
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=HANGS_AFTER_S)

        assert {*announced} == {"sessionId", "listeningGrpc"}
        assert (process.returncode, stderr, codes) == (0, "", [0, 12])
        assert json.loads(stdout)["refused"] == {"UnknownMethod": 1}

    def test_a_session_that_nobody_records_is_taken_up(self, shell: Shell) -> None:
        put_session(shell, "orphan", "active")

        process = shell.start("serve", "--session", "orphan", "--http-port", "0", "--no-grpc")
        assert process.stderr is not None
        taken_up, announced = process.stderr.readline(), process.stderr.readline()
        port = int(announced.partition("http://127.0.0.1:")[2].partition(".")[0])
        assert send(port, TRACES) == [200]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=HANGS_AFTER_S)

        assert process.returncode == 0
        assert taken_up.startswith("Taking up orphan: 3 requests with 1 span, 1 data point and 1 ")
        document = shell.run("sessions", "show", "orphan", "--json").result
        counted = [document[f"captured{name}"] for name in ("Traces", "Metrics", "Logs")]
        assert (document["status"], counted) == ("completed", [2, 1, 1])

    def test_a_session_that_somebody_records_is_left_alone(self, shell: Shell) -> None:
        with shell.serving("--session", "s") as serving:
            second = shell.run(
                "serve", "--session", "s", "--http-port", "0", "--grpc-port", "0", "--json"
            )
            assert send(serving.port, TRACES) == [200]
            ended = serving.end()

        assert (second.code, second.error["error"]) == (2, "SessionAlreadyActive")
        assert (ended.code, ended.result["capturedTraces"]) == (0, 1)

    def test_a_port_in_use_makes_no_session(self, shell: Shell) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = str(listener.getsockname()[1])
            refused = shell.run(
                "serve", "--session", "s", "--http-port", port, "--no-grpc", "--json"
            )

        assert (refused.code, refused.error["error"]) == (2, "CannotListen")
        assert shell.run("sessions", "list", "--json").result == {"sessions": []}

    @pytest.mark.parametrize(
        ("option", "reason"),
        [("--max-size-mb=0.00001", "maxSize"), ("--max-duration-minutes=0.0001", "maxDuration")],
    )
    def test_limits_end_the_session(self, shell: Shell, option: str, reason: str) -> None:
        with shell.serving("--session", "s", option) as serving:
            wait_until(lambda: send(serving.port, TRACES) == [403])
            ended = serving.end()

        assert ended.code == 0
        assert (ended.result["status"], ended.result["endReason"]) == ("completed", reason)

    def test_only_some_signals_and_small_requests_are_taken(self, shell: Shell) -> None:
        options = ["--signal", "traces", "--signal", "logs", "--max-request-mib", "1"]
        with shell.serving("--session", "s", *options) as serving:
            statuses = send(
                serving.port,
                TRACES,
                post("/v1/metrics", b"", PROTOBUF),
                post("/v1/logs", bytes((1 << 20) + 1), PROTOBUF),
            )

        assert statuses == [200, 404, 413]


class TestReplay:
    def test_undelivered_requests_are_a_finding(self, shell: Shell) -> None:
        put_session(shell, "s")
        with shell.serving("--session", "t", "--signal", "logs") as serving:
            replay = ["replay", "s", "--to", serving.url, "--speed", "max"]
            people, machines = shell.run(*replay), shell.run(*replay, "--json")

        assert (people.code, machines.code) == (1, 1)
        assert machines.result["status"]["delivery"] == {
            "delivered": 1,
            "rejected": 2,
            "failed": 0,
            "unknown": 0,
            "notSent": 0,
        }
        header, requests, records, *_certificate = people.stdout.splitlines()
        assert header.split() == ["delivered", "rejected", "failed", "unknown", "not", "sent"]
        assert requests.split() == ["requests", "1", "2", "0", "0", "0"]
        assert records.split() == ["records", "1", "2", "0", "0", "0"]
        assert len({len(line) for line in (header, requests, records)}) == 1

    def test_an_interrupted_replay_ends_at_once(self, shell: Shell) -> None:
        put_session(shell, "s")
        with shell.serving("--session", "t", "--durability", "object") as serving:
            process = shell.start("replay", "s", "--to", serving.url, "--speed", "0.01", "--json")
            wait_until(lambda: [*shell.folder.glob("otlp-data/sessions/t/raw/*/*/*.gz")])
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=HANGS_AFTER_S)

        assert (process.returncode, stderr) == (130, "")
        assert json.loads(stdout)["status"]["delivery"]["delivered"] < 3

    def test_signals_are_selected(self, shell: Shell) -> None:
        put_session(shell, "s")
        with shell.serving("--session", "t") as serving:
            only = ["--signal", "logs", "--signal", "metrics"]
            replayed = shell.run(
                "replay", "s", "--to", serving.url, "--speed", "max", "--json", *only
            )
            ended = serving.end()

        assert (replayed.code, replayed.result["status"]["delivery"]["delivered"]) == (0, 2)
        assert ended.result["recordCounts"] == {"spans": 0, "dataPoints": 1, "logRecords": 1}


class TestDemo:
    def test_it_leaves_its_folder_and_says_equal(self, shown: tuple[Shell, str]) -> None:
        shell, report = shown

        assert "\nequal: " in report
        sessions = shell.run("sessions", "list", "--json").result["sessions"]
        original, copy = (document["recordCounts"] for document in sessions)
        assert original == copy
        assert min(original.values()) > 0

    def test_what_it_suggests_works(self, shown: tuple[Shell, str]) -> None:
        shell, report = shown
        suggested = report.partition("Look at them:\n")[2].splitlines()

        assert len(suggested) == 3
        for line in suggested:
            path = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
            subprocess.run(
                ["bash", "-ec", line.replace("| strings", "| cat")],
                cwd=shell.folder,
                env=shell.environment(PATH=path),
                check=True,
                capture_output=True,
            )
