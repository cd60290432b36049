"""Retention against a slow oracle: what goes, what stays, and that the figures are exact."""

import math
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otlp_capture.result import or_raise
from otlp_capture.retention import (
    ContinuousRetention,
    LabelRule,
    RetentionPlan,
    RetentionPolicy,
    SessionsRetention,
)
from tests.clocks import VirtualClock
from tests.faulty_storage import FaultyStorage, When
from tests.retention import Kept, contents, opened_retention, put
from tests.sessions import opened_memory

pytestmark = pytest.mark.anyio

DAYS = st.integers(0, 8)
LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2)
TODAY = 23
"""Of November 2025, where a `VirtualClock` stands."""

sessions = st.lists(
    st.builds(
        Kept,
        name=st.sampled_from([f"s{number}" for number in range(8)]),
        age_days=DAYS,
        size_bytes=st.integers(0, 400),
        status=st.sampled_from(["completed", "completed", "failed", "active"]),
        labels=LABELS,
        is_held=st.sampled_from([False, False, False, True]),
        is_being_deleted=st.sampled_from([False, False, False, True]),
    ),
    max_size=8,
    unique_by=lambda kept: kept.name,
)
rules = st.builds(
    LabelRule,
    name=st.sampled_from("ab"),
    value=st.sampled_from(["x", "y", None]),
    days=st.one_of(st.none(), DAYS),
)
policies = st.builds(
    RetentionPolicy,
    continuous=st.builds(ContinuousRetention, retention_days=DAYS, enabled=st.booleans()),
    sessions=st.builds(
        SessionsRetention,
        default_retention_days=DAYS,
        archive_after_days=st.one_of(st.none(), DAYS),
        cleanup_enabled=st.sampled_from([True, True, True, False]),
    ),
    labels=st.lists(rules, max_size=3),
    max_total_bytes=st.one_of(st.none(), st.integers(0, 4_000)),
)
days = st.dictionaries(st.integers(14, 23), st.integers(0, 100), max_size=5)


def wanted(
    kept: list[Kept], sizes: Mapping[str, int], held_days: Mapping[int, int], policy: Any
) -> dict[str, str]:
    """Say what becomes of what, the slow way: one decision at a time, from the words."""
    gone: dict[str, str] = {}
    total = sum(sizes.values()) + sum(held_days.values())
    if policy.continuous.enabled:
        for day, size in held_days.items():
            age = TODAY + 1 / 24 - (day + 1)
            if age >= policy.continuous.retention_days:
                gone[f"continuous/2025-11-{day:02}/"] = "delete"
                total -= size
    if not policy.sessions.cleanup_enabled:
        return gone
    archived_at = policy.sessions.archive_after_days
    waiting: list[tuple[float, str, str, bool]] = []
    for each in kept:
        if each.is_held or each.status == "active":
            continue
        if each.is_being_deleted:
            gone[each.name] = "delete"
            total -= sizes[each.name]
            continue
        chosen = [
            math.inf if rule.days is None else rule.days
            for rule in policy.labels
            if rule.name in each.labels and rule.value in {None, each.labels[rule.name]}
        ]
        limit = max(chosen) if chosen else policy.sessions.default_retention_days
        what, at = "delete", limit
        if archived_at is not None and archived_at < limit:
            what, at = "archive", archived_at
        if each.age_days >= at:
            gone[each.name] = what
            total -= sizes[each.name]
        else:
            waiting.append((-each.age_days, each.name, what, limit == math.inf))
    if policy.max_total_bytes is None:
        return gone
    for _, name, what, is_kept_for_ever in sorted(waiting):
        if total > policy.max_total_bytes and not is_kept_for_ever:
            gone[name] = what
            total -= sizes[name]
    return gone


def said(plan: RetentionPlan) -> dict[str, str]:
    return {
        action.path.removeprefix("sessions/").rstrip("/")
        if action.metadata is not None
        else action.path: action.action
        for action in plan.actions
    }


def without_metadata(objects: Mapping[str, bytes]) -> dict[str, bytes]:
    return {key: data for key, data in objects.items() if not key.endswith("metadata.json")}


@settings(max_examples=150)
@given(kept=sessions, held_days=days, policy=policies)
async def test_the_plan_is_the_oracles_and_the_run_is_the_plan(
    kept: list[Kept], held_days: dict[int, int], policy: RetentionPolicy
) -> None:
    async with opened_memory() as inner, opened_memory() as archive:
        storage = FaultyStorage(inner)
        for each in kept:
            await put(storage, each)
        for day, size in held_days.items():
            or_raise(
                await storage.store_raw_data(b"x" * size, f"continuous/2025-11-{day:02}/raw/x")
            )
        before = await contents(storage)
        storage.written.clear()
        async with opened_retention(storage, VirtualClock(), archive) as service:
            plan = or_raise(await service.plan_retention(policy))
            unchanged = await contents(storage)
            result = or_raise(await service.run_retention(plan))
            used = or_raise(await service.get_storage_usage())
            again = or_raise(await service.plan_retention(policy))
        after, archived = await contents(storage), await contents(archive)

    sizes = {
        each.name: sum(
            len(data) for key, data in before.items() if key.startswith(f"sessions/{each.name}/")
        )
        for each in kept
    }
    expected = wanted(kept, sizes, held_days, policy)
    assert said(plan) == expected
    assert unchanged == before
    gone = {
        key: data
        for key, data in before.items()
        if key.split("/")[1] in expected or key[: len("continuous/2025-11-01/")] in expected
    }
    assert after == {key: data for key, data in before.items() if key not in gone}
    moved = {name for name, what in expected.items() if what == "archive"}
    assert archived == {key: data for key, data in gone.items() if key.split("/")[1] in moved}
    freed = len(gone), sum(map(len, gone.values()))
    assert (plan.freed_objects, plan.freed_size_bytes) == freed
    assert (result.deleted_objects, result.freed_space_bytes) == freed
    assert (result.errors, len(result.processed_paths)) == ((), len(expected))
    assert used.total_size_bytes == sum(map(len, after.values()))
    assert again.actions == ()
    assert plan.shortfall_bytes == again.shortfall_bytes
    untouched = {each.name for each in kept if each.is_held or each.status == "active"}
    assert untouched == {each.session_id for each in plan.protected}
    assert untouched <= {key.split("/")[1] for key in after}


@settings(max_examples=100)
@given(
    kept=sessions,
    policy=policies,
    method=st.sampled_from(
        [
            "store_raw_data",
            "retrieve_raw_data",
            "head",
            "list_objects",
            "delete_raw_data",
            "honours_conditions",
        ]
    ),
    where=st.sampled_from(["source", "archive"]),
    within=st.sampled_from(["", "raw/", "manifest/", "metadata"]),
    passing=st.integers(0, 6),
    when=st.sampled_from(["before", "after"]),
)
async def test_whatever_fails_each_session_is_whole_somewhere_or_seen_and_can_be_done_again(
    kept: list[Kept],
    policy: RetentionPolicy,
    method: str,
    where: str,
    within: str,
    passing: int,
    when: When,
) -> None:
    policy = attrs.evolve(policy, max_total_bytes=None)
    async with opened_memory() as inner, opened_memory() as other:
        storage, archive = FaultyStorage(inner), FaultyStorage(other)
        for each in kept:
            await put(storage, each)
        before = await contents(inner)
        async with opened_retention(storage, VirtualClock(), archive) as service:
            plan = or_raise(await service.plan_retention(policy))
            failing = storage if where == "source" else archive
            within = "" if method == "list_objects" else within
            failing.fail(method, within=within, when=when, passing=passing)
            first = or_raise(await service.run_retention(plan))
            failing.mend()
            middle, copies = await contents(inner), await contents(other)
            archived = {name for name, what in said(plan).items() if what == "archive"}
            for each in kept:
                prefix = f"sessions/{each.name}/"
                original = {k: v for k, v in before.items() if k.startswith(prefix)}
                here = {k: v for k, v in middle.items() if k.startswith(prefix)}
                there = {k: v for k, v in copies.items() if k.startswith(prefix)}
                is_seen = f"{prefix}metadata.json" in here
                is_gone = not here and (when == "after" or prefix in first.processed_paths)
                assert original in (here, there) or is_seen or is_gone
                if each.name in archived:
                    assert there == original or without_metadata(here) == without_metadata(original)
            freed = first.deleted_objects, first.freed_space_bytes
            sizes = sum(map(len, before.values())) - sum(map(len, middle.values()))
            if when == "before":
                assert freed == (len(before) - len(middle), sizes)
            plan = or_raise(await service.plan_retention(policy))
            second = or_raise(await service.run_retention(plan))
            assert second.errors == ()
            assert or_raise(await service.plan_retention(policy)).actions == ()
        after, copies = await contents(inner), await contents(other)
    expected = wanted(kept, dict.fromkeys((each.name for each in kept), 0), {}, policy)
    assert {key.split("/")[1] for key in after} == {e.name for e in kept} - expected.keys()
    moved = {name for name, what in expected.items() if what == "archive"}
    assert copies == {key: data for key, data in before.items() if key.split("/")[1] in moved}
