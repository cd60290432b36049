"""A replay is planned by the manifests of its sessions; payloads are read only where asked."""

from array import array
from collections.abc import Mapping
from typing import Final

import anyio.to_thread

from otlp_capture.clock import Clock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import SessionIndex
from otlp_capture.storage import S3Storage
from otlp_replay.config import ReplayConfig, check_config
from otlp_replay.errors import ReplayError
from otlp_replay.opening import open_sessions
from otlp_replay.plan.ages import Shifting, TargetWindow, ages_of
from otlp_replay.plan.choosing import narrowing_settings
from otlp_replay.plan.course import Course, offsets_of
from otlp_replay.plan.draft import Draft, draft_of
from otlp_replay.plan.judging import Findings, concerns_of
from otlp_replay.plan.lineage import Batches, Lineage, read_lineage
from otlp_replay.plan.report import ReplayPlan, Timeline
from otlp_replay.plan.schedule import ReplaySchedule, ScheduledEvents
from otlp_replay.plan.timetable import Curve, Timetable, curve_of, due_timetable_of, timetable_of
from otlp_replay.plan.totals import amounts_of

_ANY_AGE: Final = TargetWindow()


async def plan_replay(
    storage: S3Storage,
    clock: Clock,
    config: ReplayConfig,
    *,
    target: TargetWindow = _ANY_AGE,
    dependencies: bool = False,
) -> Outcome[ReplayPlan, ReplayError]:
    """Say what a replay will send and when, as if it started now.

    It takes seconds for a million requests, by the manifest alone. Memory is bounded by 64-bit
    columns: nothing is kept for each request but these.

    Args:
        storage: where the sessions are.
        clock: tells the time.
        config: what the replay is to do.
        target: which records its target takes.
        dependencies: whether traces and metrics are read, to tell which requests depend on which.

    Fails with:
        InvalidConfig, InvalidSessionId: the configuration cannot be.
        SessionNotFound: there is no such session.
        NothingSelected: nothing that it holds is to be sent.
        DataCorrupted, DecompressionFailure: a segment that is to be sent is damaged.
        StorageFailure: the store did not answer well.
    """
    checked = check_config(config)
    if isinstance(checked, Failure):
        return checked
    opened = await open_sessions(storage, config)
    if isinstance(opened, Failure):
        return opened
    draft = await anyio.to_thread.run_sync(draft_of, opened.unwrap().indexes, config)
    lineage: Lineage | None = None
    if dependencies:
        read = await read_lineage(storage, draft.requests)
        if isinstance(read, Failure):
            return read
        lineage = read.unwrap()
    return Success(
        await anyio.to_thread.run_sync(plan_of, draft, config, clock.time_ns(), target, lineage)
    )


def calculate_replay_timing(
    sessions: Mapping[str, SessionIndex],
    config: ReplayConfig,
    start_unix_nano: int,
    lineage: Lineage | None = None,
) -> ReplaySchedule:
    """Return the events of a replay in their order, with original and planned times.

    Args:
        sessions: the index of each session by its id.
        config: what the replay is to do; it has passed `check_config`.
        start_unix_nano: when it starts.
        lineage: what depends on what, as `read_lineage` finds it; without it, that is not known.
    """
    draft = draft_of(sessions, config)
    return _schedule(draft, timetable_of(draft.course), start_unix_nano, lineage)


def plan_of(
    draft: Draft,
    config: ReplayConfig,
    start_unix_nano: int,
    target: TargetWindow,
    lineage: Lineage | None,
) -> ReplayPlan:
    """Measure a draft: what `plan_replay` answers, once all is read that is to be read."""
    requests, course = draft.requests, draft.course
    timetable = timetable_of(course)
    count = course.per_loop * course.loops if timetable is None else timetable.count
    shifting = Shifting(
        config.timestamp_adjustment,
        config.base_time_offset,
        start_unix_nano,
        draft.window_start_unix_nano,
    )
    # Where planned times are not known, those at which requests are due stand for them.
    known = due_timetable_of(course) if timetable is None else timetable
    ages = ages_of(requests, known, course, shifting, target)
    findings = Findings(config, draft, timetable, ages, target, lineage)
    return ReplayPlan(
        session_ids=config.session_ids,
        start_unix_nano=start_unix_nano,
        speed=config.speed_multiplier,
        loops=config.loops,
        copies=config.copies,
        by_signal=amounts_of(requests, course, count),
        is_exact=not narrowing_settings(config),
        recorded=_recorded(draft),
        planned=_timeline(timetable, draft),
        out_of_order=requests.out_of_order,
        ages=ages,
        warnings=concerns_of(findings),
        schedule=_schedule(draft, timetable, start_unix_nano, lineage),
    )


def _recorded(draft: Draft) -> Timeline:
    """Return one loop as it was recorded, pauses and all."""
    arrivals = draft.requests.arrivals
    if not arrivals:
        return Timeline(0, curve=Curve(0, ()))
    offsets = offsets_of(arrivals, arrivals[0], None)
    return _measured(due_timetable_of(Course(offsets, offsets[-1])), draft)


def _timeline(timetable: Timetable | None, draft: Draft) -> Timeline:
    course = draft.course
    if not course.offsets:
        return Timeline(0, curve=Curve(0, ()))
    if timetable is None or (not course.pace and course.costs is None):
        return Timeline()
    return _measured(timetable, draft)


def _measured(timetable: Timetable, draft: Draft) -> Timeline:
    ones = array("Q", [1]) * len(draft.requests)
    return Timeline(
        timetable.last_ns,
        timetable.peak(ones),
        timetable.peak(draft.requests.sizes),
        curve_of(timetable),
    )


def _schedule(
    draft: Draft, timetable: Timetable | None, start_unix_nano: int, lineage: Lineage | None
) -> ReplaySchedule:
    course = draft.course
    events = ScheduledEvents(draft.requests, course, start_unix_nano, lineage)
    if timetable is None:
        return ReplaySchedule(
            events, None, _batches(course, course.per_loop * course.loops, lineage)
        )
    is_timed = bool(course.pace) or course.costs is not None
    duration_ns = timetable.last_ns - next(course.times(), 0) if timetable.count else 0
    return ReplaySchedule(
        events,
        duration_ns if is_timed else None,
        _batches(course, timetable.count, lineage),
    )


def _batches(course: Course, count: int, lineage: Lineage | None) -> Batches | None:
    if lineage is None:
        return None
    return Batches(lineage.batches(), course.loops, course.copies, count)
