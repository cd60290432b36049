"""The command `otlp-capture diff`."""

from typing import Annotated, Any, Final

import typer
from rich.table import Table

from otlp_capture.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from otlp_capture.cli.terminal import (
    DONE,
    FINDING,
    plain,
    print_json,
    print_table,
    put,
    results,
    run_with,
)
from otlp_capture.clock import SystemClock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay.commands.exits import EXIT_CODES
from otlp_replay.verify import Comparison, ShiftMode, verify


def diff(
    session_a: Annotated[str, typer.Argument(metavar="A", help="The original.")],
    session_b: Annotated[str, typer.Argument(metavar="B", help="What arrived.")],
    *,
    shift: Annotated[
        ShiftMode,
        typer.Option(
            help="How timestamps were moved. auto: by a constant, to be found. none: not at all. "
            "constant: like auto, or by --shift-ns. per-request: each request by its own."
        ),
    ] = "auto",
    shift_ns: Annotated[
        int | None,
        typer.Option(metavar="NS", help="With --shift constant: the constant, in nanoseconds."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Compare two sessions, record by record.

    Batching, grouping and the order of attributes do not matter; the declared shift of timestamps
    is undone, and printed. Exits with 0 when they are equal, 1 when not.

    Example: [bold]otlp-capture diff checkout checkout-replayed --shift constant[/]
    """

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        compared = await verify(storage, session_a, session_b, shift=shift, shift_ns=shift_ns)
        if isinstance(compared, Failure):
            return compared
        comparison = compared.unwrap()
        if as_json:
            print_json(comparison.to_json())
        else:
            print_comparison(comparison)
        return Success(DONE if comparison.equal else FINDING)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json, codes=EXIT_CODES)


_COUNTS: Final = ("missing", "extra", "duplicated", "changed")


def print_comparison(comparison: Comparison) -> None:
    """Show people what a comparison found."""
    shift, records = comparison.shift, f"{comparison.records_a:,} records"
    verdict = "[bold green]equal[/]" if comparison.equal else "[bold red]different[/]"
    results.print(f"{verdict}: {records} against {comparison.records_b:,}")
    moved = f"{shift.min_ns:,} to {shift.max_ns:,}" if shift.ns is None else f"{shift.ns:,}"
    results.print(f"timestamps moved by {moved} ns ({shift.mode})")
    if comparison.equal:
        return
    table = Table("signal", "service", box=None, pad_edge=False)
    for name in _COUNTS:
        table.add_column(name, justify="right")
    for row in comparison.by_service:
        counts = [getattr(row, name) for name in _COUNTS]
        if any(counts):
            table.add_row(
                row.signal, plain(row.service or "(none)"), *(f"{count:,}" for count in counts)
            )
    print_table(table)
    for difference in comparison.differences:
        put(str(difference))
