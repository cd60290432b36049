"""Who may send, over both transports, with real TLS, real tokens and real certificates."""

import hashlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import attrs
import grpc
import grpc.aio
import pytest
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from otlp_capture.receiver import (
    AccessSettings,
    ExposureRefused,
    FileUnreadable,
    HttpReceiverSettings,
    Receiver,
    TlsFiles,
    open_receiver,
)
from otlp_capture.result import Failure, or_raise
from tests.certificates import authority
from tests.clocks import HANGS_AFTER_S, settled, skip
from tests.export_requests import JSON, PERMISSION_DENIED, PROTOBUF, UNAUTHENTICATED, logs, told
from tests.grpc_calls import METHODS
from tests.guarding import (
    BANK,
    CLIENTS,
    NO_CONNECTION,
    OK,
    SHOP,
    TOKENS,
    WRONG,
    Shown,
    guarded,
    listed,
    opened_guarded,
    send_grpc,
    send_http,
)
from tests.raw_http import ask, head, post, raw_connection
from tests.receiving import until

pytestmark = pytest.mark.anyio

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE

Send: TypeAlias = Callable[[Receiver, Shown], Awaitable[int]]
over_each_transport = pytest.mark.parametrize("send", [send_http, send_grpc])


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    issued = authority().issue(tmp_path, "server")
    return TlsFiles(certificate=str(issued.certificate), key=str(issued.key))


@pytest.fixture
def mutual(tls: TlsFiles, tmp_path: Path) -> TlsFiles:
    return attrs.evolve(tls, client_ca=str(authority().write(tmp_path)))


class TestTokens:
    @over_each_transport
    @pytest.mark.parametrize("is_tls", [True, False])
    async def test_who_shows_a_right_one_may_send(
        self, send: Send, tls: TlsFiles, tmp_path: Path, *, is_tls: bool
    ) -> None:
        access = AccessSettings(tls=tls if is_tls else None, credentials=listed(tmp_path, TOKENS))
        async with guarded(access) as opened:
            answers = [
                await send(opened.receiver, Shown(authorization))
                for authorization in (
                    f"Bearer {SHOP}",
                    f"bearer {SHOP}",
                    f"Bearer {WRONG}",
                    f"Bearer {SHOP[:-1]}",
                    f"Basic {SHOP}",
                    None,
                )
            ]

            assert answers == [OK, OK, *[UNAUTHENTICATED] * 4]
            assert opened.refused == {"CredentialMissing": 2, "CredentialUnknown": 2}
            assert await opened.sizes() == {"own": 2, "banking": 0}

    @over_each_transport
    async def test_a_token_of_another_session_sends_there(
        self, send: Send, tls: TlsFiles, tmp_path: Path
    ) -> None:
        access = AccessSettings(tls=tls, credentials=listed(tmp_path, TOKENS))
        async with guarded(access) as opened:
            for token in (SHOP, BANK, BANK):
                assert await send(opened.receiver, Shown(f"Bearer {token}")) == OK

            assert await opened.sizes() == {"own": 1, "banking": 2}

    @over_each_transport
    async def test_one_token_alone_is_taken(self, send: Send, tls: TlsFiles) -> None:
        async with guarded(AccessSettings(tls=tls, token=SHOP)) as opened:
            assert await send(opened.receiver, Shown(f"Bearer {SHOP}")) == OK
            assert await send(opened.receiver, Shown(f"Bearer {BANK}")) == UNAUTHENTICATED

    async def test_http_tells_how_before_the_body_comes_and_ends(
        self, tls: TlsFiles, tmp_path: Path
    ) -> None:
        access = AccessSettings(tls=tls, credentials=listed(tmp_path, TOKENS))
        start = head("POST", "/v1/logs", [f"Content-Type: {JSON}", "Content-Length: 1000000"])
        async with guarded(access) as opened:
            port = opened.http.port
            async with raw_connection(port, tls=authority().trusted()) as connection:
                await connection.write(start)
                answer = await connection.answer()
                await settled()
                skip(2.0)

                assert told(answer) == (401, UNAUTHENTICATED)
                assert answer.headers["content-type"] == JSON
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.headers["connection"] == "close"
                assert await connection.is_closed()

    @pytest.mark.parametrize("path", ["/v1/nothing", "/healthz", "/"])
    async def test_http_tells_strangers_nothing_else(self, path: str, tmp_path: Path) -> None:
        async with guarded(AccessSettings(credentials=listed(tmp_path, TOKENS))) as opened:
            answer = await ask(opened.http.port, head("GET", path))

            assert told(answer) == (401, UNAUTHENTICATED)

    async def test_grpc_answers_before_the_message_comes(self, tmp_path: Path) -> None:
        async with guarded(AccessSettings(credentials=listed(tmp_path, TOKENS))) as opened:
            address = f"127.0.0.1:{opened.grpc.port}"
            async with grpc.aio.insecure_channel(address) as channel:
                for method in (METHODS["traces"], "/no.such/Method"):
                    call: Any = channel.stream_unary(method)()
                    with anyio.fail_after(HANGS_AFTER_S):
                        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED

    async def test_a_token_sent_twice_is_not_taken(self, tmp_path: Path) -> None:
        twice = [f"Authorization: Bearer {SHOP}"] * 2
        async with guarded(AccessSettings(credentials=listed(tmp_path, TOKENS))) as opened:
            answer = await ask(opened.http.port, post("/v1/logs", b"{}", JSON, *twice))

            assert told(answer) == (401, UNAUTHENTICATED)


class TestClientCertificates:
    @over_each_transport
    async def test_without_one_there_is_no_connection(
        self, send: Send, mutual: TlsFiles, tmp_path: Path
    ) -> None:
        known = authority().issue(tmp_path, "anyone", alternatives=[])
        stranger = authority("another authority").issue(tmp_path, "stranger")
        async with guarded(AccessSettings(tls=mutual)) as opened:
            assert await send(opened.receiver, Shown()) == NO_CONNECTION
            assert await send(opened.receiver, Shown(certificate=stranger)) == NO_CONNECTION
            assert await send(opened.receiver, Shown(certificate=known)) == OK
            assert await opened.sizes() == {"own": 1, "banking": 0}

    @over_each_transport
    async def test_a_list_says_who_may_send_and_where_to(
        self, send: Send, mutual: TlsFiles, tmp_path: Path
    ) -> None:
        by_common_name = authority().issue(tmp_path, "edge.example", alternatives=[])
        by_uri = authority().issue(tmp_path, "cart", alternatives=["spiffe://shop/cart"])
        unlisted = authority().issue(tmp_path, "other", alternatives=["other.example"])
        access = AccessSettings(tls=mutual, credentials=listed(tmp_path, CLIENTS))
        async with guarded(access) as opened:
            for certificate, code in (
                (by_common_name, OK),
                (by_uri, OK),
                (unlisted, PERMISSION_DENIED),
            ):
                assert await send(opened.receiver, Shown(certificate=certificate)) == code

            assert opened.refused == {"ClientNotListed": 1}
            assert await opened.sizes() == {"own": 1, "banking": 1}

    @over_each_transport
    async def test_tokens_beside_it_are_needed_too(
        self, send: Send, mutual: TlsFiles, tmp_path: Path
    ) -> None:
        client = authority().issue(tmp_path, "edge.example")
        access = AccessSettings(tls=mutual, credentials=listed(tmp_path, TOKENS + CLIENTS))
        async with guarded(access) as opened:
            answers = [
                await send(opened.receiver, shown)
                for shown in (
                    Shown(f"Bearer {SHOP}", client),
                    Shown(None, client),
                    Shown(f"Bearer {WRONG}", client),
                    Shown(f"Bearer {SHOP}"),
                )
            ]

            assert answers == [OK, UNAUTHENTICATED, UNAUTHENTICATED, NO_CONNECTION]
            assert await opened.sizes() == {"own": 0, "banking": 1}


class TestTls:
    @over_each_transport
    async def test_plain_text_is_not_taken_where_tls_is_spoken(
        self, send: Send, tls: TlsFiles
    ) -> None:
        async with guarded(AccessSettings(tls=tls)) as opened:
            assert await send(opened.receiver, Shown(is_plain=True)) == NO_CONNECTION
            assert await send(opened.receiver, Shown()) == OK

    async def test_its_failures_are_counted_and_told(
        self, tls: TlsFiles, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with guarded(AccessSettings(tls=tls)) as opened:
            await send_http(opened.receiver, Shown(is_plain=True))

            assert opened.refused == {"TlsFailed": 1}
        assert caplog.messages == ["Refused: TlsFailed 1; the last from 127.0.0.1"]

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_the_versions_in_use_are_spoken(
        self, tls: TlsFiles, version: ssl.TLSVersion
    ) -> None:
        context = authority().trusted()
        context.minimum_version = context.maximum_version = version
        async with guarded(AccessSettings(tls=tls)) as opened:
            port = opened.http.port
            assert (await ask(port, post("/v1/logs", b"{}", JSON), tls=context)).status == 200

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
    async def test_older_versions_are_not(self, tls: TlsFiles) -> None:
        context = authority().trusted()
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        async with guarded(AccessSettings(tls=tls)) as opened:
            port = opened.http.port
            with pytest.raises((ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream)):
                await ask(port, post("/v1/logs", b"{}", JSON), tls=context)

            assert opened.refused == {"TlsFailed": 1}

    async def test_a_handshake_that_does_not_end_is_given_up(self, tls: TlsFiles) -> None:
        async with guarded(AccessSettings(tls=tls)) as opened:
            async with raw_connection(opened.http.port) as connection:
                await connection.write(b"\x16\x03\x01")
                assert await send_http(opened.receiver, Shown()) == OK
                skip(10.0)

                assert await connection.is_closed()
            assert opened.refused == {"TlsFailed": 1}

    async def test_who_only_looks_whether_the_port_is_open_is_no_failure(
        self, tls: TlsFiles, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with guarded(AccessSettings(tls=tls)) as opened:
            for _ in range(3):
                async with raw_connection(opened.http.port):
                    pass
            assert await send_http(opened.receiver, Shown()) == OK

            assert opened.refused == {}
        assert caplog.messages == []

    async def test_handshakes_count_as_connections(self, tls: TlsFiles) -> None:
        settings, access = HttpReceiverSettings(port=0, max_connections=2), AccessSettings(tls=tls)
        request, trusted = post("/v1/logs", b"{}", JSON), authority().trusted()
        async with (
            guarded(access) as outer,
            open_receiver(outer.capture, "own", http=settings, grpc=None, access=access) as opened,
        ):
            receiver = or_raise(opened)
            assert receiver.http is not None
            port = receiver.http.port
            async with raw_connection(port) as one, raw_connection(port):
                full = await ask(port, request, tls=trusted)
                await one.write(b"no TLS at all\r\n\r\n")
                await until(lambda: receiver.tally.refused["TlsFailed"])
                free = await ask(port, request, tls=trusted)

                assert (full.status, full.headers["retry-after"], free.status) == (503, "1", 200)

    async def test_a_handshake_under_way_does_not_hold_the_end_up(self, tls: TlsFiles) -> None:
        async with guarded(AccessSettings(tls=tls)) as opened:
            stream = await anyio.connect_tcp("127.0.0.1", opened.http.port)
            assert await send_http(opened.receiver, Shown()) == OK
        async with stream:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()


class TestOpening:
    async def test_beyond_loopback_it_does_not_open_without_tls(self, tmp_path: Path) -> None:
        access = AccessSettings(credentials=listed(tmp_path, TOKENS))
        async with opened_guarded(access, "0.0.0.0") as opened:
            assert opened == Failure(ExposureRefused("0.0.0.0", ("0.0.0.0",), ("TLS",)))

    async def test_nor_without_authentication(self, tls: TlsFiles) -> None:
        async with opened_guarded(AccessSettings(tls=tls), "0.0.0.0") as opened:
            assert opened == Failure(ExposureRefused("0.0.0.0", ("0.0.0.0",), ("authentication",)))

    async def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        path = str(tmp_path / "none")
        async with opened_guarded(AccessSettings(credentials=path)) as opened:
            assert opened == Failure(FileUnreadable(path, "No such file or directory"))

    async def test_the_url_tells_that_tls_is_spoken(self, tls: TlsFiles) -> None:
        async with guarded(AccessSettings(tls=tls)) as opened:
            assert opened.http.url.startswith("https://127.0.0.1:")
            assert opened.grpc.url.startswith("https://127.0.0.1:")


class TestSecrets:
    @over_each_transport
    async def test_no_token_is_stored_or_logged(
        self, send: Send, tls: TlsFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        access = AccessSettings(tls=tls, credentials=listed(tmp_path, TOKENS))
        async with guarded(access) as opened:
            for token in (SHOP, BANK, WRONG):
                for scheme in ("Bearer ", "Basic ", ""):
                    await send(opened.receiver, Shown(f"{scheme}{token}"))
            broken = head("POST", "/v1/logs", [f"Authorization: Bearer {SHOP}", "no colon"])
            await ask(opened.http.port, broken, tls=authority().trusted())
            await opened.sizes()
            kept = await opened.objects() + repr(opened.receiver).encode()

        assert kept.count(b"sessions/") > 4
        said = caplog.text + repr([record.__dict__ for record in caplog.records])
        for token in (SHOP, BANK, WRONG):
            digest = hashlib.sha256(token.encode())
            for secret in (token, digest.hexdigest(), repr(digest.digest())):
                assert secret not in said
                assert secret.encode() not in kept

    async def test_a_flood_of_wrong_tokens_is_one_line_in_the_log(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        wrong = post("/v1/logs", logs(), PROTOBUF, f"Authorization: Bearer {WRONG}")
        async with guarded(AccessSettings(credentials=listed(tmp_path, TOKENS))) as opened:
            for _ in range(50):
                assert (await ask(opened.http.port, wrong)).status == 401

            assert caplog.messages == ["Refused: CredentialUnknown 1; the last from 127.0.0.1"]
        assert caplog.messages[1:] == ["Refused: CredentialUnknown 49; the last from 127.0.0.1"]


class TestExporters:
    """The official exporters, told as an application tells them."""

    async def test_over_http(
        self, mutual: TlsFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)  # requests would prefer it
        client = authority().issue(tmp_path, "application")
        access = AccessSettings(tls=mutual, credentials=listed(tmp_path, TOKENS))
        async with guarded(access) as opened:
            for token, result in ((BANK, SUCCESS), (WRONG, FAILURE)):
                exporter = http_traces.OTLPSpanExporter(
                    f"{opened.http.url}/v1/traces",
                    certificate_file=str(tmp_path / "ca.pem"),
                    client_certificate_file=str(client.certificate),
                    client_key_file=str(client.key),
                    headers={"authorization": f"Bearer {token}"},
                )
                assert await anyio.to_thread.run_sync(exporter.export, [a_span()]) is result
                exporter.shutdown()  # type: ignore[no-untyped-call]  # it ships no types

            assert await opened.sizes() == {"own": 0, "banking": 1}

    async def test_over_grpc(self, mutual: TlsFiles, tmp_path: Path) -> None:
        client = authority().issue(tmp_path, "application")
        access = AccessSettings(tls=mutual, credentials=listed(tmp_path, TOKENS))
        credentials = grpc.ssl_channel_credentials(
            authority().spelled(), client.key.read_bytes(), client.certificate.read_bytes()
        )
        async with guarded(access) as opened:
            for token, result in ((BANK, SUCCESS), (WRONG, FAILURE)):
                exporter = grpc_traces.OTLPSpanExporter(
                    opened.grpc.url,
                    credentials=credentials,
                    headers={"authorization": f"Bearer {token}"},
                )
                assert await anyio.to_thread.run_sync(exporter.export, [a_span()]) is result
                exporter.shutdown()

            assert await opened.sizes() == {"own": 0, "banking": 1}


def a_span() -> ReadableSpan:
    span = TracerProvider().get_tracer("test").start_span("pay")
    span.end()
    assert isinstance(span, ReadableSpan)
    return span
