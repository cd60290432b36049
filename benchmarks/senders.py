"""What a sender took and how well it kept time, whoever it is: measured the same way."""

import json
import os
import sys
import time
from array import array
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias

import attrs

from benchmarks.processes import busy_s, cpu_s, memory_bytes

Protocol: TypeAlias = Literal["http/protobuf", "grpc"]

_MS: Final = 1e6


@attrs.frozen
class Pace:
    """How well a plan was kept, in milliseconds.

    Attributes:
        end_drift_ms: how much longer it took from the first request to the last than planned.
        median_ms: of lateness: dispatched minus planned.
        p99_ms: the same.
        worst_ms: the same.
    """

    end_drift_ms: float
    median_ms: float
    p99_ms: float
    worst_ms: float


def pace_of(lateness_ns: Sequence[int]) -> Pace:
    """Return how well a plan was kept.

    Args:
        lateness_ns: of each request, in the order of the plan.
    """
    ordered = sorted(lateness_ns)
    return Pace(
        (lateness_ns[-1] - lateness_ns[0]) / _MS,
        ordered[len(ordered) // 2] / _MS,
        ordered[len(ordered) * 99 // 100] / _MS,
        ordered[-1] / _MS,
    )


@attrs.frozen
class Took:
    """What a sender took.

    Attributes:
        wall_s: the time.
        cpu_s: CPU time of all its threads.
        others_share: how much of the machine's cores others took meanwhile, from 0 to 1.
        peak_bytes: the most memory that the process has had.
        pace: how well it kept its plan; None: it had none.
    """

    wall_s: float
    cpu_s: float
    others_share: float
    peak_bytes: int
    pace: Pace | None = None


class Watch:
    """Measures this process.

    Args:
        server_pid: the process that it sends to, which is none of the others.

    Attributes:
        lateness_ns: of each request, in the order of the plan; for who has one.
    """

    def __init__(self, server_pid: int) -> None:
        self.lateness_ns = array("q")
        self._server_pid = server_pid
        self._took: Took | None = None

    @contextmanager
    def measuring(self) -> Generator[None]:
        """Measure what happens in the block."""
        busy_before_s = busy_s() - cpu_s(self._server_pid)
        cpu_before_ns, wall_before_ns = time.process_time_ns(), time.perf_counter_ns()
        yield
        wall_s = (time.perf_counter_ns() - wall_before_ns) / 1e9
        own_s = (time.process_time_ns() - cpu_before_ns) / 1e9
        others_s = busy_s() - cpu_s(self._server_pid) - busy_before_s - own_s
        share = max(others_s, 0.0) / wall_s / (os.cpu_count() or 1)
        self._took = Took(wall_s, own_s, share, memory_bytes(os.getpid(), "VmHWM"))

    def tell(self) -> None:
        """Print what was measured, for `took_by`."""
        assert self._took is not None
        pace = pace_of(self.lateness_ns) if self.lateness_ns else None
        sys.stdout.write(json.dumps(attrs.asdict(attrs.evolve(self._took, pace=pace))))


def as_took(told: dict[str, Any]) -> Took:
    """Read what a `Watch` has told."""
    pace = told.pop("pace")
    return Took(**told, pace=Pace(**pace) if pace else None)
