"""The options that name destinations, and what is told of them at the end."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import unquote

import attrs
import typer

from otlp_capture.capture import InvalidConfig
from otlp_capture.cli.terminal import counted_text, tell
from otlp_capture.forward import (
    Answering,
    Destination,
    ForwardCounts,
    Forwarding,
    ForwardSettings,
    ForwardStatus,
    InvalidDestination,
    check_forward_settings,
    is_itself,
    open_forwarding,
    parse_destination,
)
from otlp_capture.result import Failure, Outcome, Success, or_raise
from otlp_capture.sending import RetryPolicy

_MEGABYTE: Final = 1_000_000
_ANY_NUMBER: Final = 1_000_000_000


class AnswerName(StrEnum):
    """Whose answer clients get, as the choices of an option."""

    CAPTURE = "capture"
    TARGET = "target"


ForwardOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--forward",
        metavar="URL",
        help="Send what is stored on to http(s)://HOST:PORT or, over gRPC, grpc(s)://HOST:PORT; "
        "may be repeated.",
    ),
]
ForwardAnswerOption: TypeAlias = Annotated[
    AnswerName,
    typer.Option(
        "--forward-answer",
        help="Answer clients when it is stored, or as the first --forward does.",
    ),
]
ForwardRequiredOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--forward-required",
        help="Refuse requests, 503, while a --forward cannot take them.",
    ),
]
ForwardRawOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--forward-raw",
        help="Send requests as they came, and not as they are stored: neither redacted nor "
        "transcoded.",
    ),
]
ForwardGzipOption: TypeAlias = Annotated[
    bool, typer.Option("--forward-gzip", help="Compress what is sent there.")
]
ForwardHeaderOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--forward-header",
        metavar="[N:]NAME=VALUE",
        help="Say this to every --forward, or to the Nth; %20 is a space. A secret is better in "
        "the variable.",
    ),
]
ForwardCaOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--forward-ca", metavar="FILE", help="Trust these certificates there, in PEM."),
]
ForwardQueueOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--forward-queue-mb",
        metavar="MB",
        min=1,
        max=100_000,
        help="How much may wait for each --forward, in 10^6 bytes of memory.",
    ),
]
ForwardTimeoutOption: TypeAlias = Annotated[
    float,
    typer.Option(
        "--forward-timeout",
        metavar="S",
        min=0.1,
        max=3_600,
        help="How long its answer may take, and what waits at the end.",
    ),
]
ForwardRetryOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--forward-retry",
        metavar="S",
        min=0,
        max=86_400,
        help="How long each request is tried there; without it 60 s, and five times at the most.",
    ),
]


@attrs.frozen(kw_only=True)
class ForwardOptions:
    """What the command line says of destinations."""

    urls: Sequence[str] = ()
    answer: Answering = "capture"
    is_required: bool = False
    is_raw: bool = False
    is_gzip: bool = False
    headers: Sequence[str] = ()
    ca_file: Path | None = None
    queue_mb: int = 64
    timeout_s: float = 10.0
    retry_s: float | None = None

    @property
    def retry(self) -> RetryPolicy:
        """How long a request is tried."""
        if self.retry_s is None:
            return RetryPolicy()
        return RetryPolicy(max_attempts=_ANY_NUMBER, max_elapsed_s=self.retry_s)


@attrs.frozen
class ForwardPlan:
    """Where to forward to, and how."""

    destinations: tuple[Destination, ...]
    settings: ForwardSettings


def plan_forwarding(
    options: ForwardOptions, listening: Iterable[tuple[str, int]] = ()
) -> Outcome[ForwardPlan, InvalidConfig | InvalidDestination]:
    """Read the options.

    Args:
        options: what the command line says.
        listening: hosts and ports that the receiver takes requests on.

    Fails with:
        InvalidConfig: a header, or a setting, makes no sense.
        InvalidDestination: a URL does not, or names the receiver itself.
    """
    if not options.urls and options != ForwardOptions():
        allowed = "the options of forwarding are for --forward, which is not given"
        return Failure(InvalidConfig("--forward", "", allowed))
    headers = _headers(options)
    if isinstance(headers, Failure):
        return headers
    destinations = list[Destination]()
    for url, said in zip(options.urls, headers.unwrap(), strict=True):
        parsed = parse_destination(
            url,
            headers=said,
            ca_file=options.ca_file,
            request_timeout_s=options.timeout_s,
            compression="gzip" if options.is_gzip else "identity",
        )
        if isinstance(parsed, Failure):
            return parsed
        destination = parsed.unwrap()
        if any(is_itself(destination, host, port) for host, port in listening):
            return Failure(InvalidDestination(destination.url, "this receiver listens there"))
        destinations.append(destination)
    settings = check_forward_settings(
        ForwardSettings(
            answer=options.answer,
            is_required=options.is_required,
            is_raw=options.is_raw,
            queue_bytes=options.queue_mb * _MEGABYTE,
            retry=options.retry,
            shutdown_timeout_s=options.timeout_s,
        )
    )
    if isinstance(settings, Failure):
        return settings
    return Success(ForwardPlan(tuple(destinations), settings.unwrap()))


def _headers(
    options: ForwardOptions,
) -> Outcome[list[list[tuple[str, str]]], InvalidConfig]:
    """Return what is said to each destination."""
    said: list[list[tuple[str, str]]] = [[] for _ in options.urls]
    for text in options.headers:
        before, equals, value = text.partition("=")
        number, colon, name = before.rpartition(":")
        if not (name and equals):
            return Failure(InvalidConfig("--forward-header", _hidden(text), "it is NAME=VALUE"))
        if not colon:
            for headers in said:
                headers.append((name, unquote(value)))
            continue
        if not (number.isdecimal() and 0 < int(number) <= len(said)):
            allowed = f"what stands before the colon is 1 to {len(said)}, a --forward's place"
            return Failure(InvalidConfig("--forward-header", _hidden(text), allowed))
        said[int(number) - 1].append((name, unquote(value)))
    return Success(said)


def _hidden(text: str) -> str:
    """Return a header without its value, which may be a secret."""
    name, equals, _ = text.partition("=")
    return f"{name}=…" if equals else "…"


@asynccontextmanager
async def opened_forwarding(
    plan: ForwardPlan, *, as_json: bool
) -> AsyncGenerator[Forwarding | None]:
    """Forward until the block ends; None: there is nowhere to forward to."""
    if not plan.destinations:
        yield None
        return
    async with open_forwarding(plan.destinations, plan.settings) as opened:
        forwarding = or_raise(opened)  # the plan was checked
        yield forwarding
        is_waiting = any(status.requests.queued for status in forwarding.statuses)
        if is_waiting and not as_json:
            tell(f"Forwarding what waits, for {plan.settings.shutdown_timeout_s:g} s at the most.")


def forwarded_document(forwarding: Forwarding | None) -> dict[str, Any]:
    """Return how forwarding went, as JSON values; nothing where there was none."""
    if forwarding is None:
        return {}
    return {
        "forwarded": [status.to_json() for status in forwarding.statuses],
        "resentRequests": forwarding.resent,
    }


def tell_forwarded(forwarding: Forwarding | None) -> None:
    """Tell how forwarding went, a line for each destination."""
    if forwarding is None:
        return
    for status in forwarding.statuses:
        tell(f"Forwarded to {status.url}: {_told(status)}")
    if forwarding.resent:
        resent = counted_text(forwarding.resent, "stored request")
        tell(f"{resent} came again, because the target had refused them before.")


def _told(status: ForwardStatus) -> str:
    counts = status.requests
    parts = [f"{counts.delivered:,} of {counted_text(counts.offered, 'request')} delivered"]
    parts += [f"{count:,} {name}" for name, count in _others(counts) if count]
    if status.records.rejected:
        parts.append(f"{counted_text(status.records.rejected, 'record')} rejected")
    problem = f"; lately: {status.problem}" if status.problem else ""
    return f"{', '.join(parts)}{problem}."


def _others(counts: ForwardCounts) -> tuple[tuple[str, int], ...]:
    return (
        ("rejected", counts.rejected),
        ("refused for now, for clients to send again", counts.returned),
        ("given up", counts.failed),
        ("without an answer", counts.unknown),
        ("left out", counts.dropped),
        ("not sent in time", counts.queued),
    )


def is_owed(forwarding: Forwarding | None, plan: ForwardPlan) -> bool:
    """Whether a required destination has not got all that is stored."""
    if forwarding is None or not plan.settings.is_required:
        return False
    return not all(status.is_complete for status in forwarding.statuses)
