"""TLS as a client speaks it: one set of files, for HTTP and for gRPC."""

import ssl
from pathlib import Path
from typing import Any, ClassVar, Final

import attrs

from otlp_capture.result import Failure, Outcome, Success

_ENCRYPTED: Final = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")
_MAX_FILE_BYTES: Final = 4 << 20


@attrs.frozen
class ClientTlsInvalid:
    """A file with a certificate or a key cannot be used.

    Attributes:
        part: which: `ca`, `certificate` or `key`.
        path: the file; empty: none was given.
        reason: what is wrong with it, and what to do.
    """

    part: str
    path: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which file, and what is wrong."""
        return f"{self.path or 'The ' + self.part} {self.reason}."


@attrs.frozen
class ClientTls:
    """Whom to trust, and who one is. The key is in no text.

    Attributes:
        context: the same for asyncio.
        authorities: the certificates to trust, in PEM; None: those that the system trusts.
        certificate: the client's own, then those between it and its authority, in PEM; None: none
            is shown.
        key: the private key of the first.
    """

    context: ssl.SSLContext = attrs.field(repr=False, eq=False)
    authorities: bytes | None = attrs.field(repr=False)
    certificate: bytes | None = attrs.field(default=None, repr=False)
    key: bytes | None = attrs.field(default=None, repr=False)

    def grpc_credentials(self) -> Any:
        """Return the same for grpc.aio: `grpc.ChannelCredentials`."""
        import grpc  # noqa: PLC0415 - loaded where it is used

        return grpc.ssl_channel_credentials(self.authorities, self.key, self.certificate)


def load_client_tls(
    *, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> Outcome[ClientTls, ClientTlsInvalid]:
    """Read certificates and a key, and see whether they fit; it blocks.

    Args:
        ca: the certificates to trust; None: those that the system trusts.
        certificate: the client's own; None: none is shown.
        key: its private key.

    Fails with:
        ClientTlsInvalid: a file cannot be read, is not what it should be, needs a password, or
            does not fit the other; or one of certificate and key is missing.
    """
    trusted = _trust(ca)
    if isinstance(trusted, Failure):
        return trusted
    tls = trusted.unwrap()
    if certificate is None and key is None:
        return trusted
    if certificate is None or key is None:
        part = "certificate" if certificate is None else "key"
        reason = "is missing: a client's certificate and its key go together"
        return Failure(ClientTlsInvalid(part, "", reason))
    return _with_own(tls, certificate, key)


def _trust(ca: Path | None) -> Outcome[ClientTls, ClientTlsInvalid]:
    if ca is None:
        return Success(ClientTls(ssl.create_default_context(), None))
    read = _read("ca", ca)
    if isinstance(read, Failure):
        return read
    try:
        context = ssl.create_default_context(cadata=read.unwrap().decode("ascii"))
    except (ssl.SSLError, ValueError):
        return Failure(ClientTlsInvalid("ca", str(ca), "holds no certificates in PEM"))
    return Success(ClientTls(context, read.unwrap()))


def _with_own(tls: ClientTls, certificate: Path, key: Path) -> Outcome[ClientTls, ClientTlsInvalid]:
    shown, secret = _read("certificate", certificate), _read("key", key)
    if isinstance(shown, Failure):
        return shown
    if isinstance(secret, Failure):
        return secret
    if any(mark in secret.unwrap() for mark in _ENCRYPTED):
        reason = "is encrypted: decrypt it with `openssl pkey`, into a file that only you can read"
        return Failure(ClientTlsInvalid("key", str(key), reason))
    try:
        # Without a password OpenSSL would ask the terminal.
        tls.context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        return Failure(_misfit(error, shown.unwrap(), certificate, key))
    except OSError as error:
        return Failure(ClientTlsInvalid("key", str(key), _unreadable(error)))
    return Success(attrs.evolve(tls, certificate=shown.unwrap(), key=secret.unwrap()))


def _misfit(error: ssl.SSLError, shown: bytes, certificate: Path, key: Path) -> ClientTlsInvalid:
    if error.reason == "KEY_VALUES_MISMATCH":
        reason = f"is not the key of the first certificate in {certificate}"
        return ClientTlsInvalid("key", str(key), reason)
    if b"-----BEGIN CERTIFICATE-----" not in shown:
        return ClientTlsInvalid("certificate", str(certificate), "holds no certificate in PEM")
    reason = f"holds no private key in PEM that fits the certificate in {certificate}"
    return ClientTlsInvalid("key", str(key), reason)


def _read(part: str, path: Path) -> Outcome[bytes, ClientTlsInvalid]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        return Failure(ClientTlsInvalid(part, str(path), _unreadable(error)))
    if len(content) > _MAX_FILE_BYTES:
        reason = f"has more than {_MAX_FILE_BYTES:,} bytes, and is no PEM file"
        return Failure(ClientTlsInvalid(part, str(path), reason))
    return Success(content)


def _unreadable(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"cannot be read: {reason or type(error).__name__}"
