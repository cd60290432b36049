"""The least that an HTTP server can do with a request: `python -m benchmarks.bare_server`.

It is built on the same library as the receiver, reads bodies, and answers 200. What a receiver
takes beyond that is its own.
"""

import asyncio
import json
import sys

from aiohttp import web


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    """Read a request, and forget it."""
    await request.read()
    return web.Response(body=b"", content_type="application/x-protobuf")


async def main() -> None:
    """Listen on a free loopback port, which is told on standard error as `serve` tells it."""
    runner = web.ServerRunner(web.Server(answer, auto_decompress=False, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    announced = {"listening": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    sys.stderr.write(json.dumps(announced) + "\n")
    sys.stderr.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
