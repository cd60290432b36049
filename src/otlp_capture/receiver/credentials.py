"""Who may send, as a file says it: tokens, and names of client certificates.

No secret is kept, only its digest; and no error or repr has either.
"""

import hashlib
import hmac
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, TypeAlias, cast

import attrs

from otlp_capture.receiver.files import FileUnreadable, read_secret_file
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import check_session_id

TOKEN_VARIABLE: Final = "OTLP_CAPTURE_TOKEN"  # noqa: S105 - it is where a token is
MIN_TOKEN_LENGTH: Final = 16
_TOKEN: Final = re.compile(r"[!-~]+")
_NAME: Final = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_POSITION: Final = re.compile(r"line \d+, column \d+")
_SECRETS: Final = ("token", "sha256", "env")
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "token": ("name", *_SECRETS, "session"),
    "client": ("name", "session"),
}


@attrs.frozen
class InvalidCredential:
    """What stands at one place cannot be a credential; what it says is not told.

    Attributes:
        source: the file, or the environment.
        where: the place in it: an entry, a line, a variable.
        reason: what is wrong, and what is allowed.
    """

    source: str
    where: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where it is, what is wrong, and what is allowed."""
        return f"{self.source}, {self.where}: {self.reason}."


CredentialsError: TypeAlias = FileUnreadable | InvalidCredential


@attrs.frozen
class Token:
    """A bearer token, by its SHA-256, and the session that it is for (None: the server's)."""

    name: str
    digest: bytes = attrs.field(repr=False)
    session_id: str | None = None


@attrs.frozen
class Client:
    """A name that a client's certificate has, and the session that it is for."""

    name: str
    session_id: str | None = None


@attrs.frozen
class Credentials:
    """All that may be shown.

    Attributes:
        tokens: where there are any, each request needs one of them.
        clients: where there are any, a client's certificate needs one of their names.
    """

    tokens: tuple[Token, ...] = ()
    clients: tuple[Client, ...] = ()

    @property
    def session_ids(self) -> tuple[str, ...]:
        """The sessions that credentials name, each once."""
        named = {token.session_id for token in self.tokens}
        named |= {client.session_id for client in self.clients}
        return tuple(sorted(session_id for session_id in named if session_id is not None))

    def token_of(self, secret: bytes) -> Token | None:
        """Find a token by what was sent, in a time that does not tell how near it came."""
        digest = hashlib.sha256(secret).digest()
        found = None
        for each in self.tokens:
            if hmac.compare_digest(each.digest, digest):
                found = each
        return found

    def client_of(self, names: frozenset[str]) -> Client | None:
        """Find the first client that a certificate names."""
        return next((each for each in self.clients if each.name in names), None)


class _WrongError(Exception):
    """What is wrong with an entry; caught where its place is known."""


def credentials_of_token(secret: str) -> Outcome[Credentials, InvalidCredential]:
    """Take one token, which chooses no session.

    Fails with:
        InvalidCredential: it is too short, or has characters that no header carries.
    """
    try:
        digest = _digest(secret)
    except _WrongError as wrong:
        return Failure(InvalidCredential("The environment", TOKEN_VARIABLE, str(wrong)))
    return Success(Credentials((Token(TOKEN_VARIABLE, digest),)))


def read_credentials(
    path: str, environ: Mapping[str, str]
) -> Outcome[Credentials, CredentialsError]:
    """Read a file of `[[token]]` and `[[client]]` entries; it blocks.

    A token has a `name` and one of `token`, `sha256` (of the token, in hexadecimal) and `env` (the
    variable that holds it); a client has a `name` that its certificate has. Either may have the
    `session` that its requests go to.

    Fails with:
        FileUnreadable: there is no such file, or it is not to be read.
        InvalidCredential: an entry is wrong; the message says which, and nothing that it holds.
    """
    read = read_secret_file(path)
    if isinstance(read, Failure):
        return read
    try:
        document = tomllib.loads(read.unwrap().decode())
    except UnicodeDecodeError:
        return Failure(FileUnreadable(path, "it is not UTF-8"))
    except tomllib.TOMLDecodeError as error:
        place = _POSITION.search(str(error))
        return Failure(
            InvalidCredential(path, place[0] if place else "at its end", "it is no TOML")
        )
    return _credentials(path, document, environ)


def _credentials(
    path: str, document: Mapping[str, Any], environ: Mapping[str, str]
) -> Outcome[Credentials, InvalidCredential]:
    tokens: list[Token] = []
    clients: list[Client] = []
    where = "at its top"
    try:
        _check_known(document, tuple(_KEYS))
        for number, entry in enumerate(_listed(document, "token"), start=1):
            where = f"[[token]] number {number}"
            _check_entry(entry, "token")
            tokens.append(Token(_name(entry), _secret(entry, environ), _session(entry)))
            _check_once("name", (token.name for token in tokens))
            _check_once("token", (token.digest for token in tokens))
        for number, entry in enumerate(_listed(document, "client"), start=1):
            where = f"[[client]] number {number}"
            _check_entry(entry, "client")
            clients.append(Client(_name(entry), _session(entry)))
            _check_once("name", (client.name for client in clients))
        _check_some(tokens, clients)
    except _WrongError as wrong:
        return Failure(InvalidCredential(path, where, str(wrong)))
    return Success(Credentials(tuple(tokens), tuple(clients)))


def _listed(document: Mapping[str, Any], kind: str) -> list[Any]:
    listed = document.get(kind, [])
    if not isinstance(listed, list):
        raise _WrongError(f"{kind} is no list of tables; write [[{kind}]] above each")
    return cast("list[Any]", listed)


def _check_entry(entry: Any, kind: str) -> None:
    if not isinstance(entry, dict):
        raise _WrongError(f"it is no table; write [[{kind}]] above its keys")
    table = cast("dict[str, Any]", entry)
    _check_known(table, _KEYS[kind])
    for key in _KEYS[kind]:
        if not isinstance(table.get(key, ""), str):
            raise _WrongError(f"{key} is no string")


def _check_known(table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Find what is not known; what is as long as a token is not said, because it may be one."""
    for key in table:
        if key not in known:
            said = repr(key) if len(key) < MIN_TOKEN_LENGTH else "a key"
            raise _WrongError(f"{said} is not known; {', '.join(known)} are")


def _check_once(what: str, values: Iterable[str | bytes]) -> None:
    *before, last = values
    if last in before:
        raise _WrongError(f"an entry above has the same {what}")


def _check_some(tokens: list[Token], clients: list[Client]) -> None:
    if not (tokens or clients):
        raise _WrongError("there is neither a [[token]] nor a [[client]]")


def _name(entry: Mapping[str, str]) -> str:
    name = entry.get("name", "")
    if not _NAME.fullmatch(name):
        raise _WrongError("it needs a name, of 1 to 200 printable ASCII characters")
    return name


def _session(entry: Mapping[str, str]) -> str | None:
    session_id = entry.get("session")
    if session_id is not None and isinstance(check_session_id(session_id), Failure):
        raise _WrongError(
            "its session is no session id: 1 to 128 letters, digits, '.', '_' and '-', "
            "a letter or a digit first, and no '..'"
        )
    return session_id


def _secret(entry: Mapping[str, str], environ: Mapping[str, str]) -> bytes:
    given = [key for key in _SECRETS if key in entry]
    if len(given) != 1:
        raise _WrongError(
            f"it has {' and '.join(given) or 'no secret'}; it needs one of {', '.join(_SECRETS)}"
        )
    (kind,) = given
    if kind == "token":
        return _digest(entry[kind])
    if kind == "sha256":
        if not _SHA256.fullmatch(entry[kind]):
            raise _WrongError("sha256 is not 64 hexadecimal digits")
        return bytes.fromhex(entry[kind])
    if entry[kind] not in environ:
        raise _WrongError("the variable that env names is not set")
    return _digest(environ[entry[kind]])


def _digest(secret: str) -> bytes:
    if len(secret) < MIN_TOKEN_LENGTH:
        raise _WrongError(f"the token has fewer than {MIN_TOKEN_LENGTH} characters")
    if not _TOKEN.fullmatch(secret):
        raise _WrongError("the token has characters that are not visible ASCII")
    return hashlib.sha256(secret.encode()).digest()
