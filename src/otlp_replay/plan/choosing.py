"""What a plan takes of a session by its manifest alone."""

from collections.abc import Mapping

from otlp_capture.sessions import SessionIndex
from otlp_replay.config import ReplayConfig
from otlp_replay.plan.columns import Excerpt
from otlp_replay.selection import arrivals_of, selection_of


def excerpts_of(sessions: Mapping[str, SessionIndex], config: ReplayConfig) -> list[Excerpt]:
    """Return what *config* takes of sessions: segments of its signals and services, its window.

    Merged sessions have one clock, so the window is the same in all of them.
    """
    selection = selection_of(config).resolved(*sessions.values())
    # Sessions that hold nothing leave the window as it was written: it has nothing to choose.
    stretch = selection.window.over(*(arrivals_of(*sessions.values()) or (0, 0)))
    return [
        Excerpt(session_id, selection.segments(index).segments, stretch.start, stretch.end)
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
