"""A load of OTLP/HTTP clients, each on a connection of its own: `python -m benchmarks.load`.

It is a process of its own, so that its work is not counted as the server's. Requests are built
before the clock starts; an answer is read to its end.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import attrs

_HEAD_END: Final = b"\r\n\r\n"


@attrs.frozen
class Load:
    """What clients do.

    Attributes:
        port: where to send, on loopback.
        body: the file that holds what each request carries.
        path: where it is posted.
        is_gzip: the body is gzip.
        clients: how many connections.
        requests: how many requests in all.
        rate: requests a second, at even distances, whoever is free; 0: as fast as answers come.
    """

    port: int
    body: str
    path: str
    is_gzip: bool
    clients: int
    requests: int
    rate: float


@attrs.define
class Tally:
    """What came of it: when each answer came, after the request was due, in milliseconds."""

    statuses: dict[str, int] = attrs.Factory(dict[str, int])
    answers_ms: list[float] = attrs.Factory(list[float])
    wall_s: float = 0.0


async def run(load: Load) -> Tally:
    """Send all of it, and return what came back."""
    body = await asyncio.to_thread(Path(load.body).read_bytes)
    head = (
        f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n"
        + ("Content-Encoding: gzip\r\n" if load.is_gzip else "")
        + f"Content-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    tally = Tally()
    began = time.perf_counter()
    due = iter(range(load.requests))
    await asyncio.gather(*(_client(load, request, due, began, tally) for _ in range(load.clients)))
    tally.wall_s = time.perf_counter() - began
    return tally


async def _client(load: Load, request: bytes, due: Any, began: float, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    for number in due:
        planned = began + number / load.rate if load.rate else time.perf_counter()
        await asyncio.sleep(max(planned - time.perf_counter(), 0))
        writer.write(request)
        head = await reader.readuntil(_HEAD_END)
        status = head.split(b" ", 2)[1].decode()
        await reader.readexactly(_length(head))
        tally.answers_ms.append((time.perf_counter() - planned) * 1e3)
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
    writer.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(attrs.asdict(asyncio.run(run(Load(**json.loads(sys.argv[1])))))))
