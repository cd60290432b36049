"""A picture of a replay's rate over time, of characters, for a terminal."""

from typing import Final

from otlp_replay.plan.course import SECOND_NS
from otlp_replay.plan.report import ReplayPlan
from otlp_replay.plan.timetable import Curve, Peak

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_LINES: Final = 6
_LABEL: Final = 9
_UNITS: Final = ((1e9, " G"), (1e6, " M"), (1e3, " k"))


def picture_of(plan: ReplayPlan) -> str:
    """Draw how many requests a second a replay sends over its duration.

    At speed `max`, and where the planned times are not known, it is as it was recorded. No line is
    longer than 80 characters.
    """
    planned = plan.planned.curve
    if planned is not None:
        return _draw(planned, plan.planned.requests_peak, "requests/s as planned")
    drawn = _draw(
        plan.recorded.curve or Curve(0, ()), plan.recorded.requests_peak, "requests/s as recorded"
    )
    return f"when requests will leave is not known before; as they arrived:\n{drawn}"


def _draw(curve: Curve, peak: Peak | None, title: str) -> str:
    if not curve.counts:
        return "nothing is sent"
    if not curve.stretch_ns:
        return f"{_counted(sum(curve.counts))} at once"
    top = max(curve.counts)
    eighths = [_eighths(count, top) for count in curve.counts]
    rate = top * SECOND_NS / curve.stretch_ns
    labels = {_LINES - 1: _number(rate), 0: "0"}
    lines = [
        f"{labels.get(line, ''):>{_LABEL}} {'┤' if line in labels else '│'}"
        + "".join(_BLOCKS[min(8, max(0, each - 8 * line))] for each in eighths).rstrip()
        for line in reversed(range(_LINES))
    ]
    width = len(curve.counts)
    axis = f"{'':>{_LABEL}} └" + "─" * width
    return "\n".join([_headline(title, peak), *lines, axis, _times(width, curve)])


def _headline(title: str, peak: Peak | None) -> str:
    if peak is None:
        return title
    return f"{title}; peak {peak.per_second:,} in the second from {_time(peak.at_ns)}"


def _eighths(count: int, top: int) -> int:
    """Return how high a column is; one that holds anything is seen."""
    return -(-count * 8 * _LINES // top)


def _times(width: int, curve: Curve) -> str:
    """Write the start, the middle and the end of the time below the axis."""
    total = curve.stretch_ns * width
    start, middle, end = _time(0), _time(total // 2), _time(total)
    line = f"{'':>{_LABEL}}  " + start
    if width >= 3 * (len(middle) + 3):
        line = line.ljust(_LABEL + 2 + width // 2 - len(middle) // 2) + middle
    return line.ljust(_LABEL + 2 + width - len(end)) + end


def _counted(count: int) -> str:
    return f"{count:,} request" if count == 1 else f"{count:,} requests"


def _number(value: float) -> str:
    """Write a number in few characters.

    >>> _number(0.25), _number(42), _number(123_456), _number(2_500_000)
    ('0.25', '42', '123.5 k', '2500 k')
    """
    for factor, unit in _UNITS:
        if value >= 10 * factor:
            return f"{value / factor:.4g}{unit}"
    return f"{value:.4g}"


def _time(ns: int) -> str:
    """Write a time since the start.

    >>> _time(0), _time(1_500_000), _time(12_340_000_000), _time(3_725_000_000_000)
    ('0 s', '1.5 ms', '12.3 s', '1:02:05')
    """
    if not ns:
        return "0 s"
    if ns < SECOND_NS:
        return f"{ns / 1e6:.3g} ms"
    if ns < 60 * SECOND_NS:
        return f"{ns / 1e9:.3g} s"
    hours, seconds = divmod(ns // SECOND_NS, 3600)
    return f"{hours}:{seconds // 60:02}:{seconds % 60:02}"
