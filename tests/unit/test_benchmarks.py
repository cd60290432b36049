"""The benchmarks, run once and not timed: each way does its work."""

from pathlib import Path

import pytest

from benchmarks.__main__ import SUBJECTS
from benchmarks.harness import Case, Measured, Timing, Way
from benchmarks.replaying import PROTOCOLS, session, staged
from benchmarks.requests import sample
from benchmarks.senders import Pace, Protocol, pace_of
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


def test_lateness_becomes_a_pace() -> None:
    late_by_ns = [2_000_000, *range(100_000, 10_000_000, 100_000), 5_000_000]

    assert pace_of(late_by_ns) == Pace(3.0, 5.0, 9.8, 9.9)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_replay_and_a_bare_sender_send_all_of_a_session(
    protocol: Protocol, tmp_path: Path
) -> None:
    with (
        session(tmp_path, size_bytes=4_000, count=20) as folder,
        staged(folder, 4_000, 20, protocol) as stage,
    ):
        replayed = stage.replay(protocol=protocol, compression="gzip", is_heard=True)
        bare = stage.send_barely(protocol=protocol, is_gzip=True)
        idle = stage.send_barely(protocol="nothing", rate=1_000.0)

    assert (replayed.pace is None, bare.pace is None, idle.pace is None) == (False, True, False)
    assert min(each.cpu_s for each in (replayed, bare, idle)) > 0
    assert min(each.peak_bytes for each in (replayed, bare, idle)) > 0
    assert not list(tmp_path.iterdir())
