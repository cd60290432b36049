"""Whether a replay was good enough: limits, and what missed them."""

import math
from collections.abc import Iterator
from typing import ClassVar, Final, TypeAlias, cast

import attrs

from otlp_capture.capture import InvalidConfig
from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.fidelity.certificate import FidelityCertificate
from otlp_replay.fidelity.durations import duration_text

_SECONDS: Final = ("max_p99_lateness_s", "max_lateness_s", "max_drift_s", "max_worst_drift_s")
_COUNTS: Final = ("max_failed", "max_not_sent")


@attrs.frozen(kw_only=True)
class Gate:
    """What a replay must keep within; None: whatever it is.

    Attributes:
        max_p99_lateness_s: the lateness that 99 in 100 requests do not exceed, in seconds.
        max_lateness_s: the greatest lateness.
        max_drift_s: achieved minus planned duration, either way.
        max_worst_drift_s: the same at any request, either way.
        max_failed: requests that were sent and not wholly taken: rejected, failed or unknown.
        max_not_sent: planned requests that were not sent, also those that were not reached.
    """

    max_p99_lateness_s: float | None = None
    max_lateness_s: float | None = None
    max_drift_s: float | None = None
    max_worst_drift_s: float | None = None
    max_failed: int | None = None
    max_not_sent: int | None = None

    @property
    def judges_time(self) -> bool:
        """Whether any limit is one of time."""
        return any(getattr(self, name) is not None for name in _SECONDS)


@attrs.frozen
class TimeMissed:
    """A figure of time is over its limit.

    Attributes:
        limit: the limit's name, as in `Gate`.
        figure: what is measured, in words.
        measured_ns: what it was.
        allowed_s: what it may be.
    """

    limit: str
    figure: str
    measured_ns: int
    allowed_s: float
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What was measured, and what was allowed."""
        return (
            f"{self.figure} was {duration_text(self.measured_ns)}, "
            f"and {duration_text(round(self.allowed_s * 1e9))} is allowed."
        )


@attrs.frozen
class CountMissed:
    """A count of requests is over its limit.

    Attributes:
        limit: the limit's name, as in `Gate`.
        figure: what is counted, in words.
        counted: what it was.
        allowed: what it may be.
    """

    limit: str
    figure: str
    counted: int
    allowed: int
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What was counted, and what was allowed."""
        return f"{self.counted:,} requests were {self.figure}, and {self.allowed:,} are allowed."


@attrs.frozen
class NothingMeasured:
    """Time is to be judged, and no request was dispatched."""

    replay_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing."""
        return f"Replay {self.replay_id} dispatched nothing, so its lateness cannot be judged."


GateMiss: TypeAlias = TimeMissed | CountMissed | NothingMeasured


def check_gate(gate: Gate) -> Outcome[Gate, InvalidConfig]:
    """Return *gate* if its limits can be kept.

    Fails with:
        InvalidConfig: a limit is negative, or no number.
    """
    for name in _SECONDS:
        value = getattr(gate, name)
        if value is not None and not _is_limit(value, (int, float)):
            return Failure(InvalidConfig(name, value, "it is seconds, 0 or more"))
    for name in _COUNTS:
        value = getattr(gate, name)
        if value is not None and not _is_limit(value, (int,)):
            return Failure(InvalidConfig(name, value, "it is a whole number, 0 or more"))
    return Success(gate)


def misses(gate: Gate, certificate: FidelityCertificate) -> tuple[GateMiss, ...]:
    """Return what of a replay missed *gate*; nothing: it was good enough."""
    return (*_misses_of_time(gate, certificate), *_misses_of_counts(gate, certificate))


def _misses_of_time(gate: Gate, certificate: FidelityCertificate) -> Iterator[GateMiss]:
    if not gate.judges_time:
        return
    if not certificate.dispatched_requests:
        yield NothingMeasured(certificate.replay_id)
        return
    lateness, timing = certificate.lateness, certificate.timing
    for name, figure, measured_ns in (
        ("max_p99_lateness_s", "The 99th percentile of lateness", lateness.quantile(0.99)),
        ("max_lateness_s", "The greatest lateness", lateness.maximum),
        ("max_drift_s", "The end drift", timing.end_drift_ns),
        ("max_worst_drift_s", "The worst drift", timing.worst_drift_ns),
    ):
        allowed_s = getattr(gate, name)
        magnitude_ns = abs(measured_ns) if "drift" in name else measured_ns
        if allowed_s is not None and magnitude_ns > allowed_s * 1e9:
            yield TimeMissed(name, figure, measured_ns, allowed_s)


def _misses_of_counts(gate: Gate, certificate: FidelityCertificate) -> Iterator[GateMiss]:
    failed = sum(map(certificate.requests, ("rejected", "failed", "unknown")))
    not_sent = certificate.requests("not_sent") + certificate.unreached_requests
    for name, figure, counted in (
        ("max_failed", "rejected, failed or unknown", failed),
        ("max_not_sent", "not sent", not_sent),
    ):
        allowed = getattr(gate, name)
        if allowed is not None and counted > allowed:
            yield CountMissed(name, figure, counted, allowed)


def _is_limit(value: object, kinds: tuple[type, ...]) -> bool:
    if type(value) not in kinds:
        return False
    number = cast("float", value)
    return math.isfinite(number) and number >= 0
