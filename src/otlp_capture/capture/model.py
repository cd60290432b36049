"""What a capture is asked for, and what it answers."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from otlp_capture.capture.errors import InvalidConfig
from otlp_capture.otlp import DEFAULT_LIMITS, Limits, Signal
from otlp_capture.redaction import Redactor
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    DEFAULT_LINGER_S,
    DEFAULT_SEGMENT_BYTES,
    STORED_LIMITS,
    CaptureSwitches,
    InvalidSessionId,
    check_session_id,
)
from otlp_capture.spool import (
    DEFAULT_BUDGET_BYTES,
    DEFAULT_PUBLISH_AFTER_S,
    DEFAULT_PUBLISH_BYTES,
)
from otlp_capture.telemetry import SILENT, Telemetry

Durability: TypeAlias = Literal["spool", "object", "memory"]
"""What keeps a request when it is acknowledged."""


def _listed(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(texts)


def _copied(labels: Mapping[str, str]) -> dict[str, str]:
    return dict(labels)


@attrs.frozen(kw_only=True)
class CaptureConfig:
    """What a session is to record.

    Attributes:
        session_id: its name: 1 to 128 letters, digits, `.`, `_` and `-`.
        diagnostic_session_id: the diagnosis that it belongs to.
        description: a sentence for people.
        enabled_flags: the feature flags that are on.
        capture_traces: whether to record traces.
        capture_metrics: whether to record metrics.
        capture_logs: whether to record logs.
        compression_enabled: whether to compress what is stored; it is gzip either way.
        max_size_mb: the stored size that ends the session, in 10^6 bytes; the request that
            crosses it is kept. None: no limit.
        max_duration_minutes: the age that ends the session. None: no limit.
        created_by: who or what records.
        labels: for selection later.
    """

    session_id: str
    diagnostic_session_id: str | None = None
    description: str | None = None
    enabled_flags: tuple[str, ...] = attrs.field(default=(), converter=_listed)
    capture_traces: bool = True
    capture_metrics: bool = True
    capture_logs: bool = True
    compression_enabled: bool = True
    max_size_mb: float | None = None
    max_duration_minutes: float | None = None
    created_by: str = "otlp-capture"
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=_copied)

    @property
    def switches(self) -> CaptureSwitches:
        """The part that is kept with the session."""
        return CaptureSwitches(
            traces=self.capture_traces,
            metrics=self.capture_metrics,
            logs=self.capture_logs,
            compression_enabled=self.compression_enabled,
            max_size_mb=self.max_size_mb,
            max_duration_minutes=self.max_duration_minutes,
        )


def check_config(
    config: CaptureConfig,
) -> Outcome[CaptureConfig, InvalidSessionId | InvalidConfig]:
    """Return *config* if a session can be recorded by it.

    Fails with:
        InvalidSessionId: no session can have this id.
        InvalidConfig: a limit is not a positive number, a text is none that can be written, or no
            signal is recorded.
    """
    checked = check_session_id(config.session_id)
    if isinstance(checked, Failure):
        return checked
    limits = {
        "max_size_mb": config.max_size_mb,
        "max_duration_minutes": config.max_duration_minutes,
    }
    for field, value in limits.items():
        if value is not None and not _is_positive(value):
            return Failure(InvalidConfig(field, value, "it is a positive number, or None"))
    for field, value in _texts(config):
        if not _is_text(value):
            return Failure(InvalidConfig(field, value, "it is text that UTF-8 can carry"))
    if not (config.capture_traces or config.capture_metrics or config.capture_logs):
        allowed = "record traces, metrics or logs, or several of them"
        return Failure(InvalidConfig("the choice of signals", "none", allowed))
    return Success(config)


def _texts(config: CaptureConfig) -> list[tuple[str, Any]]:
    """Return all texts that the session's document is to hold, each with its field."""
    return [
        ("created_by", config.created_by),
        ("description", config.description or ""),
        ("diagnostic_session_id", config.diagnostic_session_id or ""),
        *(("enabled_flags", flag) for flag in config.enabled_flags),
        *(("labels", name) for name in config.labels),
        *((f"labels[{name!r}]", label) for name, label in config.labels.items()),
    ]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _is_positive(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0


@attrs.frozen(kw_only=True)
class CaptureSettings:
    """How the service works, whatever the session.

    Attributes:
        linger_s: how long a segment waits for company before it is stored, in seconds, where
            requests are acknowledged by their object.
        segment_bytes: the size that ends that wait.
        limits: what a request may cost.
        durability: what keeps a request when it is acknowledged; None: the spool where the store
            has one or can have one, else the object.
        publish_after_s: the age at which a segment leaves the spool (or memory), in seconds.
        publish_bytes: the size at which it does.
        spool_directory: where spools are, for stores that lie on no disk of this machine; None: the
            user's folder for the state of programs.
        spool_budget_bytes: how much may be unpublished; beyond it requests are refused.
        checkpoint_interval_s: how often metadata are written while requests arrive, in seconds.
        idle_checkpoint_interval_s: how often while none does.
        redaction: what takes out of every request what must not be stored.
        telemetry: what is told of the service's own work; it must not export into a session of
            this service.
    """

    linger_s: float = DEFAULT_LINGER_S
    segment_bytes: int = DEFAULT_SEGMENT_BYTES
    limits: Limits = DEFAULT_LIMITS
    durability: Durability | None = None
    publish_after_s: float = DEFAULT_PUBLISH_AFTER_S
    publish_bytes: int = DEFAULT_PUBLISH_BYTES
    spool_directory: Path | None = None
    spool_budget_bytes: int = DEFAULT_BUDGET_BYTES
    checkpoint_interval_s: float = 10.0
    idle_checkpoint_interval_s: float = 30.0
    redaction: Redactor | None = None
    telemetry: Telemetry = SILENT


DEFAULT_SETTINGS: Final = CaptureSettings()


def check_settings(settings: CaptureSettings) -> Outcome[CaptureSettings, InvalidConfig]:
    """Return *settings* if a service can work by them.

    Fails with:
        InvalidConfig: a number is not in its range.
    """
    if not (settings.linger_s == 0 or _is_positive(settings.linger_s)):
        return Failure(InvalidConfig("linger_s", settings.linger_s, "it is a number from 0"))
    if settings.durability not in {None, *get_args(Durability)}:
        allowed = "it is spool, object or memory"
        return Failure(InvalidConfig("durability", settings.durability, allowed))
    positive = {
        "segment_bytes": settings.segment_bytes,
        "publish_after_s": settings.publish_after_s,
        "publish_bytes": settings.publish_bytes,
        "spool_budget_bytes": settings.spool_budget_bytes,
        "checkpoint_interval_s": settings.checkpoint_interval_s,
        "idle_checkpoint_interval_s": settings.idle_checkpoint_interval_s,
    }
    for field, value in positive.items():
        if not _is_positive(value):
            return Failure(InvalidConfig(field, value, "it is a positive number"))
    bounds = {
        "limits.max_bytes": (settings.limits.max_bytes, STORED_LIMITS.max_bytes),
        "limits.max_elements": (settings.limits.max_elements, STORED_LIMITS.max_elements),
    }
    for field, (value, most) in bounds.items():
        if not 0 < value <= most:
            allowed = f"it is 1 to {most:,}, which is what readers of a session take"
            return Failure(InvalidConfig(field, value, allowed))
    return Success(settings)


@attrs.frozen
class SpoolStatus:
    """How the spool of a service stands.

    Attributes:
        used_bytes: what all sessions have in it, what is on its way included.
        limit_bytes: what they may have.
        failing_segments: how many segments could not be published yet, and are tried again.
        failing_s: for how long that has been so, in seconds; None where it is not.
        last_error: why, in a sentence.
    """

    used_bytes: int
    limit_bytes: int
    failing_segments: int = 0
    failing_s: float | None = None
    last_error: str | None = None


@attrs.frozen
class CapturedDataReference:
    """Where a request was stored.

    Attributes:
        key: the segment that holds it.
        offset: where its frame begins in the segment, in bytes.
        signal_type: what it is.
        timestamp: when it arrived.
        size_bytes: the size of its frame.
        record_count: spans, data points or log records.
        compressed: whether the frame is compressed.
        durability: how it is kept: `object`: the object that holds it is in the store; `spool`: it
            is synced to the spool's disk; `memory`: only this process has it yet.
    """

    key: str
    offset: int
    signal_type: Signal
    timestamp: datetime
    size_bytes: int
    record_count: int
    compressed: bool
    durability: Durability = "object"
