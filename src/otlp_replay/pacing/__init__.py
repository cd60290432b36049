"""When a request is due, and what wakes the replay then."""

from otlp_replay.pacing.rate import RATE_UNITS as RATE_UNITS
from otlp_replay.pacing.rate import Rate as Rate
from otlp_replay.pacing.timeline import Schedule as Schedule

__all__ = ["RATE_UNITS", "Rate", "Schedule"]
