"""A certificate as a page of HTML that needs nothing but itself."""

from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final, TypeAlias

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.fidelity.certificate import OUTCOMES, FidelityCertificate
from otlp_replay.fidelity.charts import histogram_chart, lateness_chart, rate_chart
from otlp_replay.fidelity.durations import duration_text, rate_text, size_text
from otlp_replay.fidelity.gate import GateMiss

_NEEDED: Final = ("jinja2", "matplotlib")


@attrs.frozen
class ReportUnavailable:
    """What makes a report is not installed."""

    missing: tuple[str, ...]
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing, and how to get it."""
        return (
            f"A report needs {' and '.join(self.missing)}, which this Python does not have. "
            f"Install them: pip install 'otlp-capture[report]'."
        )


@attrs.frozen
class ReportUnwritable:
    """A report cannot be written to *path*."""

    path: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where it was to go, and what was in the way."""
        return f"The report cannot be written to {self.path}: {self.reason}. Choose another file."


ReportError: TypeAlias = ReportUnavailable | ReportUnwritable


def check_report(path: Path) -> Outcome[Path, ReportError]:
    """Return *path* if a report can be made here and put there; ask before a long replay.

    Fails with:
        ReportUnavailable: what makes a report is not installed.
        ReportUnwritable: its folder is not there, or it is a folder itself.
    """
    missing = tuple(name for name in _NEEDED if find_spec(name) is None)
    if missing:
        return Failure(ReportUnavailable(missing))
    if path.is_dir():
        return Failure(ReportUnwritable(str(path), "it is a folder"))
    if not path.parent.is_dir():
        return Failure(ReportUnwritable(str(path), f"there is no folder {path.parent}"))
    return Success(path)


def write_report(
    path: Path, certificate: FidelityCertificate, gate_misses: Sequence[GateMiss] = ()
) -> Outcome[Path, ReportError]:
    """Write a report, over what is there. It takes a second or so and blocks.

    Fails with:
        ReportUnavailable: what makes a report is not installed.
        ReportUnwritable: the file system refused.
    """
    checked = check_report(path)
    if isinstance(checked, Failure):
        return checked
    rendered = render_report(certificate, gate_misses)
    if isinstance(rendered, Failure):
        return rendered
    try:
        path.write_text(rendered.unwrap(), encoding="utf-8")
    except OSError as error:
        return Failure(ReportUnwritable(str(path), error.strerror or str(error)))
    return Success(path)


def render_report(
    certificate: FidelityCertificate, gate_misses: Sequence[GateMiss] = ()
) -> Outcome[str, ReportUnavailable]:
    """Return a report: one page of HTML, with its pictures and styles inside and no script.

    Fails with:
        ReportUnavailable: what makes a report is not installed.
    """
    try:
        import jinja2  # noqa: PLC0415 - optional

        charts = _charts(certificate)
    except ImportError as error:
        return Failure(ReportUnavailable((error.name or "an extra",)))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"duration": duration_text, "size": size_text, "rate": rate_text}
    source = files("otlp_replay.fidelity").joinpath("templates/report.html").read_text("utf-8")
    page = environment.from_string(source).render(
        certificate=certificate,
        charts=charts,
        misses=[miss.message for miss in gate_misses],
        outcomes=OUTCOMES,
        distributions=_distributions(certificate),
    )
    return Success(page)


def _charts(certificate: FidelityCertificate) -> tuple[str, ...]:
    if not certificate.dispatched_requests:
        return ()
    return (
        lateness_chart(certificate),
        histogram_chart(certificate),
        rate_chart(certificate),
    )


def _distributions(certificate: FidelityCertificate) -> list[tuple[str, object]]:
    named = (
        ("Lateness: dispatched minus planned", certificate.lateness),
        ("Departure: dispatched until it began to leave", certificate.departure),
        ("Answer: from there until its outcome was known", certificate.answer),
        ("Gaps as planned", certificate.planned_gaps),
        ("Gaps as achieved", certificate.achieved_gaps),
    )
    return [(name, held) for name, held in named if held.count]
