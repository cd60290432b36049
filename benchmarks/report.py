"""What was measured, as tables for people and as one object for machines."""

import os
import platform
import resource
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from itertools import groupby
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Measured
from otlp_capture.otlp.kernel.choice import describe_choice

_MICROSECONDS: Final = 1e6
_MEBIBYTE: Final = 1 << 20
_LIBRARIES: Final = ("protobuf", "isal")


def peak_memory_bytes() -> int:
    """Return the most memory that this process has had so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def introduce() -> str:
    """Say what is measured where, on one line."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    load = os.getloadavg()[0]
    return (
        f"Wire: {describe_choice()}. Python {platform.python_version()}, {libraries}, "
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}."
    )


def print_subjects(console: Console, measured: Iterable[Measured]) -> None:
    """Print a table of each subject, in the order in which they came first."""
    subjects: dict[str, list[Measured]] = {}
    for each in measured:
        subjects.setdefault(each.case.subject, []).append(each)
    for subject, rows in subjects.items():
        console.print(_table(subject, rows))


def _table(subject: str, measured: Sequence[Measured]) -> Table:
    table = Table(title=subject, title_justify="left", title_style="bold")
    table.add_column("data")
    table.add_column("way")
    for name in ("MB/s a core", "median", "MB/s by the clock", "µs a call", "times", "floor"):
        table.add_column(name, justify="right")
    for data, ways in groupby(measured, key=lambda each: each.case.data):
        for place, each in enumerate(ways):
            table.add_row(data if place == 0 else "", *_cells(each, is_reference=place == 0))
        table.add_section()
    return table


def _cells(measured: Measured, *, is_reference: bool) -> Iterable[str]:
    yield measured.way.name
    yield f"{measured.megabytes_per_cpu_second:,.0f}"
    yield f"{measured.median_megabytes_per_cpu_second:,.0f}"
    yield f"{measured.megabytes_per_second:,.0f}"
    yield f"{measured.timing.best_cpu_s * _MICROSECONDS:,.1f}"
    yield "reference" if is_reference else f"{measured.ratio:,.2f}"
    yield ", ".join(_floors(measured))


def _floors(measured: Measured) -> Iterable[str]:
    if (ratio := measured.way.ratio_floor) is not None:
        yield _verdict(f"{ratio:g} times", is_met=measured.meets_ratio)
    if (speed := measured.way.speed_floor) is not None:
        yield _verdict(f"{speed:g} MB/s", is_met=measured.meets_speed)


def _verdict(floor: str, *, is_met: bool) -> str:
    return f"[green]{floor} met[/]" if is_met else f"[red]{floor} missed[/]"


def as_document(measured: Iterable[Measured]) -> dict[str, Any]:
    """Return everything as one JSON object; times are in seconds a call."""
    return {
        "wire": describe_choice(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "peakMemoryBytes": peak_memory_bytes(),
        "rows": [_row(each) for each in measured],
    }


def _row(measured: Measured) -> dict[str, Any]:
    case, way, timing = measured.case, measured.way, measured.timing
    return {
        "subject": case.subject,
        "data": case.data,
        "way": way.name,
        "reference": case.ways[0].name,
        "sizeBytes": case.size_bytes,
        "bestCpuSeconds": timing.best_cpu_s,
        "medianCpuSeconds": timing.median_cpu_s,
        "bestWallSeconds": timing.best_wall_s,
        "medianWallSeconds": timing.median_wall_s,
        "megabytesPerCpuSecond": measured.megabytes_per_cpu_second,
        "ratio": measured.ratio,
        "medianRatio": measured.median_ratio,
        "ratioFloor": way.ratio_floor,
        "meetsRatio": measured.meets_ratio,
        "speedFloor": way.speed_floor,
        "meetsSpeed": measured.meets_speed,
    }


def describe_memory() -> str:
    """Say how much memory the benchmark took."""
    return f"Peak memory of this process: {peak_memory_bytes() / _MEBIBYTE:,.0f} MiB."
