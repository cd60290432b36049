"""What forwarding is asked for, and how it stands."""

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import attrs

from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import Encoding, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import RetryPolicy
from otlp_capture.sessions import Headers

Answering: TypeAlias = Literal["capture", "target"]
"""Whose answer a client gets."""

ForwardOutcome: TypeAlias = Literal[
    "delivered", "rejected", "returned", "failed", "unknown", "dropped"
]

_LONGEST_S: Final = 86_400.0


@attrs.frozen(kw_only=True)
class ForwardSettings:
    """How requests are forwarded.

    Attributes:
        answer: `capture`: a client is answered when its request is stored, and the destinations
            get it afterwards. `target`: the first destination's answer is the client's.
        is_required: whether requests are refused while a destination cannot take them: while its
            queue is full, and, where it answers, while no answer comes of it. Without it, no
            destination stands in the way of the capture.
        is_raw: whether requests are sent as they came, decompressed, and not as they are stored:
            redacted, and in protobuf.
        queue_bytes: how much may wait for each destination. What comes then is left out for it,
            and counted. One request that is larger waits alone.
        queue_requests: how many requests may wait for each destination.
        concurrency: how many of them are under way to it at once.
        retry: how long a request is tried. Where the destination answers, the client tries.
        shutdown_timeout_s: how long what waits may take at the end, in seconds.
        remembered: how many requests that a destination refused are recognised when clients send
            them again.
    """

    answer: Answering = "capture"
    is_required: bool = False
    is_raw: bool = False
    queue_bytes: int = 64 << 20
    queue_requests: int = 10_000
    concurrency: int = 8
    retry: RetryPolicy = RetryPolicy()  # noqa: RUF009 - it is frozen
    shutdown_timeout_s: float = 10.0
    remembered: int = 10_000


DEFAULT_FORWARD_SETTINGS: Final = ForwardSettings()


def check_forward_settings(
    settings: ForwardSettings,
) -> Outcome[ForwardSettings, InvalidConfig]:
    """Return *settings* if they can be worked by.

    Fails with:
        InvalidConfig: a number is not in its range.
    """
    problem = next(_problems(settings), None)
    return Success(settings) if problem is None else Failure(problem)


def _problems(settings: ForwardSettings) -> Iterator[InvalidConfig]:
    if settings.answer not in {"capture", "target"}:
        yield InvalidConfig("answer", settings.answer, "it is capture or target")
    for field in ("queue_bytes", "queue_requests", "concurrency", "remembered"):
        value: object = getattr(settings, field)
        if type(value) is not int or value < 1:
            yield InvalidConfig(field, value, "it is a whole number from 1")
    retry = settings.retry
    if type(retry.max_attempts) is not int or retry.max_attempts < 1:
        yield InvalidConfig("retry.max_attempts", retry.max_attempts, "it is at least 1")
    times = {
        "retry.max_elapsed_s": retry.max_elapsed_s,
        "retry.initial_backoff_s": retry.initial_backoff_s,
        "retry.max_backoff_s": retry.max_backoff_s,
        "shutdown_timeout_s": settings.shutdown_timeout_s,
    }
    for field, seconds in times.items():
        if not 0 <= seconds <= _LONGEST_S:
            yield InvalidConfig(field, seconds, f"it is 0 to {_LONGEST_S:.0f} seconds")


@attrs.frozen(kw_only=True)
class KeptRequest:
    """A request that the capture has stored.

    Attributes:
        signal: what it carries.
        record_count: spans, data points or log records.
        stored: as it is stored: protobuf, redacted where that is asked for.
        came: as it came, decompressed.
        encoding: how *came* is written.
        kept_headers: what may be kept, and passed on, of its headers.
        hops: the receivers that have forwarded it.
    """

    signal: Signal
    record_count: int
    stored: bytes = attrs.field(repr=False)
    came: bytes = attrs.field(repr=False)
    encoding: Encoding = "protobuf"
    kept_headers: Headers = ()
    hops: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ForwardCounts:
    """What happened to what was offered to a destination.

    Attributes:
        offered: all of it.
        delivered: taken by the destination.
        rejected: refused by it for good; a request of which it took only a part counts here.
        returned: refused by it for now, and the client was told to come again.
        failed: never taken, retries used up.
        unknown: no answer came that decides it: it may have arrived.
        dropped: left out, because the queue was full or had closed.
        queued: waiting, or on its way; at the end, what was not delivered in time.
    """

    offered: int = 0
    delivered: int = 0
    rejected: int = 0
    returned: int = 0
    failed: int = 0
    unknown: int = 0
    dropped: int = 0
    queued: int = 0

    @property
    def is_closed(self) -> bool:
        """Whether all that was offered is accounted for."""
        settled = self.delivered + self.rejected + self.returned + self.failed
        return self.offered == settled + self.unknown + self.dropped + self.queued


@attrs.frozen(kw_only=True)
class ForwardStatus:
    """How it stands with one destination.

    Attributes:
        url: the destination.
        requests: what happened to the requests.
        records: what happened to the spans, data points and log records in them.
        retries: attempts beyond the first of each request.
        problem: the latest that stood in the way; empty: nothing has.
    """

    url: str
    requests: ForwardCounts = ForwardCounts()
    records: ForwardCounts = ForwardCounts()
    retries: int = 0
    problem: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the destination has all that was offered, or has sent it back."""
        counts = self.requests
        return counts.offered == counts.delivered + counts.returned

    def to_json(self) -> dict[str, Any]:
        """Return the status as JSON values."""
        document: dict[str, Any] = {
            "url": self.url,
            "requests": attrs.asdict(self.requests),
            "records": attrs.asdict(self.records),
            "retries": self.retries,
        }
        if self.problem:
            document["problem"] = self.problem
        return document
