"""One replay in a process of its own, measured: `python -m benchmarks.replayer`."""

import importlib
import json
import sys
from pathlib import Path
from typing import Literal

import anyio
import attrs

from benchmarks.senders import Protocol, Watch
from otlp_capture.clock import SYSTEM_CLOCK, ClockTag
from otlp_capture.layer import open_runtime, succeed, wire
from otlp_capture.result import or_raise
from otlp_capture.storage import local_storage
from otlp_replay import OtlpReplayServiceLive, OtlpReplayServiceTag, ReplayConfig
from otlp_replay.events import Event, Settled


@attrs.frozen(kw_only=True)
class Task:
    """What is replayed, and to whom.

    Attributes:
        store: the directory of the store.
        session_id: which session.
        port: where to send, on loopback.
        server_pid: who listens there.
        protocol: what is spoken.
        compression: of requests.
        speed: how fast.
        precision: how precisely.
        limit: how many of its requests at the most; None: all.
        is_heard: whether somebody hears of each request, and notes how late it was.
    """

    store: str
    session_id: str
    port: int
    server_pid: int
    protocol: Protocol = "http/protobuf"
    compression: Literal["identity", "gzip"] = "identity"
    speed: float | Literal["max"] = "max"
    precision: Literal["normal", "high"] = "normal"
    limit: int | None = None
    is_heard: bool = False


@attrs.frozen
class _Ear:
    """Notes how late requests are dispatched, by their numbers. An `Observer`."""

    watch: Watch

    def intend(self, event: Event) -> None:
        self.watch.lateness_ns.append(0)
        assert len(self.watch.lateness_ns) == event.number + 1

    def settle(self, settled: Settled) -> None:
        self.watch.lateness_ns[settled.event.number] = settled.stamps.lateness_ns or 0


async def main(task: Task) -> None:
    """Replay it to its end, and tell what that took; libraries are loaded before."""
    importlib.import_module("grpc.aio" if task.protocol == "grpc" else "aiohttp")
    watch = Watch(task.server_pid)
    config = ReplayConfig(
        session_id=task.session_id,
        target_endpoint=f"http://127.0.0.1:{task.port}",
        protocol=task.protocol,
        compression=task.compression,
        timestamp_adjustment="current",
        speed_multiplier=task.speed,
        precision=task.precision,
        limit=task.limit,
    )
    layer = wire(
        OtlpReplayServiceLive, local_storage(Path(task.store)), succeed(ClockTag, SYSTEM_CLOCK)
    )
    async with open_runtime(layer, OtlpReplayServiceTag) as opened:
        (service,) = or_raise(opened)
        with watch.measuring():
            observers = [_Ear(watch)] if task.is_heard else []
            status = or_raise(await service.start_replay(config, observers=observers))
            *_, status = [each async for each in service.watch(status.replay_id)]
    assert status.delivery.delivered == status.total_records, status
    watch.tell()


if __name__ == "__main__":
    anyio.run(main, Task(**json.loads(sys.argv[1])))
