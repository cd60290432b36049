"""Processes that are measured: started, asked what they took, and ended.

What a process took is read from Linux's /proc. A new program's highest resident set counts from
its own beginning there, which `ru_maxrss` does not: that remembers who started it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

TICKS: Final = os.sysconf("SC_CLK_TCK")
_IDLE: Final = slice(3, 5)


@contextmanager
def running(command: Sequence[str]) -> Generator[tuple["subprocess.Popen[bytes]", int]]:
    """Run a server that tells its address on standard error; it is interrupted at the end."""
    process = subprocess.Popen(  # noqa: S603 - it is one of ours
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        assert process.stderr is not None
        announced = json.loads(process.stderr.readline())
        yield process, int(announced["listening"].rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def told_by(module: str, task: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Run a module of ours in a process of its own, and return the JSON that it prints.

    Args:
        module: its name.
        task: an attrs value, which is handed to it as JSON.
        environment: variables that it gets besides those of this process.
    """
    done = subprocess.run(  # noqa: S603 - it is our own
        [sys.executable, "-m", module, json.dumps(attrs.asdict(task))],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, **(environment or {})},
    )
    return json.loads(done.stdout)


@contextmanager
def scratch(directory: Path | None) -> Generator[Path]:
    """Make a folder, and remove it after."""
    folder = Path(tempfile.mkdtemp(dir=directory, prefix="otlp-capture-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def cpu_s(pid: int) -> float:
    """Return how long cores have worked for a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_bytes(pid: int, name: str) -> int:
    """Return what a process has of `VmRSS`, what is resident, or `VmHWM`, the most that was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def busy_s() -> float:
    """Return how long all cores have worked for anybody, or were withheld, in seconds."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - sum(fields[_IDLE])) / TICKS
