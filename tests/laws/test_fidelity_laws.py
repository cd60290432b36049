"""Figures of fidelity against exact ones, over sorted lists."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_replay.events import Settled
from otlp_replay.fidelity import Histogram, decode_certificate, encode_certificate
from otlp_replay.fidelity.distances import distance
from otlp_replay.fidelity.gaps import WINDOW, Gaps
from otlp_replay.fidelity.histogram import bounds_of, bucket_of, distribution_of, middle_of
from otlp_replay.fidelity.series import CAPACITY, Series
from tests.observed import certified, observed, settled

SIGNALS = st.sampled_from(["traces", "metrics", "logs"])
values = st.integers(-(1 << 62), 1 << 62) | st.integers(-1000, 1000) | st.integers(0, 10**10)
positive = st.integers(0, 10**10)
shares = st.floats(0, 1)


@given(values, values)
def test_a_bucket_holds_its_values_and_grows_with_them(one: int, other: int) -> None:
    least, greatest = bounds_of(bucket_of(one))

    assert least <= one <= greatest
    assert greatest - least <= abs(one) / 128
    assert abs(middle_of(bucket_of(one)) - one) <= abs(one) / 128
    assert bucket_of(middle_of(bucket_of(one))) == bucket_of(one)
    assert one >= other or bucket_of(one) <= bucket_of(other)


@given(st.lists(values, min_size=1), shares)
def test_a_quantile_is_less_than_one_part_in_128_from_the_exact_one(
    held: list[int], share: float
) -> None:
    found = distribution_of(held)
    rank = max(math.ceil(round(share * len(held), 9)), 1)
    exact = sorted(held)[rank - 1]

    assert abs(found.quantile(share) - exact) <= abs(exact) / 128
    assert (found.count, found.total) == (len(held), sum(held))
    assert (found.minimum, found.maximum) == (min(held), max(held))
    assert (found.quantile(0), found.quantile(1)) == (min(held), max(held))


@given(st.lists(values), st.lists(values))
def test_two_merged_histograms_are_the_one_of_all_values(one: list[int], other: list[int]) -> None:
    merged = Histogram()
    merged.merge(distribution_of(one))
    merged.merge(distribution_of(other))

    assert merged.distribution() == distribution_of(one + other)


@given(st.lists(positive, min_size=1), st.lists(positive, min_size=1))
def test_distances_are_those_of_the_values_themselves(one: list[int], other: list[int]) -> None:
    found = distance(distribution_of(one), distribution_of(other))
    assert found is not None
    slack = (sum(one) / len(one) + sum(other) / len(other)) / 128 + 1e-6

    assert abs(found.wasserstein_ns - _wasserstein(one, other)) <= slack
    by_bucket = [bucket_of(each) for each in one], [bucket_of(each) for each in other]
    assert found.kolmogorov_smirnov == pytest.approx(_kolmogorov_smirnov(*by_bucket), abs=1e-9)


def _wasserstein(one: list[int], other: list[int]) -> float:
    both = sorted([*one, *other])
    return sum(
        abs(_share(one, low) - _share(other, low)) * (high - low) for low, high in pairwise(both)
    )


def _kolmogorov_smirnov(one: list[int], other: list[int]) -> float:
    return max(abs(_share(one, value) - _share(other, value)) for value in [*one, *other])


def _share(held: list[int], value: int) -> float:
    return sum(each <= value for each in held) / len(held)


@given(st.lists(positive), st.randoms(use_true_random=False))
def test_gaps_do_not_depend_on_the_order_in_which_times_are_told(
    times: list[int], order: Any
) -> None:
    told = sorted(times)
    order.shuffle(told)
    gaps = Gaps()
    for at_ns in told:
        gaps.add(at_ns)

    expected = [later - earlier for earlier, later in pairwise(sorted(times))]
    assert (gaps.distribution(), gaps.left_out) == (distribution_of(expected), 0)


def test_a_time_that_is_told_far_too_late_is_left_out_and_counted() -> None:
    gaps = Gaps()
    for at_ns in [*range(10, 10 + 2 * WINDOW), 5]:
        gaps.add(at_ns)
    gaps.add(10**9)

    assert gaps.left_out == 1
    assert gaps.distribution().count == 2 * WINDOW


@given(st.lists(st.tuples(positive, st.integers(0, 10**9)), max_size=40), st.integers(0, 1 << 50))
def test_a_series_keeps_all_requests_in_few_stretches(
    told: list[tuple[int, int]], start: int
) -> None:
    series = Series()
    for planned_ns, late_ns in told:
        series.add(start + planned_ns * 50, start + planned_ns * 50 + late_ns)
    stretches = series.stretches(start)

    assert len(stretches) <= CAPACITY
    assert sum(each.planned for each in stretches) == len(told)
    assert sum(each.dispatched for each in stretches) == len(told)
    for stretch in stretches:
        end_ns = stretch.start_ns + series.width_ns
        due = [late for at, late in told if stretch.start_ns <= at * 50 < end_ns]
        assert (stretch.planned, stretch.max_ns) == (len(due), max(due, default=0))
        median = sorted(due)[(len(due) - 1) // 2] if due else 0
        assert abs(stretch.p50_ns - median) <= median / 32


replays = st.lists(
    st.tuples(
        positive,
        st.none() | st.integers(-(10**6), 10**9),
        SIGNALS,
        st.sampled_from(["delivered", "rejected", "failed", "unknown", "not_sent"]),
        st.integers(0, 5),
        st.integers(0, 100),
        st.integers(0, 100),
        st.sampled_from(["", "200", "503", "UNAVAILABLE"]),
    ),
    max_size=30,
).map(
    lambda rows: [
        settled(
            number,
            planned_ns,
            late_ns,
            signal=signal,
            outcome=outcome,
            attempts=attempts,
            record_count=records,
            rejected_records=min(refused, records) if outcome == "rejected" else 0,
            status=status,
            reason="ReplayInterrupted" if outcome == "not_sent" else "",
        )
        for number, (
            planned_ns,
            late_ns,
            signal,
            outcome,
            attempts,
            records,
            refused,
            status,
        ) in enumerate(rows)
    ]
)


@given(replays, st.integers(0, 5))
def test_a_certificate_accounts_for_all_that_was_planned(told: list[Settled], more: int) -> None:
    held = certified(told, planned_requests=len(told) + more)
    outcomes = ("delivered", "rejected", "failed", "unknown", "not_sent")

    assert {each: held.requests(each) for each in outcomes} == {
        each: sum(one.outcome == each for one in told) for each in outcomes
    }
    assert held.unreached_requests == more
    assert sum(map(held.records, outcomes)) == sum(one.record_count for one in told)
    assert held.retries == sum(max(one.attempts - 1, 0) for one in told)
    assert held.size_bytes == sum(one.size_bytes for one in told)


@given(replays, st.randoms(use_true_random=False))
def test_drift_is_the_lateness_of_each_less_that_of_the_first(
    told: list[Settled], order: Any
) -> None:
    sent = [one for one in told if one.stamps.dispatched_ns is not None]
    in_order = sorted(sent, key=lambda one: (one.stamps.planned_ns, one.event.number))
    late = [one.stamps.lateness_ns or 0 for one in in_order]
    order.shuffle(told)
    timing = observed(told).timing

    if not sent:
        assert (timing.end_drift_ns, timing.worst_drift_ns) == (0, 0)
        return
    assert timing.end_drift_ns == late[-1] - late[0]
    assert abs(timing.worst_drift_ns) == max(abs(each - late[0]) for each in late)
    planned = in_order[-1].stamps.planned_ns - in_order[0].stamps.planned_ns
    assert timing.planned_duration_ns == planned


@given(replays)
def test_a_certificate_is_read_as_it_was_written(told: list[Settled]) -> None:
    held = certified(told, error="it broke off" if told else "", started_at=None)

    assert decode_certificate("key", encode_certificate(held)).unwrap() == held


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    ).map(lambda value: repr(value).replace("'", '"').encode())
)
def test_whatever_is_read_as_a_certificate_gives_a_value(document: bytes) -> None:
    assert "key" in decode_certificate("key", document).failure().message
