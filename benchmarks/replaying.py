"""Replays under measurement: a session in a store, a bare server, and senders, each a process."""

import gzip
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
from rich.table import Table

from benchmarks import bare_sender, replayer
from benchmarks.processes import running, scratch, told_by
from benchmarks.recorded import record, request_of
from benchmarks.senders import Protocol, Took, as_took

PROTOCOLS: Final[tuple[Protocol, ...]] = ("http/protobuf", "grpc")

_SERVERS: Final[dict[Protocol, str]] = {
    "http/protobuf": "benchmarks.bare_server",
    "grpc": "benchmarks.bare_grpc_server",
}
_SESSION: Final = "replayed"
_QUIET_SHARE: Final = 0.1
_CLIENT_LEVEL: Final = 6


@attrs.frozen
class Shown:
    """What came of a subject, for people and for machines.

    Attributes:
        table: for people.
        rows: for machines.
        is_met: whether all floors are.
    """

    table: Table
    rows: list[dict[str, Any]]
    is_met: bool


@attrs.frozen
class Stage:
    """A session that can be replayed to a server.

    Attributes:
        request: what it holds, again and again.
        count: how often.
        folder: where its store is.
        port: where the server listens.
        server_pid: the server's process.
    """

    request: bytes
    count: int
    folder: Path
    port: int
    server_pid: int

    def replay(self, *, kernel: str = "", **settings: Any) -> Took:
        """Replay it; the settings are those of `replayer.Task`."""
        task = replayer.Task(
            store=str(self.folder / "store"),
            session_id=_SESSION,
            port=self.port,
            server_pid=self.server_pid,
            **settings,
        )
        environment = {"OTLP_CAPTURE_KERNEL": kernel} if kernel else {}
        return as_took(told_by("benchmarks.replayer", task, environment))

    def send_barely(self, *, is_gzip: bool = False, **settings: Any) -> Took:
        """Send as many requests without a replay; the settings are those of `bare_sender.Task`."""
        body = self.folder / "body"
        is_packed = is_gzip and settings["protocol"] != "grpc"
        body.write_bytes(gzip.compress(self.request, _CLIENT_LEVEL) if is_packed else self.request)
        task = bare_sender.Task(
            port=self.port,
            server_pid=self.server_pid,
            body=str(body),
            is_gzip=is_gzip,
            requests=self.count,
            **settings,
        )
        return as_took(told_by("benchmarks.bare_sender", task))


@contextmanager
def session(
    directory: Path | None, size_bytes: int, count: int, rate: float = 1_000.0
) -> Generator[Path]:
    """Record a session of *count* requests of about *size_bytes*; yield where it lies."""
    with scratch(directory) as folder:
        record(folder / "store", _SESSION, request_of(size_bytes), count, rate)
        yield folder


@contextmanager
def staged(folder: Path, size_bytes: int, count: int, protocol: Protocol) -> Generator[Stage]:
    """Run a bare server for a session that was recorded, until the block ends."""
    with running([sys.executable, "-m", _SERVERS[protocol]]) as (process, port):
        yield Stage(request_of(size_bytes), count, folder, port, process.pid)


def is_quiet(took: Took) -> bool:
    """Whether others left the machine alone meanwhile."""
    return took.others_share <= _QUIET_SHARE


def table(title: str, *texts: str, numbers: tuple[str, ...], last: str) -> Table:
    """Return an empty table."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for name in texts:
        made.add_column(name)
    for name in numbers:
        made.add_column(name, justify="right")
    made.add_column(last)
    return made


def verdict(text: str, *, is_met: bool) -> str:
    """Say whether a floor is met."""
    return f"[green]{text} met[/]" if is_met else f"[red]{text} missed[/]"
