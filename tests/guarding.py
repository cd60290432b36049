"""A receiver for tests that asks who comes, and clients that show something.

`guarded()` opens the one, `send_http()` and `send_grpc()` are the others.
"""

import hashlib
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import attrs
import grpc
import grpc.aio

from otlp_capture.capture import (
    CaptureConfig,
    CaptureSettings,
    OtlpCaptureService,
    OtlpCaptureServiceTag,
    capture_service,
)
from otlp_capture.clock import SystemClock
from otlp_capture.layer import open_runtime, succeed, wire
from otlp_capture.receiver import (
    AccessSettings,
    GrpcReceiver,
    GrpcReceiverSettings,
    HttpReceiver,
    HttpReceiverSettings,
    Receiver,
    open_receiver,
)
from otlp_capture.result import Failure, Outcome, Success, or_raise
from otlp_capture.storage import S3Storage, S3StorageTag
from tests.certificates import Issued, authority
from tests.clocks import HANGS_AFTER_S
from tests.export_requests import PROTOBUF, REQUESTS, told
from tests.grpc_calls import METHODS
from tests.raw_http import ask, post
from tests.sessions import opened_memory

SHOP, BANK, WRONG = "shop-canary-0123456789", "bank-canary-0123456789", "none-canary-0123456789"
TOKENS = f"""
[[token]]
name = "shop"
token = "{SHOP}"
[[token]]
name = "bank"
sha256 = "{hashlib.sha256(BANK.encode()).hexdigest()}"
session = "banking"
"""
CLIENTS = """
[[client]]
name = "edge.example"
session = "banking"
[[client]]
name = "spiffe://shop/cart"
"""
OK, NO_CONNECTION = 0, -1


@attrs.frozen
class Guarded:
    """A receiver that asks who comes, and the store behind it."""

    receiver: Receiver
    capture: OtlpCaptureService
    store: S3Storage

    @property
    def http(self) -> HttpReceiver:
        """Where to send over HTTP."""
        assert self.receiver.http is not None
        return self.receiver.http

    @property
    def grpc(self) -> GrpcReceiver:
        """Where to send over gRPC."""
        assert self.receiver.grpc is not None
        return self.receiver.grpc

    @property
    def refused(self) -> dict[str, int]:
        """What was refused, by reason."""
        return dict(self.receiver.tally.refused)

    async def sizes(self) -> dict[str, int]:
        """Stop the sessions, and tell how many requests each has."""
        stopped = {each: await self.capture.stop_capture(each) for each in ("own", "banking")}
        return {each: or_raise(metadata).captured_requests for each, metadata in stopped.items()}

    async def objects(self) -> bytes:
        """Read all that is stored, keys and contents."""
        found = b""
        async for each in self.store.list_objects("sessions/"):
            key = or_raise(each).key
            found += key.encode() + or_raise(await self.store.retrieve_raw_data(key))
        return found


@asynccontextmanager
async def guarded(access: AccessSettings, host: str = "127.0.0.1") -> AsyncGenerator[Guarded]:
    """Receive over both transports, into `own` unless a credential is for `banking`."""
    async with opened_guarded(access, host) as opened:
        yield or_raise(opened)


@asynccontextmanager
async def opened_guarded(
    access: AccessSettings, host: str = "127.0.0.1"
) -> AsyncGenerator[Outcome[Guarded, Any]]:
    """The same, which may fail."""
    async with opened_memory() as store:
        layer = wire(
            capture_service(CaptureSettings(linger_s=0.0)),
            succeed(S3StorageTag, cast("S3Storage", store)),
            SystemClock,
        )
        async with open_runtime(layer, OtlpCaptureServiceTag) as opened:
            (capture,) = or_raise(opened)
            for session_id in ("own", "banking"):
                or_raise(await capture.start_capture(CaptureConfig(session_id=session_id)))
            async with open_receiver(
                capture,
                "own",
                http=HttpReceiverSettings(host=host, port=0),
                grpc=GrpcReceiverSettings(host=host, port=0),
                access=access,
            ) as receiver:
                if isinstance(receiver, Failure):
                    yield receiver
                    return
                yield Success(Guarded(receiver.unwrap(), capture, store))


@attrs.frozen
class Shown:
    """What a client shows."""

    authorization: str | None = None
    certificate: Issued | None = None
    is_plain: bool = False


async def send_http(receiver: Receiver, shown: Shown) -> int:
    """Send traces; tell the google.rpc code of the answer, or that there was none."""
    assert receiver.http is not None
    headers = [] if shown.authorization is None else [f"Authorization: {shown.authorization}"]
    tls = None
    if receiver.http.scheme == "https" and not shown.is_plain:
        tls = authority().trusted(shown.certificate)
    request = post("/v1/traces", REQUESTS["traces"], PROTOBUF, *headers)
    try:
        answer = await ask(receiver.http.port, request, tls=tls)
    except (anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
        return NO_CONNECTION
    return OK if answer.status == 200 else told(answer)[1]


async def send_grpc(receiver: Receiver, shown: Shown) -> int:
    """The same over gRPC."""
    assert receiver.grpc is not None
    options = [("grpc.use_local_subchannel_pool", 1)]
    address = f"127.0.0.1:{receiver.grpc.port}"
    if receiver.grpc.scheme == "http" or shown.is_plain:
        channel = grpc.aio.insecure_channel(address, options=options)
    else:
        credentials = grpc.ssl_channel_credentials(
            authority().spelled(),
            shown.certificate.key.read_bytes() if shown.certificate else None,
            shown.certificate.certificate.read_bytes() if shown.certificate else None,
        )
        channel = grpc.aio.secure_channel(address, credentials, options=options)
    metadata = [] if shown.authorization is None else [("authorization", shown.authorization)]
    async with channel:
        try:
            with anyio.fail_after(HANGS_AFTER_S):
                call: Any = channel.unary_unary(METHODS["traces"])
                await call(REQUESTS["traces"], metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return NO_CONNECTION
            return int(error.code().value[0])
    return OK


def listed(folder: Path, content: str) -> str:
    """Write a file of tokens and clients."""
    path = folder / "tokens.toml"
    path.write_text(content)
    path.chmod(0o600)
    return str(path)
