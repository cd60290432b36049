"""`serve --forward` and `record --forward`: what is sent on, and what is told at the end."""

import signal
import sys
from pathlib import Path

import pytest

from tests.command_line import Shell, send
from tests.export_requests import REQUESTS, TRACES
from tests.servers.processes import free_port

EXPORT = """
import os, urllib.request
url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/logs"
body = open("request", "rb").read()
headers = {"Content-Type": "application/x-protobuf"}
urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()
"""
NOTHING = dict.fromkeys(("rejected", "returned", "failed", "unknown", "dropped", "queued"), 0)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run commands in a folder that has a request in it."""
    (tmp_path / "request").write_bytes(REQUESTS["logs"])
    return Shell(tmp_path)


class TestServe:
    def test_all_that_is_stored_arrives_and_is_accounted_for(self, shell: Shell) -> None:
        with shell.serving("--session", "back") as back:
            grpc = back.grpc_url.replace("http:", "grpc:")
            destinations = ["--forward", back.url, "--forward", grpc]
            with shell.serving("--session", "front", *destinations) as front:
                assert send(front.port, TRACES, TRACES, TRACES) == [200, 200, 200]
                forwarded = front.end()
            recorded = back.end()

        assert (forwarded.code, forwarded.stderr) == (0, "")
        assert forwarded.result["resentRequests"] == 0
        assert forwarded.result["forwarded"] == [
            {
                "url": url,
                "requests": {"offered": 3, "delivered": 3, **NOTHING},
                "records": {"offered": 3, "delivered": 3, **NOTHING},
                "retries": 0,
            }
            for url in (back.url, grpc)
        ]
        assert recorded.result["capturedTraces"] == 6

    def test_the_targets_answer_can_be_the_clients(self, shell: Shell) -> None:
        with shell.serving("--session", "back", "--signal", "logs") as back:
            options = ["--forward", back.url, "--forward-answer", "target"]
            with shell.serving("--session", "front", *options) as front:
                assert send(front.port, TRACES) == [404]
                forwarded = front.end()

        assert forwarded.code == 0
        assert forwarded.result["refused"] == {"TargetRefused": 1}
        assert forwarded.result["capturedTraces"] == 1
        assert forwarded.result["forwarded"][0]["problem"].startswith("404: ")

    def test_a_required_target_that_is_owed_something_is_a_finding(self, shell: Shell) -> None:
        nowhere = ["--forward", f"http://127.0.0.1:{free_port()}", "--forward-timeout", "0.1"]
        with shell.serving("--session", "front", *nowhere, "--forward-required") as front:
            assert send(front.port, TRACES) == [200]
            forwarded = front.end()

        assert forwarded.code == 1
        assert forwarded.result["forwarded"][0]["requests"]["queued"] == 1

    def test_what_cannot_be_is_told_before_anything_begins(self, shell: Shell) -> None:
        arguments = ("--forward", "grpc://localhost:4317", "--forward-header", "api-key=secret")
        ended = shell.run("serve", "--session", "s", "--json", *arguments)

        assert (ended.code, ended.stdout) == (2, "")
        assert ended.error["error"] == "InvalidDestination"
        assert "this receiver listens there" in ended.error["message"]
        assert not [*shell.folder.rglob("metadata.json")]


class TestRecord:
    def test_people_are_told_of_each_destination(self, shell: Shell) -> None:
        nowhere = f"http://127.0.0.1:{free_port()}"
        with shell.serving("--session", "back") as back:
            recorded = shell.run(
                *("record", "--session", "front", "--forward", back.url, "--forward", nowhere),
                *("--forward-timeout", "0.1", "--", sys.executable, "-c", EXPORT),
            )

        assert recorded.code == 0
        assert f"Forwarded to {back.url}: 1 of 1 request delivered.\n" in recorded.stderr
        assert f"Forwarded to {nowhere}: 0 of 1 request delivered, 1 not sent" in recorded.stderr

    def test_each_destination_can_have_headers_of_its_own(self, shell: Shell) -> None:
        keeping = ["--keep-header", "x-tenant", "--keep-header", "x-stage"]
        with shell.serving("--session", "back", *keeping) as back:
            recorded = shell.run(
                *("record", "--session", "front", "--json"),
                *("--forward", back.url, "--forward", back.url),
                *("--", sys.executable, "-c", EXPORT),
                OTLP_CAPTURE_RECORD_FORWARD_HEADER="x-stage=a%20b 2:x-tenant=c",
            )
            assert back.end(signal.SIGINT).result["capturedLogs"] == 2

        assert recorded.code == 0
        assert recorded.result["forwarded"][0]["requests"]["delivered"] == 1
        stored = b"".join(
            path.read_bytes() for path in shell.folder.rglob("sessions/back/raw/**/*.gz")
        )
        assert (stored.count(b"x-stagea b"), stored.count(b"x-tenantc")) == (2, 1)
