"""A replay before it is measured: its requests in order, and their course."""

from array import array
from collections.abc import Mapping, Sequence

import attrs

from otlp_capture.sessions import SessionIndex
from otlp_replay.config import ReplayConfig
from otlp_replay.pacing import Rate
from otlp_replay.plan.choosing import excerpts_of
from otlp_replay.plan.columns import Excerpt, Requests, requests_of
from otlp_replay.plan.course import SECOND_NS, Course, offsets_of, period_of


@attrs.frozen(eq=False)
class Draft:
    """What is sent, and in which course.

    Attributes:
        requests: the requests of one loop.
        course: when they are planned.
        window_start_unix_nano: what stands for the replay's start in the recording.
    """

    requests: Requests
    course: Course
    window_start_unix_nano: int


def draft_of(sessions: Mapping[str, SessionIndex], config: ReplayConfig) -> Draft:
    """Put what *config* takes of sessions in order, and give it its course.

    Args:
        sessions: the index of each session by its id, merged by arrival in this order.
        config: what to take, and at what pace.
    """
    excerpts = excerpts_of(sessions, config)
    requests = requests_of(excerpts, config.limit)
    window_start = _window_start(excerpts)
    gap_ns = None if config.max_gap_s is None else round(config.max_gap_s * SECOND_NS)
    offsets = offsets_of(requests.arrivals, window_start, gap_ns)
    duration_s, rate = config.max_duration_s, config.max_rate
    course = Course(
        offsets,
        period_ns=period_of(offsets),
        loops=config.loops,
        copies=config.copies,
        speed=config.speed_multiplier,
        costs=None if rate is None else _costs(requests, rate),
        per_second=1.0 if rate is None else rate.per_second,
        limit_ns=None if duration_s is None else round(duration_s * SECOND_NS),
    )
    return Draft(requests, course, window_start)


def _window_start(excerpts: Sequence[Excerpt]) -> int:
    """Return where the window begins, or the first segment of it where that is later."""
    firsts = [
        min(arrivals)
        for excerpt in excerpts
        for segment in excerpt.segments
        if any(map(excerpt.holds, arrivals := segment.frames.column("received_unix_nano")))
    ]
    return max(excerpts[0].start_unix_nano or 0, min(firsts, default=0))


def _costs(requests: Requests, rate: Rate) -> "array[int]":
    match rate.unit:
        case "requests":
            return array("Q", [1]) * len(requests)
        case "records":
            return requests.records
        case "bytes":
            return requests.sizes
