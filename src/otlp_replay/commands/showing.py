"""How a replay, and the plan of one, are told to people."""

from collections.abc import Mapping
from typing import Final

from rich.table import Table

from otlp_capture.cli.terminal import (
    counted_text,
    print_error,
    print_table,
    put,
    results,
    tell,
)
from otlp_replay.commands.carrying import Carried
from otlp_replay.commands.differing import print_comparison
from otlp_replay.fidelity import duration_text, size_text, summary_lines
from otlp_replay.plan import ReplayPlan, Timeline, picture_of
from otlp_replay.selection import OrphanCounts, OrphansUncounted
from otlp_replay.status import DeliveryCounts, ReplayStatus

_OUTCOMES: Final = ("delivered", "rejected", "failed", "unknown", "not sent")

_REASONS: Final[Mapping[str, str]] = {
    "DeliveredBefore": "an earlier run had delivered them",
    "DurationReached": "the replay was to end before",
    "FilteredOut": "nothing in them was chosen",
    "ReplayCancelled": "the replay was stopped before",
    "SettledBefore": "an earlier run had sent them, and may have had them delivered",
    "Skipped": "the replay was moved past them",
    "TargetTooSlow": "the target was too slow",
    "TimestampOutOfRange": "their times cannot be moved so far",
    "TooLate": "they were too late",
}


def print_carried(carried: Carried, reasons: Mapping[str, str]) -> None:
    """Print what a replay came to; *reasons* is what first stood in the way, by outcome."""
    _print_status(carried.status)
    for outcome, reason in reasons.items():
        if carried.status.error is None or reason not in carried.status.error.message:
            tell(f"The first that was {outcome}: {reason}")
    _tell_orphans(carried.status.orphans)
    put("")
    for line in summary_lines(carried.certificate):
        put(line)
    if carried.comparison is not None:
        put("")
        print_comparison(carried.comparison)
    for miss in carried.misses:
        tell(f"The gate is missed: {miss.message}")
    for problem in carried.problems:
        print_error(problem, as_json=False)
    if carried.status.error is not None:
        print_error(carried.status.error, as_json=False)


def _print_status(status: ReplayStatus) -> None:
    table = Table("", box=None, pad_edge=False)
    for name in _OUTCOMES:
        table.add_column(name, justify="right")
    for name, counts in (("requests", status.delivery), ("records", status.delivery_records)):
        table.add_row(name, *(f"{count:,}" for count in _counts(counts)))
    print_table(table)
    for reason, count in status.not_sent_reasons.items():
        tell(f"{counted_text(count, 'request')} not sent: {_REASONS.get(reason, reason)}")


def _tell_orphans(orphans: OrphanCounts | OrphansUncounted | None) -> None:
    match orphans:
        case OrphanCounts(left_out=0, unseen=0) | None:
            pass
        case OrphanCounts(left_out, unseen):
            tell(
                f"{counted_text(left_out + unseen, 'span')} without the parent: "
                f"{left_out:,} whose parent was left out, {unseen:,} whose parent was not read"
            )
        case OrphansUncounted():
            tell(orphans.message)


def _counts(counts: DeliveryCounts) -> tuple[int, ...]:
    return (counts.delivered, counts.rejected, counts.failed, counts.unknown, counts.not_sent)


def print_plan(plan: ReplayPlan) -> None:
    """Print what a replay would send, and when."""
    total, exactly = plan.total, "" if plan.is_exact else "at most "
    table = Table("", box=None, pad_edge=False)
    for name in ("requests", "records", "size"):
        table.add_column(name, justify="right")
    for signal, amount in plan.by_signal.items():
        size = size_text(amount.size_bytes)
        table.add_row(signal, f"{amount.requests:,}", f"{amount.records:,}", size)
    print_table(table)
    put("")
    put(
        f"It would send {exactly}{counted_text(total.requests, 'request')} with "
        f"{counted_text(total.records, 'record')}, {size_text(total.size_bytes)}."
    )
    put(f"recorded: {_timeline(plan.recorded)}")
    put(f"planned:  {_timeline(plan.planned)}")
    if plan.out_of_order:
        put(f"{counted_text(plan.out_of_order, 'request')} arrived out of order.")
    if plan.ages.oldest_ns is not None:
        put(f"Its oldest record would be {duration_text(plan.ages.oldest_ns)} old when it is sent.")
    for warning in plan.warnings:
        put(f"warning: {warning.message}")
    put("")
    results.out(picture_of(plan))


def _timeline(timeline: Timeline) -> str:
    if timeline.duration_ns is None:
        return "how long it takes is for the target to say"
    parts = [duration_text(timeline.duration_ns)]
    if timeline.requests_peak is not None:
        parts.append(f"peak {counted_text(timeline.requests_peak.per_second, 'request')}/s")
    if timeline.bytes_peak is not None:
        parts.append(f"{size_text(timeline.bytes_peak.per_second)}/s")
    return ", ".join(parts)
