"""TLS as a sender speaks it, over HTTP and gRPC: whom it trusts, and who it is."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import grpc
import pytest

from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.result import Failure, or_raise
from otlp_capture.sending import (
    Accepted,
    Answer,
    ClientTlsInvalid,
    NoAnswer,
    Parcel,
    SendingProtocol,
    load_client_tls,
)
from otlp_capture.storage import S3Storage
from otlp_replay import DeliveryCounts
from tests.certificates import Authority, Issued, authority, spelled
from tests.clocks import HANGS_AFTER_S
from tests.replays import SESSION, at_once, numbered, opened_service, over
from tests.senders import GRPC, HTTP, Side, sending
from tests.servers.grpc_target import open_grpc_target
from tests.sessions import arriving, write_session

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("side", [HTTP, GRPC], ids=str)
REQUEST = Parcel("logs", b"request", 1)


@attrs.define
class TlsTarget:
    """A server that takes everything, over TLS.

    Attributes:
        port: where it listens.
        clients: the common names of those who showed a certificate.
    """

    port: int
    clients: list[str] = attrs.Factory(list)


@asynccontextmanager
async def tls_target(
    side: Side, server: Issued, clients: Authority | None = None
) -> AsyncIterator[TlsTarget]:
    """Open a server with a certificate; it asks its clients for one where it knows who signs."""
    opening = _grpc_target if side is GRPC else _http_target
    async with opening(server, clients) as target:
        yield target


@asynccontextmanager
async def _grpc_target(server: Issued, clients: Authority | None) -> AsyncIterator[TlsTarget]:
    credentials = grpc.ssl_server_credentials(
        [(server.key.read_bytes(), server.certificate.read_bytes())],
        root_certificates=None if clients is None else clients.spelled(),
        require_client_auth=clients is not None,
    )
    async with open_grpc_target(credentials=credentials) as target:
        yield TlsTarget(target.port)


@asynccontextmanager
async def _http_target(server: Issued, clients: Authority | None) -> AsyncIterator[TlsTarget]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    if clients is not None:
        context.load_verify_locations(cadata=clients.spelled().decode())
        context.verify_mode = ssl.CERT_REQUIRED
    target = TlsTarget(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            shown = writer.get_extra_info("peercert") or {}
            target.clients += [name for ((_, name),) in shown.get("subject", ())]
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].split()[0]
                await reader.readexactly(int(length))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    target.port = listening.sockets[0].getsockname()[1]
    try:
        yield target
    finally:
        listening.close()


def url_of(side: Side, target: TlsTarget, host: str = "localhost") -> str:
    return f"{'https' if side is HTTP else 'grpcs'}://{host}:{target.port}"


async def answer_of(side: Side, url: str, **files: Path) -> Answer:
    tls = load_client_tls(**files).unwrap() if files else None
    async with sending(side, url, tls=tls) as transport:
        with anyio.fail_after(HANGS_AFTER_S):
            answer: Answer = await transport.attempt(REQUEST, lambda: None)
            return answer


@BOTH
class TestTrust:
    async def test_a_target_of_a_trusted_authority_gets_it(
        self, side: Side, tmp_path: Path
    ) -> None:
        ca = authority()
        server = ca.issue(tmp_path, "server", alternatives=["localhost"])
        async with tls_target(side, server) as target:
            answer = await answer_of(side, url_of(side, target), ca=ca.write(tmp_path))

        assert answer == Accepted(status=side.taken)

    async def test_any_other_does_not(self, side: Side, tmp_path: Path) -> None:
        server = authority("another").issue(tmp_path, "server")
        async with tls_target(side, server) as target:
            answers = [
                await answer_of(side, url_of(side, target), ca=authority().write(tmp_path)),
                await answer_of(side, url_of(side, target)),
            ]

        assert [type(answer) for answer in answers] == [NoAnswer, NoAnswer]

    async def test_a_certificate_is_held_against_the_name_and_not_the_address(
        self, side: Side, tmp_path: Path
    ) -> None:
        ca = authority()
        server = ca.issue(tmp_path, "server", alternatives=["other.example", "127.0.0.1"])
        async with tls_target(side, server) as target:
            by_name = await answer_of(side, url_of(side, target), ca=ca.write(tmp_path))
            url = url_of(side, target, "127.0.0.1")
            by_address = await answer_of(side, url, ca=ca.write(tmp_path))

        assert isinstance(by_name, NoAnswer)
        assert by_address == Accepted(status=side.taken)


@BOTH
class TestClientCertificate:
    async def test_it_is_shown(self, side: Side, tmp_path: Path) -> None:
        ca = authority()
        client = ca.issue(tmp_path, "replayer")
        async with tls_target(side, ca.issue(tmp_path, "server"), ca) as target:
            answer = await answer_of(
                side,
                url_of(side, target),
                ca=ca.write(tmp_path),
                certificate=client.certificate,
                key=client.key,
            )

        assert answer == Accepted(status=side.taken)
        assert target.clients == (["replayer"] if side is HTTP else [])

    async def test_where_it_is_asked_for_nobody_comes_without(
        self, side: Side, tmp_path: Path
    ) -> None:
        ca = authority()
        async with tls_target(side, ca.issue(tmp_path, "server"), ca) as target:
            answer = await answer_of(side, url_of(side, target), ca=ca.write(tmp_path))

        assert isinstance(answer, NoAnswer)

    async def test_a_replay_shows_it(self, side: Side, tmp_path: Path, memory: S3Storage) -> None:
        ca = authority()
        client = ca.issue(tmp_path, "replayer")
        await write_session(memory, SESSION, arriving(numbered(20)))
        protocol: SendingProtocol = side.protocol
        async with (
            tls_target(side, ca.issue(tmp_path, "server"), ca) as target,
            opened_service(memory, SYSTEM_CLOCK) as service,
        ):
            config = at_once(
                url_of(side, target),
                protocol=protocol,
                tls_ca=ca.write(tmp_path),
                tls_certificate=client.certificate,
                tls_key=client.key,
            )
            or_raise(await service.start_replay(config))
            status = await over(service)

        assert status.delivery == DeliveryCounts(delivered=20)

    async def test_a_replay_without_its_files_does_not_begin(
        self, side: Side, tmp_path: Path, memory: S3Storage
    ) -> None:
        async with opened_service(memory, SYSTEM_CLOCK) as service:
            config = at_once(
                "https://localhost:1", protocol=side.protocol, tls_ca=tmp_path / "none.pem"
            )
            started = await service.start_replay(config)

        assert started.failure().message == (
            f"tls_ca cannot be '{tmp_path / 'none.pem'}': "
            "it cannot be read: No such file or directory."
        )


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class TestFiles:
    @pytest.mark.parametrize(
        ("wrong", "part", "reason"),
        [
            (
                lambda folder, _: {"ca": _written(folder / "ca.txt", b"none")},
                "ca",
                "holds no certificates in PEM",
            ),
            (
                lambda folder, _: {"ca": _written(folder / "ca.txt", b"x" * (5 << 20))},
                "ca",
                "has more than 4,194,304 bytes, and is no PEM file",
            ),
            (
                lambda folder, own: {
                    "certificate": _written(folder / "c.txt", b"none"),
                    "key": own.key,
                },
                "certificate",
                "holds no certificate in PEM",
            ),
            (
                lambda folder, own: {
                    "certificate": own.certificate,
                    "key": _written(folder / "k.txt", b"none"),
                },
                "key",
                "holds no private key in PEM",
            ),
            (
                lambda folder, own: {
                    "certificate": own.certificate,
                    "key": authority().issue(folder, "another").key,
                },
                "key",
                "is not the key of the first certificate",
            ),
            (
                lambda folder, own: {
                    "certificate": own.certificate,
                    "key": _written(folder / "k.pem", spelled(authority().key, b"word")),
                },
                "key",
                "is encrypted",
            ),
            (lambda _, own: {"certificate": own.certificate}, "key", "is missing"),
            (lambda _, own: {"key": own.key}, "certificate", "is missing"),
            (
                lambda folder, own: {"certificate": folder / "none", "key": own.key},
                "certificate",
                "cannot be read: No such file",
            ),
        ],
    )
    def test_what_is_wrong_with_one_is_said(
        self,
        tmp_path: Path,
        wrong: Callable[[Path, Issued], dict[str, Path]],
        part: str,
        reason: str,
    ) -> None:
        own = authority().issue(tmp_path, "own")
        loaded: Any = load_client_tls(**wrong(tmp_path, own))

        assert isinstance(loaded, Failure)
        problem: ClientTlsInvalid = loaded.failure()
        assert problem.part == part
        assert problem.reason.startswith(reason)

    def test_a_key_is_in_no_text(self, tmp_path: Path) -> None:
        own = authority().issue(tmp_path, "own")
        tls = load_client_tls(certificate=own.certificate, key=own.key).unwrap()

        assert repr(tls) == "ClientTls()"
