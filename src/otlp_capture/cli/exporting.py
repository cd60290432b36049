"""`otlp-capture export`: a session becomes files."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from otlp_capture.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    SignalsOption,
    StoreOption,
    chosen_signals,
)
from otlp_capture.cli.terminal import (
    DONE,
    OUT_OF_REACH,
    counted_text,
    print_json,
    progress,
    put,
    run_with,
    tell,
    tell_json,
)
from otlp_capture.clock import SystemClock
from otlp_capture.interchange import (
    ExportConfig,
    ExportReport,
    InvalidExport,
    OutputUnwritable,
    export_session,
)
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage import S3Storage, S3StorageTag

_STDOUT = "-"


class FormatName(StrEnum):
    """The formats, as the choices of an option."""

    JSONL = "jsonl"
    BINPB = "binpb"


class CompressionName(StrEnum):
    """The compressions, as the choices of an option."""

    GZIP = "gzip"
    ZSTD = "zstd"


def export(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session.")],
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="PATH|-",
            help="The file; the folder, where there is a file for each signal; -: standard output.",
        ),
    ],
    format_: Annotated[
        FormatName,
        typer.Option(
            "--format",
            envvar="OTLP_CAPTURE_EXPORT_FORMAT",
            help="jsonl: OTLP/JSON, one request a line. binpb: protobuf behind 4-byte lengths, a "
            "file for each signal.",
        ),
    ] = FormatName.JSONL,
    split: Annotated[
        bool, typer.Option("--split", help="Write JSON Lines into a file for each signal, too.")
    ] = False,
    compress: Annotated[
        CompressionName | None, typer.Option(help="Compress each file as a whole.")
    ] = None,
    signal: SignalsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Write a session as files that a collector's file exporter could have written.

    Requests stand in the order of their arrival. Files appear when they are whole. The moment of an
    arrival is not in them, headers that were kept are not, and JSON cannot hold unknown fields:
    requests that lose something are counted. With - the report goes to standard error.

    Example: [bold]otlp-capture export checkout --to checkout.jsonl[/]
    """
    config = ExportConfig(
        format=format_.value,
        compression=compress.value if compress else None,
        signals=chosen_signals(signal),
        is_split=split,
        is_over=force,
    )

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        if _would_garble(to, config):
            reason = "binary output is not for a terminal; send it to a file, or through a pipe"
            return Failure(InvalidExport(reason))
        target = sys.stdout.fileno() if to == _STDOUT else Path(to)
        with progress(as_json=as_json) as bar:
            task = bar.add_task(f"exporting {session_id}", total=0, unit="requests")
            exported = await export_session(
                storage,
                session_id,
                target,
                config,
                advanced=lambda done, total: bar.update(task, completed=done, total=total),
            )
        if isinstance(exported, Failure):
            return exported
        _report(exported.unwrap(), is_stdout=to == _STDOUT, as_json=as_json)
        return Success(DONE)

    run_with(
        store,
        SystemClock,
        S3StorageTag,
        work,
        as_json=as_json,
        codes={OutputUnwritable: OUT_OF_REACH},
    )


def _would_garble(to: str, config: ExportConfig) -> bool:
    is_binary = config.format == "binpb" or config.compression is not None
    return to == _STDOUT and is_binary and os.isatty(sys.stdout.fileno())


def _report(report: ExportReport, *, is_stdout: bool, as_json: bool) -> None:
    if as_json:
        (tell_json if is_stdout else print_json)(_document(report))
        return
    say = tell if is_stdout else put
    for each in report.files:
        requests = counted_text(each.requests, "request")
        say(f"{each.path}: {requests}, {counted_text(each.size_bytes, 'byte')}")
    say(
        f"{report.session_id}: {counted_text(report.requests, 'request')} with "
        f"{counted_text(report.records, 'record')}"
    )
    losses = {
        "lost fields that JSON has no form for": report.unknown_fields,
        "lost the headers that were kept of them": report.headers,
        "lost an arrival that differs from the times of its records": report.arrivals,
    }
    for what, count in losses.items():
        if count:
            tell(f"{counted_text(count, 'request')} {what}")


def _document(report: ExportReport) -> dict[str, Any]:
    return {
        "sessionId": report.session_id,
        "requests": report.requests,
        "records": report.records,
        "files": [
            {"path": each.path, "requests": each.requests, "sizeBytes": each.size_bytes}
            for each in report.files
        ],
        "lost": {
            "unknownFields": report.unknown_fields,
            "arrivals": report.arrivals,
            "headers": report.headers,
        },
    }
