"""`otlp-capture retention`: what a store holds, and what of it goes when."""

from collections.abc import Callable
from typing import Annotated, Any, NoReturn, TypeAlias

import anyio
import typer

from otlp_capture.cli.asking import confirmed
from otlp_capture.cli.gathering import gathering
from otlp_capture.cli.help import Command, Group
from otlp_capture.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from otlp_capture.cli.retention_options import PolicyOptions, choose_policy
from otlp_capture.cli.retention_output import (
    print_plan,
    print_result,
    print_usage,
    result_document,
    show_plan,
    time_text,
    usage_document,
)
from otlp_capture.cli.terminal import (
    DONE,
    FINDING,
    exit_code,
    print_error,
    print_json,
    progress,
    run_with,
    tell,
    tell_json,
)
from otlp_capture.layer import Layer
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention import (
    CleanupOutcome,
    PolicyFile,
    RetentionPlan,
    RetentionPolicy,
    RetentionService,
    RetentionServiceLive,
    RetentionServiceTag,
    retention_service,
)
from otlp_capture.storage import StorageError, storage_from_url

retention = typer.Typer(
    cls=Group, no_args_is_help=True, help="Tell what a store holds, and keep it to a policy."
)

CronOption: TypeAlias = Annotated[
    str | None, typer.Option("--cron", metavar="EXPRESSION", help="When, in UTC: '0 2 * * *'.")
]


@retention.command("usage", cls=Command)
def usage_command(*, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """Tell what a store holds: sessions, and capture without a session.

    Example: [bold]otlp-capture retention usage[/]
    """

    async def work(service: RetentionService) -> Outcome[int, Any]:
        used = await service.get_storage_usage()
        if isinstance(used, Failure):
            return used
        if as_json:
            print_json(usage_document(used.unwrap()))
        else:
            print_usage(used.unwrap())
        return Success(DONE)

    run_with(store, RetentionServiceLive, RetentionServiceTag, work, as_json=as_json)


@retention.command("plan", cls=Command)
@gathering
def plan_command(
    *,
    policy: PolicyOptions,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show what `run` would delete and archive now, and why; nothing is changed.

    Example: [bold]otlp-capture retention plan --days 14 --label keep=*:forever[/]
    """
    chosen = choose_policy(policy)

    async def work(service: RetentionService, wanted: RetentionPolicy) -> Outcome[int, Any]:
        planned = await service.plan_retention(wanted)
        if isinstance(planned, Failure):
            return planned
        show_plan(planned.unwrap(), as_json=as_json)
        return Success(DONE)

    _run(store, chosen, work, as_json=as_json)


@retention.command("run", cls=Command)
@gathering
def run_command(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    policy: PolicyOptions,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Delete and archive what a policy says, the metadata of each session last.

    At a terminal the plan is shown first, and asked for; elsewhere --yes or --dry-run is needed.
    Sessions that are active or under a hold are never touched. What could not be done is told,
    and the exit code is 1 then.

    Example: [bold]otlp-capture retention run --policy retention.toml --yes[/]
    """
    chosen = choose_policy(policy)

    async def work(service: RetentionService, wanted: RetentionPolicy) -> Outcome[int, Any]:
        planned = await service.plan_retention(wanted)
        if isinstance(planned, Failure):
            return planned
        plan = planned.unwrap()
        if dry_run:
            show_plan(plan, as_json=as_json)
            return Success(DONE)
        if plan.actions and not yes:
            asked = await _asked(plan, as_json=as_json)
            if isinstance(asked, Failure):
                return asked
            if not asked.unwrap():
                tell("Nothing was changed.")
                return Success(FINDING)
        return await _do(service, plan, as_json=as_json)

    _run(store, chosen, work, as_json=as_json)


@retention.command("schedule", cls=Command)
@gathering
def schedule_command(
    *,
    cron: CronOption = None,
    policy: PolicyOptions,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Follow a policy by its schedule, in the foreground, until interrupted.

    Each run is told; with --json each is one object, and so is the time of the first, on standard
    error.

    Example: [bold]otlp-capture retention schedule --cron "0 2 * * *" --days 14[/]
    """
    chosen = choose_policy(policy, cron)

    async def work(service: RetentionService, wanted: RetentionPolicy) -> Outcome[int, Any]:
        due = await service.schedule_retention_jobs(
            wanted, ran=lambda ran: _tell_run(ran, as_json=as_json)
        )
        if isinstance(due, Failure):
            return due
        if as_json:
            tell_json({"nextRun": time_text(due.unwrap())})
        else:
            tell(f"The first run is due at {due.unwrap():%Y-%m-%d %H:%M} UTC. Ctrl-C ends it.")
        await anyio.sleep_forever()
        return Success(DONE)

    _run(store, chosen, work, as_json=as_json)


def _run(
    store: str,
    chosen: Outcome[PolicyFile, Any],
    work: Callable[[RetentionService, RetentionPolicy], Any],
    *,
    as_json: bool,
) -> NoReturn:
    if isinstance(chosen, Failure):
        _refuse(chosen.failure(), as_json=as_json)
    target: Layer[StorageError] | None = None
    archive_to = chosen.unwrap().archive_to
    if archive_to is not None:
        found = storage_from_url(archive_to)
        if isinstance(found, Failure):
            _refuse(found.failure(), as_json=as_json)
        target = found.unwrap()

    async def followed(service: RetentionService) -> Outcome[int, Any]:
        ended: Outcome[int, Any] = await work(service, chosen.unwrap().policy)
        return ended

    run_with(store, retention_service(target), RetentionServiceTag, followed, as_json=as_json)


def _refuse(error: Any, *, as_json: bool) -> NoReturn:
    print_error(error, as_json=as_json)
    raise typer.Exit(exit_code(error, {}))


async def _asked(plan: RetentionPlan, *, as_json: bool) -> Outcome[bool, Any]:
    if not as_json:
        print_plan(plan)
    return await confirmed("Do it?", what="The plan", as_json=as_json, instead="--yes or --dry-run")


async def _do(
    service: RetentionService, plan: RetentionPlan, *, as_json: bool
) -> Outcome[int, Any]:
    with progress(as_json=as_json) as bar:
        task = bar.add_task("freeing", total=plan.freed_size_bytes, unit="bytes")
        ran = await service.run_retention(
            plan, done=lambda action: bar.advance(task, action.size_bytes)
        )
    if isinstance(ran, Failure):
        return ran
    result = ran.unwrap()
    if as_json:
        print_json(result_document(result))
    else:
        print_result(result)
    codes = (exit_code(error.cause, {}) for error in result.errors)
    return Success(max((max(code, FINDING) for code in codes), default=DONE))


def _tell_run(ran: CleanupOutcome, *, as_json: bool) -> None:
    if isinstance(ran, Failure):
        print_error(ran.failure(), as_json=as_json)
    elif as_json:
        print_json(result_document(ran.unwrap()))
    else:
        print_result(ran.unwrap())
