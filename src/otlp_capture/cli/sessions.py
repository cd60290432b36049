"""`otlp-capture sessions`: what a store holds."""

from datetime import UTC
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from otlp_capture.capture import (
    OtlpCaptureService,
    OtlpCaptureServiceLive,
    OtlpCaptureServiceTag,
)
from otlp_capture.cli.help import Command, Group
from otlp_capture.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from otlp_capture.cli.terminal import (
    COUNTED,
    DONE,
    count_columns,
    plain,
    print_json,
    print_table,
    put,
    run_with,
    tell,
)
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata, metadata_document

sessions = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="List, show, verify, reindex, hold, release and delete sessions.",
)


@sessions.command("list", cls=Command)
def list_command(*, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """List the sessions of a store, in the order of their start.

    Example: [bold]otlp-capture sessions list --store file:./otlp-data[/]
    """

    async def work(capture: OtlpCaptureService) -> Outcome[int, Any]:
        listed = await capture.list_capture_sessions()
        if isinstance(listed, Failure):
            return listed
        found = listed.unwrap()
        if as_json:
            print_json({"sessions": [metadata_document(metadata) for metadata in found]})
        else:
            _print_table(found)
        return Success(DONE)

    run_with(store, OtlpCaptureServiceLive, OtlpCaptureServiceTag, work, as_json=as_json)


@sessions.command("show", cls=Command)
def show_command(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session.")],
    *,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show a session; with --json, its metadata document.

    Example: [bold]otlp-capture sessions show checkout --json[/]
    """

    async def work(capture: OtlpCaptureService) -> Outcome[int, Any]:
        status = await capture.get_capture_status(session_id)
        if isinstance(status, Failure):
            return status
        if as_json:
            print_json(metadata_document(status.unwrap()))
        else:
            _print_session(status.unwrap())
        return Success(DONE)

    run_with(store, OtlpCaptureServiceLive, OtlpCaptureServiceTag, work, as_json=as_json)


def _print_table(found: tuple[CaptureSessionMetadata, ...]) -> None:
    if not found:
        tell("There are no sessions in this store.")
        return
    table = Table("session", "status", "start (UTC)", box=None, pad_edge=False)
    for name in COUNTED:
        table.add_column(name, justify="right")
    for metadata in found:
        start = f"{metadata.start_time.astimezone(UTC):%Y-%m-%d %H:%M}"
        table.add_row(plain(metadata.session_id), metadata.status, start, *count_columns(metadata))
    print_table(table)


def _print_session(metadata: CaptureSessionMetadata) -> None:
    document = metadata_document(metadata)
    width = max(map(len, document))
    for name, value in document.items():
        put(f"{name:<{width}}  {_text(value)}")


def _text(value: Any) -> str:
    match value:
        case dict():
            pairs = cast("dict[str, Any]", value).items()
            return ", ".join(f"{name} {_text(item)}" for name, item in pairs) or "-"
        case list():
            return ", ".join(map(_text, cast("list[Any]", value))) or "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
