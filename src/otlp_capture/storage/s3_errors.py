"""The boundary to botocore: which of its exceptions, and of S3's codes, is which error."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import aiohttp
import attrs
from botocore import exceptions as boto  # pyright: ignore[reportMissingTypeStubs] - it has none
from botocore.parsers import (  # pyright: ignore[reportMissingTypeStubs] - it has none
    ResponseParserError,
)

from otlp_capture.storage.errors import (
    AccessDenied,
    BucketNotFound,
    ChecksumMismatch,
    CredentialsMissing,
    InvalidKey,
    ObjectNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    StorageBusy,
    StorageError,
    StorageFault,
    StorageFull,
    StorageUnreachable,
    StorageUnusable,
)
from otlp_capture.storage.objects import Condition, IfMatch

S3_EXCEPTIONS: Final[tuple[type[Exception], ...]] = (
    boto.BotoCoreError,
    boto.ClientError,
    ResponseParserError,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
)
"""Everything that a request raises but cancellation and programming errors."""

INTERRUPTIONS: Final[tuple[type[Exception], ...]] = (
    aiohttp.ClientError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
)
"""What ends the reading of a body before its end."""


@attrs.frozen
class Request:
    """What was asked of a store, for the error that may come of it."""

    store: str
    bucket: str
    key: str = ""
    condition: Condition | None = None
    start: int = 0


_Maker = Callable[[Request, str, str], StorageError]


def _not_found(at: Request, _code: str, _detail: str) -> StorageError:
    if isinstance(at.condition, IfMatch):
        return PreconditionFailed(at.key, at.store, at.condition)
    return ObjectNotFound(at.key, at.store)


def _no_bucket(at: Request, _code: str, _detail: str) -> StorageError:
    return BucketNotFound(at.bucket, at.store)


def _denied(at: Request, code: str, detail: str) -> StorageError:
    return AccessDenied(at.store, at.key, f"{code}, {detail}")


def _unmet(at: Request, _code: str, _detail: str) -> StorageError:
    if at.condition is None:
        return StorageBusy(at.store, at.key, "it changed while it was read")
    return PreconditionFailed(at.key, at.store, at.condition)


def _past_the_end(at: Request, _code: str, _detail: str) -> StorageError:
    return RangeNotSatisfiable(at.key, at.store, at.start)


def _damaged(at: Request, code: str, detail: str) -> StorageError:
    return ChecksumMismatch(at.key, at.store, f"{code}, {detail}")


def _busy(at: Request, code: str, detail: str) -> StorageError:
    return StorageBusy(at.store, at.key, f"{code}, {detail}")


def _full(at: Request, code: str, detail: str) -> StorageError:
    return StorageFull(at.store, at.key, f"{code}, {detail}")


def _bad_key(at: Request, code: str, _detail: str) -> StorageError:
    return InvalidKey(at.key, f"{at.store} refuses it with {code}")


def _unreachable(at: Request, _code: str, detail: str) -> StorageError:
    return StorageUnreachable(at.store, detail)


def _no_credentials(at: Request, _code: str, detail: str) -> StorageError:
    return CredentialsMissing(at.store, detail)


def _unusable(at: Request, _code: str, detail: str) -> StorageError:
    return StorageUnusable(at.store, detail)


def _other(at: Request, code: str, detail: str) -> StorageError:
    return StorageFault(at.store, at.key, code, detail)


# Source: Amazon S3 API Reference, "Error responses"; the XMinio codes: MinIO, cmd/api-errors.go.
_BY_CODE: Final[Mapping[str, _Maker]] = {
    "NoSuchKey": _not_found,
    "NoSuchBucket": _no_bucket,
    "AllAccessDisabled": _denied,
    "AuthorizationHeaderMalformed": _denied,
    "ExpiredToken": _denied,
    "InvalidAccessKeyId": _denied,
    "InvalidToken": _denied,
    "RequestTimeTooSkewed": _denied,
    "SignatureDoesNotMatch": _denied,
    "BadDigest": _damaged,
    "InvalidDigest": _damaged,
    "XAmzContentChecksumMismatch": _damaged,
    "XAmzContentSHA256Mismatch": _damaged,
    "IncompleteBody": _busy,
    "ConditionalRequestConflict": _busy,
    "OperationAborted": _busy,
    "RequestTimeout": _busy,
    "SlowDown": _busy,
    "Throttling": _busy,
    "NotImplemented": _other,
    "InsufficientCapacity": _full,
    "QuotaExceeded": _full,
    "XMinioAdminBucketQuotaExceeded": _full,
    "XMinioStorageFull": _full,
    "KeyTooLongError": _bad_key,
    "XMinioInvalidObjectName": _bad_key,
}

_NOT_IMPLEMENTED: Final = 501
_INSUFFICIENT_STORAGE: Final = 507
_FIRST_SERVER_ERROR: Final = 500

_BY_STATUS: Final[Mapping[int, _Maker]] = {
    401: _denied,
    403: _denied,
    409: _busy,
    412: _unmet,
    416: _past_the_end,
    429: _busy,
    _NOT_IMPLEMENTED: _other,
    _INSUFFICIENT_STORAGE: _full,
}

_BY_EXCEPTION: Final[tuple[tuple[type[Exception], _Maker], ...]] = (
    (boto.NoCredentialsError, _no_credentials),
    (boto.PartialCredentialsError, _no_credentials),
    (boto.CredentialRetrievalError, _no_credentials),
    (boto.TokenRetrievalError, _no_credentials),
    (boto.NoAuthTokenError, _no_credentials),
    (boto.SSOError, _no_credentials),
    (boto.FlexibleChecksumError, _damaged),
    (boto.ChecksumError, _damaged),
    (boto.ConnectionError, _unreachable),
    (boto.HTTPClientError, _unreachable),
    (boto.ProfileNotFound, _unusable),
    (boto.ConfigNotFound, _unusable),
    (boto.ConfigParseError, _unusable),
    (boto.InvalidConfigError, _unusable),
    (boto.InvalidRegionError, _unusable),
    (boto.NoRegionError, _unusable),
    (boto.EndpointProviderError, _unusable),
    (boto.ParamValidationError, _unusable),
    (boto.BotoCoreError, _other),
    (ResponseParserError, _other),
    (aiohttp.ClientError, _unreachable),
    (TimeoutError, _unreachable),
    (OSError, _unreachable),
)


def storage_error(error: Exception, at: Request) -> StorageError:
    """Turn one of `S3_EXCEPTIONS` into the error that it means for a request."""
    if isinstance(error, boto.ClientError):
        return _answered(cast("Any", error).response, at)
    detail = str(error) or "it did not answer in time"
    for kind, make in _BY_EXCEPTION:
        if isinstance(error, kind):
            return make(at, type(error).__name__, detail)
    return _other(at, type(error).__name__, detail)


def _answered(response: Mapping[str, Any], at: Request) -> StorageError:
    problem: Mapping[str, Any] = response.get("Error", {})
    code = str(problem.get("Code", "Unknown"))
    detail = str(problem.get("Message") or "no reason given").rstrip(".")
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if (make := _BY_CODE.get(code)) is not None:
        return make(at, code, detail)
    if code == "404":
        # The answer to a HEAD has no body, so neither has it a code.
        return _not_found(at, code, detail)
    if (make := _BY_STATUS.get(status)) is not None:
        return make(at, code, detail)
    return (_busy if status >= _FIRST_SERVER_ERROR else _other)(at, code, detail)
