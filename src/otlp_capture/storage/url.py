"""A store is named by a URL."""

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from otlp_capture.layer import Layer
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage.errors import InvalidStoreUrl, StorageError
from otlp_capture.storage.keys import key_fault
from otlp_capture.storage.local import local_storage
from otlp_capture.storage.memory import memory_storage
from otlp_capture.storage.s3 import S3Config, s3_storage

_ALLOWED: Final = ("endpoint", "region")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_REGION: Final = re.compile(r"[A-Za-z0-9-]{1,63}")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SECRET: Final = re.compile(r"key|secret|token|password|credential|user", re.IGNORECASE)
_USERINFO: Final = re.compile(r"^([A-Za-z0-9+.-]+:/{2})?.*@")

_NO_CREDENTIALS: Final = (
    "it holds credentials, which would end in logs and shell histories; set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
)


def storage_from_url(url: str) -> Outcome[Layer[StorageError], InvalidStoreUrl]:
    """Make the layer of the store that a URL names. Nothing is opened.

    | URL | store |
    |---|---|
    | `file:./otlp-data`, `file:/abs`, `file:///abs` | a directory; percent-encoding is decoded |
    | `memory:` | in memory, gone when closed |
    | `s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1` | a bucket; all but its
      name may be left out; credentials come from the usual AWS chain |

    Fails with:
        InvalidStoreUrl: it names none of these, or holds credentials or parameters that are not
            allowed.

    >>> storage_from_url("./data").failure().reason
    "it has no scheme; a directory is 'file:./data'"
    """
    if not url.strip():
        return _refused(url, "it is empty")
    found = _SCHEME.match(url)
    if found is None:
        return _refused(url, f"it has no scheme; a directory is 'file:{_without_secrets(url)}'")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return _refused(url, str(error))
    if parts.fragment or url.endswith("#"):
        return _refused(url, "it has a fragment ('#'); write %23 for the character")
    match found[1].lower():
        case "file":
            return _directory(url, parts)
        case "memory":
            return _memory(url, parts)
        case "s3":
            return _bucket(url, parts)
        case other:
            return _refused(url, f"{other!r} is none of the schemes file, memory and s3")


def _directory(url: str, parts: SplitResult) -> Outcome[Layer[StorageError], InvalidStoreUrl]:
    path = unquote(parts.path)
    if parts.netloc not in {"", "localhost"}:
        return _refused(url, f"{parts.netloc!r} stands where a host does; write 'file:./…'")
    if parts.query:
        return _refused(url, "a file store takes no parameters; write %3F for a question mark")
    if not path:
        return _refused(url, "it names no directory; write 'file:./otlp-data'")
    if path.startswith("~"):
        return _refused(url, "'~' is not expanded in a URL; write the whole path")
    if "\0" in path:
        return _refused(url, "its path holds a NUL")
    return Success(local_storage(path))


def _memory(url: str, parts: SplitResult) -> Outcome[Layer[StorageError], InvalidStoreUrl]:
    if parts.netloc or parts.path or parts.query:
        return _refused(url, "a store in memory has neither path nor parameters; write 'memory:'")
    return Success(memory_storage())


def _bucket(url: str, parts: SplitResult) -> Outcome[Layer[StorageError], InvalidStoreUrl]:
    # A secret key may hold a slash, and then its tail, with the '@', is in the path.
    if "@" in parts.netloc or (":" in parts.netloc and "@" in parts.path):
        return _refused(url, _NO_CREDENTIALS)
    if not _BUCKET.fullmatch(parts.netloc):
        return _refused(
            url,
            f"{parts.netloc!r} is no bucket name; the server goes into '?endpoint=http://host:port'",
        )
    prefix = unquote(parts.path).strip("/")
    if prefix and (fault := key_fault(prefix)) is not None:
        return _refused(url, f"its prefix {prefix!r} cannot begin a key: {fault.reason}")
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if (reason := _parameter_fault(name, value, parameters)) is not None:
            return _refused(url, reason)
        parameters[name] = value
    return Success(
        s3_storage(
            S3Config(
                bucket=parts.netloc,
                prefix=prefix,
                endpoint_url=parameters.get("endpoint"),
                region=parameters.get("region"),
            )
        )
    )


def _parameter_fault(name: str, value: str, seen: dict[str, str]) -> str | None:
    if name not in _ALLOWED and _SECRET.search(name):
        return _NO_CREDENTIALS
    if name not in _ALLOWED:
        return f"the parameter {name!r} is none of {' and '.join(_ALLOWED)}"
    if name in seen:
        return f"the parameter {name!r} is there twice"
    if name == "region":
        return None if _REGION.fullmatch(value) else f"{value!r} is no region, such as us-east-1"
    return _endpoint_fault(value)


def _endpoint_fault(endpoint: str) -> str | None:
    if "@" in endpoint:
        return _NO_CREDENTIALS
    try:
        parts = urlsplit(endpoint)
        port_is_valid = parts.port != 0
    except ValueError as error:
        return f"the endpoint is no URL: {error}"
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_valid:
        return f"the endpoint {endpoint!r} is not of the form http://host:port or https://host"
    if parts.query or parts.fragment:
        return f"the endpoint {endpoint!r} has a query or a fragment"
    return None


def _refused(url: str, reason: str) -> Outcome[Layer[StorageError], InvalidStoreUrl]:
    return Failure(InvalidStoreUrl(_without_secrets(url), reason))


def _without_secrets(url: str) -> str:
    place, mark, query = url.partition("?")
    if not place.lower().startswith("file:"):
        place = _USERINFO.sub(r"\1…@", place)
    if not mark:
        return place
    return f"{place}?{'&'.join(_masked(parameter) for parameter in query.split('&'))}"


def _masked(parameter: str) -> str:
    name, mark, value = parameter.partition("=")
    if mark and (unquote(name) not in _ALLOWED or "@" in unquote(value)):
        return f"{name}{mark}…"
    return parameter
