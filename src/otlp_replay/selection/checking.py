"""Whether a selection selects anything, told before a replay begins."""

from datetime import UTC, datetime
from typing import Final

import attrs

from otlp_capture.otlp import SIGNALS
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import SessionIndex
from otlp_replay.selection.errors import NothingSelected
from otlp_replay.selection.selection import Selection, arrivals_of
from otlp_replay.selection.window import Stretch, Window

_MOST_NAMES: Final = 20
_SECOND_NS: Final = 1_000_000_000


def check_selection(
    selection: Selection, *indexes: SessionIndex
) -> Outcome[Selection, NothingSelected]:
    """Return *selection*, its window on the wall clock, if it selects any frame.

    Sessions that hold no frame at all pass: there is nothing to leave out.

    Args:
        selection: what is wanted.
        indexes: of the sessions, whole, that are merged.

    Fails with:
        NothingSelected: not one frame is left; says what there is.
    """
    bounds = arrivals_of(*indexes)
    if bounds is None:
        return Success(selection)
    resolved = selection.resolved(*indexes)
    if _selects_any(resolved, indexes):
        return Success(resolved)
    anytime = attrs.evolve(resolved, window=Window())
    every_service = attrs.evolve(anytime, services=())
    if _selects_any(anytime, indexes):
        wanted = f"the window is {_written(resolved.window.over(*bounds))}"
        return Failure(NothingSelected(wanted, f"arrivals are from {_span(*bounds)}"))
    if _selects_any(every_service, indexes):
        wanted = f"no service is named like {_listed(selection.services)}"
        return Failure(NothingSelected(wanted, f"there are {_services(every_service, indexes)}"))
    wanted = f"there are no {_listed(selection.signals)}"
    return Failure(NothingSelected(wanted, f"there are {_signals(indexes)}"))


def _selects_any(selection: Selection, indexes: tuple[SessionIndex, ...]) -> bool:
    return any(next(selection.frames(index), None) is not None for index in indexes)


def _written(stretch: Stretch) -> str:
    begins = "" if stretch.start is None else f"from {_time(stretch.start)}"
    ends = "" if stretch.end is None else f"until before {_time(stretch.end)}"
    return f"{begins} {ends}".strip()


def _span(first: int, last: int) -> str:
    return f"{_time(first)} to {_time(last)}"


def _time(unix_nano: int) -> str:
    seconds, nanoseconds = divmod(unix_nano, _SECOND_NS)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{nanoseconds:09d}Z"


def _services(selection: Selection, indexes: tuple[SessionIndex, ...]) -> str:
    segments = [segment for index in indexes for segment in selection.segments(index).segments]
    return _listed(tuple(sorted({name for each in segments for name in each.services})))


def _signals(indexes: tuple[SessionIndex, ...]) -> str:
    held = {
        segment.signal for index in indexes for segment in index.segments if len(segment.frames)
    }
    return _listed(tuple(signal for signal in SIGNALS if signal in held))


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown or "none with a name"
