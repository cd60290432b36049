"""What became of the events of a replay in earlier runs."""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import attrs

from otlp_replay.deliveries.layout import (
    DELIVERED,
    FAILED,
    INTENDED,
    NOT_SENT,
    REJECTED,
    REJECTED_IN_PART,
    UNKNOWN,
    UNTOUCHED,
)

ResumeUnknown: TypeAlias = Literal["send", "leave"]
PriorOutcome: TypeAlias = Literal[
    "delivered", "rejected", "rejected_in_part", "failed", "unknown", "not_sent", "untouched"
]

_NAMES: Final[dict[int, PriorOutcome]] = {
    UNTOUCHED: "untouched",
    INTENDED: "unknown",
    DELIVERED: "delivered",
    REJECTED: "rejected",
    REJECTED_IN_PART: "rejected_in_part",
    FAILED: "failed",
    UNKNOWN: "unknown",
    NOT_SENT: "not_sent",
}
_SETTLED: Final = frozenset({DELIVERED, REJECTED_IN_PART})
_OPEN: Final = frozenset({INTENDED, UNKNOWN})


@attrs.frozen
class PriorDeliveries:
    """What earlier runs did with each event of a replay.

    Attributes:
        replay_id: of the run that began the ledger; empty: there was none.
        states: a byte for each event that a run has reached, by its number.
        resume_unknown: whether `should_send` sends again what may have arrived.
        runs: how many runs there were.
        damaged_records: how many records could not be read. Where there are any, an event without
            a record may be one whose record that was, so it is unknown.
        torn_bytes: how many bytes behind the last whole record were cut off.
    """

    replay_id: str = ""
    states: bytes = attrs.field(default=b"", repr=False)
    resume_unknown: ResumeUnknown = "leave"
    runs: int = 0
    damaged_records: int = 0
    torn_bytes: int = 0

    def outcome(self, number: int) -> PriorOutcome:
        """Return what became of an event."""
        return _NAMES[self.state(number)]

    def state(self, number: int) -> int:
        """Return the same as it stands in the ledger."""
        return self.states[number] if number < len(self.states) else UNTOUCHED

    def should_send(self, number: int) -> bool:
        """Tell whether an event is to be sent.

        Delivered ones are not, nor those that the target took a part of: it would have that
        twice. Refused, failed and unsent ones are; unknown ones as `resume_unknown` says.
        """
        state = self.states[number] if number < len(self.states) else UNTOUCHED
        if state in _SETTLED:
            return False
        return state not in _OPEN or self.resume_unknown == "send"

    def count(self, outcome: PriorOutcome) -> int:
        """Return how many events an outcome has; of the untouched, those below a reached one."""
        return sum(self.states.count(state) for state, name in _NAMES.items() if name == outcome)

    def numbers(self, outcome: PriorOutcome) -> Iterator[int]:
        """Yield the numbers of the events that have an outcome, in ascending order."""
        return (number for number, state in enumerate(self.states) if _NAMES[state] == outcome)
