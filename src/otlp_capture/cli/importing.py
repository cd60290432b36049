"""`otlp-capture import`: files become a session."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

import attrs
import typer
from rich.progress import Progress, TaskID

from otlp_capture.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    SessionOption,
    SignalName,
    StoreOption,
    chosen_signals,
)
from otlp_capture.cli.redaction import RedactOption, chosen_redactor, redaction_lines
from otlp_capture.cli.terminal import (
    DONE,
    counted_text,
    print_json,
    progress,
    put,
    run_with,
    summary,
    tell,
)
from otlp_capture.clock import SYSTEM_CLOCK, SystemClock
from otlp_capture.interchange import (
    Choice,
    EntryBroken,
    ImportReport,
    LeftOut,
    Watcher,
    import_file,
    import_folder,
    import_objects,
)
from otlp_capture.layer import open_runtime
from otlp_capture.redaction import Redactor, redaction_report
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import metadata_document
from otlp_capture.storage import S3Storage, S3StorageTag, storage_from_url

_MAX_NAMED: Final = 10_000
"""With --json; people are told of all, one by one."""


def import_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A file, a folder, or s3://bucket/prefix?endpoint=URL"
        ),
    ],
    *,
    session: SessionOption,
    signal: Annotated[
        SignalName | None,
        typer.Option(
            help="What protobuf is whose name does not say it; of JSON, and of files whose name "
            "does, it selects."
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Which files of a folder, by name, or by path if there is a slash in it; may be "
            "repeated.",
        ),
    ] = None,
    partition_format: Annotated[
        str | None,
        typer.Option(
            metavar="STRFTIME",
            help="How the folders of an awss3 exporter are called, such as %Y/%m/%d/%H, taken as "
            "UTC.",
        ),
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out what is broken, keep the rest.")
    ] = False,
    redact: RedactOption = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Make a session of what a collector's file exporter or awss3 exporter has written.

    JSON Lines or one JSON document, protobuf or JSON behind 4-byte lengths, or one request;
    compressed with gzip or zstd or not: the content decides, not the ending. A request arrived at
    the latest time in it, or else when its partition began, or else when the file was written.
    Where an entry is broken nothing is imported, unless --skip-invalid says otherwise. What is left
    out is told.

    Example: [bold]otlp-capture import capture.jsonl --session checkout[/]
    """
    chosen = chosen_signals([signal])[0] if signal else None
    choice = Choice(chosen, tuple(include or ()), partition_format)
    redactor = chosen_redactor(redact, as_json=as_json)

    named: list[LeftOut] = []

    def name_later(left: LeftOut) -> None:
        if len(named) < _MAX_NAMED:
            named.append(left)

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        with progress(as_json=as_json) as bar:
            task = bar.add_task(f"importing {_name(source)}", total=_size(source), unit="bytes")
            importing = _Importing(
                storage=storage,
                source=source,
                session_id=session,
                choice=choice,
                skip_invalid=skip_invalid,
                redactor=redactor,
                watcher=_watcher(bar, task, source, name_later if as_json else _tell_people),
            )
            imported = await importing.run()
        if isinstance(imported, Failure):
            return imported
        if as_json:
            print_json(_document(imported.unwrap(), named, redactor))
        else:
            _print_report(imported.unwrap(), redactor)
        return Success(DONE)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json)


@attrs.frozen
class _Importing:
    """One import, whatever the source is."""

    storage: S3Storage
    source: str
    session_id: str
    choice: Choice
    skip_invalid: bool
    redactor: Redactor | None
    watcher: Watcher

    async def run(self) -> Outcome[ImportReport, Any]:
        if not _is_url(self.source):
            return await self._path(Path(self.source))
        layer = storage_from_url(self.source)
        if isinstance(layer, Failure):
            return layer
        async with open_runtime(layer.unwrap(), S3StorageTag) as opened:
            if isinstance(opened, Failure):
                return opened
            return await import_objects(
                self.storage,
                SYSTEM_CLOCK,
                opened.unwrap()[0],
                self.session_id,
                name=_name(self.source),
                prefix=unquote(urlsplit(self.source).path).strip("/"),
                choice=self.choice,
                skip_invalid=self.skip_invalid,
                watcher=self.watcher,
                redactor=self.redactor,
            )

    async def _path(self, path: Path) -> Outcome[ImportReport, Any]:
        take = import_folder if path.is_dir() else import_file  # noqa: ASYNC240 - one look
        return await take(
            self.storage,
            SYSTEM_CLOCK,
            path,
            self.session_id,
            choice=self.choice,
            skip_invalid=self.skip_invalid,
            watcher=self.watcher,
            redactor=self.redactor,
        )


def _is_url(source: str) -> bool:
    return source.lower().startswith("s3:")


def _name(source: str) -> str:
    return source.partition("?")[0] if _is_url(source) else Path(source).name or source


def _size(source: str) -> int:
    path = Path(source)
    return path.stat().st_size if not _is_url(source) and path.is_file() else 0


def _watcher(
    bar: Progress, task: TaskID, source: str, left_out: Callable[[LeftOut], object]
) -> Watcher:
    size_bytes = _size(source)

    def advanced(read_bytes: int, files: int) -> None:
        bar.update(task, completed=read_bytes, total=max(size_bytes, read_bytes))
        if files:
            done = counted_text(files, "file")
            bar.update(task, description=f"importing {_name(source)}, {done}")

    return Watcher(advanced, left_out)


def _tell_people(left: LeftOut) -> None:
    if isinstance(left, EntryBroken):
        tell(f"left out {left.path}, {left.place}: {left.reason}")
    else:
        tell(f"passed over {left.path}: {left.reason}")


def _fields(left: LeftOut) -> dict[str, str]:
    if isinstance(left, EntryBroken):
        return {"path": left.path, "place": left.place, "reason": left.reason}
    return {"path": left.path, "reason": left.reason}


def _document(
    report: ImportReport, named: list[LeftOut], redactor: Redactor | None
) -> dict[str, Any]:
    return {
        **metadata_document(report.metadata),
        "files": report.files,
        "skipped": report.skipped,
        "passedOver": report.passed_over,
        "unselected": report.unselected,
        "leftOut": [_fields(left) for left in named],
        **({} if redactor is None else {"redacted": redaction_report(redactor)}),
    }


def _print_report(report: ImportReport, redactor: Redactor | None) -> None:
    counts = {
        "left out": (report.skipped, "broken entry", "broken entries"),
        "passed over": (report.passed_over, "file", "files"),
        "not taken": (report.unselected, "request of another signal", "requests of other signals"),
    }
    for what, (count, one, many) in counts.items():
        if count:
            tell(f"{what}: {count:,} {one if count == 1 else many}")
    for line in () if redactor is None else redaction_lines(redactor):
        tell(line)
    put(summary(report.metadata))
