"""Which session is chosen, and what an orchestrated replay is asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture.capture import InvalidConfig
from otlp_capture.layer import open_runtime, succeed, wire
from otlp_capture.result import or_raise
from otlp_capture.sessions import CaptureSessionMetadata, SessionNotFound
from otlp_capture.storage import S3StorageTag
from otlp_replay import ReplayConfig
from otlp_replay.orchestrator import (
    NoSessionMatches,
    OrchestratorConfig,
    OrchestratorStatus,
    SessionFilter,
    SessionManagerLive,
    SessionManagerTag,
    session_type,
)
from otlp_replay.orchestrator.choosing import choose
from otlp_replay.orchestrator.model import check_orchestration
from tests.replays import numbered
from tests.sessions import SECOND, START, arriving, opened_memory, write_session

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def session(name: str, *, size: int = 100, hour: int = 0, **more: Any) -> CaptureSessionMetadata:
    return CaptureSessionMetadata(
        session_id=name,
        start_time=BEGIN + timedelta(hours=hour),
        end_time=BEGIN + timedelta(hours=hour + 1),
        s3_prefix=f"sessions/{name}",
        created_by="tests",
        total_size_bytes=size,
        **{"status": "completed", "captured_traces": 1, **more},
    )


SESSIONS = (
    session("first", size=50),
    session("seed-1", size=900, hour=1),
    session("training-1", size=20, hour=2),
    session("labelled", size=70, hour=3, labels={"type": "training"}),
    session("empty", size=0, hour=4, captured_traces=0),
    session("leaving", size=2000, hour=5, deleting_since=BEGIN),
    session("going-on", size=1000, hour=6, status="active"),
)

sessions = st.builds(
    session,
    st.sampled_from(["a", "b", "seed-a", "training-b"]),
    size=st.integers(0, 3),
    hour=st.integers(0, 3),
    status=st.sampled_from(["active", "completed", "failed"]),
    captured_traces=st.integers(0, 1),
)
filters = st.builds(
    SessionFilter,
    session_type=st.none() | st.sampled_from(["seed", "capture", "training"]),
    min_size_bytes=st.none() | st.integers(0, 3),
    max_size_bytes=st.none() | st.integers(0, 3),
    after_date=st.none() | st.just(BEGIN + timedelta(hours=1)),
    before_date=st.none() | st.just(BEGIN + timedelta(hours=2)),
)


@pytest.mark.parametrize(
    ("strategy", "where", "chosen"),
    [
        ("latest", SessionFilter(), "labelled"),
        ("largest", SessionFilter(), "seed-1"),
        ("smallest", SessionFilter(), "training-1"),
        ("largest", SessionFilter(session_type="training"), "labelled"),
        ("latest", SessionFilter(session_type="capture"), "first"),
        ("latest", SessionFilter(session_type="seed"), "seed-1"),
        ("smallest", SessionFilter(min_size_bytes=50), "first"),
        ("largest", SessionFilter(max_size_bytes=69), "first"),
        ("largest", SessionFilter(after_date=BEGIN + timedelta(hours=2)), "labelled"),
        ("latest", SessionFilter(before_date=BEGIN + timedelta(hours=2)), "seed-1"),
    ],
)
def test_the_session_that_is_meant_is_chosen(
    strategy: Any, where: SessionFilter, chosen: str
) -> None:
    assert or_raise(choose(SESSIONS, strategy, where, None)).session_id == chosen


@given(st.lists(sessions, max_size=5), st.sampled_from(["latest", "largest", "smallest"]), filters)
def test_no_other_session_that_may_be_chosen_would_be_more_to_the_point(
    listed: list[CaptureSessionMetadata], strategy: Any, where: SessionFilter
) -> None:
    listed.sort(key=lambda each: each.start_time)
    may_be = [
        each
        for each in listed
        if each.status != "active" and each.captured_traces and where.matches(each)
    ]

    match choose(listed, strategy, where, None):
        case Success(chosen):
            assert chosen in may_be
            sizes = [each.total_size_bytes for each in may_be]
            expected = {
                "latest": chosen.start_time == max(each.start_time for each in may_be),
                "largest": chosen.total_size_bytes == max(sizes),
                "smallest": chosen.total_size_bytes == min(sizes),
            }
            assert expected[strategy]
        case Failure(error):
            assert isinstance(error, NoSessionMatches)
            assert may_be == []


@given(st.integers())
def test_chance_chooses_alike_by_the_same_seed(seed: int) -> None:
    first, second = (choose(SESSIONS, "random", SessionFilter(), seed) for _ in range(2))

    assert first == second


def test_chance_leaves_no_session_out() -> None:
    chosen = {
        or_raise(choose(SESSIONS, "random", SessionFilter(), seed)).session_id
        for seed in range(100)
    }

    assert chosen == {"first", "seed-1", "training-1", "labelled"}


def test_where_none_can_be_chosen_it_says_what_there_is() -> None:
    where = SessionFilter(session_type="seed", min_size_bytes=1000)

    error = choose(SESSIONS, "latest", where, None).failure()

    assert error.message == (
        "No session can be chosen (type seed, at least 1,000 bytes). There are 1 of type seed, "
        "1 of type capture, 2 of type training, of 20 to 900 bytes, begun from 2026-01-01 00:00 "
        "to 2026-01-01 03:00. Ask for others, or name one; `otlp-capture sessions list` shows all."
    )


def test_a_label_goes_before_a_name() -> None:
    assert session_type(session("seed-1", labels={"type": "capture"})) == "capture"
    assert session_type(session("seed-1", labels={"type": "something else"})) == "seed"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"selection_strategy": "newest"}, "selection_strategy"),
        ({"session_filter": SessionFilter(session_type="x")}, "session_filter.session_type"),  # type: ignore[arg-type]  # a user may
        ({"session_filter": SessionFilter(min_size_bytes=-1)}, "session_filter.min_size_bytes"),
        (
            {"session_filter": SessionFilter(min_size_bytes=2, max_size_bytes=1)},
            "session_filter.max_size_bytes",
        ),
        (
            {"session_filter": SessionFilter(after_date=BEGIN, before_date=BEGIN)},
            "session_filter.before_date",
        ),
        (
            {"session_filter": SessionFilter(after_date=BEGIN.replace(tzinfo=None))},
            "session_filter.after_date",
        ),
        ({"max_duration_s": 0}, "max_duration_s"),
        ({"max_duration_s": float("inf")}, "max_duration_s"),
        ({"signals": ("spans",)}, "signals"),
        ({"signals": ()}, "the choice of signals"),
        ({"speed_multiplier": 0}, "speed_multiplier"),
        ({"target_endpoint": "nowhere"}, "target_endpoint"),
    ],
)
def test_what_cannot_be_is_refused_by_name(settings: dict[str, Any], field: str) -> None:
    error = check_orchestration(OrchestratorConfig(**settings)).failure()

    assert isinstance(error, InvalidConfig)
    assert error.field == field


def test_each_pass_of_a_loop_has_ids_of_its_own() -> None:
    further = ReplayConfig(session_id="?", seed=7, max_gap_s=2.0)
    config = OrchestratorConfig(loop_enabled=True, further=further, signals=("logs",))

    assert config.replay_config("s", 3) == ReplayConfig(
        session_id="s",
        replay_traces=False,
        replay_metrics=False,
        seed=10,
        remap_ids=True,
        max_gap_s=2.0,
    )


def test_a_single_pass_leaves_ids_alone() -> None:
    config = OrchestratorConfig(speed_multiplier="max", timestamp_adjustment="current")

    assert config.replay_config("s", 0) == ReplayConfig(
        session_id="s", speed_multiplier="max", timestamp_adjustment="current"
    )


def test_a_status_has_the_documented_names() -> None:
    status = OrchestratorStatus(
        session_id="s",
        status="stopped",
        started_at=BEGIN,
        stopped_at=BEGIN + timedelta(seconds=3),
        run_duration_s=2.5,
        remaining_duration_s=0.0,
        passes=1,
    )

    assert status.to_json() == {
        "sessionId": "s",
        "status": "stopped",
        "startedAt": "2026-01-01T00:00:00.000000Z",
        "stoppedAt": "2026-01-01T00:00:03.000000Z",
        "runDuration": 2.5,
        "remainingDuration": 0.0,
        "passes": 1,
    }
    assert OrchestratorStatus().to_json() == {"status": "idle", "runDuration": 0.0, "passes": 0}


@pytest.mark.anyio
async def test_a_manager_lists_gets_and_selects_what_is_stored() -> None:
    async with opened_memory() as storage:
        first = await write_session(storage, "first", arriving(numbered(1)))
        later = arriving(numbered(5), start=START + 9 * SECOND)
        second = await write_session(storage, "second", later)
        await write_session(storage, "active", arriving(numbered(1)), status="active")
        layer = wire(SessionManagerLive, succeed(S3StorageTag, storage))
        async with open_runtime(layer, SessionManagerTag) as opened:
            (manager,) = or_raise(opened)

            assert await manager.list() == Success((first, second))
            assert await manager.get("first") == Success(first)
            assert await manager.get("none") == Failure(SessionNotFound("none"))
            assert await manager.select() == Success(second)
            assert await manager.select("smallest") == Success(first)
            wrong: Any = "newest"
            refused = (await manager.select(wrong)).failure()
            assert attrs.asdict(refused) == {
                "field": "selection_strategy",
                "value": "newest",
                "allowed": "it is latest, random, largest or smallest",
            }
