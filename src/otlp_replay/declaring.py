"""What the configuration of a replay declares of what arrives, in the words of a comparison."""

from otlp_replay.config import ReplayConfig
from otlp_replay.selection import Selection, selection_of
from otlp_replay.verify import RemappedIds, Repeated, Resent, ShiftMode


def shift_declared_by(config: ReplayConfig) -> ShiftMode:
    """Return how the timestamps of what arrives were moved."""
    match config.timestamp_adjustment:
        case "none":
            return "none"
        case "relative":
            return "constant"
        case "current":
            return "per-request"


def resent_by(config: ReplayConfig) -> Resent:
    """Return how often a session is sent, and with which ids."""
    if config.is_remapping:
        return RemappedIds(config.seed, config.loops, config.copies)
    return Repeated(config.loops, config.copies)


def selected_by(config: ReplayConfig) -> Selection | None:
    """Return what is replayed of the chosen signals, None for all of it."""
    selection = selection_of(config)
    is_whole = selection.window.is_everything and not selection.narrows
    return None if is_whole else selection
