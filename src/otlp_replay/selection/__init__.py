"""Which requests of a session are replayed, and which records of them."""

from otlp_replay.selection.checking import check_selection as check_selection
from otlp_replay.selection.errors import FilteredOut as FilteredOut
from otlp_replay.selection.errors import NothingSelected as NothingSelected
from otlp_replay.selection.merging import MergedFrames as MergedFrames
from otlp_replay.selection.orphans import OrphanCounter as OrphanCounter
from otlp_replay.selection.orphans import OrphanCounts as OrphanCounts
from otlp_replay.selection.orphans import OrphansUncounted as OrphansUncounted
from otlp_replay.selection.selection import Narrowed as Narrowed
from otlp_replay.selection.selection import Selection as Selection
from otlp_replay.selection.selection import SelectionSettings as SelectionSettings
from otlp_replay.selection.selection import arrivals_of as arrivals_of
from otlp_replay.selection.selection import selection_of as selection_of
from otlp_replay.selection.shard import Shard as Shard
from otlp_replay.selection.shard import ShardUnclear as ShardUnclear
from otlp_replay.selection.shard import parse_shard as parse_shard
from otlp_replay.selection.window import After as After
from otlp_replay.selection.window import At as At
from otlp_replay.selection.window import Moment as Moment
from otlp_replay.selection.window import MomentUnclear as MomentUnclear
from otlp_replay.selection.window import Stretch as Stretch
from otlp_replay.selection.window import Window as Window
from otlp_replay.selection.window import parse_moment as parse_moment

__all__ = [
    "After",
    "At",
    "FilteredOut",
    "MergedFrames",
    "Moment",
    "MomentUnclear",
    "Narrowed",
    "NothingSelected",
    "OrphanCounter",
    "OrphanCounts",
    "OrphansUncounted",
    "Selection",
    "SelectionSettings",
    "Shard",
    "ShardUnclear",
    "Stretch",
    "Window",
    "arrivals_of",
    "check_selection",
    "parse_moment",
    "parse_shard",
    "selection_of",
]
