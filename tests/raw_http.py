"""HTTP as bytes: what a test writes goes out as it is, what comes back is taken apart.

`raw_connection()` opens a connection, `post()` spells a request.
"""

import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager

import anyio
import attrs
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from tests.clocks import HANGS_AFTER_S


@attrs.frozen
class Answer:
    """An answer as it came; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RawConnection:
    """One TCP connection, under TLS or not."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._unread = b""

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        with anyio.fail_after(HANGS_AFTER_S):
            await self._stream.send(data)

    async def half_close(self) -> None:
        """Say that no more is sent."""
        await self._stream.send_eof()

    async def answer(self, *, to_head: bool = False) -> Answer:
        """Read one answer; one to HEAD has no body whatever its length says."""
        with anyio.fail_after(HANGS_AFTER_S):
            status_line, *lines = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = (line.partition(":") for line in lines if line)
            headers = {name.lower(): value.strip() for name, _, value in fields}
            size = 0 if to_head else int(headers.get("content-length", "0"))
            return Answer(int(status_line.split()[1]), headers, await self._exactly(size))

    async def is_closed(self) -> bool:
        """Wait for the other side to close; bytes in place of that are an answer too many."""
        try:
            with anyio.fail_after(HANGS_AFTER_S):
                self._unread += await self._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return not self._unread
        return False

    async def _until(self, end: bytes) -> bytes:
        while end not in self._unread:
            self._unread += await self._stream.receive()
        found, _, self._unread = self._unread.partition(end)
        return found

    async def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._unread += await self._stream.receive()
        found, self._unread = self._unread[:size], self._unread[size:]
        return found


@asynccontextmanager
async def raw_connection(
    port: int, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[RawConnection]:
    """Connect; closed at the end of the `async with`, whatever is still to come."""
    async with await anyio.connect_tcp(host, port) as stream:
        if tls is None:
            yield RawConnection(stream)
            return
        secured = await TLSStream.wrap(
            stream, hostname=host, ssl_context=tls, standard_compatible=False
        )
        yield RawConnection(secured)


async def ask(
    port: int, request: bytes, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Answer:
    """Send one request on a connection of its own, and read its answer."""
    async with raw_connection(port, host, tls=tls) as connection:
        await connection.write(request)
        return await connection.answer(to_head=request.startswith(b"HEAD "))


def head(method: str, path: str, headers: Iterable[str] = ()) -> bytes:
    """Spell a request's head."""
    lines = [f"{method} {path} HTTP/1.1", "Host: receiver", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(path: str, body: bytes, content_type: str, *headers: str) -> bytes:
    """Spell a POST whose length is known."""
    return head(
        "POST", path, [f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]
    ) + bytes(body)


def chunked(body: bytes, size: int = 65_536) -> bytes:
    """Spell a body in chunks, the last one included."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
