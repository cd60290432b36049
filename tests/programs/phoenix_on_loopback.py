"""Arize Phoenix, kept on loopback: by itself it opens its OTLP/gRPC port on every interface.

The environment says which ports it takes, and where it keeps what it is sent.
"""

import importlib
import sys
from typing import Any

import grpc.aio


def main() -> None:
    make_server = grpc.aio.server

    def on_loopback(*args: Any, **settings: Any) -> grpc.aio.Server:
        server = make_server(*args, **settings)
        add_port = server.add_insecure_port

        def add_port_here(address: str) -> int:
            return add_port(address.replace("[::]", "127.0.0.1"))

        server.add_insecure_port = add_port_here  # type: ignore[method-assign]  # how to set it
        return server

    grpc.aio.server = on_loopback
    sys.argv = ["phoenix", "serve"]

    # Phoenix has an environment of its own: tests are gathered without it.
    phoenix = importlib.import_module("phoenix.server.main")
    phoenix.main()


if __name__ == "__main__":
    main()
