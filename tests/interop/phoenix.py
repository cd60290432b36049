"""Arize Phoenix, a tracing backend, as a process of its own on loopback."""

import json
import os
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.servers.processes import free_port, running

_PROGRAM = Path(__file__).parents[1] / "programs" / "phoenix_on_loopback.py"


@attrs.frozen
class Phoenix:
    """A Phoenix that runs.

    Attributes:
        http: where it takes OTLP/HTTP, and answers questions.
        grpc: where it takes OTLP/gRPC.
    """

    http: str
    grpc: str

    def spans(self) -> list[dict[str, Any]]:
        """Return all spans that it shows of its default project."""
        shown: list[dict[str, Any]] = []
        cursor = ""
        while True:
            url = f"{self.http}/v1/projects/default/spans?limit=100{cursor}"
            with urllib.request.urlopen(url) as answer:
                page = json.load(answer)
            shown += page["data"]
            if page.get("next_cursor") is None:
                return shown
            cursor = f"&cursor={page['next_cursor']}"


@contextmanager
def running_phoenix(python: Path, folder: Path) -> Generator[Phoenix]:
    """Run Phoenix for the time of a `with`; it keeps what it is sent in *folder*."""
    port, grpc_port = free_port(), free_port()
    environment = {
        **os.environ,
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    command = [str(python), str(_PROGRAM)]
    with running(command, port, folder / "phoenix.log", environment):
        yield Phoenix(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{grpc_port}")
