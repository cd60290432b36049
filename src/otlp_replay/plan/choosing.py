"""What a plan takes of a session by its manifest alone."""

from fnmatch import fnmatchcase

from otlp_capture.sessions import SegmentIndex, SessionIndex
from otlp_replay.config import ReplayConfig
from otlp_replay.plan.columns import Excerpt
from otlp_replay.selection import After, At, Moment


def excerpt_of(session_id: str, index: SessionIndex, config: ReplayConfig) -> Excerpt:
    """Return what *config* takes of a session: segments of its signals and services, its window."""
    start, end = _window(index, config)
    segments = tuple(
        segment
        for segment in index.segments
        if segment.signal in config.signals and _may_hold(segment, config.filter_services)
    )
    return Excerpt(session_id, segments, start, end)


def narrowing_settings(config: ReplayConfig) -> tuple[str, ...]:
    """Return the settings that choose among the records of a request: payloads decide there."""
    narrowing = {
        "filter_services": bool(config.filter_services),
        "trace_share": config.trace_share < 1,
        "shard": config.shard.count > 1,
    }
    return tuple(setting for setting, is_set in narrowing.items() if is_set)


def _may_hold(segment: SegmentIndex, patterns: tuple[str, ...]) -> bool:
    if not patterns:
        return True
    return any(fnmatchcase(name, pattern) for name in segment.services for pattern in patterns)


def _window(index: SessionIndex, config: ReplayConfig) -> tuple[int | None, int | None]:
    bounds = [
        bound
        for segment in index.segments
        if len(arrivals := segment.frames.column("received_unix_nano"))
        for bound in (min(arrivals), max(arrivals))
    ]
    first, last = (min(bounds), max(bounds)) if bounds else (0, 0)
    return _at(config.replay_from, first, last), _at(config.replay_until, first, last)


def _at(moment: Moment | None, first: int, last: int) -> int | None:
    match moment:
        case None:
            return None
        case At(unix_nano):
            return unix_nano
        case After(ns):
            return first + ns if ns >= 0 else last + ns
