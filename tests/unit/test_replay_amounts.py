"""Amounts as people write them, and what is none."""

from collections.abc import Callable
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from otlp_replay import After, At, Rate, Shard
from otlp_replay.commands.amounts import (
    date_of,
    duration_ns,
    moment_of,
    rate_of,
    seconds,
    shard_of,
    size_bytes,
    speed_of,
)

OPTION = "--option"


@given(
    st.integers(0, 10**6), st.sampled_from([("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9)])
)
def test_a_duration_is_its_number_times_its_unit(number: int, unit: tuple[str, int]) -> None:
    name, ns = unit

    assert duration_ns(f"{number}{name}", OPTION) == number * ns


@pytest.mark.parametrize(
    ("read", "text", "meant"),
    [
        (duration_ns, "1h30m", 5_400_000_000_000),
        (duration_ns, "1.5 ms", 1_500_000),
        (duration_ns, "0", 0),
        (seconds, "250ms", 0.25),
        (seconds, None, None),
        (moment_of, "5m", After(300_000_000_000)),
        (moment_of, "-30s", After(-30_000_000_000)),
        (moment_of, "2025-11-23T01:23:20", At(1_763_861_000_000_000_000)),
        (moment_of, "2025-11-23T02:23:20+01:00", At(1_763_861_000_000_000_000)),
        (size_bytes, "10kB", 10_000),
        (size_bytes, "2MiB", 2 << 20),
        (rate_of, "500/s", Rate(500.0, "requests")),
        (rate_of, "10000 records/s", Rate(10_000.0, "records")),
        (rate_of, "2MB/s", Rate(2_000_000.0, "bytes")),
        (rate_of, "120 requests/min", Rate(2.0, "requests")),
        (shard_of, "4/4", Shard(3, 4)),
        (shard_of, None, Shard(0, 1)),
        (speed_of, "max", "max"),
        (speed_of, "2x", 2.0),
        (speed_of, "0.5", 0.5),
    ],
)
def test_what_people_write_is_understood(
    read: Callable[[Any, str], object], text: str | None, meant: object
) -> None:
    assert read(text, OPTION) == meant


@pytest.mark.parametrize(
    ("read", "texts"),
    [
        (duration_ns, ["10", "ten ms", "", "5 fortnights", "-5s"]),
        (moment_of, ["yesterday", "12:00", "--5s"]),
        (date_of, ["yesterday", "5m"]),
        (size_bytes, ["big", "-1", "1TB"]),
        (rate_of, ["500", "500/fortnight", "five/s", "3 spans/s"]),
        (shard_of, ["0/4", "5/4", "1", "a/b"]),
        (speed_of, ["fast", "nan", "inf"]),
    ],
)
def test_what_is_no_amount_is_refused_with_what_is_one(
    read: Callable[[str, str], object], texts: list[str]
) -> None:
    for text in texts:
        with pytest.raises(typer.BadParameter) as refused:
            read(text, OPTION)
        assert refused.value.param_hint == OPTION
        assert repr(text) in refused.value.message
