"""Arize Phoenix, kept on loopback: by itself it opens its OTLP/gRPC port on every interface.

The environment says which ports it takes, and where it keeps what it is sent.
"""

import sys
from typing import Any

import grpc.aio
from phoenix.server.main import main  # type: ignore[import-not-found]  # it lives apart

make_server = grpc.aio.server


def on_loopback(*args: Any, **settings: Any) -> grpc.aio.Server:
    server = make_server(*args, **settings)
    add_port = server.add_insecure_port
    server.add_insecure_port = lambda address: add_port(address.replace("[::]", "127.0.0.1"))  # type: ignore[method-assign]  # it is how to set it
    return server


grpc.aio.server = on_loopback
sys.argv = ["phoenix", "serve"]
main()
