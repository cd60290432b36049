"""`otlp-capture sessions`: what a store holds."""

from collections.abc import Mapping
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
    counted_text,
    plain,
    print_json,
    print_table,
    put,
    run_with,
    tell,
)
from otlp_capture.clock import SystemClock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata, load_session, metadata_document
from otlp_capture.spool import waiting_bytes
from otlp_capture.storage import S3Storage, S3StorageTag

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

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        loaded = await load_session(storage, session_id)
        if isinstance(loaded, Failure):
            return loaded
        metadata = loaded.unwrap().metadata
        if as_json:
            print_json(metadata_document(metadata))
        else:
            _print_session(metadata)
            tell_waiting(storage, session_id)
        return Success(DONE)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json)


def tell_waiting(storage: S3Storage, session_id: str) -> None:
    """Tell of what a session has in the spool of this machine, beside what is in the store."""
    waiting = waiting_bytes(storage, session_id)
    if waiting:
        tell(
            f"The spool of this machine holds {counted_text(waiting, 'byte')} more of it, stored "
            f"and not published yet. A recorder that runs publishes them; after one that has "
            f"died, `otlp-capture sessions recover {session_id}` does."
        )


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
        text = _labels(value) if name == "labels" else _text(value)
        put(f"{name:<{width}}  {text}")


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items()) or "-"


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
