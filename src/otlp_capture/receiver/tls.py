"""TLS as a server speaks it: one set of files, for HTTP and for gRPC."""

import ssl
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, TypeAlias

import attrs

from otlp_capture.receiver.files import FileUnreadable, read_file, read_secret_file
from otlp_capture.result import Failure, Outcome, Success

_ENCRYPTED: Final = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")


@attrs.frozen(kw_only=True)
class TlsFiles:
    """Where certificates and keys are, each a PEM file.

    Attributes:
        certificate: the server's, then those between it and the authority, if any.
        key: the private key of the first.
        client_ca: the authorities of clients; where it is given each client needs a certificate.
    """

    certificate: str
    key: str
    client_ca: str | None = None


@attrs.frozen
class TlsFileInvalid:
    """A file is no certificate, or no private key."""

    path: str
    wanted: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which file, and what it should be."""
        return f"{self.path} is no {self.wanted} in PEM format."


@attrs.frozen
class TlsKeyEncrypted:
    """A private key is encrypted, and there is nobody to ask for its password."""

    path: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which file, and what to do."""
        return (
            f"The key in {self.path} is encrypted. Decrypt it with `openssl pkey`, "
            f"into a file that only the server can read."
        )


@attrs.frozen
class TlsKeyMismatch:
    """A private key belongs to another certificate."""

    certificate: str
    key: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which files do not fit each other."""
        return (
            f"The key in {self.key} is not that of the first certificate in {self.certificate}. "
            f"The server's own certificate comes first, then those between it and its authority."
        )


TlsError: TypeAlias = FileUnreadable | TlsFileInvalid | TlsKeyEncrypted | TlsKeyMismatch


@attrs.frozen(eq=False)
class ServerTls:
    """TLS that is ready to be spoken: 1.2 or later.

    Attributes:
        context: for asyncio's servers.
    """

    context: ssl.SSLContext = attrs.field(repr=False)
    _certificate: bytes = attrs.field(repr=False)
    _key: bytes = attrs.field(repr=False)
    _client_ca: bytes | None = attrs.field(repr=False)

    @property
    def asks_clients(self) -> bool:
        """Whether clients need a certificate."""
        return self._client_ca is not None

    def grpc_credentials(self) -> Any:
        """Return the same for grpc.aio: `grpc.ServerCredentials`."""
        import grpc  # noqa: PLC0415 - loaded where it is used

        return grpc.ssl_server_credentials(
            [(self._key, self._certificate)],
            root_certificates=self._client_ca,
            require_client_auth=self.asks_clients,
        )


def load_tls(files: TlsFiles) -> Outcome[ServerTls, TlsError]:
    """Read certificates and keys, and see whether they fit; it blocks.

    Fails with:
        FileUnreadable: a file is not there, or not to be read.
        TlsFileInvalid: it has no certificate, or no private key.
        TlsKeyEncrypted: the key needs a password.
        TlsKeyMismatch: the key is that of another certificate.
    """
    certificate = read_file(files.certificate)
    if isinstance(certificate, Failure):
        return certificate
    key = read_secret_file(files.key)
    if isinstance(key, Failure):
        return key
    if any(mark in key.unwrap() for mark in _ENCRYPTED):
        return Failure(TlsKeyEncrypted(files.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    wrong = _load_own(context, files)
    if wrong is not None:
        return Failure(wrong)
    if files.client_ca is None:
        return Success(ServerTls(context, certificate.unwrap(), key.unwrap(), None))
    authorities = _load_authorities(context, files.client_ca)
    if isinstance(authorities, Failure):
        return authorities
    return Success(ServerTls(context, certificate.unwrap(), key.unwrap(), authorities.unwrap()))


def _load_own(context: ssl.SSLContext, files: TlsFiles) -> TlsError | None:
    try:
        # Without a password OpenSSL would ask the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return TlsKeyMismatch(files.certificate, files.key)
        if _has_certificate(files.certificate):
            return TlsFileInvalid(files.key, "private key")
        return TlsFileInvalid(files.certificate, "certificate")
    except OSError as error:
        return FileUnreadable(files.key, error.strerror or type(error).__name__)
    return None


def _has_certificate(path: str) -> bool:
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        probe.load_verify_locations(path)
    except ssl.SSLError:
        return False
    return True


def _load_authorities(
    context: ssl.SSLContext, path: str
) -> Outcome[bytes, FileUnreadable | TlsFileInvalid]:
    read = read_file(path)
    if isinstance(read, Failure):
        return read
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        return Failure(TlsFileInvalid(path, "certificate"))
    context.verify_mode = ssl.CERT_REQUIRED
    return read


def names_in_certificate(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the common name and the alternative names of what asyncio calls `peercert`.

    >>> subject = ((("commonName", "shop"),),)
    >>> sorted(names_in_certificate({"subject": subject, "subjectAltName": (("DNS", "a.b"),)}))
    ['a.b', 'shop']
    """
    if not certificate:
        return frozenset()
    subject = (pair for part in certificate.get("subject", ()) for pair in part)
    common = {value for kind, value in subject if kind == "commonName"}
    # The alternative name that is a directory's has no text.
    others = {value for _, value in certificate.get("subjectAltName", ()) if isinstance(value, str)}
    return frozenset(common | others)


def names_in_auth_context(context: Mapping[str, Iterable[bytes]]) -> frozenset[str]:
    """Return the same of what grpc.aio calls `auth_context`."""
    keys = ("x509_common_name", "x509_subject_alternative_name")
    return frozenset(
        value.decode("utf-8", "replace") for key in keys for value in context.get(key, ())
    )
