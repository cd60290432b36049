"""When a scheduled run is due: cron expressions in UTC, on an injected clock."""

from collections.abc import Awaitable, Callable
from typing import Final

from otlp_capture.clock import Clock, moment, unix_nano
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention.errors import InvalidPolicy

_LOOKS_EVERY_NS: Final = 300_000_000_000
"""How long a wait lasts before wall time is looked at again: somebody may have set it."""


def next_run(expression: str, now_ns: int) -> Outcome[int, InvalidPolicy]:
    """Return the next moment after *now_ns* that a cron expression names, in Unix nanoseconds.

    Fails with:
        InvalidPolicy: it is no cron expression, or names no moment.

    >>> next_run("0 2 * * *", 0).unwrap() // 3_600_000_000_000
    2
    """
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - loaded where a schedule is used

    field, allowed = "continuous.cleanup_schedule", "it is a cron expression such as '0 2 * * *'"
    try:
        due = next(CronSim(expression, moment(now_ns)))
    except CronSimError as error:
        return Failure(InvalidPolicy(field, expression, f"{allowed} ({error})"))
    except StopIteration:
        return Failure(InvalidPolicy(field, expression, f"{allowed}; it names no moment"))
    return Success(unix_nano(due))


async def run_by_schedule(
    clock: Clock, expression: str, job: Callable[[], Awaitable[object]]
) -> None:
    """Do *job* whenever *expression* says, until cancelled; a run that is missed is not made up."""
    while True:
        due = next_run(expression, clock.time_ns())
        if isinstance(due, Failure):
            return
        await _wait_until(clock, due.unwrap())
        await job()


async def _wait_until(clock: Clock, due_ns: int) -> None:
    while (left_ns := due_ns - clock.time_ns()) > 0:
        await clock.sleep_until(clock.monotonic_ns() + min(left_ns, _LOOKS_EVERY_NS))
