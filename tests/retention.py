"""Stores for tests of retention: sessions of any age, label and state, without telemetry."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import attrs

from otlp_capture.clock import Clock, ClockTag, moment
from otlp_capture.layer import open_runtime, succeed, wire
from otlp_capture.result import or_raise
from otlp_capture.retention import RetentionService, RetentionServiceTag, retention_service
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    Hold,
    SessionStatus,
    encode_metadata,
    metadata_key,
    session_prefix,
)
from otlp_capture.storage import S3Storage, S3StorageTag
from tests.clocks import START


@attrs.frozen(kw_only=True)
class Kept:
    """A session as a store is to hold it."""

    name: str
    age_days: float = 0
    size_bytes: int = 10
    status: SessionStatus = "completed"
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str])
    is_held: bool = False
    is_being_deleted: bool = False

    @property
    def metadata(self) -> CaptureSessionMetadata:
        ended = moment(START) - timedelta(days=self.age_days)
        return CaptureSessionMetadata(
            session_id=self.name,
            start_time=ended - timedelta(hours=1),
            end_time=None if self.status == "active" else ended,
            status=self.status,
            s3_prefix=session_prefix(self.name),
            created_by="tests",
            labels=self.labels,
            hold=Hold("audit") if self.is_held else None,
            deleting_since=moment(START) if self.is_being_deleted else None,
        )


async def put(storage: S3Storage, kept: Kept) -> None:
    """Write a session of three objects."""
    prefix = session_prefix(kept.name)
    document = encode_metadata(kept.metadata)
    or_raise(await storage.store_raw_data(document, metadata_key(kept.name)))
    for name, size in (("raw/a", kept.size_bytes), ("manifest/b", 3)):
        or_raise(await storage.store_raw_data(b"x" * size, f"{prefix}/{name}"))


async def contents(storage: S3Storage, prefix: str = "") -> dict[str, bytes]:
    """Read all of a store."""
    listed = [or_raise(found).key async for found in storage.list_objects(prefix)]
    return {key: or_raise(await storage.retrieve_raw_data(key)) for key in listed}


@asynccontextmanager
async def opened_retention(
    storage: S3Storage, clock: Clock, archive: S3Storage | None = None
) -> AsyncIterator[RetentionService]:
    """Open the service on a store, and on an archive if it is to have one."""
    target: Any = None if archive is None else succeed(S3StorageTag, archive)
    layer = wire(
        retention_service(target), succeed(S3StorageTag, storage), succeed(ClockTag, clock)
    )
    async with open_runtime(layer, RetentionServiceTag) as opened:
        (service,) = or_raise(opened)
        yield service
