"""`otlp-capture serve --ring`: the last minutes, made a session when somebody asks."""

import re
from collections.abc import AsyncIterator
from signal import SIGUSR1, Signals
from typing import Annotated, Final, TypeAlias

import anyio
import typer

from otlp_capture.capture import (
    CaptureConfig,
    InvalidConfig,
    OtlpCaptureService,
    RingConfig,
    RingStatus,
)
from otlp_capture.cli.keeping import DurabilityName, KeepingOptions
from otlp_capture.cli.terminal import counted_text, print_error, summary, tell, tell_json
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import metadata_document

RingOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--ring",
        metavar="DURATION",
        help="Keep only the last 90s, 5m or 1h, in the spool; --session names it. SIGUSR1 makes a "
        "session of what it holds, and so does POST /ring on the admin port.",
    ),
]

_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh])", re.ASCII)
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}
_LONGEST_S: Final = 30 * 86_400.0


def ring_config(
    duration: str, session: CaptureConfig, options: KeepingOptions
) -> Outcome[RingConfig, InvalidConfig]:
    """Return what ring the options ask for.

    Fails with:
        InvalidConfig: the duration is none, or another option is not for rings.
    """
    matched = _DURATION.fullmatch(duration.strip())
    keep_s = 0.0 if matched is None else float(matched[1]) * _SECONDS[matched[2]]
    if not 0 < keep_s <= _LONGEST_S:
        allowed = "it is a duration above 0 and up to 720h, such as 90s, 5m or 1h"
        return Failure(InvalidConfig("--ring", duration, allowed))
    for name, value in (
        ("--max-size-mb", session.max_size_mb),
        ("--max-duration-minutes", session.max_duration_minutes),
        ("--publish-after", options.publish_after_s),
    ):
        if value is not None:
            allowed = "a ring has no such limit: leave it out, or leave out --ring"
            return Failure(InvalidConfig(name, value, allowed))
    if options.durability not in {None, DurabilityName.SPOOL}:
        allowed = "a ring is kept in the spool: leave it out, or leave out --ring"
        return Failure(InvalidConfig("--durability", str(options.durability), allowed))
    return Success(RingConfig(session=session, keep_s=keep_s))


async def publish_on_signal(
    capture: OtlpCaptureService, name: str, signals: AsyncIterator[Signals], *, as_json: bool
) -> None:
    """Make a session of the ring whenever SIGUSR1 comes, until another signal does."""
    async with anyio.create_task_group() as tasks:
        async for number in signals:
            if number is not SIGUSR1:
                return
            tasks.start_soon(_publish, capture, name, as_json)


async def _publish(
    capture: OtlpCaptureService,
    name: str,
    as_json: bool,  # noqa: FBT001 - a task's arguments have no names
) -> None:
    published = await capture.publish_ring(name)
    if isinstance(published, Failure):
        print_error(published.failure(), as_json=as_json)
    elif as_json:
        tell_json({"published": metadata_document(published.unwrap())})
    else:
        tell(f"Made a session of the ring. {summary(published.unwrap())}")


def ring_lines(status: RingStatus) -> list[str]:
    """Return how a ring stands, in sentences."""
    held = counted_text(status.held_requests, "request")
    line = (
        f"{status.name}: {counted_text(status.kept_requests, 'request')} came, "
        f"{status.expired_requests:,} expired, {status.published_requests:,} became part of "
        f"{counted_text(len(status.sessions), 'session')}; {held} stay in the spool "
        f"({counted_text(status.held_bytes, 'byte')}), for the next ring of this name."
    )
    return [line, *(f"Made of it: {session_id}" for session_id in status.sessions)]
