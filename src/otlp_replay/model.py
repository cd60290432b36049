"""What a replay is asked for, and how it stands."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import attrs

from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import SIGNALS, Encoding, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import DeliveryOutcome, RetryPolicy, is_endpoint_url
from otlp_replay.errors import ReplayError

TimestampAdjustment: TypeAlias = Literal["none", "relative", "current"]
Protocol: TypeAlias = Literal["http/protobuf", "http/json"]
ReplayState: TypeAlias = Literal["pending", "running", "completed", "failed"]

ENCODINGS: Final[Mapping[Protocol, Encoding]] = {
    "http/protobuf": "protobuf",
    "http/json": "json",
}

_SLOWEST, _FASTEST = 0.01, 1000.0
_LONGEST_S: Final = 86_400.0
_MOST_BYTES: Final = 1 << 31


@attrs.frozen(kw_only=True)
class ReplayConfig:
    """What to send, where, and when.

    Attributes:
        session_id: the session.
        target_endpoint: the base URL of an OTLP/HTTP endpoint; `/v1/traces` and the like are
            added. A URL that ends so already is taken for its base.
        timestamp_adjustment: `none` sends the stored bytes; `relative` moves all of the session by
            one constant, so that it begins now; `current` moves each request by its planned send
            time minus its arrival.
        base_time_offset: replaces the constant of `relative`, in nanoseconds.
        speed_multiplier: 1 keeps the session's pace, 2 is twice as fast; `max` sends as fast as
            the target takes it.
        replay_traces: whether to send traces.
        replay_metrics: whether to send metrics.
        replay_logs: whether to send logs.
        protocol: how to write the requests.
        max_in_flight: how many requests may wait for an answer at once.
        request_timeout_s: how long one attempt may take, in seconds.
        max_request_bytes: a longer request is not sent. The specification suggests 64 MiB.
        max_response_bytes: more of an answer is not read. The specification suggests 4 MiB.
        retry: how long a request is tried.
    """

    session_id: str
    target_endpoint: str = "http://127.0.0.1:4318"
    timestamp_adjustment: TimestampAdjustment = "none"
    base_time_offset: int | None = None
    speed_multiplier: float | Literal["max"] = 1.0
    replay_traces: bool = True
    replay_metrics: bool = True
    replay_logs: bool = True
    protocol: Protocol = "http/protobuf"
    max_in_flight: int = 64
    request_timeout_s: float = 10.0
    max_request_bytes: int = 64 << 20
    max_response_bytes: int = 4 << 20
    retry: RetryPolicy = RetryPolicy()  # noqa: RUF009 - it is frozen

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What is sent."""
        return tuple(signal for signal in SIGNALS if getattr(self, f"replay_{signal}"))


def check_config(config: ReplayConfig) -> Outcome[ReplayConfig, InvalidConfig]:
    """Return *config* if it can be carried out.

    Fails with:
        InvalidConfig: a setting has a value that it cannot have.
    """
    problem = next(_problems(config), None)
    return Success(config) if problem is None else Failure(problem)


def _problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    speed = config.speed_multiplier
    if speed != "max" and not _is_between(speed, _SLOWEST, _FASTEST):
        allowed = f"it is a number from {_SLOWEST} to {_FASTEST}, or 'max'"
        yield InvalidConfig("speed_multiplier", speed, allowed)
    if config.timestamp_adjustment not in get_args(TimestampAdjustment):
        allowed = "it is none, relative or current"
        yield InvalidConfig("timestamp_adjustment", config.timestamp_adjustment, allowed)
    yield from _offset_problems(config)
    if config.protocol not in ENCODINGS:
        yield InvalidConfig("protocol", config.protocol, "it is http/protobuf or http/json")
    if not config.signals:
        yield InvalidConfig("the choice of signals", "none", "replay traces, metrics or logs")
    if not is_endpoint_url(config.target_endpoint, ("http", "https")):
        allowed = "it is a URL such as http://127.0.0.1:4318, without credentials"
        yield InvalidConfig("target_endpoint", config.target_endpoint, allowed)
    for field in ("max_in_flight", "max_request_bytes", "max_response_bytes"):
        yield from _count_problems(field, getattr(config, field))
    if not _is_between(config.request_timeout_s, 0, _LONGEST_S) or not config.request_timeout_s:
        allowed = f"it is seconds, more than 0 and at most {_LONGEST_S:.0f}"
        yield InvalidConfig("request_timeout_s", config.request_timeout_s, allowed)
    yield from _count_problems("retry.max_attempts", config.retry.max_attempts)
    for field in ("max_elapsed_s", "initial_backoff_s", "max_backoff_s"):
        value = getattr(config.retry, field)
        if not _is_between(value, 0, _LONGEST_S):
            yield InvalidConfig(f"retry.{field}", value, f"it is 0 to {_LONGEST_S:.0f} seconds")


def _offset_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    offset = config.base_time_offset
    if offset is None:
        return
    if config.timestamp_adjustment != "relative":
        allowed = "it goes with timestamp_adjustment relative"
        yield InvalidConfig("base_time_offset", offset, allowed)
    if type(offset) is not int:
        yield InvalidConfig("base_time_offset", offset, "it is a whole number of nanoseconds")


def _count_problems(field: str, value: object) -> Iterator[InvalidConfig]:
    if type(value) is not int or not 1 <= value <= _MOST_BYTES:
        yield InvalidConfig(field, value, f"it is a whole number from 1 to {_MOST_BYTES}")


def _is_between(value: object, least: float, most: float) -> bool:
    return type(value) in {int, float} and least <= cast("float", value) <= most


@attrs.frozen
class DeliveryCounts:
    """What happened to what was planned; the five add up to it.

    Attributes:
        delivered: taken by the target.
        rejected: refused by the target for good.
        failed: never taken, retries used up.
        unknown: no answer came that decides it: it may have arrived.
        not_sent: not sent at all; `ReplayStatus.not_sent_reasons` says why.
    """

    delivered: int = 0
    rejected: int = 0
    failed: int = 0
    unknown: int = 0
    not_sent: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.delivered + self.rejected + self.failed + self.unknown + self.not_sent

    def plus(self, outcome: DeliveryOutcome, count: int) -> "DeliveryCounts":
        """Count *count* more of *outcome*."""
        return attrs.evolve(self, **{outcome: getattr(self, outcome) + count})

    def to_json(self) -> dict[str, int]:
        """Return the counts under their documented names."""
        counts = attrs.asdict(self)
        counts["notSent"] = counts.pop("not_sent")
        return counts


@attrs.frozen(kw_only=True)
class ReplayStatus:
    """How a replay stands. Its documented `records` are requests.

    Attributes:
        session_id: what is replayed.
        status: `pending`, `running`, `completed` (all was tried) or `failed` (it broke off).
        started_at: when the first request was due; None while it is pending.
        completed_at: when the last one was settled.
        total_records: requests that are planned.
        processed_records: requests that were sent and settled.
        failed_records: those of them that were not delivered.
        current_file: the segment that the latest request came from.
        error: why it broke off.
        delivery: what happened to the requests.
        delivery_records: what happened to the spans, data points and log records in them.
        retries: attempts beyond the first of each request that was sent.
        not_sent_reasons: the names of the errors that kept requests from being sent, and of how
            many each did.
    """

    session_id: str
    status: ReplayState
    total_records: int
    started_at: datetime | None = None
    completed_at: datetime | None = None
    current_file: str | None = None
    error: ReplayError | None = None
    delivery: DeliveryCounts = DeliveryCounts()
    delivery_records: DeliveryCounts = DeliveryCounts()
    retries: int = 0
    not_sent_reasons: Mapping[str, int] = attrs.field(factory=dict[str, int])

    @property
    def processed_records(self) -> int:
        """Requests that were sent and settled."""
        return self.delivery.total - self.delivery.not_sent

    @property
    def failed_records(self) -> int:
        """Requests that were sent and not delivered."""
        return self.processed_records - self.delivery.delivered

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more."""
        return self.status in {"completed", "failed"}

    def to_json(self) -> dict[str, Any]:
        """Return the status as JSON values, under the documented names."""
        document: dict[str, Any] = {
            "sessionId": self.session_id,
            "status": self.status,
            "startedAt": _iso(self.started_at),
            "completedAt": _iso(self.completed_at),
            "totalRecords": self.total_records,
            "processedRecords": self.processed_records,
            "failedRecords": self.failed_records,
            "currentFile": self.current_file,
            "error": self.error.message if self.error else None,
            "delivery": self.delivery.to_json(),
            "deliveryRecords": self.delivery_records.to_json(),
            "retries": self.retries,
            "notSentReasons": dict(self.not_sent_reasons),
        }
        return {name: value for name, value in document.items() if value is not None}


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
