"""A receiver for tests: it listens on a free port and records into a store in memory."""

import zlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import anyio.lowlevel
import attrs

from otlp_capture.capture import (
    CaptureConfig,
    CaptureSettings,
    OtlpCaptureService,
    OtlpCaptureServiceTag,
    capture_service,
)
from otlp_capture.clock import SystemClock
from otlp_capture.layer import open_runtime, succeed, wire
from otlp_capture.otlp import Limits, Signal
from otlp_capture.receiver import (
    GrpcReceiver,
    GrpcReceiverSettings,
    HttpReceiver,
    HttpReceiverSettings,
    Tally,
    open_receiver,
)
from otlp_capture.result import Failure, or_raise
from otlp_capture.sessions import Headers, RequestReader, in_order, index_session
from otlp_capture.storage import S3Storage, S3StorageTag, StorageFault
from otlp_capture.telemetry import SILENT, Telemetry
from tests.clocks import HANGS_AFTER_S
from tests.sessions import opened_memory

SESSION = "received"


class Troubled:
    """A store whose segments can be held back, or refused.

    Attributes:
        is_open: writes of segments wait while it is unset.
        refuses: whether they fail.
        waiting: set as soon as one waits.
    """

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage
        self.is_open, self.waiting = anyio.Event(), anyio.Event()
        self.is_open.set()
        self.refuses = False

    def hold(self) -> None:
        """Let writes of segments wait from now on."""
        self.is_open, self.waiting = anyio.Event(), anyio.Event()

    async def store_raw_data(self, data: bytes, key: str, **condition: Any) -> Any:
        """Store, after trouble."""
        if "/raw/" in key:
            if not self.is_open.is_set():
                self.waiting.set()
                await self.is_open.wait()
            if self.refuses:
                return Failure(StorageFault("a test's store", key, "Refused", "as it was told to"))
        return await self._storage.store_raw_data(data, key, **condition)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


@attrs.frozen
class Receiving:
    """What is at work."""

    receiver: HttpReceiver
    capture: OtlpCaptureService
    store: Troubled
    tally: Tally
    grpc: GrpcReceiver | None

    @property
    def port(self) -> int:
        """Where to send."""
        return self.receiver.port

    @property
    def grpc_port(self) -> int:
        """Where to send over gRPC."""
        assert self.grpc is not None
        return self.grpc.port

    @property
    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """What was accepted by signal, and refused by reason."""
        return dict(self.tally.accepted), dict(self.tally.refused)

    async def kept(self) -> Counter[tuple[Signal, bytes]]:
        """Read what was stored with zlib alone: each gzip member is a request."""
        return Counter([request async for request in self._requests()])

    async def kept_headers(self) -> list[Headers]:
        """Read what was kept of each request's headers."""
        index = or_raise(await index_session(self.store, SESSION))
        requests = RequestReader(self.store).read_all(in_order(index))
        return [or_raise(each).headers async for each in requests]

    async def _requests(self) -> AsyncGenerator[tuple[Signal, bytes]]:
        async for found in self.store.list_objects(f"sessions/{SESSION}/raw/"):
            key = or_raise(found).key
            signal = cast("Signal", key.rpartition("/")[2].partition("-")[0])
            for request in members(or_raise(await self.store.retrieve_raw_data(key))):
                yield signal, request


def members(content: bytes) -> Iterator[bytes]:
    """Inflate gzip members one by one."""
    while content:
        member = zlib.decompressobj(wbits=31)
        yield member.decompress(content)
        content = member.unused_data


@asynccontextmanager
async def receiving(
    config: CaptureConfig | None = CaptureConfig(session_id=SESSION),  # noqa: B008 - it is frozen
    settings: HttpReceiverSettings = HttpReceiverSettings(port=0),  # noqa: B008 - it is frozen
    capture_settings: CaptureSettings = CaptureSettings(linger_s=0.0),  # noqa: B008 - it is frozen
    grpc: GrpcReceiverSettings | None = None,
    telemetry: Telemetry = SILENT,
) -> AsyncGenerator[Receiving]:
    """Receive for the time of an `async with`; without a *config* no session is begun.

    Over gRPC, too, where *grpc* says how.
    """
    async with opened_memory() as storage:
        store = Troubled(storage)
        layer = wire(
            capture_service(capture_settings),
            succeed(S3StorageTag, cast("S3Storage", store)),
            SystemClock,
        )
        async with open_runtime(layer, OtlpCaptureServiceTag) as opened:
            (capture,) = or_raise(opened)
            if config is not None:
                or_raise(await capture.start_capture(config))
            async with open_receiver(
                capture, SESSION, http=settings, grpc=grpc, telemetry=telemetry
            ) as opened_receiver:
                receiver = or_raise(opened_receiver)
                assert receiver.http is not None
                yield Receiving(receiver.http, capture, store, receiver.tally, receiver.grpc)
                store.is_open.set()


@asynccontextmanager
async def receiving_little(**limits: int) -> AsyncGenerator[Receiving]:
    """Receive requests of 100 kB at the most."""
    size = 100_000
    async with receiving(
        settings=HttpReceiverSettings(port=0, max_body_bytes=size),
        capture_settings=CaptureSettings(
            linger_s=0.0, limits=Limits(**{"max_bytes": size, **limits})
        ),
    ) as opened:
        yield opened


async def until(condition: Any) -> None:
    """Give others their turn until something holds."""
    with anyio.fail_after(HANGS_AFTER_S):
        while not condition():
            await anyio.lowlevel.checkpoint()
