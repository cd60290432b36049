"""What every command shares: the two ways of output, errors and exit codes.

Exit codes: 0 done; 1 a negative finding; 2 bad input, or could not tell; 3 storage or target out
of reach.
"""

import json
import logging
import math
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn, TypeVar, get_args

import anyio
import attrs
import typer
from anyio.abc import TaskStatus
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from otlp_capture.capture import StorageFailure
from otlp_capture.clock import SystemClock
from otlp_capture.layer import Layer, Tag, open_runtime, wire
from otlp_capture.result import Failure, Fault, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata, MetadataCorrupted, SegmentCorrupted
from otlp_capture.storage import InvalidKey, StorageError, storage_from_url

S = TypeVar("S")

DONE, FINDING, BAD_INPUT, OUT_OF_REACH = 0, 1, 2, 3

_OUT_OF_REACH: Final = tuple(set(get_args(StorageError)) - {InvalidKey})
_ANY_WIDTH: Final = 10_000
_SIGNAL_BASE: Final = 128


class _Terminal(Console):
    """A console whose reader may leave: the work is done to its end all the same."""

    def on_broken_pipe(self) -> None:
        """Write what is still to come to nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


results: Final = _Terminal(highlight=False)
"""Standard output: results, and nothing else."""

people: Final = _Terminal(stderr=True, highlight=False)
"""Standard error: messages, progress and errors."""


def exit_code(error: Fault, codes: Mapping[type, int]) -> int:
    """Return the exit code that says *error*; *codes* adds to what is known here."""
    if type(error) in codes:
        return codes[type(error)]
    if isinstance(error, (StorageFailure, *_OUT_OF_REACH)):
        return OUT_OF_REACH
    return FINDING if isinstance(error, MetadataCorrupted | SegmentCorrupted) else BAD_INPUT


def plain(text: str) -> Text:
    r"""Return text from outside as it can be shown: no markup, no control characters.

    >>> plain("[red]\x1b[2Jcheckout").plain
    '[red]\\x1b[2Jcheckout'
    """
    return Text("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))


def tell(text: str) -> None:
    """Write a sentence to standard error, for people; one line, but on a terminal."""
    people.print(plain(text), soft_wrap=not people.is_terminal)


def put(text: str) -> None:
    """Write a sentence of a result to standard output; one line, but on a terminal."""
    results.print(plain(text), soft_wrap=not results.is_terminal)


def print_table(table: Table) -> None:
    """Write a table to standard output, as wide as it needs to be: nothing is cut off."""
    _Terminal(highlight=False, width=_ANY_WIDTH).print(table)


def print_json(document: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output."""
    results.out(json.dumps(document, ensure_ascii=False, indent=2))


def tell_json(document: Mapping[str, Any]) -> None:
    """Write one JSON object to standard error, on one line."""
    people.out(json.dumps(document, ensure_ascii=False, default=_as_text))


def print_error(error: Fault, *, as_json: bool) -> None:
    """Say what went wrong, on standard error."""
    if as_json:
        tell_json({"error": type(error).__name__, "message": error.message, **_fields(error)})
        return
    said = Text.assemble(("error: ", "bold red"), plain(error.message))
    people.print(said, soft_wrap=not people.is_terminal)


def _fields(error: object) -> dict[str, Any]:
    kind = type(error)
    names = [field.name for field in attrs.fields(kind)] if attrs.has(kind) else []
    values = {name: getattr(error, name) for name in names}
    return {name: value if _is_json(value) else _as_text(value) for name, value in values.items()}


def _is_json(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _as_text(value: object) -> str:
    return value.message if isinstance(value, Fault) else str(value)


def run_with(
    store: str,
    service: Layer[Any],
    tag: Tag[S],
    work: Callable[[S], Awaitable[Outcome[int, Any]]],
    *,
    as_json: bool,
    codes: Mapping[type, int] | None = None,
    failed: int | None = None,
) -> NoReturn:
    """Open a service on a store, do *work* with it, and end the process.

    Args:
        store: the store's URL.
        service: the layer of the service; it needs a store and a clock at most.
        tag: the service.
        work: returns the exit code, or the error to print.
        as_json: whether errors are printed for machines.
        codes: the exit codes of errors that this module does not know.
        failed: the exit code of all errors that *codes* does not name, in place of one that tells
            them apart.
    """
    known = codes or {}
    if as_json:
        logging.disable(logging.CRITICAL)

    async def main() -> Outcome[int, Any]:
        storage = storage_from_url(store)
        if isinstance(storage, Failure):
            return storage
        layer = wire(service, storage.unwrap(), SystemClock)
        async with open_runtime(layer, tag) as opened:
            if isinstance(opened, Failure):
                return opened
            return await work(opened.unwrap()[0])

    ended = anyio.run(_interruptible, main)
    if isinstance(ended, Failure):
        error: Fault = ended.failure()
        print_error(error, as_json=as_json)
        if failed is not None:
            raise typer.Exit(known.get(type(error), failed))
        raise typer.Exit(exit_code(error, known))
    raise typer.Exit(ended.unwrap())


async def _interruptible(
    main: Callable[[], Awaitable[Outcome[int, Any]]],
) -> Outcome[int, Any]:
    """Do *main*; Ctrl-C and SIGTERM cancel it, and 128 + n is the exit code then."""
    ended: Outcome[int, Any] = Success(DONE)
    interruption: list[int] = []
    async with anyio.create_task_group() as tasks:
        await tasks.start(_note_interruption, interruption, tasks.cancel_scope)
        ended = await main()
        tasks.cancel_scope.cancel()
    return Success(_SIGNAL_BASE + interruption[0]) if interruption else ended


async def _note_interruption(
    interruption: list[int], scope: anyio.CancelScope, *, task_status: TaskStatus[None]
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        interruption.append(await anext(signals))
        scope.cancel()


def progress(*, as_json: bool) -> Progress:
    """Return a progress display; silent for machines, and where nobody looks."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} {task.fields[unit]}"),
        TimeElapsedColumn(),
        console=people,
        transient=True,
        disable=as_json or not people.is_terminal,
    )


def counted_text(count: int, noun: str) -> str:
    """Return a count with its noun, which forms its plural with an s.

    >>> counted_text(1, "request"), counted_text(4551, "data point")
    ('1 request', '4,551 data points')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


COUNTED: Final = ("requests", "spans", "points", "logs", "stored")
"""What `count_columns` counts, as the heads of columns."""


def count_columns(metadata: CaptureSessionMetadata) -> tuple[str, ...]:
    """Return what a session holds, for the columns of `COUNTED`."""
    records = metadata.record_counts
    return (
        f"{metadata.captured_requests:,}",
        f"{records.spans:,}",
        f"{records.data_points:,}",
        f"{records.log_records:,}",
        decimal(metadata.total_size_bytes),
    )


def summary(metadata: CaptureSessionMetadata) -> str:
    """Return what a session holds, in one line."""
    records = metadata.record_counts
    return (
        f"{metadata.session_id}: {counted_text(metadata.captured_requests, 'request')} with "
        f"{counted_text(records.spans, 'span')}, "
        f"{counted_text(records.data_points, 'data point')} and "
        f"{counted_text(records.log_records, 'log record')}; "
        f"{counted_text(metadata.total_raw_bytes, 'byte')}, {metadata.total_size_bytes:,} stored"
    )
