"""`serve` to those who may send: its options, its sessions, and what it never writes down."""

import hashlib
import signal
import ssl
from pathlib import Path
from typing import Any

import anyio
import grpc
import grpc.aio
import pytest

from otlp_capture.capture import InvalidConfig
from otlp_capture.cli.access import access_settings
from otlp_capture.receiver import AccessSettings, TlsFiles
from otlp_capture.result import Failure, Success
from tests.certificates import Authority, Issued, authority
from tests.clocks import HANGS_AFTER_S
from tests.command_line import Serving, Shell, put_session, send
from tests.export_requests import PROTOBUF, REQUESTS, TRACES
from tests.grpc_calls import METHODS
from tests.guarding import BANK, SHOP, TOKENS, WRONG, listed
from tests.raw_http import ask, post


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run commands in a folder that has a certificate and a file of tokens."""
    server = authority().issue(tmp_path, "server")
    assert server == Issued(tmp_path / "server.pem", tmp_path / "server.key")
    assert listed(tmp_path, TOKENS) == str(tmp_path / "tokens.toml")
    return Shell(tmp_path)


TLS = ("--tls-cert", "server.pem", "--tls-key", "server.key")


def sent_http(serving: Serving, token: str, client: ssl.SSLContext) -> int:
    request = post("/v1/traces", REQUESTS["traces"], PROTOBUF, f"Authorization: Bearer {token}")

    async def send_it() -> int:
        return (await ask(serving.port, request, tls=client)).status

    return anyio.run(send_it)


def sent_grpc(serving: Serving, token: str, trusted: Authority) -> str:
    address = serving.grpc_url.removeprefix("https://")

    async def send_it() -> str:
        credentials = grpc.ssl_channel_credentials(trusted.spelled())
        async with grpc.aio.secure_channel(address, credentials) as channel:
            method: Any = channel.unary_unary(METHODS["traces"])
            call = method(REQUESTS["traces"], metadata=[("authorization", f"Bearer {token}")])
            with anyio.fail_after(HANGS_AFTER_S):
                return str((await call.code()).name)

    return anyio.run(send_it)


class TestSessions:
    def test_each_credential_records_where_it_belongs(self, shell: Shell) -> None:
        tls = authority().trusted()
        with shell.serving("--session", "own", *TLS, "--tokens", "tokens.toml") as serving:
            statuses = [sent_http(serving, token, tls) for token in (SHOP, BANK, WRONG)]
            codes = [sent_grpc(serving, token, authority()) for token in (SHOP, BANK, BANK, WRONG)]
            ended = serving.end()

        assert serving.url.startswith("https://127.0.0.1:")
        announced: Any = serving.announced
        assert announced["otherSessionIds"] == ["banking"]
        assert statuses == [200, 200, 401]
        assert codes == ["OK", "OK", "OK", "UNAUTHENTICATED"]
        assert ended.code == 0
        document = ended.result
        (banking,) = document.pop("otherSessions")
        assert document.pop("refused") == {"CredentialUnknown": 2}
        assert (document["sessionId"], document["capturedTraces"]) == ("own", 2)
        assert (banking["sessionId"], banking["capturedTraces"]) == ("banking", 3)
        for each in (document, banking):
            shown = shell.run("sessions", "show", each["sessionId"], "--json").result
            assert (shown, each["status"]) == (each, "completed")

        said = serving.announced, ended.stdout, ended.stderr
        files = [path for path in (shell.folder / "otlp-data").rglob("*") if path.is_file()]
        kept = b"".join(path.read_bytes() + str(path).encode() for path in files)
        assert len(files) > 3
        for token in (SHOP, BANK, WRONG):
            digest = hashlib.sha256(token.encode()).hexdigest()
            assert token not in f"{said}"
            assert digest not in f"{said}"
            assert token.encode() not in kept

    def test_people_are_told_of_each(self, shell: Shell) -> None:
        put_session(shell, "banking", "active")
        arguments = ("--session", "own", "--tokens", "tokens.toml", "--no-grpc", "--http-port", "0")
        process = shell.start("serve", *arguments)
        assert process.stderr is not None
        taken_up, announced = process.stderr.readline(), process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=HANGS_AFTER_S)

        assert taken_up.startswith("Taking up banking: 3 requests with ")
        assert announced.startswith(
            "Recording into session own (by credential also banking): OTLP/HTTP on http://127.0.0.1"
        )
        assert (process.returncode, stdout) == (0, "")
        own, banking = stderr.splitlines()
        assert own.startswith("own: 0 requests with ")
        assert banking.startswith("banking: 3 requests with ")

    def test_one_that_somebody_records_is_left_alone(self, shell: Shell) -> None:
        with shell.serving("--session", "banking") as first:
            second = shell.run(
                *("serve", "--session", "own", "--tokens", "tokens.toml", "--json"),
                *("--http-port", "0", "--grpc-port", "0"),
            )
            assert send(first.port, TRACES) == [200]

        assert (second.code, second.error["error"]) == (2, "SessionAlreadyActive")


class TestWhoMaySend:
    def test_beyond_loopback_it_does_not_start(self, shell: Shell) -> None:
        run = shell.run("serve", "--session", "s", "--host", "0.0.0.0", *TLS, "--json")

        message = run.error["message"]
        assert (run.code, run.error) == (
            2,
            {
                "error": "ExposureRefused",
                "message": message,
                "host": "0.0.0.0",
                "beyond": ["0.0.0.0"],
                "missing": ["authentication"],
            },
        )
        assert "--insecure" in message
        assert not (shell.folder / "otlp-data/sessions").exists()

    def test_a_token_of_the_environment_is_asked_for(self, shell: Shell) -> None:
        with Shell(shell.folder, {"OTLP_CAPTURE_TOKEN": SHOP}).serving("--session", "s") as serving:
            right = post("/v1/logs", b"", PROTOBUF, f"Authorization: Bearer {SHOP}")
            assert send(serving.port, right, TRACES) == [200, 401]
            ended = serving.end()

        assert ended.result["refused"] == {"CredentialMissing": 1}
        assert SHOP not in ended.stdout + ended.stderr

    def test_record_asks_for_none(self, shell: Shell) -> None:
        program = (
            "import os, urllib.request as r;"
            "url = os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] + '/v1/logs';"
            f"r.urlopen(r.Request(url, b'', {{'Content-Type': '{PROTOBUF}'}}))"
        )
        run = shell.run(
            *("record", "--session", "s", "--json", "--", "python", "-c", program),
            OTLP_CAPTURE_TOKEN=SHOP,
        )

        assert (run.code, run.result["refused"]) == (0, {})

    def test_files_that_are_none_are_told(self, shell: Shell) -> None:
        run = shell.run("serve", "--session", "s", "--tokens", "server.key", "--json")

        assert (run.code, run.error["error"]) == (2, "InvalidCredential")
        assert "PRIVATE" not in run.stderr


class TestOptions:
    def test_those_that_need_each_other_are_told(self) -> None:
        found = [
            access_settings(certificate, key, ca, None, is_insecure=False)
            for certificate, key, ca in (
                ("cert", None, None),
                (None, "key", None),
                (None, None, "ca"),
                (None, "key", "ca"),
            )
        ]

        assert found == [
            Failure(InvalidConfig("--tls-cert", "cert", "it needs --tls-key beside it")),
            Failure(InvalidConfig("--tls-key", "key", "it needs --tls-cert beside it")),
            Failure(
                InvalidConfig("--client-ca", "ca", "it needs --tls-cert and --tls-key beside it")
            ),
            Failure(InvalidConfig("--tls-key", "key", "it needs --tls-cert beside it")),
        ]

    def test_all_of_them_are_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTLP_CAPTURE_TOKEN", SHOP)

        found = access_settings("cert", "key", "ca", "tokens", is_insecure=True)

        assert found == Success(
            AccessSettings(
                tls=TlsFiles(certificate="cert", key="key", client_ca="ca"),
                credentials="tokens",
                token=SHOP,
                is_insecure=True,
            )
        )
        assert SHOP not in repr(found)

    def test_limits_reach_the_receiver(self, shell: Shell) -> None:
        with shell.serving("--session", "s", "--header-timeout", "0.05") as serving:

            async def stall() -> int:
                return (await ask(serving.port, b"POST /v1/logs")).status

            assert anyio.run(stall) == 408
            ended = serving.end()

        assert ended.result["refused"] == {"HeaderTooSlow": 1}
