"""`otlp-capture import`: a file becomes a session."""

from pathlib import Path
from typing import Annotated, Any

import typer

from otlp_capture.cli.options import DEFAULT_STORE, JsonOption, SessionOption, StoreOption
from otlp_capture.cli.terminal import (
    DONE,
    print_json,
    progress,
    put,
    run_with,
    summary,
    tell,
)
from otlp_capture.clock import SYSTEM_CLOCK, SystemClock
from otlp_capture.interchange import ImportReport, import_file
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import metadata_document
from otlp_capture.storage import S3Storage, S3StorageTag


def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines, or framed protobuf.")],
    *,
    session: SessionOption,
    signal: Annotated[
        Signal | None,
        typer.Option(help="What the requests are: protobuf needs it, of JSON it selects."),
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out what is broken, keep the rest.")
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Make a session of a file that a collector's file exporter has written.

    Signals may be mixed in JSON Lines. A request arrived at the latest time in it. Where an entry
    is broken nothing is imported, unless --skip-invalid says otherwise.

    Example: [bold]otlp-capture import capture.jsonl --session checkout[/]
    """

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        with progress(as_json=as_json) as bar:
            size_bytes = file.stat().st_size if file.is_file() else 0
            task = bar.add_task(f"importing {file.name}", total=size_bytes, unit="bytes")
            imported = await import_file(
                storage,
                SYSTEM_CLOCK,
                file,
                session,
                signal=signal,
                skip_invalid=skip_invalid,
                advanced=lambda position: bar.update(task, completed=position),
            )
        if isinstance(imported, Failure):
            return imported
        if as_json:
            print_json(_document(imported.unwrap()))
        else:
            _print_report(imported.unwrap())
        return Success(DONE)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json)


def _document(report: ImportReport) -> dict[str, Any]:
    return {
        **metadata_document(report.metadata),
        "skipped": report.skipped,
        "skippedExamples": [
            {"place": broken.place, "reason": broken.reason} for broken in report.examples
        ],
    }


def _print_report(report: ImportReport) -> None:
    for broken in report.examples:
        tell(f"left out {broken.place}: {broken.reason}")
    if report.skipped > len(report.examples):
        tell(f"left out {report.skipped - len(report.examples):,} more")
    put(summary(report.metadata))
