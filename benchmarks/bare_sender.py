"""The least that a sender can do: `python -m benchmarks.bare_sender`, in a process of its own.

It sends one body again and again by the library that the replay uses, or sends nothing at all and
only wakes up. It reads no store, moves no timestamp, and judges no answer.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from benchmarks.senders import Protocol, Watch

_NS: Final = 1_000_000_000
_GRPC_METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@attrs.frozen(kw_only=True)
class Task:
    """What is sent, to whom, and when.

    Attributes:
        port: where to send, on loopback.
        server_pid: who listens there.
        body: the file that holds what each request carries.
        is_gzip: whether it is gzip.
        requests: how many.
        rate: how many a second; 0: as fast as answers come.
        protocol: what is spoken; `nothing`: nothing is sent, a thread sleeps until each is due.
        in_flight: how many may wait for an answer.
    """

    port: int
    server_pid: int
    body: str
    is_gzip: bool = False
    requests: int
    rate: float = 0.0
    protocol: Protocol | Literal["nothing"]
    in_flight: int = 64


_Send = Callable[[], Awaitable[object]]


async def main(task: Task) -> None:
    """Send all of it, and tell what that took."""
    watch = Watch(task.server_pid)
    body = await asyncio.to_thread(Path(task.body).read_bytes)
    if task.protocol == "nothing":
        with watch.measuring():
            await asyncio.to_thread(_wake, task, watch)
        watch.tell()
        return
    opened = _http if task.protocol == "http/protobuf" else _grpc
    async with opened(task, body) as send:
        await send()
        with watch.measuring():
            await (_send_paced if task.rate else _send_at_once)(task, send, watch)
    watch.tell()


def _wake(task: Task, watch: Watch) -> None:
    began_ns = time.monotonic_ns()
    for number in range(task.requests):
        due_ns = began_ns + round(number / task.rate * _NS)
        time.sleep(max(due_ns - time.monotonic_ns(), 0) / _NS)
        watch.lateness_ns.append(time.monotonic_ns() - due_ns)


async def _send_paced(task: Task, send: _Send, watch: Watch) -> None:
    began_ns = time.monotonic_ns()
    async with asyncio.TaskGroup() as tasks:
        for number in range(task.requests):
            due_ns = began_ns + round(number / task.rate * _NS)
            await asyncio.sleep(max(due_ns - time.monotonic_ns(), 0) / _NS)
            watch.lateness_ns.append(time.monotonic_ns() - due_ns)
            tasks.create_task(_as_coroutine(send))


async def _send_at_once(task: Task, send: _Send, _watch: Watch) -> None:
    numbers = iter(range(task.requests))

    async def work() -> None:
        for _ in numbers:
            await send()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(task.in_flight):
            tasks.create_task(work())


async def _as_coroutine(send: _Send) -> None:
    await send()


@asynccontextmanager
async def _http(task: Task, body: bytes) -> Any:
    import aiohttp  # noqa: PLC0415 - a sender of the other protocol does without

    url = f"http://127.0.0.1:{task.port}/v1/traces"
    headers = {"content-type": "application/x-protobuf"}
    if task.is_gzip:
        headers["content-encoding"] = "gzip"
    connector = aiohttp.TCPConnector(limit=task.in_flight)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as client:

        async def send() -> None:
            async with client.post(url, data=body, headers=headers) as response:
                await response.read()
                assert response.status == 200  # noqa: PLR2004 - of HTTP

        yield send


@asynccontextmanager
async def _grpc(task: Task, body: bytes) -> Any:
    import grpc.aio  # noqa: PLC0415 - likewise

    async with grpc.aio.insecure_channel(f"127.0.0.1:{task.port}") as channel:
        export: Any = channel.unary_unary(_GRPC_METHOD)
        compression = grpc.Compression.Gzip if task.is_gzip else None
        yield lambda: export(body, compression=compression)


if __name__ == "__main__":
    asyncio.run(main(Task(**json.loads(sys.argv[1]))))
