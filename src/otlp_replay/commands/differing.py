"""How a comparison is told to people."""

from typing import Final

from rich.table import Table

from otlp_capture.cli.terminal import counted_text, plain, print_table, put, results, tell
from otlp_replay.verify import Comparison, FieldCounts, ServiceCounts, ShiftFound

_COUNTS: Final = ("missing", "extra", "duplicated", "changed")
_MOST_ROWS: Final = 50
_MOST_LOOPS: Final = 5


def print_comparison(comparison: Comparison) -> None:
    """Show people what a comparison found, in no more lines than they can read."""
    for session_id in comparison.active:
        tell(f"{session_id} is still recorded; it was compared as it stands.")
    records = f"{counted_text(comparison.records_a, 'record')} against {comparison.records_b:,}"
    verdict = "[bold green]equal[/]" if comparison.equal else "[bold red]different[/]"
    results.print(f"{verdict}: {records}")
    put(f"timestamps moved by {_moved(comparison.shift)} ({comparison.shift.mode})")
    if comparison.equal:
        return
    _print_services(comparison.by_service)
    if comparison.by_field:
        put("")
        _print_fields(comparison.by_field)
    if comparison.differences:
        put("")
    for difference in comparison.differences:
        put(str(difference))
    left_out = sum(getattr(comparison, name) for name in _COUNTS) - len(comparison.differences)
    if left_out:
        put(f"… and {counted_text(left_out, 'more difference')} (--examples, --json)")


def _moved(shift: ShiftFound) -> str:
    if shift.by_loop and len(shift.by_loop) <= _MOST_LOOPS and shift.ns is None:
        return ", ".join(f"{ns:,}" for ns in shift.by_loop) + " ns, loop by loop"
    return f"{shift.min_ns:,} to {shift.max_ns:,} ns" if shift.ns is None else f"{shift.ns:,} ns"


def _print_services(by_service: tuple[ServiceCounts, ...]) -> None:
    table = Table("signal", "service", box=None, pad_edge=False)
    for name in _COUNTS:
        table.add_column(name, justify="right")
    rows = [row for row in by_service if any(getattr(row, name) for name in _COUNTS)]
    for row in rows[:_MOST_ROWS]:
        counts = (f"{getattr(row, name):,}" for name in _COUNTS)
        table.add_row(row.signal, plain(row.service or "(none)"), *counts)
    print_table(table)
    _say_more(len(rows), "service")


def _print_fields(by_field: tuple[FieldCounts, ...]) -> None:
    table = Table("field that changed", "signal", "service", box=None, pad_edge=False)
    table.add_column("changed", justify="right")
    for row in by_field[:_MOST_ROWS]:
        table.add_row(
            plain(_field(row.field)),
            row.signal,
            plain(row.service or "(none)"),
            f"{row.changed:,}",
        )
    print_table(table)
    _say_more(len(by_field), "field")


def _field(field: str | None) -> str:
    if field is None:
        return "(not looked up)"
    return field or "(only the encoding)"


def _say_more(count: int, noun: str) -> None:
    if count > _MOST_ROWS:
        put(f"… and {counted_text(count - _MOST_ROWS, f'more {noun}')}")
