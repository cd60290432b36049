"""An OTLP/gRPC endpoint that speaks HTTP/2 by itself, so that it can break every rule of it.

What it does with a request is told by bytes: `Frames` are sent as they are.
"""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
import attrs

from tests.clocks import HANGS_AFTER_S
from tests.raw_http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    header_block,
    message,
)

Fields: TypeAlias = Iterable[tuple[str, str]]
GRPC: Fields = ((":status", "200"), ("content-type", "application/grpc"))
_LARGEST_FRAME = 16_384


@attrs.frozen
class Frames:
    """These bytes are sent, made for the stream of the request.

    Attributes:
        spell: makes them.
        then_hang_up: whether the connection is closed after them.
        times: how often they are sent, each when the ones before have left; 0: for ever.
    """

    spell: Callable[[int], bytes]
    then_hang_up: bool = False
    times: int = 1


@attrs.frozen
class Reset:
    """The connection is reset."""


@attrs.frozen
class Mute:
    """Nothing comes on the stream any more; the connection lives on."""


@attrs.frozen
class Dead:
    """Nothing comes on the connection any more, and nothing is read from it."""


RawAction: TypeAlias = Frames | Reset | Mute | Dead


@attrs.frozen
class Sent:
    """A request that came.

    Attributes:
        number: its place in the order in which requests came, from 0.
        attempt: how many with this body came before it.
        connection: which connection brought it, from 0.
        body: its message, as it is on the wire.
    """

    number: int
    attempt: int
    connection: int
    body: bytes


RawScript: TypeAlias = Callable[[Sent], RawAction]


def headers(stream: int, fields: Fields, *, flags: int = END_HEADERS) -> bytes:
    """Spell a header block, over as many frames as it takes."""
    block = header_block(fields)
    pieces = [block[at : at + _LARGEST_FRAME] for at in range(0, len(block), _LARGEST_FRAME)]
    last = len(pieces) - 1
    return b"".join(
        frame(
            CONTINUATION if index else HEADERS,
            (flags & ~END_HEADERS if not index else 0) | (END_HEADERS if index == last else 0),
            stream,
            piece,
        )
        for index, piece in enumerate(pieces)
    )


def data(stream: int, content: bytes, *, is_last: bool = False) -> bytes:
    """Spell data."""
    return frame(DATA, END_STREAM if is_last else 0, stream, content)


def trailers(stream: int, *fields: tuple[str, str]) -> bytes:
    """Spell the last headers of an answer."""
    return headers(stream, fields, flags=END_HEADERS | END_STREAM)


def taking(body: bytes = b"") -> Frames:
    """Take the request, and say *body*."""
    return Frames(
        lambda stream: (
            headers(stream, GRPC)
            + data(stream, message(body))
            + trailers(stream, ("grpc-status", "0"))
        )
    )


def refusing(*fields: tuple[str, str]) -> Frames:
    """End the call with trailers alone."""
    return Frames(lambda stream: trailers(stream, *GRPC, *fields))


def going_away(error: int = 0, last_stream: int = 0) -> bytes:
    """Spell the end of a connection."""
    return frame(GOAWAY, 0, 0, struct.pack(">II", last_stream, error))


def resetting(stream: int, error: int) -> bytes:
    """Spell the end of a stream."""
    return frame(RST_STREAM, 0, stream, struct.pack(">I", error))


def bodied(*fields: tuple[str, str], body: bytes = b"") -> Frames:
    """Answer with these headers and that body, whatever they are."""
    return Frames(lambda stream: headers(stream, fields) + data(stream, body, is_last=True))


class RawGrpcTarget:
    """A server that listens while it is open.

    Attributes:
        received: what came, in order.
        connections: how many connections were made.
    """

    def __init__(self, script: RawScript, at_connect: Callable[[int], bytes | None]) -> None:
        self.received: list[Sent] = []
        self.connections = 0
        self.port = 0
        self._script, self._at_connect = script, at_connect
        self._attempts = Counter[bytes]()
        self._waiting: list[tuple[int, asyncio.Event]] = []
        self._tasks = set[asyncio.Task[None]]()

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    async def has_received(self, count: int) -> None:
        """Wait until *count* requests have come."""
        if len(self.received) < count:
            event = asyncio.Event()
            self._waiting.append((count, event))
            with anyio.fail_after(HANGS_AFTER_S):
                await event.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = self.connections
        self.connections += 1
        try:
            # asyncio logs a handler that ends by being cancelled, as `close` has it.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await _Connection(self, connection, reader, writer).run(
                    self._at_connect(connection)
                )
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    def take(self, connection: int, body: bytes) -> RawAction:
        sent = Sent(len(self.received), self._attempts[body], connection, body)
        self._attempts[body] += 1
        self.received.append(sent)
        for count, event in self._waiting:
            if len(self.received) >= count:
                event.set()
        return self._script(sent)

    async def close(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection:
    def __init__(
        self,
        target: RawGrpcTarget,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._target, self._number = target, number
        self._reader, self._writer = reader, writer
        self._bodies: dict[int, bytearray] = {}

    async def run(self, greeting: bytes | None) -> None:
        if greeting is not None:
            await self._say(greeting)
            return
        await self._reader.readexactly(len(PREFACE))
        await self._say(frame(SETTINGS, 0, 0))
        while await self._heed(*await self._read()):
            pass

    async def _read(self) -> tuple[int, int, int, bytes]:
        head = await self._reader.readexactly(9)
        payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload

    async def _heed(self, kind: int, flags: int, stream: int, payload: bytes) -> bool:
        """Answer a frame; tell whether the connection goes on."""
        if kind in {SETTINGS, PING} and not flags & ACK:
            await self._say(frame(kind, ACK, 0, payload if kind == PING else b""))
        if kind == HEADERS:
            self._bodies[stream] = bytearray()
        if kind == DATA and payload:
            self._bodies[stream] += payload
            size = struct.pack(">I", len(payload))
            await self._say(
                frame(WINDOW_UPDATE, 0, 0, size) + frame(WINDOW_UPDATE, 0, stream, size)
            )
        if kind in {DATA, HEADERS} and flags & END_STREAM:
            body = bytes(self._bodies.pop(stream)[5:])
            return await self._act(self._target.take(self._number, body), stream)
        return True

    async def _act(self, action: RawAction, stream: int) -> bool:
        match action:
            case Mute():
                return True
            case Reset():
                return False
            case Dead():
                await asyncio.Event().wait()
                return False
            case Frames(spell, then_hang_up, times):
                sent = 0
                while not times or sent < times:
                    await self._say(spell(stream))
                    sent += 1
                    await asyncio.sleep(0)
                return not then_hang_up

    async def _say(self, content: bytes) -> None:
        self._writer.write(content)
        await self._writer.drain()


@asynccontextmanager
async def open_raw_grpc_target(
    script: RawScript = lambda _: taking(),
    *,
    at_connect: Callable[[int], bytes | None] = lambda _: None,
) -> AsyncGenerator[RawGrpcTarget]:
    """Listen on a free loopback port until the block ends.

    Args:
        script: what to do with a request.
        at_connect: what to say, by the connection's number, before anything is read, and then
            hang up; None: speak HTTP/2.
    """
    target = RawGrpcTarget(script, at_connect)
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0)
    target.port = server.sockets[0].getsockname()[1]
    try:
        yield target
    finally:
        server.close()
        await target.close()
