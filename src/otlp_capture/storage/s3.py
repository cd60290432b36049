"""A store in a bucket of Amazon S3, MinIO or any store that speaks their protocol."""

from collections.abc import Callable
from typing import Any

import attrs

from otlp_capture.layer import Layer, Scope, scoped
from otlp_capture.result import Outcome
from otlp_capture.storage.errors import StorageError
from otlp_capture.storage.protocol import S3Storage, S3StorageTag

_MIB = 1 << 20


def _at_least(minimum: float) -> Callable[[object, "attrs.Attribute[Any]", Any], None]:
    def check(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
        if value < minimum:
            message = f"{attribute.name} is {value}; it is {minimum} or more"
            raise ValueError(message)

    return check


@attrs.frozen
class S3Credentials:
    """Keys to sign requests with, where the usual AWS chain is not wanted."""

    access_key_id: str
    secret_access_key: str = attrs.field(repr=False)
    session_token: str | None = attrs.field(default=None, repr=False)


def _without_slashes(prefix: str) -> str:
    return prefix.strip("/")


@attrs.frozen(kw_only=True)
class S3Config:
    """Where a bucket is, and how patient to be with it.

    Attributes:
        bucket: its name.
        prefix: put before every key and taken off every listed one; slashes at its ends are left
            out.
        endpoint_url: the server, where it is not Amazon's; requests to it are path-style.
        region: by default the AWS chain's, else `us-east-1`.
        credentials: by default the AWS chain's (environment, profile, instance).
        max_connections: requests in flight, but for large bodies.
        max_large_transfers: uploads of 1 MiB and more in flight; signing them takes the processor.
        connect_timeout_s: for one connection.
        read_timeout_s: for each wait for the server's next bytes.
        max_attempts: of each request, the first included.
        deadline_s: for one request with all its attempts, to which comes the time that its body
            needs at *slowest_bytes_per_s*.
        slowest_bytes_per_s: the transfer rate below which a transfer is given up.
        page_size: objects in one page of a listing.
        multipart_threshold_bytes: files from this size on are uploaded in parts.
        part_size_bytes: what is in memory of such a file; larger where 10,000 parts do not suffice.

    Raises:
        ValueError: a number is below its least.
    """

    bucket: str
    prefix: str = attrs.field(default="", converter=_without_slashes)
    endpoint_url: str | None = None
    region: str | None = None
    credentials: S3Credentials | None = None
    max_connections: int = attrs.field(default=16, validator=_at_least(1))
    max_large_transfers: int = attrs.field(default=2, validator=_at_least(1))
    connect_timeout_s: float = attrs.field(default=2.0, validator=_at_least(0.001))
    read_timeout_s: float = attrs.field(default=5.0, validator=_at_least(0.001))
    max_attempts: int = attrs.field(default=3, validator=_at_least(1))
    deadline_s: float = attrs.field(default=10.0, validator=_at_least(0.001))
    slowest_bytes_per_s: int = attrs.field(default=1_000_000, validator=_at_least(1))
    page_size: int = attrs.field(default=1000, validator=_at_least(1))
    multipart_threshold_bytes: int = attrs.field(default=16 * _MIB, validator=_at_least(1))
    part_size_bytes: int = attrs.field(default=8 * _MIB, validator=_at_least(5 * _MIB))


def s3_storage(config: S3Config) -> Layer[StorageError]:
    """Make the layer of a store in a bucket.

    One client serves the layer's lifetime. Opening asks the server nothing: one that is out of
    reach shows at the first operation, or at `health_check`. Conditional writes are tried out
    before the first one is relied upon, because some stores ignore their headers.

    Opening fails with:
        CredentialsMissing: the AWS chain is configured, but broken.
        StorageUnusable: an endpoint, a region or a profile is not valid.
    """

    async def open_store(scope: Scope) -> Outcome[S3Storage, StorageError]:
        from otlp_capture.storage.s3_opening import (  # noqa: PLC0415 - loaded where it is used
            open_s3,
        )

        return await open_s3(scope, config)

    return scoped(S3StorageTag, open_store)
