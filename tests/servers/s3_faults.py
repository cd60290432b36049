"""A small S3 server of our own, which fails on demand in ways that real ones do not.

It keeps objects in memory, honours conditions, verifies the CRC-32 of a PUT, and serves ranges. A
fault stands in a queue for the next request of its method, and decides what happens to it.
"""

import asyncio
import base64
import hashlib
import re
import zlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from xml.sax.saxutils import escape

import attrs
from aiohttp import web

_PLACE = re.compile(r"/(?P<bucket>[^/]+)/?(?P<key>.*)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]


@attrs.frozen
class Seen:
    """A request that arrived."""

    method: str
    key: str
    headers: Mapping[str, str]


@attrs.frozen
class _Object:
    data: bytes
    headers: Mapping[str, str]


@attrs.define
class FaultyS3:
    """The server's state, and what is to go wrong.

    Attributes:
        is_sorted: whether keys are listed in the order of their bytes, not in that of their writes.
        always: what happens to all requests of a method that no other fault meets.
    """

    endpoint_url: str = ""
    seen: list[Seen] = attrs.Factory(list)
    objects: dict[str, _Object] = attrs.Factory(dict)
    is_sorted: bool = True
    always: dict[str, Fault] = attrs.Factory(dict)
    _faults: dict[str, deque[Fault]] = attrs.Factory(dict)

    def fail(self, method: str, *faults: Fault) -> None:
        """Let the next requests of a method go wrong, one fault each."""
        self._faults.setdefault(method, deque()).extend(faults)

    def methods(self) -> list[str]:
        """Tell the methods of all requests so far."""
        return [request.method for request in self.seen]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request, or do to it what the next fault does."""
        found = _PLACE.fullmatch(request.path)
        key = found["key"] if found else ""
        self.seen.append(Seen(request.method, key, dict(request.headers)))
        faults = self._faults.get(request.method)
        if faults:
            return await faults.popleft()(request, self.answer)
        return await self.always.get(request.method, _answers_well)(request, self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request as S3 does."""
        found = _PLACE.fullmatch(request.path)
        key = found["key"] if found else ""
        match request.method:
            case "PUT":
                return self.put(key, await request.read(), request.headers)
            case "DELETE":
                self.objects.pop(key, None)
                return web.Response(status=204)
            case "GET" if not key:
                return self._list(request.query.get("prefix", ""))
            case _:
                return self._get(key, request.headers)

    def put(self, key: str, data: bytes, headers: Mapping[str, str]) -> web.Response:
        """Write an object, if its conditions hold and its checksum is right."""
        if (crc32 := headers.get("x-amz-checksum-crc32")) is not None and crc32 != _crc32(data):
            return s3_error(400, "BadDigest", "The CRC32 you specified did not match")
        existing = self.objects.get(key)
        if headers.get("If-None-Match") == "*" and existing is not None:
            return s3_error(412, "PreconditionFailed", "At least one condition did not hold")
        if (etag := headers.get("If-Match")) is not None:
            if existing is None:
                return s3_error(404, "NoSuchKey", "The specified key does not exist.")
            if existing.headers["ETag"] != etag:
                return s3_error(412, "PreconditionFailed", "At least one condition did not hold")
        metadata = {
            name: value for name, value in headers.items() if name.lower().startswith("x-amz-meta-")
        }
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        facts = {"ETag": etag, "Last-Modified": "Mon, 23 Nov 2026 01:00:00 GMT"}
        if crc32 is not None:
            facts["x-amz-checksum-crc32"] = crc32
        self.objects[key] = _Object(data, {**metadata, **facts})
        return web.Response(headers={"ETag": etag})

    def _get(self, key: str, headers: Mapping[str, str]) -> web.Response:
        held = self.objects.get(key)
        if held is None:
            return s3_error(404, "NoSuchKey", "The specified key does not exist.")
        if headers.get("If-Match", held.headers["ETag"]) != held.headers["ETag"]:
            return s3_error(412, "PreconditionFailed", "At least one condition did not hold")
        asked = _RANGE.fullmatch(headers.get("Range", ""))
        if asked is None:
            return web.Response(body=held.data, headers=dict(held.headers))
        start, last = int(asked[1]), int(asked[2] or len(held.data) - 1)
        part = held.data[start : last + 1]
        told = f"bytes {start}-{start + len(part) - 1}/{len(held.data)}"
        return web.Response(status=206, body=part, headers={**held.headers, "Content-Range": told})

    def _list(self, prefix: str) -> web.Response:
        listed = sorted(self.objects) if self.is_sorted else list(self.objects)
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key].data)}</Size>"
            f"<ETag>{escape(self.objects[key].headers['ETag'])}</ETag>"
            f"<LastModified>2026-11-23T01:00:00Z</LastModified></Contents>"
            for key in listed
            if key.startswith(prefix)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        return web.Response(text=body, content_type="application/xml")


@asynccontextmanager
async def faulty_s3() -> AsyncGenerator[FaultyS3]:
    """Serve for the time of an `async with`."""
    server = FaultyS3()
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.endpoint_url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def s3_error(status: int, code: str, message: str) -> web.Response:
    """Make an error as S3 words it."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=body, content_type="application/xml")


async def _answers_well(request: web.Request, answer: Handler) -> web.StreamResponse:
    return await answer(request)


async def cuts_the_connection(request: web.Request, _: Handler) -> web.StreamResponse:
    """Do nothing, and break the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def answers(status: int, code: str) -> Fault:
    """Refuse with an error of S3."""

    async def fault(request: web.Request, _: Handler) -> web.StreamResponse:
        await request.read()
        return s3_error(status, code, f"{code} on demand")

    return fault


def answers_page(status: int, body: str) -> Fault:
    """Answer with a page of HTML, as a server that is no S3 does."""

    async def fault(_: web.Request, __: Handler) -> web.StreamResponse:
        return web.Response(status=status, text=body, content_type="text/html")

    return fault


def cuts_after(size_bytes: int) -> Fault:
    """Send so much of the body, then break the connection."""

    async def fault(request: web.Request, answer: Handler) -> web.StreamResponse:
        whole = await answer(request)
        assert isinstance(whole, web.Response)
        assert isinstance(whole.body, bytes)
        cut = web.StreamResponse(status=whole.status, headers=whole.headers)
        cut.content_length = len(whole.body)
        await cut.prepare(request)
        await cut.write(whole.body[:size_bytes])
        assert request.transport is not None
        request.transport.close()
        return cut

    return fault


async def loses_the_answer(request: web.Request, answer: Handler) -> web.StreamResponse:
    """Do what was asked, then break the connection instead of answering."""
    await answer(request)
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def never_answers(_: web.Request, __: Handler) -> web.StreamResponse:
    """Wait until the server is shut down."""
    await asyncio.Event().wait()
    return web.Response()


def damages_the_body(server: FaultyS3) -> Fault:
    """Flip a bit of what was sent before it is verified."""

    async def fault(request: web.Request, _: Handler) -> web.StreamResponse:
        data = await request.read()
        damaged = bytes([data[0] ^ 1]) + data[1:]
        return server.put(request.path.split("/", 2)[2], damaged, request.headers)

    return fault


def _crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
