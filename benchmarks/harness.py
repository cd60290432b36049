"""Timing: some ways to do the same work take turns, so that what disturbs one disturbs all."""

import gc
import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Final

import attrs

_LEAST_ROUNDS: Final = 3
_MEGABYTE: Final = 1_000_000
_NS: Final = 1_000_000_000


@attrs.frozen
class Way:
    """One way to do the work of a case.

    Attributes:
        name: how tables call it.
        work: does all of it once; what it returns is thrown away.
        ratio_floor: how many times as fast as the reference it has to be; None: it need not.
        speed_floor: how many MB/s a core it should do; missing it fails nothing.
    """

    name: str
    work: Callable[[], object]
    ratio_floor: float | None = None
    speed_floor: float | None = None


@attrs.frozen
class Case:
    """Work on given data, and the ways to do it.

    Attributes:
        subject: what is done, such as `scan`.
        data: to what, such as `5,000 spans`.
        size_bytes: how many bytes that is; speeds count these, whatever a way makes of them.
        ways: the first is the reference of the others.
    """

    subject: str
    data: str
    size_bytes: int
    ways: Sequence[Way]


@attrs.frozen
class Effort:
    """How thoroughly to measure.

    Attributes:
        rounds: how often each way has its turn, at most.
        budget_s: after how long no further round of a case begins, but for the first three.
        turn_s: how long a turn lasts at least: quick work is repeated.
    """

    rounds: int
    budget_s: float
    turn_s: float


THOROUGH: Final = Effort(rounds=25, budget_s=3.0, turn_s=0.005)
QUICK: Final = Effort(rounds=5, budget_s=0.3, turn_s=0.002)


@attrs.frozen
class Timing:
    """How long one call took, in seconds: the best of all turns, and the median of them."""

    best_cpu_s: float
    median_cpu_s: float
    best_wall_s: float
    median_wall_s: float


@attrs.frozen
class Measured:
    """A way of a case, and how it did.

    Attributes:
        case: what was to be done.
        way: how it was done.
        timing: how long it took.
        ratio: how many times as fast as the reference it was, by the best CPU time of both.
        median_ratio: the same by the medians.
    """

    case: Case
    way: Way
    timing: Timing
    ratio: float
    median_ratio: float

    @property
    def megabytes_per_cpu_second(self) -> float:
        """The speed on one core, by the best turn."""
        return self.case.size_bytes / self.timing.best_cpu_s / _MEGABYTE

    @property
    def median_megabytes_per_cpu_second(self) -> float:
        """The speed on one core, by the median turn."""
        return self.case.size_bytes / self.timing.median_cpu_s / _MEGABYTE

    @property
    def megabytes_per_second(self) -> float:
        """The speed on the clock, by the median turn."""
        return self.case.size_bytes / self.timing.median_wall_s / _MEGABYTE

    @property
    def meets_ratio(self) -> bool:
        """Whether its ratio reaches the floor, if there is one."""
        return self.way.ratio_floor is None or self.ratio >= self.way.ratio_floor

    @property
    def meets_speed(self) -> bool:
        """Whether its speed reaches the floor, if there is one."""
        floor = self.way.speed_floor
        return floor is None or self.megabytes_per_cpu_second >= floor


def measure(case: Case, effort: Effort) -> list[Measured]:
    """Let the ways of *case* take turns, and say how each did.

    CPU time is that of the whole process: nothing else may run in it meanwhile. Garbage is
    collected between turns and not within them, as timeit has it.
    """
    timings = [_timing(turns) for turns in _take_turns(case, effort)]
    reference = timings[0]
    return [
        Measured(
            case=case,
            way=way,
            timing=timing,
            ratio=reference.best_cpu_s / timing.best_cpu_s,
            median_ratio=reference.median_cpu_s / timing.median_cpu_s,
        )
        for way, timing in zip(case.ways, timings, strict=True)
    ]


def _take_turns(case: Case, effort: Effort) -> list[list[tuple[float, float]]]:
    turns: list[list[tuple[float, float]]] = [[] for _ in case.ways]
    with _no_collection():
        calls = [_calls_for(way, effort.turn_s) for way in case.ways]
        began = time.perf_counter()
        for done in range(effort.rounds):
            if done >= _LEAST_ROUNDS and time.perf_counter() - began > effort.budget_s:
                break
            for place, way in enumerate(case.ways):
                turns[place].append(_turn(way, calls[place]))
    return turns


@contextmanager
def _no_collection() -> Generator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _calls_for(way: Way, turn_s: float) -> int:
    """Say how many calls fill a turn; the first call warms up, the second is timed."""
    way.work()
    cpu_s, _ = _turn(way, 1)
    return max(1, math.ceil(turn_s / max(cpu_s, 1 / _NS)))


def _turn(way: Way, calls: int) -> tuple[float, float]:
    work = way.work
    gc.collect()
    cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(calls):
        work()
    wall_ns, cpu_ns = time.perf_counter_ns() - wall_ns, time.process_time_ns() - cpu_ns
    return max(cpu_ns, 1) / calls / _NS, wall_ns / calls / _NS


def _timing(turns: Sequence[tuple[float, float]]) -> Timing:
    cpu_s, wall_s = zip(*turns, strict=True)
    return Timing(min(cpu_s), median(cpu_s), min(wall_s), median(wall_s))
