"""Which requests of a session are replayed, and which records of them."""

from otlp_replay.selection.shard import Shard as Shard
from otlp_replay.selection.window import After as After
from otlp_replay.selection.window import At as At
from otlp_replay.selection.window import Moment as Moment

__all__ = ["After", "At", "Moment", "Shard"]
