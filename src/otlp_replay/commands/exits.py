"""The exit codes of what can go wrong while sessions are replayed and compared."""

from collections.abc import Mapping
from typing import Final

from otlp_capture.cli.terminal import FINDING, OUT_OF_REACH
from otlp_replay.errors import (
    DataCorrupted,
    DecompressionFailure,
    IngestionFailure,
    ReplayCancelled,
    ReplayInterrupted,
    TargetTooSlow,
)
from otlp_replay.verify import NoScratchSpace

EXIT_CODES: Final[Mapping[type, int]] = {
    DataCorrupted: FINDING,
    DecompressionFailure: FINDING,
    IngestionFailure: OUT_OF_REACH,
    NoScratchSpace: OUT_OF_REACH,
    ReplayCancelled: FINDING,
    ReplayInterrupted: FINDING,
    TargetTooSlow: FINDING,
}
"""Besides those that the command line knows.

What is not named here is 2: bad input, or it cannot be told (`ComparisonTooLarge`).
"""
