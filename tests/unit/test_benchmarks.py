"""The benchmarks, run once and not timed: each way does its work."""

from pathlib import Path

import pytest

from benchmarks.__main__ import SUBJECTS
from benchmarks.harness import Case, Measured, Timing, Way
from benchmarks.requests import sample
from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise


@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_way_of_each_subject_works(subject: str, tmp_path: Path) -> None:
    names = []
    for case in SUBJECTS[subject]([sample("logs", 30)], tmp_path):
        for way in case.ways:
            way.work()
        names.append((case.subject, case.data))

    assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize("signal", SIGNALS)
def test_requests_repeat_and_hold_what_they_say(signal: Signal) -> None:
    one, same, other = (sample(signal, 120, seed) for seed in (7, 7, 8))

    assert one == same
    assert one.request != other.request
    assert or_raise(otlp.scan(one.request, signal)).record_count == 120


def measured(way: Way, *, cpu_s: float, ratio: float) -> Measured:
    timing = Timing(cpu_s, 2 * cpu_s, 3 * cpu_s, 4 * cpu_s)
    return Measured(Case("scan", "spans", 6_000_000, [way]), way, timing, ratio, ratio)


def test_speeds_are_megabytes_a_second() -> None:
    done = measured(Way("scan", list), cpu_s=1.0, ratio=1.0)

    assert done.megabytes_per_cpu_second == 6.0
    assert done.median_megabytes_per_cpu_second == 3.0
    assert done.megabytes_per_second == 1.5


@pytest.mark.parametrize(("floor", "is_met"), [(None, True), (6.0, True), (6.1, False)])
def test_a_floor_is_met_from_its_value_on(floor: float | None, *, is_met: bool) -> None:
    way = Way("scan", list, ratio_floor=floor, speed_floor=floor)

    done = measured(way, cpu_s=1.0, ratio=6.0)

    assert (done.meets_ratio, done.meets_speed) == (is_met, is_met)
