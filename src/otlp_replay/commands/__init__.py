"""The commands `replay`, `replays`, `diff` and `demo` of `otlp-capture`."""

from otlp_replay.commands.comparing import diff as diff
from otlp_replay.commands.demonstrating import demo as demo
from otlp_replay.commands.listing import replays as replays
from otlp_replay.commands.replaying import replay as replay

__all__ = ["demo", "diff", "replay", "replays"]
