"""The pictures of a report: SVG that takes its colours from the page."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from otlp_replay.fidelity.certificate import FidelityCertificate
from otlp_replay.fidelity.histogram import bounds_of, middle_of

_INK: Final = {
    "#010101": "var(--ink)",
    "#020202": "var(--faint)",
    "#030303": "var(--one)",
    "#040404": "var(--two)",
    "#050505": "var(--three)",
}
"""Colours that nobody sees: each stands for one that the style sheet of the page has."""
_TEXT, _FAINT, _ONE, _TWO, _THREE = _INK
_SIZE_INCHES: Final = (8.4, 2.9)
_OPENING: Final = re.compile(r"<svg [^>]*>")
_UNITS: Final = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
_BARS: Final = 48


def lateness_chart(certificate: FidelityCertificate) -> str:
    """Draw lateness over time: median, 99th percentile and greatest of each stretch."""
    held = [stretch for stretch in certificate.series if stretch.planned]
    unit_ns, unit = _unit(max(stretch.max_ns for stretch in held))
    times = [_middle_s(stretch.start_ns, certificate.width_ns) for stretch in held]

    def draw(axes: Any) -> None:
        for values, colour, style, label in (
            ([stretch.max_ns for stretch in held], _THREE, ":", "greatest"),
            ([stretch.p99_ns for stretch in held], _TWO, "-", "99th percentile"),
            ([stretch.p50_ns for stretch in held], _ONE, "-", "median"),
        ):
            scaled = [value / unit_ns for value in values]
            dot = "." if len(held) < 2 else None  # noqa: PLR2004 - a line has two ends
            axes.plot(times, scaled, color=colour, linestyle=style, marker=dot, label=label)
        axes.fill_between(
            times, [stretch.p50_ns / unit_ns for stretch in held], color=_ONE, alpha=0.15, lw=0
        )
        axes.set_xlabel("seconds since the first request was due")
        axes.set_ylabel(f"lateness ({unit})")
        axes.set_ylim(bottom=min(0, *(stretch.p50_ns / unit_ns for stretch in held)))

    lateness = certificate.lateness
    described = (
        f"Median, 99th percentile and greatest lateness in stretches of "
        f"{certificate.width_ns / 1e9:g} s. The greatest of all is {lateness.maximum:,} ns."
    )
    return _svg("over-time", "Lateness over time", described, draw)


def histogram_chart(certificate: FidelityCertificate) -> str:
    """Draw how many requests were how late."""
    lateness = certificate.lateness
    shown_ns = max(lateness.quantile(0.999), 1)
    unit_ns, unit = _unit(shown_ns)
    least_ns = min(lateness.minimum, 0)
    edges = [least_ns + (shown_ns - least_ns) * each / _BARS for each in range(_BARS + 1)]
    bars = _bars(lateness.buckets, lateness.bits, edges)
    beyond = lateness.count - sum(bars)

    def draw(axes: Any) -> None:
        axes.stairs(
            [max(bar, 0) for bar in bars],
            [edge / unit_ns for edge in edges],
            fill=True,
            color=_ONE,
            alpha=0.75,
        )
        for share, name, colour in ((0.5, "median", _TEXT), (0.99, "p99", _TWO)):
            axes.axvline(
                lateness.quantile(share) / unit_ns, color=colour, linestyle="--", label=name
            )
        axes.set_xlabel(f"lateness ({unit})")
        axes.set_ylabel("requests")
        axes.set_ylim(bottom=0)

    described = (
        f"Histogram of the lateness of {lateness.count:,} requests; "
        f"{round(beyond):,} that were later than the 99.9th percentile are not shown."
    )
    return _svg("histogram", "How late requests were", described, draw)


def rate_chart(certificate: FidelityCertificate) -> str:
    """Draw planned against achieved rates over time."""
    width_s = certificate.width_ns / 1e9
    starts = [stretch.start_ns / 1e9 for stretch in certificate.series]
    edges = [*starts, starts[-1] + width_s]
    planned = [stretch.planned / width_s for stretch in certificate.series]
    achieved = [stretch.dispatched / width_s for stretch in certificate.series]

    def draw(axes: Any) -> None:
        axes.stairs(planned, edges, fill=True, color=_ONE, alpha=0.3, label="planned")
        axes.stairs(achieved, edges, color=_TWO, label="achieved", linewidth=1.6)
        axes.set_xlabel("seconds since the first request was due")
        axes.set_ylabel("requests a second")
        axes.set_ylim(bottom=0)

    described = (
        f"Requests a second as planned and as dispatched, in stretches of {width_s:g} s. "
        f"Planned at most {max(planned):,.1f}, achieved at most {max(achieved):,.1f}."
    )
    return _svg("rates", "Planned and achieved rate", described, draw)


def _svg(name: str, title: str, description: str, draw: Callable[[Any], None]) -> str:
    """Draw one picture, without its file's preamble, titled and described for who cannot see it."""
    import matplotlib as mpl  # noqa: PLC0415 - heavy, and optional
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": _TEXT,
        "axes.labelcolor": _TEXT,
        "axes.edgecolor": _FAINT,
        "xtick.color": _FAINT,
        "ytick.color": _FAINT,
        "xtick.labelcolor": _TEXT,
        "ytick.labelcolor": _TEXT,
        "grid.color": _FAINT,
        "grid.alpha": 0.35,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.xmargin": 0.0,
        "lines.linewidth": 1.6,
        "legend.frameon": False,
    }
    text = io.StringIO()
    with mpl.rc_context(style):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        figure.patch.set_visible(False)
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        draw(axes)
        figure.legend(loc="outside upper right", ncols=3)
        figure.savefig(
            text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _for_a_page(text.getvalue(), name, title, description)


def _for_a_page(svg: str, name: str, title: str, description: str) -> str:
    opening = _OPENING.search(svg)
    assert opening is not None, "a picture begins with its element"
    view = re.search(r'viewBox="[^"]*"', opening[0])
    assert view is not None, "matplotlib says how large it is"
    body = svg[opening.end() :]
    for stand_in, colour in _INK.items():
        body = body.replace(stand_in, colour)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{view[0]} role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{title}</title>'
        f'<desc id="{name}-description">{description}</desc>{body}'
    )


def _bars(
    buckets: Sequence[tuple[int, int]], bits: int, edges: Sequence[float]
) -> Sequence[float]:
    """Share the values of buckets out over bars; a wide bucket falls to all that it overlaps."""
    bars = [0.0] * (len(edges) - 1)
    width = edges[1] - edges[0]
    for bucket, count in buckets:
        least, greatest = bounds_of(bucket, bits)
        first = int((least - edges[0]) // width)
        last = int((greatest - edges[0]) // width)
        if first == last or last >= len(bars):
            place = int((middle_of(bucket, bits) - edges[0]) // width)
            if 0 <= place < len(bars):
                bars[place] += count
            continue
        span = greatest - least + 1
        for place in range(max(first, 0), last + 1):
            low, high = max(least, edges[place]), min(greatest + 1, edges[place + 1])
            bars[place] += count * max(high - low, 0) / span
    return bars


def _unit(value_ns: float) -> tuple[float, str]:
    return next(((ns, name) for ns, name in _UNITS if abs(value_ns) >= ns), (1.0, "ns"))


def _middle_s(start_ns: int, width_ns: int) -> float:
    return (start_ns + width_ns / 2) / 1e9
