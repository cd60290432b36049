"""`otlp-capture sessions recover`, run as users run it."""

import signal
from pathlib import Path

from tests.command_line import Shell, put_session, send
from tests.export_requests import PROTOBUF, logs
from tests.raw_http import post

REQUEST = post("/v1/logs", logs(), PROTOBUF)


def test_a_killed_recorder_s_session_is_published_and_then_ended(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    with shell.serving("--session", "s", "--no-grpc") as serving:
        assert send(serving.port, *[REQUEST] * 3) == [200] * 3
        serving.process.send_signal(signal.SIGKILL)
        serving.process.wait()

    published = shell.run("sessions", "recover", "--json")
    ended = shell.run("sessions", "recover", "s", "--json")
    nothing = shell.run("sessions", "recover")

    (recovered,) = published.result["recovered"]
    assert (recovered["sessionId"], recovered["requests"]) == ("s", 3)
    assert (recovered["isOver"], published.result["errors"], published.code) == (False, [], 0)
    assert (ended.result["status"], ended.result["capturedLogs"], ended.code) == ("completed", 3, 0)
    assert (nothing.code, nothing.stdout) == (0, "")


def test_people_are_told_what_is_left(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    with shell.serving("--session", "s", "--no-grpc") as serving:
        assert send(serving.port, REQUEST) == [200]
        serving.process.send_signal(signal.SIGKILL)
        serving.process.wait()

    published = shell.run("sessions", "recover")
    ended = shell.run("sessions", "recover", "s")
    put_session(shell, "other")
    missing = shell.run("sessions", "recover", "missing")

    assert published.stdout.startswith("s: 1 request in 1 segment; it is still active")
    assert ended.stdout.startswith("s: 1 request with ")
    assert (missing.code, "There is no session" in missing.stderr) == (2, True)
