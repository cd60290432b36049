"""`serve` in operation: the admin port, rings, durability, and its own telemetry."""

import json
import os
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import Serving, Shell, send, wait_until
from tests.export_requests import PROTOBUF, TRACES, logs, traces
from tests.raw_http import post


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run commands in an empty folder."""
    return Shell(tmp_path)


def call(
    serving: Serving, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Ask the admin port, and return the status and the document."""
    request = urllib.request.Request(  # it is loopback, and ours
        serving.announced["admin"] + path, method=method, headers=dict(headers or {})
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class TestAdminPort:
    def test_it_tells_whether_and_how_a_session_is_recorded(self, shell: Shell) -> None:
        options = ["--session", "s", "--admin-port", "0"]
        with shell.serving(*options) as serving:
            assert send(serving.port, TRACES, post("/v1/logs", b"\x0b", PROTOBUF)) == [200, 400]
            assert call(serving, "/healthz") == (200, {"status": "ok"})
            assert call(serving, "/readyz") == (200, {"status": "ready"})
            status, document = call(serving, "/status")

            assert (call(serving, "/ring", "POST")[0], call(serving, "/")[0]) == (404, 404)
            assert (call(serving, "/status", "POST")[0], call(serving, "/ring")[0]) == (405, 405)
            foreign = call(serving, "/status", headers={"Host": "evil.example"})
            page = call(serving, "/ring", "POST", {"Origin": "http://localhost:1"})

        (session,) = document.pop("sessions")
        assert status == 200
        assert (session["sessionId"], session["capturedTraces"]) == ("s", 1)
        assert document.pop("spool")["usedBytes"] > 0
        assert document == {
            "accepted": {"traces": 1},
            "acceptedBytes": {"traces": len(traces("GET /"))},
            "acceptedRecords": {"traces": 1},
            "refused": {"InvalidRequest": 1},
            "ring": None,
        }
        assert (foreign[0], foreign[1]["error"]) == (403, "ForeignHost")
        assert (page[0], page[1]["error"]) == (403, "ForeignOrigin")

    def test_a_session_that_has_ended_is_not_ready(self, shell: Shell) -> None:
        options = ["--session", "s", "--admin-port", "0", "--max-size-mb", "0.00001"]
        with shell.serving(*options) as serving:
            send(serving.port, TRACES)
            wait_until(lambda: call(serving, "/readyz")[0] == 503)

            assert [*call(serving, "/readyz")[1]["failing"]] == ["session"]

    def test_a_ring_that_cannot_become_a_session_now_is_kept(self, shell: Shell) -> None:
        options = ["--session", "r", "--admin-port", "0", "--ring", "1h"]
        with shell.serving(*options) as serving:
            assert send(serving.port, TRACES) == [200]
            (shell.folder / "otlp-data" / "sessions").write_text("no directory")
            refused = call(serving, "/ring", "POST")
            held = call(serving, "/status")[1]["ring"]["heldRequests"]

        assert (refused[0], refused[1]["error"]) == (503, "StorageFailure")
        assert held == 1

    def test_readiness_says_no_while_publishing_fails_and_when_the_spool_is_full(
        self, shell: Shell
    ) -> None:
        options = ["--session", "s", "--admin-port", "0", "--unready-after", "0"]
        fast = ["--publish-after", "0.1", "--spool-budget", "1"]
        with shell.serving(*options, *fast) as serving:
            raw = shell.folder / "otlp-data" / "sessions" / "s" / "raw"
            shutil.rmtree(raw, ignore_errors=True)
            raw.write_text("no directory")
            large = post("/v1/logs", logs(os.urandom(10_000).hex()), PROTOBUF)
            assert send(serving.port, *[large] * 120)[-1] == 503
            wait_until(lambda: len(call(serving, "/readyz")[1].get("failing", ())) == 2)
            status, document = call(serving, "/readyz")
            assert (status, {*document["failing"]}) == (503, {"spool", "publishing"})

            raw.unlink()
            wait_until(lambda: call(serving, "/readyz") == (200, {"status": "ready"}))

    def test_a_port_in_use_is_told(self, shell: Shell) -> None:
        with shell.serving("--session", "s", "--admin-port", "0") as serving:
            port = serving.announced["admin"].rpartition(":")[2]
            options = ["--http-port", "0", "--grpc-port", "0", "--admin-port", port]
            second = shell.run("serve", "--session", "t", *options, "--json")

        assert (second.code, second.error["error"]) == (2, "CannotListen")


class TestRing:
    def test_a_signal_and_a_request_make_sessions_of_it(self, shell: Shell) -> None:
        options = ["--session", "r", "--ring", "5m", "--admin-port", "0"]
        with shell.serving(*options) as serving:
            assert serving.announced["ring"] == "r"
            assert send(serving.port, TRACES, TRACES) == [200, 200]
            serving.process.send_signal(signal.SIGUSR1)
            assert serving.process.stderr is not None
            first = json.loads(serving.process.stderr.readline())["published"]
            assert send(serving.port, TRACES) == [200]
            status, second = call(serving, "/ring", "POST")
            ring = call(serving, "/status")[1]["ring"]
            assert send(serving.port, TRACES) == [200]
            ended = serving.end()

        assert status == 201
        assert (first["capturedTraces"], second["capturedTraces"]) == (2, 1)
        assert first["sessionId"].startswith("r-")
        assert ring["sessions"] == [first["sessionId"], second["sessionId"]]
        assert (ended.code, ended.stderr) == (0, "")
        assert ended.result["refused"] == {}
        left = ended.result["ring"]
        assert (left["name"], left["keptRequests"], left["heldRequests"]) == ("r", 4, 1)
        assert shell.run("sessions", "show", second["sessionId"], "--json").result == second

    def test_people_are_told_of_it(self, shell: Shell) -> None:
        process = shell.start(
            *("serve", "--session", "r", "--ring", "90s", "--http-port", "0", "--no-grpc")
        )
        assert process.stderr is not None
        announced = process.stderr.readline()
        process.send_signal(signal.SIGUSR1)
        made = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate()

        assert announced.startswith("Keeping ring r: OTLP/HTTP on http://127.0.0.1:")
        assert made.startswith("Made a session of the ring. r-")
        assert stderr.splitlines()[0].startswith(
            "r: 0 requests came, 0 expired, 0 became part of 1"
        )

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ("--ring 5x", "--ring"),
            ("--ring 0s", "--ring"),
            ("--ring 5m --max-size-mb 1", "--max-size-mb"),
            ("--ring 5m --max-duration-minutes 1", "--max-duration-minutes"),
            ("--ring 5m --publish-after 9", "--publish-after"),
            ("--ring 5m --durability object", "--durability"),
            ("--linger-ms 5", "--linger-ms"),
            ("--durability object --publish-mb 5", "--publish-mb"),
        ],
    )
    def test_what_does_not_go_together_is_refused(
        self, shell: Shell, options: str, named: str
    ) -> None:
        refused = shell.run("serve", "--session", "r", *options.split(), "--json")

        assert (refused.code, refused.error["error"]) == (2, "InvalidConfig")
        assert refused.error["field"] == named


class TestDurability:
    @pytest.mark.parametrize("kind", ["spool", "object", "memory"])
    def test_each_kind_keeps_what_came(self, shell: Shell, kind: str) -> None:
        with shell.serving("--session", "s", "--durability", kind) as serving:
            assert send(serving.port, TRACES) == [200]
            ended = serving.end()

        assert (ended.code, ended.result["capturedTraces"]) == (0, 1)


class TestTelemetry:
    def test_it_goes_to_another_receiver_and_not_into_the_session(self, shell: Shell) -> None:
        with shell.serving("--session", "own") as observer:
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": observer.url}
            observed = Shell(shell.folder, variables)
            with observed.serving("--session", "s", "--telemetry") as serving:
                assert send(serving.port, TRACES) == [200]
                ended = serving.end()
            own = observer.end()

        assert (ended.code, ended.stderr) == (0, "")
        assert ended.result["recordCounts"] == {"spans": 1, "dataPoints": 0, "logRecords": 0}
        assert own.result["recordCounts"]["spans"] >= 3
        assert own.result["recordCounts"]["dataPoints"] >= 5
        assert own.result["refused"] == {}

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "127.1", "0.0.0.0"])
    def test_a_loop_is_refused(self, shell: Shell, host: str) -> None:
        with shell.serving("--session", "t") as other:
            port = other.port
        refused = shell.run(
            *("serve", "--session", "s", "--no-grpc", "--telemetry", "--json"),
            *("--http-port", str(port)),
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{host}:{port}",
        )

        assert (refused.code, refused.error["error"]) == (2, "TelemetryLoop")
        assert shell.run("sessions", "show", "s", "--json").code == 2

    def test_where_the_sdk_is_disabled_nothing_is_told(self, shell: Shell) -> None:
        disabled = Shell(
            shell.folder,
            {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke signals"},
        )
        with disabled.serving("--session", "s", "--telemetry") as serving:
            assert send(serving.port, TRACES) == [200]

    def test_what_cannot_be_exported_is_told(self, shell: Shell) -> None:
        refused = shell.run(
            *("serve", "--session", "s", "--telemetry", "--json"),
            OTEL_EXPORTER_OTLP_PROTOCOL="http/json",
        )

        assert (refused.code, refused.error["field"]) == (2, "OTEL_EXPORTER_OTLP_PROTOCOL")

    def test_a_package_that_is_missing_is_named(self, shell: Shell, tmp_path: Path) -> None:
        hidden = tmp_path / "hidden" / "opentelemetry" / "sdk"
        hidden.mkdir(parents=True)
        (tmp_path / "hidden" / "sitecustomize.py").write_text(
            "import sys\nsys.modules['opentelemetry.sdk'] = None\n"
        )
        paths = shell.environment().get("PYTHONPATH", "")
        refused = shell.run(
            *("serve", "--session", "s", "--telemetry", "--json"),
            PYTHONPATH=f"{tmp_path / 'hidden'}:{paths}",
        )

        assert (refused.code, refused.error["error"]) == (2, "TelemetryUnavailable")
        assert "otlp-capture[telemetry]" in refused.error["message"]
