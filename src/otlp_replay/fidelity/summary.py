"""A certificate in a few lines, for a terminal."""

from collections.abc import Iterator

from otlp_replay.fidelity.certificate import OUTCOMES, FidelityCertificate
from otlp_replay.fidelity.durations import duration_text, rate_text, size_text


def summary_lines(certificate: FidelityCertificate) -> tuple[str, ...]:
    """Return what a person wants to know of a replay first, as plain text without markup."""
    return tuple(f"{name:<12}{text}" for name, text in summary_rows(certificate))


def summary_rows(certificate: FidelityCertificate) -> Iterator[tuple[str, str]]:
    """Yield the same as pairs of a name and its figures."""
    timing, rates = certificate.timing, certificate.rates
    yield "Requests", _requests(certificate)
    yield "Sent", f"{size_text(certificate.size_bytes)}, {certificate.retries:,} retries"
    if not certificate.dispatched_requests:
        yield "Time", "nothing was dispatched"
        return
    planned, achieved = timing.planned_duration_ns, timing.achieved_duration_ns
    yield "Duration", f"planned {duration_text(planned)}, achieved {duration_text(achieved)}"
    worst = duration_text(timing.worst_drift_ns)
    yield "Drift", f"{duration_text(timing.end_drift_ns)} at the end, {worst} at the worst"
    lateness = certificate.lateness
    yield (
        "Lateness",
        (
            f"median {duration_text(lateness.quantile(0.5))}, "
            f"p99 {duration_text(lateness.quantile(0.99))}, max {duration_text(lateness.maximum)}"
        ),
    )
    yield (
        "Rate",
        (
            f"planned {rate_text(rates.planned_requests_per_s)}, "
            f"achieved {rate_text(rates.achieved_requests_per_s)}"
        ),
    )
    apart = certificate.gap_distance
    if apart is not None:
        yield (
            "Gaps",
            (
                f"{duration_text(apart.wasserstein_ns)} from plan (Wasserstein-1), "
                f"Kolmogorov-Smirnov {apart.kolmogorov_smirnov:.3f}"
            ),
        )
    answer = certificate.answer
    if answer.count:
        yield (
            "Answers",
            (
                f"median {duration_text(answer.quantile(0.5))}, "
                f"p99 {duration_text(answer.quantile(0.99))}, max {duration_text(answer.maximum)}"
            ),
        )


def _requests(certificate: FidelityCertificate) -> str:
    counts = ((each.replace("_", " "), certificate.requests(each)) for each in OUTCOMES)
    told = [f"{count:,} {name}" for name, count in counts if count or name == "delivered"]
    if certificate.unreached_requests:
        told.append(f"{certificate.unreached_requests:,} not reached")
    return f"{certificate.planned_requests:,} planned: {', '.join(told)}"
