"""A receiver under load: `serve` in a process of its own, clients in another one.

Each load goes to the receiver and to a bare server of the same library in turn, and the ratio is
that of their CPU times. CPU time is that of the whole server process, by Linux's /proc.
"""

import gzip
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from rich.console import Console
from rich.table import Table

from benchmarks.load import Load
from benchmarks.processes import TICKS, cpu_s, memory_bytes, running, scratch, told_by
from benchmarks.requests import sample

_COMMAND: Final = str(Path(sysconfig.get_path("scripts")) / "otlp-capture")
_CLIENTS: Final = 16
_CLIENT_LEVEL: Final = 6
_MEGABYTE: Final = 1_000_000
_GIGABYTE: Final = 1_000_000_000
_MEBIBYTE: Final = 1 << 20


@attrs.frozen
class Kind:
    """A kind of load.

    Attributes:
        name: how tables call it.
        record_count: how many spans a request holds.
        requests: how many.
        quick_requests: how many for a fast look.
        rate: requests a second; 0: as fast as answers come.
        median_below_ms: what the median of answers should stay below; missing it fails nothing.
        p99_below_ms: the same for 99 of 100.
        is_gzip: whether clients compress it.
    """

    name: str
    record_count: int
    requests: int
    quick_requests: int
    rate: float = 0.0
    median_below_ms: float | None = None
    p99_below_ms: float | None = None
    is_gzip: bool = attrs.field(default=False, kw_only=True)


KINDS: Final = (
    Kind("100 kB of gzip, 16 clients", 2_100, 3_000, 100, is_gzip=True),
    Kind("4 kB, 16 clients", 12, 20_000, 500),
    Kind("4 kB, 1,000 requests a second", 12, 20_000, 500, 1_000.0, 5.0, 25.0),
)


@attrs.frozen
class Served:
    """How a server did under a load.

    Attributes:
        raw_bytes: bytes of all requests, decompressed.
        wall_s: how long the load took.
        cpu_s: CPU time of the server.
        median_ms: of answers, from when the request was due.
        p99_ms: the same.
        peak_bytes: the most memory that the server has had.
        objects: how many objects hold the requests.
    """

    raw_bytes: int
    requests: int
    wall_s: float
    cpu_s: float
    median_ms: float
    p99_ms: float
    peak_bytes: int
    objects: int

    @property
    def megabytes_per_cpu_second(self) -> float:
        """The speed on one core."""
        return self.raw_bytes / self.cpu_s / _MEGABYTE

    @property
    def objects_per_gigabyte(self) -> float:
        """Objects for each 10^9 bytes of requests, decompressed."""
        return self.objects * _GIGABYTE / self.raw_bytes


@attrs.frozen
class Compared:
    """A load, and how both servers did."""

    kind: Kind
    bare: Served
    receiver: Served

    @property
    def cpu_ratio(self) -> float:
        """How many times the CPU time of the bare server the receiver takes."""
        return self.receiver.cpu_s / self.bare.cpu_s


def compare(directory: Path | None, *, quick: bool) -> list[Compared]:
    """Put each kind of load on both servers."""
    compared: list[Compared] = []
    for kind in KINDS:
        count = kind.quick_requests if quick else kind.requests
        with scratch(directory) as folder:
            bare = _serve([sys.executable, "-m", "benchmarks.bare_server"], folder, kind, count)
            receiver = _serve(_receiver(folder), folder, kind, count)
        compared.append(Compared(kind, bare, receiver))
    return compared


@attrs.frozen
class Soaked:
    """How much memory a receiver had while much passed through.

    Attributes:
        raw_bytes: how much passed, decompressed, at each reading.
        resident_bytes: what the process had then.
        peak_bytes: the most that it has had.
    """

    raw_bytes: tuple[int, ...]
    resident_bytes: tuple[int, ...]
    peak_bytes: int


def soak(directory: Path | None, gigabytes: float) -> Soaked:
    """Let so much pass through a receiver, and read its memory ten times meanwhile."""
    kind = KINDS[0]
    request = sample("traces", kind.record_count).request
    count = max(round(gigabytes * _GIGABYTE / len(request) / 10), 1)
    passed: list[int] = []
    resident: list[int] = []
    with scratch(directory) as folder, running(_receiver(folder)) as (process, port):
        for _ in range(10):
            _put_load(kind, count, port, folder)
            passed.append(count * len(request) + (passed[-1] if passed else 0))
            resident.append(memory_bytes(process.pid, "VmRSS"))
        peak = memory_bytes(process.pid, "VmHWM")
    return Soaked(tuple(passed), tuple(resident), peak)


def _receiver(folder: Path) -> list[str]:
    options = "serve --session load --http-port 0 --no-grpc --json --store"
    return [_COMMAND, *options.split(), f"file:{folder / 'store'}"]


def _serve(command: Sequence[str], folder: Path, kind: Kind, count: int) -> Served:
    request = sample("traces", kind.record_count).request
    with running(command) as (process, port):
        _put_load(kind, min(count, 100), port, folder)
        before_s = cpu_s(process.pid)
        tally = _put_load(kind, count, port, folder)
        taken_s = cpu_s(process.pid) - before_s
        peak = memory_bytes(process.pid, "VmHWM")
    answers = sorted(tally["answers_ms"])
    assert tally["statuses"] == {"200": count}, tally["statuses"]
    return Served(
        raw_bytes=count * len(request),
        requests=count,
        wall_s=tally["wall_s"],
        cpu_s=max(taken_s, 1 / TICKS),
        median_ms=answers[len(answers) // 2],
        p99_ms=answers[len(answers) * 99 // 100],
        peak_bytes=peak,
        objects=sum(1 for _ in (folder / "store").rglob("*.otlp.gz")),
    )


def _put_load(kind: Kind, count: int, port: int, folder: Path) -> dict[str, Any]:
    request = sample("traces", kind.record_count).request
    body = folder / "body"
    body.write_bytes(gzip.compress(request, _CLIENT_LEVEL) if kind.is_gzip else request)
    load = Load(port, str(body), "/v1/traces", kind.is_gzip, _CLIENTS, count, kind.rate)
    tally: dict[str, Any] = told_by("benchmarks.load", load)
    return tally


def print_compared(console: Console, compared: Sequence[Compared]) -> None:
    """Print how a receiver did, beside the bare server."""
    table = Table(title="receive", title_justify="left", title_style="bold")
    table.add_column("load")
    for name in ("raw MB/s a core", "requests/s", "median ms", "p99 ms", "CPU, times bare"):
        table.add_column(name, justify="right")
    table.add_column("objects a GB", justify="right")
    table.add_column("peak MiB", justify="right")
    for each in compared:
        served = each.receiver
        table.add_row(
            each.kind.name,
            f"{served.megabytes_per_cpu_second:,.0f}",
            f"{served.requests / served.wall_s:,.0f}",
            _against(served.median_ms, each.kind.median_below_ms),
            _against(served.p99_ms, each.kind.p99_below_ms),
            f"{each.cpu_ratio:.1f}",
            f"{served.objects_per_gigabyte:,.1f}",
            f"{served.peak_bytes / _MEBIBYTE:,.0f}",
        )
    console.print(table)


def _against(value: float, bound: float | None) -> str:
    if bound is None:
        return f"{value:.2f}"
    colour = "green" if value < bound else "red"
    return f"[{colour}]{value:.2f} of {bound:g}[/]"


def print_soaked(console: Console, soaked: Soaked) -> None:
    """Print what memory a receiver had while much passed through."""
    for passed, resident in zip(soaked.raw_bytes, soaked.resident_bytes, strict=True):
        console.print(
            f"{passed / _GIGABYTE:5.1f} GB passed through, {resident / _MEBIBYTE:,.0f} MiB resident"
        )
    console.print(f"The receiver had {soaked.peak_bytes / _MEBIBYTE:,.0f} MiB at most.")


def as_rows(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return how a receiver did, for machines."""
    return [
        {
            "load": each.kind.name,
            "megabytesPerCpuSecond": each.receiver.megabytes_per_cpu_second,
            "requestsPerSecond": each.receiver.requests / each.receiver.wall_s,
            "cpuSeconds": each.receiver.cpu_s,
            "wallSeconds": each.receiver.wall_s,
            "medianMilliseconds": each.receiver.median_ms,
            "p99Milliseconds": each.receiver.p99_ms,
            "cpuTimesBare": each.cpu_ratio,
            "objectsPerGigabyte": each.receiver.objects_per_gigabyte,
            "peakMemoryBytes": each.receiver.peak_bytes,
        }
        for each in compared
    ]
