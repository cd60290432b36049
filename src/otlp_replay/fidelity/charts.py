"""The pictures of a report: SVG that takes its colours from the page."""

import io
import math
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from otlp_replay.fidelity.certificate import FidelityCertificate
from otlp_replay.fidelity.histogram import middle_of

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
_NAMED: Final = re.compile(r"""( id="|href="\#|url\(\#)""")
_UNITS: Final = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
_BARS: Final = 48
_LEAST_SHARE: Final = 0.1
"""Of less of a stretch no rate can be told."""


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
    """Draw how many requests were how late, on a logarithmic scale of time."""
    lateness = certificate.lateness
    least_ns = max(lateness.quantile(0.001), 1)
    ratio = max(lateness.maximum / least_ns, 1.1) ** (1 / _BARS)
    edges = [least_ns * ratio**each for each in range(_BARS + 1)]
    bars = [0] * _BARS
    for bucket, count, _ in lateness.buckets:
        value_ns = max(middle_of(bucket, lateness.bits), least_ns)
        bars[min(int(math.log(value_ns / least_ns, ratio)), _BARS - 1)] += count

    def draw(axes: Any) -> None:
        axes.stairs(bars, edges, fill=True, color=_ONE, alpha=0.75)
        for share, name, colour in ((0.5, "median", _TEXT), (0.99, "99th percentile", _TWO)):
            at_ns = max(lateness.quantile(share), least_ns)
            axes.axvline(at_ns, color=colour, linestyle="--", label=name)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_tick)
        axes.xaxis.set_minor_formatter("")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("lateness")
        axes.set_ylabel("requests")
        axes.set_ylim(bottom=0)

    described = (
        f"Histogram of the lateness of {lateness.count:,} requests on a logarithmic scale. "
        f"The first bar also has those that were earlier than {least_ns:,} ns."
    )
    return _svg("histogram", "How late requests were", described, draw)


def rate_chart(certificate: FidelityCertificate) -> str:
    """Draw planned against achieved rates over time."""
    width_s = certificate.width_ns / 1e9
    starts = [stretch.start_ns / 1e9 for stretch in certificate.series]
    edges = [*starts, starts[-1] + width_s]
    covered_s = [_covered_s(certificate, start) for start in starts]
    pairs = list(zip(certificate.series, covered_s, strict=True))
    planned = [stretch.planned / span_s for stretch, span_s in pairs]
    achieved = [stretch.dispatched / span_s for stretch, span_s in pairs]

    def draw(axes: Any) -> None:
        axes.stairs(planned, edges, fill=True, color=_ONE, alpha=0.3, label="planned")
        axes.stairs(achieved, edges, color=_TWO, label="achieved", linewidth=1.6)
        axes.set_xlabel("seconds since the first request was due")
        axes.set_ylabel("requests a second")
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.set_ylim(bottom=0)

    described = (
        f"Requests a second as planned and as dispatched, in stretches of {width_s:g} s. "
        f"Planned at most {max(planned):,.1f}, achieved at most {max(achieved):,.1f}."
    )
    return _svg("rates", "Planned and achieved rate", described, draw)


def _svg(name: str, title: str, description: str, draw: Callable[[Any], None]) -> str:
    """Draw one picture, without its file's preamble, titled and described for who cannot see it."""
    # Heavy, optional, and partly typed.
    mpl: Any = import_module("matplotlib")
    figure_type: Any = import_module("matplotlib.figure").Figure

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
        figure = figure_type(figsize=_SIZE_INCHES, layout="constrained")
        figure.patch.set_visible(False)
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
    # Each picture has its own names: there are several in one page.
    body = _NAMED.sub(rf"\g<1>{name}-", body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{view[0]} role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{title}</title>'
        f'<desc id="{name}-description">{description}</desc>{body}'
    )


def _tick(value_ns: float, _: int) -> str:
    unit_ns, unit = _unit(value_ns)
    return f"{value_ns / unit_ns:g} {unit}"


def _unit(value_ns: float) -> tuple[float, str]:
    return next(((ns, name) for ns, name in _UNITS if abs(value_ns) >= ns), (1.0, "ns"))


def _covered_s(certificate: FidelityCertificate, start_s: float) -> float:
    """Return how much of a stretch the replay took: the first and the last are seldom whole."""
    width_s, timing = certificate.width_ns / 1e9, certificate.timing
    end_s = max(timing.planned_duration_ns, timing.achieved_duration_ns) / 1e9
    covered_s = min(start_s + width_s, end_s) - max(start_s, 0.0)
    return covered_s if covered_s > width_s * _LEAST_SHARE else width_s


def _middle_s(start_ns: int, width_ns: int) -> float:
    return (start_ns + width_ns / 2) / 1e9
