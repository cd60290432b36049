"""An OTLP/HTTP endpoint that does as a test tells it, and remembers what came.

It speaks HTTP by itself, so that it can misbehave: hang up, stay silent, cut an answer short.
"""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import attrs

from otlp_capture import otlp
from otlp_capture.otlp import PartialSuccess, Signal

PROTOBUF = "application/x-protobuf"


@attrs.frozen
class Received:
    """A request that came.

    Attributes:
        number: its place in the order in which requests came, from 0.
        attempt: how many requests with this body came before it.
        connection: which connection brought it, from 0.
        path: the path it was sent to.
        headers: its headers, the names in lower case.
        body: its body; empty where it was not read.
        at_ns: when its head had come, on the monotonic clock.
    """

    number: int
    attempt: int
    connection: int
    path: str
    headers: Mapping[str, str]
    body: bytes
    at_ns: int

    @property
    def signal(self) -> Signal:
        signal = self.path.rpartition("/")[2]
        assert otlp.is_signal(signal)
        return signal


@attrs.frozen(kw_only=True)
class Reply:
    """An HTTP answer.

    Attributes:
        status: its status.
        body: what it holds.
        headers: further headers; a Content-Length here is sent in place of the true one.
        delay_s: how long it takes.
        after: what it waits for.
        then_hang_up: whether the connection is closed after it.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=lambda: {"Content-Type": PROTOBUF})
    delay_s: float = 0.0
    after: asyncio.Event | None = None
    then_hang_up: bool = False


@attrs.frozen
class Raw:
    """These bytes, whatever they are; then the connection is closed."""

    content: bytes


@attrs.frozen
class Endless:
    """These bytes once, and then those for ever, until the client has enough."""

    first: bytes
    then: bytes


@attrs.frozen
class HangUp:
    """The connection is reset, without an answer."""


@attrs.frozen
class Silence:
    """Nothing ever comes; the connection stays open until the client has enough."""


Action: TypeAlias = Reply | Raw | Endless | HangUp | Silence
Script: TypeAlias = Callable[[Received], Action]

OK = Reply()


def partly(signal: Signal, rejected: int, message: str = "too old") -> Reply:
    """Take a request, but for *rejected* of its records."""
    return Reply(body=otlp.encode_response(signal, "protobuf", PartialSuccess(rejected, message)))


def refusal(status: int, message: str = "", **headers: str) -> Reply:
    """Refuse a request; underscores in the names of *headers* stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = otlp.encode_status(0, message, "protobuf")
    return Reply(status=status, body=body, headers={"Content-Type": PROTOBUF, **named})


def always(action: Action) -> Script:
    """Do the same with every request."""
    return lambda _: action


def at_first(*actions: Action, then: Action = OK) -> Script:
    """Do *actions* one after the other with each request when it comes again, and *then* after."""
    return lambda received: (actions + (then,) * (received.attempt + 1))[received.attempt]


def by_number(actions: Mapping[int, Action], otherwise: Action = OK) -> Script:
    """Choose by the place in which a request came."""
    return lambda received: actions.get(received.number, otherwise)


class Target:
    """A server that listens while it is open.

    Args:
        script: what to do with a request once it was read.
        at_head: what to do, by the request's number, in place of reading its body; None: read it.

    Attributes:
        received: what came, in order.
        connections: how many connections were made.
        reads_every_s: how long to wait before each 64 KiB of a body; None: not at all.
    """

    def __init__(self, script: Script, at_head: Callable[[int], Action | None]) -> None:
        self.script, self.at_head = script, at_head
        self.received: list[Received] = []
        self.connections = 0
        self.reads_every_s: float | None = None
        self.port = 0
        self._heads = 0
        self._bodies = Counter[bytes]()
        self._waiting: list[tuple[int, asyncio.Event]] = []
        self._listener: socket.socket | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter | None] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[bytes]:
        """What came, in order."""
        return [received.body for received in self.received]

    async def start(self) -> None:
        """Listen; after `kill`, on the same port again."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self._listener.setblocking(False)  # noqa: FBT003 - it has no name
        self.port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def kill(self) -> None:
        """Stop listening and reset all connections, as a process does that is killed."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        tasks = tuple(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def has_received(self, count: int) -> None:
        """Wait until *count* requests have come."""
        if len(self.received) < count:
            event = asyncio.Event()
            self._waiting.append((count, event))
            await event.wait()

    def hang_up_idle(self) -> None:
        """Close every connection, in the polite way."""
        for writer in filter(None, self._open.values()):
            writer.close()

    async def is_alone(self) -> None:
        """Wait until no connection is left."""
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(BlockingIOError):
            accepted, _ = self._listener.accept()
            task = asyncio.create_task(self._serve(accepted, self.connections))
            self._open[task] = None
            self.connections += 1
            task.add_done_callback(self._open.pop)
            task.add_done_callback(lambda _: accepted.close())

    async def _serve(self, accepted: socket.socket, connection: int) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted)
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._exchange(connection, reader, writer):
                    pass
            writer.close()
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(
        self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Serve one request; tell whether the connection goes on."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        at_ns = time.monotonic_ns()
        number = self._heads
        self._heads += 1
        headers = {name.lower(): value for name, _, value in (li.partition(": ") for li in lines)}
        early = self.at_head(number)
        body = b""
        if early is None:
            body = await self._read(reader, int(headers.get("content-length", "0")))
        received = Received(
            number, self._bodies[body], connection, lines[0].split()[1], headers, body, at_ns
        )
        self._bodies[body] += 1
        self.received.append(received)
        for count, event in self._waiting:
            if len(self.received) >= count:
                event.set()
        action = self.script(received) if early is None else early
        goes_on = await self._act(action, reader, writer)
        if goes_on and early is not None:
            await asyncio.Event().wait()
        return goes_on

    async def _read(self, reader: asyncio.StreamReader, size: int) -> bytes:
        if self.reads_every_s is None:
            return await reader.readexactly(size)
        body = bytearray()
        while len(body) < size:
            await asyncio.sleep(self.reads_every_s)
            body += await reader.read(65_536)
        return bytes(body)

    async def _act(
        self, action: Action, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        match action:
            case HangUp():
                writer.transport.abort()
                return False
            case Silence():
                await reader.read()
                return False
            case Raw(content):
                writer.write(content)
                await writer.drain()
                return False
            case Endless(first, then):
                writer.write(first)
                while True:
                    writer.write(then)
                    await writer.drain()
                    await asyncio.sleep(0)
            case Reply():
                await asyncio.sleep(action.delay_s)
                if action.after is not None:
                    await action.after.wait()
                headers = {"Content-Length": str(len(action.body)), **action.headers}
                fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                head = f"HTTP/1.1 {action.status} Whatever\r\n{fields}\r\n".encode("latin-1")
                writer.write(head + action.body)
                await writer.drain()
                return not action.then_hang_up


@asynccontextmanager
async def open_target(
    script: Script = always(OK),  # noqa: B008 - it makes a function that has no state
    *,
    at_head: Callable[[int], Action | None] = lambda _: None,
) -> AsyncGenerator[Target]:
    """Listen on a free loopback port until the block ends."""
    target = Target(script, at_head)
    await target.start()
    try:
        yield target
    finally:
        await target.kill()


@contextmanager
def unaccepting() -> Generator[str]:
    """Name the URL of a port that listens, but lets no connection in: connecting hangs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
