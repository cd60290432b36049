"""Who is let in, by what was shown; and where a receiver may listen at all."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from otlp_capture.receiver.access import (
    Access,
    AccessSettings,
    ClientNotListed,
    ClientsUnasked,
    CredentialMissing,
    CredentialUnknown,
    Principal,
    SessionsDisagree,
    load_access,
)
from otlp_capture.receiver.credentials import Client, Credentials, InvalidCredential, Token
from otlp_capture.receiver.exposure import ExposureRefused, check_exposure
from otlp_capture.receiver.files import FileUnreadable
from otlp_capture.receiver.settings import CannotListen
from otlp_capture.receiver.tls import (
    TlsFileInvalid,
    TlsFiles,
    TlsKeyEncrypted,
    TlsKeyMismatch,
    load_tls,
    names_in_auth_context,
)
from otlp_capture.result import Failure, Success, or_raise
from tests.certificates import authority, spelled

SECRET, ANOTHER = "a-canary-that-is-long-enough", "another-canary-of-some-length"
NOBODY = frozenset[str]()


def token(name: str, secret: str, session_id: str | None = None) -> Token:
    return Token(name, hashlib.sha256(secret.encode()).digest(), session_id)


def allowing(*tokens: Token, clients: Iterable[Client] = ()) -> Access:
    return Access(Credentials(tokens, tuple(clients)))


class TestTokens:
    access = allowing(token("shop", SECRET), token("bank", ANOTHER, "bank-1"))

    @pytest.mark.parametrize(
        "header",
        [f"Bearer {SECRET}", f"bearer {SECRET}", f"BEARER   {SECRET}  ", f"  Bearer {SECRET}"],
    )
    def test_a_token_tells_who_it_is(self, header: str) -> None:
        assert self.access.authenticate([header], NOBODY) == Success(Principal("shop"))

    def test_a_token_may_choose_the_session(self) -> None:
        shown = self.access.authenticate([f"Bearer {ANOTHER}"], NOBODY)

        assert shown == Success(Principal("bank", "bank-1"))

    @pytest.mark.parametrize("headers", [[], [""], ["Basic dXNlcjpwYXNz"], [SECRET], ["Bearer"]])
    def test_without_a_token_nobody_is_known(self, headers: list[str]) -> None:
        shown = self.access.authenticate(headers, NOBODY).failure()

        assert isinstance(shown, CredentialMissing | CredentialUnknown)

    @pytest.mark.parametrize(
        "headers",
        [
            [f"Bearer {SECRET[:-1]}"],
            [f"Bearer {SECRET}x"],
            [f"Bearer {SECRET.upper()}"],
            [f"Bearer {SECRET} {SECRET}"],
            [f"Bearer {SECRET}", f"Bearer {SECRET}"],
            [f"Bearer {SECRET}", "Bearer other"],
            ["Bearer \udcff\udcfe\U0001f600"],
            [f"Bearer {hashlib.sha256(SECRET.encode()).hexdigest()}"],
        ],
    )
    def test_a_wrong_one_is_not_taken(self, headers: list[str]) -> None:
        assert self.access.authenticate(headers, NOBODY) == Failure(CredentialUnknown())

    @given(st.text(st.characters(exclude_categories=[])))
    @example("\ud800")
    def test_no_other_text_is_a_token(self, sent: str) -> None:
        shown = self.access.authenticate([f"Bearer {sent}"], NOBODY)

        assert isinstance(shown, Success) == (sent.strip() in {SECRET, ANOTHER})

    def test_where_nothing_is_asked_anybody_may_send(self) -> None:
        assert Access().authenticate(["Bearer x"], NOBODY) == Success(Principal("anybody"))


class TestClients:
    access = allowing(clients=[Client("edge.example", "edge"), Client("spiffe://a/b")])

    def test_a_name_of_the_certificate_tells_who_it_is(self) -> None:
        shown = self.access.authenticate([], frozenset({"x", "edge.example"}))

        assert shown == Success(Principal("edge.example", "edge"))

    @pytest.mark.parametrize("names", [NOBODY, frozenset({"edge", "EDGE.EXAMPLE"})])
    def test_who_is_not_listed_is_refused(self, names: frozenset[str]) -> None:
        assert self.access.authenticate([], names) == Failure(ClientNotListed())

    def test_without_a_list_each_certificate_is_taken(self) -> None:
        assert Access().authenticate([], frozenset({"a", "b"})) == Success(Principal("a"))

    @pytest.mark.parametrize("headers", [[], ["Bearer no"]])
    def test_with_tokens_beside_them_both_are_needed(self, headers: list[str]) -> None:
        both = allowing(token("shop", SECRET), clients=[Client("edge", "s")])

        assert isinstance(both.authenticate(headers, frozenset({"edge"})), Failure)
        assert isinstance(both.authenticate([f"Bearer {SECRET}"], NOBODY), Failure)
        assert both.authenticate([f"Bearer {SECRET}"], frozenset({"edge"})) == Success(
            Principal("shop", "s")
        )

    def test_both_may_not_choose_different_sessions(self) -> None:
        both = allowing(token("shop", SECRET, "one"), clients=[Client("edge", "two")])

        shown = both.authenticate([f"Bearer {SECRET}"], frozenset({"edge"}))

        assert shown == Failure(SessionsDisagree())

    def test_the_names_of_grpc_are_the_same(self) -> None:
        context = {
            "x509_common_name": [b"shop"],
            "x509_subject_alternative_name": [b"a.b", b"\xff"],
            "transport_security_type": [b"ssl"],
        }

        assert names_in_auth_context(context) == {"shop", "a.b", "\ufffd"}


class TestTls:
    def test_what_fits_is_ready_for_both_transports(self, tmp_path: Path) -> None:
        issued = authority().issue(tmp_path, "server")
        files = TlsFiles(
            certificate=str(issued.certificate),
            key=str(issued.key),
            client_ca=str(authority().write(tmp_path)),
        )

        tls = or_raise(load_tls(files))

        assert isinstance(tls.grpc_credentials(), grpc.ServerCredentials)
        assert tls.asks_clients
        assert repr(tls) == "ServerTls()"

    def test_files_that_are_not_there_are_told(self, tmp_path: Path) -> None:
        issued = authority().issue(tmp_path, "server")
        good: dict[str, Any] = {"certificate": str(issued.certificate), "key": str(issued.key)}
        none = str(tmp_path / "none.pem")

        for change in ("certificate", "key", "client_ca"):
            loaded = load_tls(TlsFiles(**{**good, change: none}))
            assert loaded == Failure(FileUnreadable(none, "No such file or directory"))

    def test_files_of_another_kind_are_told(self, tmp_path: Path) -> None:
        issued = authority().issue(tmp_path, "server")
        certificate, key = str(issued.certificate), str(issued.key)
        other = tmp_path / "other.pem"
        other.write_text("-----BEGIN NOTHING-----\n-----END NOTHING-----\n")
        other.chmod(0o600)
        none = str(other)

        assert [
            load_tls(TlsFiles(certificate=none, key=key)),
            load_tls(TlsFiles(certificate=key, key=certificate)),
            load_tls(TlsFiles(certificate=certificate, key=none)),
            load_tls(TlsFiles(certificate=certificate, key=key, client_ca=none)),
        ] == [
            Failure(TlsFileInvalid(none, "certificate")),
            Failure(TlsFileInvalid(key, "certificate")),
            Failure(TlsFileInvalid(none, "private key")),
            Failure(TlsFileInvalid(none, "certificate")),
        ]

    def test_a_key_of_another_certificate_is_told(self, tmp_path: Path) -> None:
        one, other = authority().issue(tmp_path, "one"), authority().issue(tmp_path, "other")
        certificate, key = str(one.certificate), str(other.key)

        assert load_tls(TlsFiles(certificate=certificate, key=key)) == Failure(
            TlsKeyMismatch(certificate, key)
        )

    def test_an_encrypted_key_is_told_and_nobody_is_asked(self, tmp_path: Path) -> None:
        issued = authority().issue(tmp_path, "server")
        issued.key.write_bytes(spelled(ec.generate_private_key(ec.SECP256R1()), b"password"))
        certificate, key = str(issued.certificate), str(issued.key)

        assert load_tls(TlsFiles(certificate=certificate, key=key)) == Failure(TlsKeyEncrypted(key))


class TestLoading:
    def test_without_settings_there_is_neither(self) -> None:
        access = or_raise(load_access(AccessSettings(), {}))

        assert (access, access.missing) == (Access(), ("TLS", "authentication"))

    def test_the_file_is_taken_before_the_variable(self, tmp_path: Path) -> None:
        path = tmp_path / "tokens.toml"
        path.write_text(f'[[token]]\nname = "a"\ntoken = "{SECRET}"\nsession = "s"\n')
        path.chmod(0o600)
        settings = AccessSettings(credentials=str(path), token=SECRET)

        access = or_raise(load_access(settings, {}))

        assert access.authenticate([f"Bearer {SECRET}"], NOBODY) == Success(Principal("a", "s"))
        assert access.missing == ("TLS",)

    def test_a_bad_variable_is_told_though_there_is_a_file(self, tmp_path: Path) -> None:
        settings = AccessSettings(credentials=str(tmp_path / "none"), token="too short")

        error = load_access(settings, {}).failure()

        assert isinstance(error, InvalidCredential)
        assert "too short" not in f"{error!r} {error.message} {settings!r}"

    def test_clients_whose_certificates_nobody_asks_for_are_told(self, tmp_path: Path) -> None:
        path, issued = tmp_path / "tokens.toml", authority().issue(tmp_path, "server")
        path.write_text('[[client]]\nname = "a"\n')
        path.chmod(0o600)
        tls = TlsFiles(certificate=str(issued.certificate), key=str(issued.key))

        for each in (None, tls):
            settings = AccessSettings(tls=each, credentials=str(path))
            assert load_access(settings, {}) == Failure(ClientsUnasked(str(path)))


class TestMessages:
    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (FileUnreadable("a.pem", "Is a directory"), "a.pem cannot be read: Is a directory."),
            (TlsFileInvalid("a.pem", "certificate"), "a.pem is no certificate in PEM format."),
            (
                TlsKeyEncrypted("a.key"),
                (
                    "The key in a.key is encrypted. Decrypt it with `openssl pkey`, into a file "
                    "that only the server can read."
                ),
            ),
            (
                TlsKeyMismatch("a.pem", "b.key"),
                (
                    "The key in b.key is not that of the first certificate in a.pem. The server's "
                    "own certificate comes first, then those between it and its authority."
                ),
            ),
            (
                ClientsUnasked("tokens.toml"),
                (
                    "tokens.toml lists clients, but their certificates are not asked for. Give the "
                    "authority that signed them (--client-ca), or take the [[client]] entries out."
                ),
            ),
            (
                InvalidCredential("tokens.toml", "[[token]] number 2", "it has no secret"),
                "tokens.toml, [[token]] number 2: it has no secret.",
            ),
            (SessionsDisagree(), "The token and the certificate are for different sessions."),
        ],
    )
    def test_they_say_what_is_wrong_and_what_to_do(self, error: Any, message: str) -> None:
        assert (error.message, error.retryable) == (message, False)


@pytest.mark.anyio
class TestExposure:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
    async def test_loopback_is_for_anybody(self, host: str) -> None:
        assert await check_exposure(host, 0, Access()) == Success(None)

    @pytest.mark.parametrize(
        ("host", "beyond"),
        [
            ("0.0.0.0", ("0.0.0.0",)),
            ("::", ("::",)),
            ("", ("0.0.0.0", "::")),
            ("192.0.2.1", ("192.0.2.1",)),
            ("::ffff:192.0.2.1", ("::ffff:192.0.2.1",)),
        ],
    )
    async def test_beyond_it_strangers_have_to_be_kept_out(
        self, host: str, beyond: tuple[str, ...]
    ) -> None:
        missing = ("TLS", "authentication")

        assert await check_exposure(host, 0, Access()) == Failure(
            ExposureRefused(host, beyond, missing)
        )

    async def test_one_address_beyond_loopback_is_enough(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def resolve(*_: object, **__: object) -> list[Any]:
            return [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.1", "192.0.2.1")]

        monkeypatch.setattr("asyncio.BaseEventLoop.getaddrinfo", resolve)

        assert await check_exposure("two-faced", 0, Access()) == Failure(
            ExposureRefused("two-faced", ("192.0.2.1",), ("TLS", "authentication"))
        )

    async def test_tls_and_tokens_or_client_certificates_are_enough(self, tmp_path: Path) -> None:
        issued, ca = authority().issue(tmp_path, "server"), str(authority().write(tmp_path))
        certificate, key = str(issued.certificate), str(issued.key)
        plain = or_raise(load_tls(TlsFiles(certificate=certificate, key=key)))
        mutual = or_raise(load_tls(TlsFiles(certificate=certificate, key=key, client_ca=ca)))
        credentials = Credentials((token("shop", SECRET),))

        found = [
            await check_exposure("0.0.0.0", 0, access)
            for access in (
                Access(credentials, plain),
                Access(tls=mutual),
                Access(tls=plain),
                Access(credentials),
            )
        ]

        assert found == [
            Success(None),
            Success(None),
            Failure(ExposureRefused("0.0.0.0", ("0.0.0.0",), ("authentication",))),
            Failure(ExposureRefused("0.0.0.0", ("0.0.0.0",), ("TLS",))),
        ]

    @pytest.mark.parametrize("host", ["a..b", "\0"])
    async def test_a_host_without_address_cannot_be_listened_on(self, host: str) -> None:
        error = (await check_exposure(host, 7, Access())).failure()

        assert isinstance(error, CannotListen)
        assert (error.host, error.port) == (host, 7)

    def test_the_choices_are_told(self) -> None:
        message = ExposureRefused("0.0.0.0", ("0.0.0.0",), ("TLS", "authentication")).message

        assert message == (
            "Other machines reach 0.0.0.0 (host '0.0.0.0'), and there is no TLS and no "
            "authentication. Give a certificate and its key (--tls-cert, --tls-key) for TLS, and "
            "tokens (--tokens, or OTLP_CAPTURE_TOKEN) or the authority of client certificates "
            "(--client-ca) for authentication; or listen on 127.0.0.1; or say --insecure, and "
            "whoever reaches the port can send, and listen in."
        )
