"""What a comparison is asked for, and whether that can be."""

from collections.abc import Collection, Sequence
from typing import Final, get_args

import attrs

from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import SIGNALS
from otlp_replay.verify.comparison import ShiftFound, ShiftMode

_LEAST_MEMORY_BYTES: Final = 1 << 16
_SHIFTS: Final = range(1 - (1 << 64), 1 << 64)
"""By how much one timestamp can be later than another."""


@attrs.frozen
class Asked:
    """How to compare: in which mode, by which shifts if they are given, of how many loops."""

    mode: ShiftMode
    shifts: tuple[int, ...] | None
    loops: int
    max_examples: int

    def known_shifts(self) -> tuple[int, ...] | None:
        """Return the shift of each loop where it does not have to be found."""
        if self.mode == "none":
            return (0,) * self.loops
        if self.shifts is not None and len(self.shifts) == 1:
            return self.shifts * self.loops
        return self.shifts

    def found(self, shifts: Sequence[int]) -> ShiftFound:
        """Say the shifts of the loops."""
        least, most = min(shifts), max(shifts)
        by_loop = tuple(shifts) if self.loops > 1 else ()
        return ShiftFound(self.mode, least if least == most else None, least, most, by_loop)


def each_shift(shift_ns: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """Return the shifts that are given, one for each loop or one for all; None: none is."""
    if shift_ns is None:
        return None
    return tuple(shift_ns) if isinstance(shift_ns, Sequence) else (shift_ns,)


def each_id(session_ids: str | Sequence[str]) -> tuple[str, ...]:
    """Return the sessions of one side."""
    return (session_ids,) if isinstance(session_ids, str) else tuple(session_ids)


def wrong_sessions(name: str, session_ids: str | Sequence[str]) -> InvalidConfig | None:
    """Return what cannot be of the sessions of one side; None where they can."""
    each = each_id(session_ids)
    if not each or len(set(each)) < len(each):
        return InvalidConfig(name, session_ids, "name at least one session, and each once")
    return None


def wrong_argument(
    asked: Asked, signals: Collection[str], memory_bytes: int
) -> InvalidConfig | None:
    """Return what cannot be of the other arguments; None where they can."""
    if asked.mode not in get_args(ShiftMode):
        return InvalidConfig("shift", asked.mode, f"use one of {', '.join(get_args(ShiftMode))}")
    if asked.shifts is not None and asked.mode != "constant":
        allowed = f"a shift is given only with the shift 'constant', not with {asked.mode!r}"
        given = asked.shifts[0] if len(asked.shifts) == 1 else asked.shifts
        return InvalidConfig("shift_ns", given, allowed)
    if asked.shifts is not None and len(asked.shifts) not in {1, asked.loops}:
        return InvalidConfig("shift_ns", asked.shifts, f"give one, or {asked.loops}: one a loop")
    wrong = [each for each in asked.shifts or () if type(each) is not int or each not in _SHIFTS]
    if wrong:
        allowed = "it is a whole number of nanoseconds, less than 2**64 of them forth or back"
        return InvalidConfig("shift_ns", wrong[0], allowed)
    if not signals or not set(signals) <= set(SIGNALS):
        allowed = f"name at least one of {', '.join(SIGNALS)}, and nothing else"
        return InvalidConfig("signals", tuple(signals), allowed)
    if asked.max_examples < 0:
        return InvalidConfig("max_examples", asked.max_examples, "use 0 or more")
    if memory_bytes < _LEAST_MEMORY_BYTES:
        allowed = f"use {_LEAST_MEMORY_BYTES} or more"
        return InvalidConfig("memory_bytes", memory_bytes, allowed)
    return None
