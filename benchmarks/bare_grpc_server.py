"""The least that a gRPC server can do with a request: `python -m benchmarks.bare_grpc_server`."""

import asyncio
import json
import sys
from typing import Any, Final

import grpc.aio

_OPTIONS: Final = (("grpc.max_receive_message_length", -1),)


class _Anything(grpc.GenericRpcHandler):
    """Takes every call, and forgets it."""

    def service(self, _details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(_answer)


async def _answer(_request: bytes, _context: Any) -> bytes:
    return b""


async def main() -> None:
    """Listen on a free loopback port, which is told on standard error as `serve` tells it."""
    server: Any = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((_Anything(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stderr.write(json.dumps({"listening": f"http://127.0.0.1:{port}"}) + "\n")
    sys.stderr.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
