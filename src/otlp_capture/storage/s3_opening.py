"""Opening a client of S3 for a store's lifetime."""

import os
from typing import Any, Final, cast

import anyio
from aiobotocore import config as untyped_config  # pyright: ignore[reportMissingTypeStubs] - none
from aiobotocore import session as untyped_session  # pyright: ignore[reportMissingTypeStubs] - none
from botocore import handlers as untyped_handlers  # pyright: ignore[reportMissingTypeStubs] - none

from otlp_capture.layer import Scope
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage.errors import StorageError, StorageUnusable
from otlp_capture.storage.protocol import S3Storage
from otlp_capture.storage.s3 import S3Config
from otlp_capture.storage.s3_client import S3Client
from otlp_capture.storage.s3_errors import S3_EXCEPTIONS, Request, storage_error
from otlp_capture.storage.s3_store import S3Store

_aiobotocore_config: Any = untyped_config
_aiobotocore_session: Any = untyped_session
_botocore_handlers: Any = untyped_handlers

_DEFAULT_REGION: Final = "us-east-1"

# The chain may ask an instance's metadata service, and models are read from disk.
_OPENING_S: Final = 20.0


async def open_s3(scope: Scope, config: S3Config) -> Outcome[S3Storage, StorageError]:
    """Open a store for as long as *scope*.

    Fails with:
        CredentialsMissing: the AWS chain is configured, but broken.
        StorageUnusable: an endpoint, a region or a profile is not valid.
    """
    store = store_name(config)
    try:
        with anyio.fail_after(_OPENING_S):
            client = await scope.enter(_client(config))
    except S3_EXCEPTIONS as error:
        return Failure(storage_error(error, Request(store, config.bucket)))
    except ValueError as error:
        return Failure(StorageUnusable(store, str(error)))
    # An answer to wait for before each body doubles what a write takes.
    client.meta.events.unregister("before-call.s3", _botocore_handlers.add_expect_header)
    return Success(S3Store(config, store, cast("S3Client", client)))


def store_name(config: S3Config) -> str:
    """Tell how errors call a store."""
    place = f"s3://{config.bucket}/{config.prefix}".rstrip("/")
    endpoint = _endpoint(config)
    return place if endpoint is None else f"{place} at {endpoint}"


def _client(config: S3Config) -> Any:
    session = _aiobotocore_session.get_session()
    keys = config.credentials
    return session.create_client(
        "s3",
        region_name=config.region or session.get_config_variable("region") or _DEFAULT_REGION,
        endpoint_url=config.endpoint_url,
        aws_access_key_id=keys.access_key_id if keys else None,
        aws_secret_access_key=keys.secret_access_key if keys else None,
        aws_session_token=keys.session_token if keys else None,
        config=_options(config),
    )


def _options(config: S3Config) -> Any:
    options: dict[str, Any] = {
        "connect_timeout": config.connect_timeout_s,
        "read_timeout": config.read_timeout_s,
        "retries": {"mode": "standard", "total_max_attempts": config.max_attempts},
        "max_pool_connections": config.max_connections + config.max_large_transfers,
        # Without these two, recent botocore sends trailers that compatible stores refuse.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "s3": {"addressing_style": "path" if _endpoint(config) else "auto"},
        "warm_up_loader_caches": True,
    }
    return _aiobotocore_config.AioConfig(**options)


def _endpoint(config: S3Config) -> str | None:
    environment = os.environ
    return (
        config.endpoint_url
        or environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL")
        or None
    )
