"""What is to be said of a plan before it is carried out."""

from collections.abc import Iterator

import attrs

from otlp_replay.config import ReplayConfig
from otlp_replay.plan.ages import Ages, TargetWindow
from otlp_replay.plan.choosing import narrowing_settings
from otlp_replay.plan.concerns import (
    Concern,
    CountsAreUpperBounds,
    CutByDuration,
    NothingSelected,
    RecordsInFuture,
    RecordsTooOld,
    RelationsBend,
    RequestsTooLong,
    SettingWithoutEffect,
    SpansForgotten,
    TimestampsOutOfRange,
    TimesUnknown,
)
from otlp_replay.plan.draft import Draft
from otlp_replay.plan.lineage import Lineage
from otlp_replay.plan.timetable import Timetable


@attrs.frozen
class Findings:
    """What was found out of a replay.

    Attributes:
        config: what it is asked to do.
        draft: its requests and their course.
        timetable: when they are planned, as far as that is known.
        ages: how old records will be.
        target: which of them the target takes.
        lineage: what depends on what; None: it was not read.
    """

    config: ReplayConfig
    draft: Draft
    timetable: Timetable | None
    ages: Ages
    target: TargetWindow
    lineage: Lineage | None


def concerns_of(findings: Findings) -> tuple[Concern, ...]:
    """Return what a user should know before the replay is started."""
    if not len(findings.draft.requests):
        return (NothingSelected(),)
    checks = (_counts, _relations, _ages, _lengths, _times, _settings)
    return tuple(concern for check in checks for concern in check(findings))


def _counts(findings: Findings) -> Iterator[Concern]:
    settings = narrowing_settings(findings.config)
    if settings:
        yield CountsAreUpperBounds(settings)
    lineage = findings.lineage
    if lineage is not None and lineage.forgotten_spans:
        yield SpansForgotten(lineage.forgotten_spans)


def _relations(findings: Findings) -> Iterator[Concern]:
    config, lineage = findings.config, findings.lineage
    is_as_recorded = (
        config.speed_multiplier == 1 and config.max_gap_s is None and config.max_rate is None
    )
    if config.timestamp_adjustment != "current" or is_as_recorded:
        return
    if lineage is None:
        has_relations = {"traces", "metrics"} & {
            segment.signal for segment in findings.draft.requests.segments
        }
        if has_relations:
            yield RelationsBend(None, None)
    elif lineage.with_parents_elsewhere or lineage.with_cumulative_points:
        yield RelationsBend(lineage.with_parents_elsewhere, lineage.with_cumulative_points)


def _ages(findings: Findings) -> Iterator[Concern]:
    ages, target = findings.ages, findings.target
    if ages.too_old and ages.oldest_ns is not None and target.oldest_accepted_s is not None:
        yield RecordsTooOld(ages.too_old, ages.oldest_ns, target.oldest_accepted_s)
    if ages.too_new and ages.youngest_ns is not None and target.newest_accepted_s is not None:
        yield RecordsInFuture(ages.too_new, -ages.youngest_ns, target.newest_accepted_s)
    if ages.out_of_range:
        yield TimestampsOutOfRange(ages.out_of_range)


def _lengths(findings: Findings) -> Iterator[Concern]:
    most = findings.config.max_request_bytes
    too_long = sum(size > most for size in findings.draft.requests.sizes)
    if too_long:
        yield RequestsTooLong(too_long, most)


def _times(findings: Findings) -> Iterator[Concern]:
    config, course = findings.config, findings.draft.course
    everything = course.per_loop * course.loops
    if findings.timetable is None:
        yield TimesUnknown(everything, course.at_least_ns)
    elif config.max_duration_s is not None and findings.timetable.count < everything:
        yield CutByDuration(everything - findings.timetable.count, config.max_duration_s)


def _settings(findings: Findings) -> Iterator[Concern]:
    config = findings.config
    if config.speed_multiplier != "max":
        return
    if config.max_gap_s is not None:
        yield SettingWithoutEffect("max_gap_s")
    if config.late_policy != "catch_up" and config.max_rate is None:
        yield SettingWithoutEffect("late_policy")
