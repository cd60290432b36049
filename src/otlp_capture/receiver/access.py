"""Who may send: from this machine anybody, from beyond it who is known, over TLS.

A credential may choose the session; nothing in a request's body can.
"""

import os
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, TypeAlias

import attrs

from otlp_capture.receiver.credentials import (
    Credentials,
    CredentialsError,
    credentials_of_token,
    read_credentials,
)
from otlp_capture.receiver.tls import ServerTls, TlsError, TlsFiles, load_tls
from otlp_capture.result import Failure, Outcome, Success

_BEARER: Final = "bearer"


@attrs.frozen(kw_only=True)
class AccessSettings:
    """What opens a receiver to others.

    Attributes:
        tls: certificates and keys; None: no TLS.
        credentials: the file of tokens and clients (docs/security.md); None: no file.
        token: one token more; the command line has it from OTLP_CAPTURE_TOKEN.
        is_insecure: whether to listen beyond loopback even where anybody could read or send.
    """

    tls: TlsFiles | None = None
    credentials: str | None = None
    token: str | None = attrs.field(default=None, repr=False)
    is_insecure: bool = False


LOOPBACK_ONLY: Final = AccessSettings()


@attrs.frozen
class ClientsUnasked:
    """Clients are listed, but no certificate is asked of them."""

    path: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where they are listed, and what is missing."""
        return (
            f"{self.path} lists clients, but their certificates are not asked for. Give the "
            f"authority that signed them (--client-ca), or take the [[client]] entries out."
        )


AccessError: TypeAlias = CredentialsError | TlsError | ClientsUnasked


@attrs.frozen
class CredentialMissing:
    """A request has no bearer token."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What to send."""
        return "This receiver wants a token: send the header `Authorization: Bearer TOKEN`."


@attrs.frozen
class CredentialUnknown:
    """A request has a bearer token, but none that is taken."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, without a hint at what is right."""
        return "The token is none of those that this receiver takes."


@attrs.frozen
class ClientNotListed:
    """A client's certificate is good, but names nobody who may send."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and who can change it."""
        return "The certificate has none of the names that this receiver lists as clients."


@attrs.frozen
class SessionsDisagree:
    """A token and a client's certificate are for different sessions."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong."""
        return "The token and the certificate are for different sessions."


Unauthenticated: TypeAlias = (
    CredentialMissing | CredentialUnknown | ClientNotListed | SessionsDisagree
)


@attrs.frozen
class Principal:
    """Who sent a request.

    Attributes:
        name: what the credential is called.
        session_id: the session that it chose; None: the server's.
    """

    name: str
    session_id: str | None = None


ANYBODY: Final = Principal("anybody")


@attrs.frozen
class Access:
    """Who may send, ready to be asked.

    Attributes:
        credentials: what may be shown.
        tls: what the wire is protected by; None: nothing.
    """

    credentials: Credentials = attrs.field(factory=Credentials)
    tls: ServerTls | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not there to keep strangers out: `TLS`, `authentication`."""
        has_authentication = bool(self.credentials.tokens) or self.asks_clients
        found = {"TLS": self.tls is not None, "authentication": has_authentication}
        return tuple(name for name, is_there in found.items() if not is_there)

    @property
    def asks_clients(self) -> bool:
        """Whether clients need a certificate."""
        return self.tls is not None and self.tls.asks_clients

    def authenticate(
        self, authorizations: Sequence[str], names: frozenset[str]
    ) -> Outcome[Principal, Unauthenticated]:
        """Tell who sent a request, before any of its body is read.

        Where there are tokens, one is needed, and where there are clients, a certificate that
        names one: with both, both.

        Args:
            authorizations: the values of its Authorization headers.
            names: the names in the client's certificate, which TLS has verified.

        Fails with:
            CredentialMissing: a token is needed and there is none.
            CredentialUnknown: the token is not taken, or there are several.
            ClientNotListed: no client has one of the names.
            SessionsDisagree: token and client are for different sessions.
        """
        by_client = self._client(names)
        if isinstance(by_client, Failure):
            return by_client
        by_token = self._token(authorizations)
        if isinstance(by_token, Failure):
            return by_token
        found = [each for each in (by_token.unwrap(), by_client.unwrap()) if each is not None]
        session_ids = {each.session_id for each in found if each.session_id is not None}
        if len(session_ids) > 1:
            return Failure(SessionsDisagree())
        name = found[0].name if found else ANYBODY.name
        return Success(Principal(name, next(iter(session_ids), None)))

    def _client(self, names: frozenset[str]) -> Outcome[Principal | None, ClientNotListed]:
        if self.credentials.clients:
            client = self.credentials.client_of(names)
            if client is None:
                return Failure(ClientNotListed())
            return Success(Principal(client.name, client.session_id))
        return Success(Principal(min(names)) if names else None)

    def _token(
        self, authorizations: Sequence[str]
    ) -> Outcome[Principal | None, CredentialMissing | CredentialUnknown]:
        if not self.credentials.tokens:
            return Success(None)
        if not authorizations:
            return Failure(CredentialMissing())
        scheme, _, secret = authorizations[0].strip().partition(" ")
        if scheme.lower() != _BEARER:
            return Failure(CredentialMissing())
        if len(authorizations) > 1:
            return Failure(CredentialUnknown())
        token = self.credentials.token_of(secret.strip().encode("utf-8", "surrogatepass"))
        if token is None:
            return Failure(CredentialUnknown())
        return Success(Principal(token.name, token.session_id))


def load_access(
    settings: AccessSettings, environ: Mapping[str, str] | None = None
) -> Outcome[Access, AccessError]:
    """Read all that access depends on; it blocks.

    Args:
        settings: where it is.
        environ: where variables that the file names are looked up; None: in the environment.

    Fails with:
        FileUnreadable: a file is not there, or not to be read.
        InvalidCredential: an entry of the file of tokens is wrong, or the one token is.
        TlsFileInvalid: a file has no certificate, or no private key.
        TlsKeyEncrypted: the key needs a password.
        TlsKeyMismatch: the key is that of another certificate.
        ClientsUnasked: clients are listed, but there is no authority to ask their certificates of.
    """
    credentials = _load_credentials(settings, os.environ if environ is None else environ)
    if isinstance(credentials, Failure):
        return credentials
    access = Access(credentials.unwrap())
    if settings.tls is not None:
        tls = load_tls(settings.tls)
        if isinstance(tls, Failure):
            return tls
        access = attrs.evolve(access, tls=tls.unwrap())
    if access.credentials.clients and not access.asks_clients:
        return Failure(ClientsUnasked(str(settings.credentials)))
    return Success(access)


def _load_credentials(
    settings: AccessSettings, environ: Mapping[str, str]
) -> Outcome[Credentials, CredentialsError]:
    found = Credentials()
    if settings.token is not None:
        alone = credentials_of_token(settings.token)
        if isinstance(alone, Failure):
            return alone
        found = alone.unwrap()
    if settings.credentials is not None:
        listed = read_credentials(settings.credentials, environ)
        if isinstance(listed, Failure):
            return listed
        # A token that is in both places is the file's, which may say more of it.
        found = Credentials(found.tokens + listed.unwrap().tokens, listed.unwrap().clients)
    return Success(found)
