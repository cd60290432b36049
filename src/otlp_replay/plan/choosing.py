"""What a plan takes of a session by its manifest alone."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from otlp_capture.sessions import SegmentIndex, SessionIndex
from otlp_replay.config import ReplayConfig
from otlp_replay.plan.columns import Excerpt
from otlp_replay.selection import After, At, Moment


def excerpts_of(sessions: Mapping[str, SessionIndex], config: ReplayConfig) -> list[Excerpt]:
    """Return what *config* takes of sessions: segments of its signals and services, its window.

    Merged sessions have one clock, so the window is the same in all of them.
    """
    start, end = _window(sessions, config)
    return [
        Excerpt(
            session_id,
            tuple(
                segment
                for segment in index.segments
                if segment.signal in config.signals and _may_hold(segment, config.filter_services)
            ),
            start,
            end,
        )
        for session_id, index in sessions.items()
    ]


def narrowing_settings(config: ReplayConfig) -> tuple[str, ...]:
    """Return the settings that choose among the records of a request: payloads decide there."""
    narrowing = {
        "filter_services": bool(config.filter_services),
        "trace_share": config.trace_share < 1,
        "shard": config.shard.count > 1,
    }
    return tuple(setting for setting, is_set in narrowing.items() if is_set)


def _may_hold(segment: SegmentIndex, patterns: tuple[str, ...]) -> bool:
    # Resources without a name are not among the services that a manifest lists.
    names = ("", *segment.services)
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _window(
    sessions: Mapping[str, SessionIndex], config: ReplayConfig
) -> tuple[int | None, int | None]:
    columns = [
        arrivals
        for index in sessions.values()
        for segment in index.segments
        if len(arrivals := segment.frames.column("received_unix_nano"))
    ]
    first, last = min(map(min, columns), default=0), max(map(max, columns), default=0)
    start = _at(config.replay_from, first, last)
    # Nobody waits for what was before the sessions.
    return None if start is None else max(start, first), _at(config.replay_until, first, last)


def _at(moment: Moment | None, first: int, last: int) -> int | None:
    match moment:
        case None:
            return None
        case At(unix_nano):
            return unix_nano
        case After(ns):
            return first + ns if ns >= 0 else last + ns
