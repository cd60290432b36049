"""How `replay` reaches its target, what it says there, and what it makes of the answers."""

import asyncio
import gzip
import socket
from html.parser import HTMLParser
from pathlib import Path

import pytest

from otlp_capture.otlp import SIGNALS
from tests.certificates import authority
from tests.command_line import Shell
from tests.export_requests import JSON
from tests.servers.target import Received, Reply, always, refusal
from tests.sessions import arriving
from tests.watched_targets import keep, numbers, request, watched, watched_grpc

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Run commands where there is a session of six requests, a second apart."""
    shell = Shell(tmp_path_factory.mktemp("targets"))
    six = [(SIGNALS[n % 3], request(SIGNALS[n % 3], n)) for n in range(6)]
    keep(shell, "six", arriving(six))
    return shell


SIX = ("replay", "six", "--speed", "max", "--json")


def test_json_headers_a_token_and_compression_arrive(shell: Shell) -> None:
    with watched() as target:
        run = shell.run(
            *SIX,
            *("--to", target.url, "--protocol", "http/json", "--compression", "gzip"),
            *("--header", "x-tenant=tests%20and%20more", "--header", "x-stage=1=2"),
            OTLP_CAPTURE_REPLAY_TOKEN=TOKEN,
        )

    assert run.code == 0, run.stderr
    assert len(target.received) == 6
    for came in target.received:
        said = {
            name: came.headers[name]
            for name in ("content-type", "x-tenant", "x-stage", "authorization")
        }
        assert said == {
            "content-type": JSON,
            "x-tenant": "tests and more",
            "x-stage": "1=2",
            "authorization": f"Bearer {TOKEN}",
        }
        assert came.headers["x-otlp-replay-session"] == "six"
        assert gzip.decompress(came.body).startswith(b'{"resource')
    assert TOKEN not in run.stdout + run.stderr


def test_grpc_carries_the_same_besides_and_a_token_from_a_file(
    shell: Shell, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    with watched_grpc() as target:
        run = shell.run(
            *SIX,
            *("--to", f"http://127.0.0.1:{target.port}", "--protocol", "grpc"),
            *("--bearer-token-file", str(token), "--header", "x-tenant=tests"),
            *("--compression", "gzip"),
        )

    assert run.code == 0, run.stderr
    assert sorted(numbers(target.received)) == [*range(6)]
    for came in target.received:
        assert came.metadata["authorization"] == f"Bearer {TOKEN}"
        assert came.metadata["x-tenant"] == "tests"
        assert came.metadata["x-otlp-replay-session"] == "six"


def test_both_ends_show_certificates(shell: Shell, tmp_path: Path) -> None:
    signer = authority()
    ca = signer.write(tmp_path)
    server, client = signer.issue(tmp_path, "server"), signer.issue(tmp_path, "client")
    with shell.serving(
        *("--session", "mutual", "--tls-cert", str(server.certificate)),
        *("--tls-key", str(server.key), "--client-ca", str(ca)),
    ) as serving:
        shown = ("--certificate", str(client.certificate), "--key", str(client.key))
        plain = shell.run(*SIX, "--to", serving.url, "--ca", str(ca), *shown)
        grpc = shell.run(
            *(*SIX, "--to", serving.grpc_url.replace("grpc", "http")),
            *("--protocol", "grpc", "--ca", str(ca), *shown),
        )
        unknown = shell.run(*SIX, "--to", serving.url, "--limit", "1", *shown)
        assert serving.end().code == 0

    assert (plain.code, grpc.code) == (0, 0), plain.stderr + grpc.stderr
    assert unknown.code == 3
    compared = shell.run("diff", "six", "mutual", "--json").result
    assert (compared["recordsB"], compared["duplicated"]) == (12, 6)


def test_so_many_wait_for_an_answer_at_once(shell: Shell) -> None:
    three = asyncio.Event()
    before_three = list[int]()

    def hold(received: Received) -> Reply:
        if received.number == 2:
            three.set()
        if not three.is_set():
            before_three.append(received.number)
        return Reply(after=three)

    with watched(hold) as target:
        run = shell.run(*SIX, "--to", target.url, "--concurrency", "3")
        assert (run.code, target.connections, before_three) == (0, 3, [0, 1])
    with watched() as target:
        run = shell.run(*SIX, "--to", target.url, "--concurrency", "1")
        assert (run.code, target.connections) == (0, 1)


def test_another_address_needs_to_be_allowed(shell: Shell) -> None:
    # Nothing is there: 0.0.0.0 is not loopback by its name, and leads to this machine all the same.
    with watched() as target:
        url = f"http://0.0.0.0:{target.port}"
        refused = shell.run(*SIX, "--to", url)
        allowed = shell.run(*SIX, "--to", url, "--allow-target", f"0.0.0.0:{target.port}")

    assert (refused.code, refused.error["error"]) == (2, "TargetNotAllowed")
    assert (allowed.code, len(target.received)) == (0, 6), allowed.stderr


def test_what_is_refused_is_a_finding_and_what_is_out_of_reach_another(shell: Shell) -> None:
    with watched(always(refusal(400, "not like this"))) as target:
        refused = shell.run(*SIX, "--to", target.url)
        told = shell.run(*SIX[:-1], "--to", target.url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    absent = shell.run(*SIX, "--to", f"http://127.0.0.1:{port}")

    assert (refused.code, told.code, absent.code) == (1, 1, 3)
    assert refused.result["status"]["delivery"]["rejected"] == 6
    assert "not like this" in told.stderr
    assert absent.result["status"]["delivery"]["delivered"] == 0


def test_gates_are_named_where_they_are_missed(shell: Shell) -> None:
    paced = ("replay", "six", "--speed", "1000", "--json")
    with watched() as target:
        missed = shell.run(
            *paced, "--to", target.url, "--max-p99-lateness", "1ns", "--max-drift", "0"
        )
        kept = shell.run(
            *paced, "--to", target.url, "--max-p99-lateness", "1h", "--max-drift", "1h"
        )

    assert (missed.code, kept.code) == (1, 0)
    assert [each["error"] for each in missed.result["gateMisses"]] == ["TimeMissed"] * 2
    assert kept.result["gateMisses"] == []


class Balance(HTMLParser):
    """Sees that what is opened is closed."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open, self.seen = list[str](), set[str]()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - it is called so
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - as above
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_report_is_a_whole_page(shell: Shell, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with watched() as target:
        run = shell.run(*SIX, "--to", target.url, "--report", str(page))
        text = page.read_text()
        nowhere = shell.run(*SIX, "--to", target.url, "--report", str(tmp_path / "no" / "r.html"))

    balance = Balance()
    balance.feed(text)
    balance.close()
    assert (run.code, balance.open) == (0, [])
    assert {"html", "title", "svg", "table"} <= balance.seen
    assert run.result["status"]["replayId"] in text
    assert (nowhere.code, nowhere.stdout, len(target.received)) == (2, "", 6)


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_loops_and_copies_arrive_as_they_were_sent(shell: Shell, protocol: str) -> None:
    copy = protocol.replace("/", "-")
    run = shell.run(
        *(*SIX, "--verify-into", copy, "--protocol", protocol),
        *("--loop", "2", "--copies", "2", "--timestamps", "relative"),
    )

    assert run.code == 0, run.stdout + run.stderr
    comparison = run.result["comparison"]
    assert (comparison["equal"], comparison["recordsB"]) == (True, 24)
    assert run.result["certificate"]["target"] == f"session {copy}"
    assert run.result["certificate"] in shell.run("replays", "six", "--json").result["replays"]
