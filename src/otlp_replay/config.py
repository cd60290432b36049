"""What a replay is asked for, and whether that can be."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast, get_args
from urllib.parse import urlsplit

import attrs

from otlp_capture.capture import InvalidConfig
from otlp_capture.forward.headers import check_header
from otlp_capture.otlp import SIGNALS, Encoding, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import (
    WHAT_IS_ALLOWED,
    Compression,
    RetryPolicy,
    base_url,
    is_bearer_token,
    is_endpoint_url,
    parse_allowed_target,
)
from otlp_capture.sessions import check_session_id
from otlp_replay.pacing import RATE_UNITS, LatePolicy, Precision, Rate, Speed
from otlp_replay.selection import After, At, Moment, Shard

TimestampAdjustment: TypeAlias = Literal["none", "relative", "current"]
Protocol: TypeAlias = Literal["http/protobuf", "http/json", "grpc"]
ResumeUnknown: TypeAlias = Literal["send", "leave"]

ENCODINGS: Final[Mapping[Protocol, Encoding]] = {
    "http/protobuf": "protobuf",
    "http/json": "json",
    "grpc": "protobuf",
}

_SCHEMES: Final = ("http", "https", "grpc", "grpcs")
SLOWEST: Final = 0.01
FASTEST: Final = 1000.0
_LONGEST_S: Final = 86_400.0
_LONGEST_REPLAY_S: Final = 366 * 86_400.0
_MOST: Final = 1 << 31
_MOST_COPIES: Final = 1_000
_MOST_PER_SECOND: Final = 1e12
_LATEST_UNIX_NANO: Final = (1 << 63) - 1

_CHOICES: Final = {
    "timestamp_adjustment": get_args(TimestampAdjustment),
    "protocol": get_args(Protocol),
    "compression": get_args(Compression),
    "late_policy": get_args(LatePolicy),
    "precision": get_args(Precision),
    "resume_unknown": get_args(ResumeUnknown),
}
_COUNTS: Final = {
    "loops": _MOST,
    "copies": _MOST_COPIES,
    "max_in_flight": _MOST,
    "max_request_bytes": _MOST,
    "max_response_bytes": _MOST,
}


@attrs.frozen(kw_only=True)
class ReplayConfig:
    """What to send, where, and when.

    Attributes:
        session_id: the session.
        merged_session_ids: further sessions that are replayed with it, merged by arrival.
        target_endpoint: the base URL of an OTLP endpoint; for HTTP, `/v1/traces` and the like are
            added. A URL that ends so already is taken for its base.
        allowed_targets: what may be sent to beyond this machine: `host`, `host:port`, `*.suffix`,
            or a network such as `10.0.0.0/8`.
        protocol: how to send the requests.
        compression: how to compress them.
        headers: what each says besides; over gRPC, its metadata.
        bearer_token: what each says in `authorization`, after `Bearer`.
        tls_ca: a PEM file of the certificates to trust; None: those that the system trusts.
        tls_certificate: a PEM file with the certificate to show to the target.
        tls_key: a PEM file with the certificate's key.
        timestamp_adjustment: `none` sends the stored times; `relative` moves all of a loop by
            one constant, so that it begins now; `current` moves each request by its planned send
            time minus its arrival.
        base_time_offset: replaces the constant of `relative`, in nanoseconds.
        replay_traces: whether to send traces.
        replay_metrics: whether to send metrics.
        replay_logs: whether to send logs.
        filter_services: the services to send, as patterns with `*`, `?` and `[…]`; none: all.
        replay_from: the first arrival to send.
        replay_until: what arrived then, or later, is not sent.
        trace_share: how large a part of the traces is sent, each whole.
        limit: how many requests a loop has at the most.
        shard: which part of the traces is sent.
        loops: how often the session is sent, one after the other.
        copies: how often each request is sent, at once.
        remap_ids: whether traces and spans get other ids, in each loop and copy; None: where there
            is more than one of these.
        seed: makes other ids of the same session.
        speed_multiplier: 1 keeps the session's pace, 2 is twice as fast; `max` sends as fast as
            the target takes it.
        late_policy: what becomes of a request that is later than *max_lateness_s*: `catch_up`
            sends it at once, `stretch` moves all that follows by as much, `skip` leaves it out,
            `fail` ends the replay.
        max_lateness_s: how late a request may be before *late_policy* acts, in seconds.
        max_gap_s: longer pauses between arrivals are cut to it, in seconds.
        max_rate: what is sent in a second at the most.
        precision: `high` spends processor time to be on time to the microsecond.
        max_duration_s: what is not sent by then, in seconds, is left out.
        max_in_flight: how many requests may wait for an answer at once.
        request_timeout_s: how long one attempt may take, in seconds.
        max_request_bytes: a longer request is not sent. The specification suggests 64 MiB.
        max_response_bytes: more of an answer is not read. The specification suggests 4 MiB.
        retry: how long a request is tried.
        ledger: a file that keeps what became of each request.
        resume: whether to go on with the replay whose ledger *ledger* is.
        resume_unknown: whether that sends again what may have arrived.
        replay_id: names the replay; None: a name is made, see `ReplayStatus.replay_id`.
        store_certificate: whether the certificate of its fidelity is stored beside the session.
    """

    session_id: str
    merged_session_ids: tuple[str, ...] = ()
    target_endpoint: str = "http://127.0.0.1:4318"
    allowed_targets: tuple[str, ...] = ()
    protocol: Protocol = "http/protobuf"
    compression: Compression = "identity"
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    bearer_token: str | None = attrs.field(default=None, repr=False)
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    timestamp_adjustment: TimestampAdjustment = "none"
    base_time_offset: int | None = None
    replay_traces: bool = True
    replay_metrics: bool = True
    replay_logs: bool = True
    filter_services: tuple[str, ...] = ()
    replay_from: Moment | None = None
    replay_until: Moment | None = None
    trace_share: float = 1.0
    limit: int | None = None
    shard: Shard = Shard(0, 1)  # noqa: RUF009 - it is frozen
    loops: int = 1
    copies: int = 1
    remap_ids: bool | None = None
    seed: int = 0
    speed_multiplier: Speed = 1.0
    late_policy: LatePolicy = "catch_up"
    max_lateness_s: float = 1.0
    max_gap_s: float | None = None
    max_rate: Rate | None = None
    precision: Precision = "normal"
    max_duration_s: float | None = None
    max_in_flight: int = 64
    request_timeout_s: float = 10.0
    max_request_bytes: int = 64 << 20
    max_response_bytes: int = 4 << 20
    retry: RetryPolicy = RetryPolicy()  # noqa: RUF009 - it is frozen
    ledger: Path | None = None
    resume: bool = False
    resume_unknown: ResumeUnknown = "leave"
    replay_id: str | None = None
    store_certificate: bool = True

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What is sent."""
        return tuple(signal for signal in SIGNALS if getattr(self, f"replay_{signal}"))

    @property
    def session_ids(self) -> tuple[str, ...]:
        """All sessions that are replayed."""
        return (self.session_id, *self.merged_session_ids)

    @property
    def is_remapping(self) -> bool:
        """Whether traces and spans get other ids."""
        return self.loops > 1 or self.copies > 1 if self.remap_ids is None else self.remap_ids


def check_config(config: ReplayConfig) -> Outcome[ReplayConfig, InvalidConfig]:
    """Return *config* if it can be carried out.

    Fails with:
        InvalidConfig: a setting has a value that it cannot have.
    """
    problem = next((each for check in _CHECKS for each in check(config)), None)
    return Success(config) if problem is None else Failure(problem)


def is_speed(value: object) -> bool:
    """Whether a replay can have *value* as its speed."""
    return value == "max" or _is_between(value, SLOWEST, FASTEST)


SPEED_ALLOWED: Final = f"it is a number from {SLOWEST} to {FASTEST}, or 'max'"


def _pace_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    if not is_speed(config.speed_multiplier):
        yield InvalidConfig("speed_multiplier", config.speed_multiplier, SPEED_ALLOWED)
    yield from _seconds_problems("max_lateness_s", config.max_lateness_s)
    if config.max_gap_s is not None:
        yield from _seconds_problems("max_gap_s", config.max_gap_s)
    longest_s = config.max_duration_s
    if longest_s is not None and (
        not _is_between(longest_s, 0, _LONGEST_REPLAY_S) or not longest_s
    ):
        allowed = f"it is seconds, more than 0 and at most {_LONGEST_REPLAY_S:.0f}"
        yield InvalidConfig("max_duration_s", longest_s, allowed)
    if config.max_rate is not None:
        yield from _rate_problems(config.max_rate)


def _rate_problems(rate: object) -> Iterator[InvalidConfig]:
    if not isinstance(rate, Rate):
        yield InvalidConfig("max_rate", rate, "it is a Rate, such as Rate(100, 'requests')")
        return
    if not _is_between(rate.per_second, 0, _MOST_PER_SECOND) or not rate.per_second:
        allowed = f"it is more than 0 and at most {_MOST_PER_SECOND:.0f}"
        yield InvalidConfig("max_rate.per_second", rate.per_second, allowed)
    if rate.unit not in RATE_UNITS:
        yield InvalidConfig("max_rate.unit", rate.unit, _one_of(RATE_UNITS))


def _choice_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    for field, choices in _CHOICES.items():
        if getattr(config, field) not in choices:
            yield InvalidConfig(field, getattr(config, field), _one_of(choices))


def _offset_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    offset = config.base_time_offset
    if offset is None:
        return
    if config.timestamp_adjustment != "relative":
        allowed = "it goes with timestamp_adjustment relative"
        yield InvalidConfig("base_time_offset", offset, allowed)
    if type(offset) is not int:
        yield InvalidConfig("base_time_offset", offset, "it is a whole number of nanoseconds")


def _session_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    others = config.merged_session_ids
    if not _are_texts(others):
        yield InvalidConfig("merged_session_ids", others, "it is a tuple of session ids")
        return
    for session_id in others:
        checked = check_session_id(session_id)
        if isinstance(checked, Failure):
            yield InvalidConfig("merged_session_ids", others, checked.failure().message.rstrip("."))
    if len(set(config.session_ids)) < len(config.session_ids):
        allowed = f"each session stands in it once, and {config.session_id!r} not at all"
        yield InvalidConfig("merged_session_ids", others, allowed)
    name = config.replay_id
    if name is not None and (type(name) is not str or isinstance(check_session_id(name), Failure)):
        allowed = (
            "it is 1 to 128 letters, digits, '.', '_' and '-', a letter or a digit first, no '..'"
        )
        yield InvalidConfig("replay_id", name, allowed)


def _selection_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    if not config.signals:
        yield InvalidConfig("the choice of signals", "none", "replay traces, metrics or logs")
    services = config.filter_services
    if not _are_texts(services) or not all(services):
        allowed = "it is a tuple of service names or patterns, none of them empty"
        yield InvalidConfig("filter_services", services, allowed)
    if not _is_between(config.trace_share, 0, 1) or not config.trace_share:
        yield InvalidConfig("trace_share", config.trace_share, "it is more than 0 and at most 1")
    if config.limit is not None:
        yield from _count_problems("limit", config.limit, _MOST)
    yield from _shard_problems(config.shard)
    yield from _window_problems(config)


def _shard_problems(shard: object) -> Iterator[InvalidConfig]:
    if not isinstance(shard, Shard):
        yield InvalidConfig("shard", shard, "it is a Shard, such as Shard(0, 4)")
        return
    yield from _count_problems("shard.count", shard.count, _MOST)
    if not _is_whole(shard.index, 0, shard.count - 1):
        yield InvalidConfig("shard.index", shard.index, f"it is 0 to {shard.count - 1}")


def _window_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    for field in ("replay_from", "replay_until"):
        moment = getattr(config, field)
        problem = None if moment is None else check_moment(field, moment)
        if problem is not None:
            yield problem
    match config.replay_from, config.replay_until:
        case At(start), At(end) if start >= end:
            yield InvalidConfig("replay_until", config.replay_until, "it is after replay_from")
        case After(start), After(end) if start >= end and (start < 0) == (end < 0):
            yield InvalidConfig("replay_until", config.replay_until, "it is after replay_from")
        case _:
            return


def check_moment(field: str, moment: object) -> InvalidConfig | None:
    """Say what is wrong with a moment on a session's clock; None: nothing is."""
    match moment:
        case At(nanoseconds) if _is_whole(nanoseconds, 0, _LATEST_UNIX_NANO):
            return None
        case After(nanoseconds) if _is_whole(nanoseconds, -_LATEST_UNIX_NANO, _LATEST_UNIX_NANO):
            return None
        case _:
            allowed = "it is At(unix_nano) or After(ns), whole nanoseconds within 64 bits"
            return InvalidConfig(field, moment, allowed)


def _repetition_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    for field, most in _COUNTS.items():
        yield from _count_problems(field, getattr(config, field), most)
    if config.remap_ids not in {None, True, False}:
        yield InvalidConfig("remap_ids", config.remap_ids, "it is true, false, or None")
    if type(config.seed) is not int:
        yield InvalidConfig("seed", config.seed, "it is a whole number")


def _target_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    yield from _url_problems(config)
    if not _is_between(config.request_timeout_s, 0, _LONGEST_S) or not config.request_timeout_s:
        allowed = f"it is seconds, more than 0 and at most {_LONGEST_S:.0f}"
        yield InvalidConfig("request_timeout_s", config.request_timeout_s, allowed)
    for target in config.allowed_targets:
        if type(target) is not str or isinstance(parse_allowed_target(target), Failure):
            yield InvalidConfig("allowed_targets", target, WHAT_IS_ALLOWED)
    for name, value in config.headers:
        problem = check_header(name.lower(), value)
        if problem is not None:
            yield InvalidConfig("headers", name, f"this one {problem}")
    token = config.bearer_token
    if token is not None and not is_bearer_token(token):
        allowed = "it is letters, digits and -._~+/, then = where there are any, without Bearer"
        yield InvalidConfig("bearer_token", "…", allowed)
    if (config.tls_certificate is None) != (config.tls_key is None):
        allowed = "tls_certificate and tls_key go together"
        yield InvalidConfig("tls_certificate", config.tls_certificate, allowed)


def _url_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    url, is_grpc = config.target_endpoint, config.protocol == "grpc"
    schemes = _SCHEMES if is_grpc else _SCHEMES[:2]
    if not is_endpoint_url(url, schemes):
        example = "grpc://127.0.0.1:4317" if is_grpc else "http://127.0.0.1:4318"
        yield InvalidConfig(
            "target_endpoint", url, f"it is a URL such as {example}, without credentials"
        )
    elif is_grpc and urlsplit(base_url(url)).path:
        yield InvalidConfig("target_endpoint", url, "OTLP/gRPC has no path")


def _retry_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    yield from _count_problems("retry.max_attempts", config.retry.max_attempts, _MOST)
    for field in ("max_elapsed_s", "initial_backoff_s", "max_backoff_s"):
        yield from _seconds_problems(f"retry.{field}", getattr(config.retry, field))


def _record_problems(config: ReplayConfig) -> Iterator[InvalidConfig]:
    if config.resume and config.ledger is None:
        yield InvalidConfig("resume", config.resume, "it goes with the ledger of a replay")
    if config.store_certificate not in {True, False}:
        yield InvalidConfig("store_certificate", config.store_certificate, "it is true or false")


def _seconds_problems(field: str, value: object) -> Iterator[InvalidConfig]:
    if not _is_between(value, 0, _LONGEST_S):
        yield InvalidConfig(field, value, f"it is 0 to {_LONGEST_S:.0f} seconds")


def _count_problems(field: str, value: object, most: int) -> Iterator[InvalidConfig]:
    if not _is_whole(value, 1, most):
        yield InvalidConfig(field, value, f"it is a whole number from 1 to {most}")


def _is_whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_between(value: object, least: float, most: float) -> bool:
    return type(value) in {int, float} and least <= cast("float", value) <= most


def _are_texts(values: object) -> bool:
    if not isinstance(values, tuple):
        return False
    return all(type(each) is str for each in cast("tuple[object, ...]", values))


def _one_of(choices: tuple[str, ...]) -> str:
    return f"it is {', '.join(choices[:-1])} or {choices[-1]}"


_CHECKS: Final[tuple[Callable[[ReplayConfig], Iterator[InvalidConfig]], ...]] = (
    _session_problems,
    _pace_problems,
    _choice_problems,
    _offset_problems,
    _selection_problems,
    _target_problems,
    _repetition_problems,
    _retry_problems,
    _record_problems,
)
