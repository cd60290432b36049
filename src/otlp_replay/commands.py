"""The commands `replay`, `diff` and `demo` of `otlp-capture`."""

import shlex
from signal import SIGINT, SIGTERM
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote, urlsplit

import anyio
import typer
from rich.table import Table

from otlp_capture.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    SignalsOption,
    StoreOption,
    chosen_signals,
)
from otlp_capture.cli.terminal import (
    COUNTED,
    DONE,
    FINDING,
    OUT_OF_REACH,
    count_columns,
    counted_text,
    exit_code,
    plain,
    print_error,
    print_json,
    print_table,
    progress,
    put,
    results,
    run_with,
    tell,
)
from otlp_capture.clock import SystemClock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import metadata_document
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay.config import Protocol, ReplayConfig, TimestampAdjustment
from otlp_replay.demo import Demo, DemoLive, Demonstration, DemoTag
from otlp_replay.errors import DataCorrupted, DecompressionFailure, IngestionFailure
from otlp_replay.service import OtlpReplayService, OtlpReplayServiceLive, OtlpReplayServiceTag
from otlp_replay.status import DeliveryCounts, ReplayStatus
from otlp_replay.verify import Comparison, ShiftMode, verify

_EXIT_CODES: Final[dict[type, int]] = {
    DataCorrupted: FINDING,
    DecompressionFailure: FINDING,
    IngestionFailure: OUT_OF_REACH,
}
_INTERRUPTED: Final = 130
_GLANCE_S: Final = 0.1


def _speed(text: str) -> float | Literal["max"]:
    if text == "max":
        return "max"
    try:
        return float(text)
    except ValueError:
        message = f"{text!r} is no speed: a number, or max"
        raise typer.BadParameter(message, param_hint="--speed") from None


def replay(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="The OTLP/HTTP endpoint.")],
    protocol: Annotated[Protocol, typer.Option(help="How to write requests.")] = "http/protobuf",
    speed: Annotated[
        str, typer.Option(metavar="N|max", help="1 keeps the pace, 2 doubles it, max: at once.")
    ] = "1",
    timestamps: Annotated[
        TimestampAdjustment,
        typer.Option(
            help="none: as they are. relative: all by one constant, to begin now. current: each "
            "request to when it is sent."
        ),
    ] = "none",
    signal: SignalsOption = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Send a session to an OTLP endpoint, at the pace at which it was recorded.

    Exits with 0 when all was delivered, 1 when something was not, 3 when the target is out of
    reach. With --json the final status is printed.

    Example: [bold]otlp-capture replay checkout --to http://127.0.0.1:4318 --speed max[/]
    """
    chosen = chosen_signals(signal)
    config = ReplayConfig(
        session_id=session_id,
        target_endpoint=to,
        timestamp_adjustment=timestamps,
        speed_multiplier=_speed(speed),
        replay_traces="traces" in chosen,
        replay_metrics="metrics" in chosen,
        replay_logs="logs" in chosen,
        protocol=protocol,
    )

    async def work(service: OtlpReplayService) -> Outcome[int, Any]:
        started = await service.start_replay(config)
        if isinstance(started, Failure):
            return started
        status = await _watch(service, started.unwrap(), as_json=as_json)
        if as_json:
            print_json(status.to_json())
        else:
            _print_status(status)
        return Success(_code(status))

    run_with(
        store,
        OtlpReplayServiceLive,
        OtlpReplayServiceTag,
        work,
        as_json=as_json,
        codes=_EXIT_CODES,
    )


async def _watch(
    service: OtlpReplayService, status: ReplayStatus, *, as_json: bool
) -> ReplayStatus:
    """Show how the replay goes on, until it is over or somebody interrupts it."""
    with (
        progress(as_json=as_json) as bar,
        anyio.open_signal_receiver(SIGINT, SIGTERM) as interrupts,
    ):
        task = bar.add_task(
            f"replaying {status.session_id}", total=status.total_records, unit="requests"
        )
        while not status.is_over:
            with anyio.move_on_after(_GLANCE_S):
                await anext(interrupts)
                return status
            status = (await service.get_replay_status(status.session_id)).unwrap()
            bar.update(task, completed=status.delivery.total)
    return status


def _code(status: ReplayStatus) -> int:
    if not status.is_over:
        return _INTERRUPTED
    if status.error is not None:
        return exit_code(status.error, _EXIT_CODES)
    return DONE if status.delivery.delivered == status.total_records else FINDING


def _print_status(status: ReplayStatus) -> None:
    table = Table("", box=None, pad_edge=False)
    for name in _OUTCOMES:
        table.add_column(name, justify="right")
    for name, counts in (("requests", status.delivery), ("records", status.delivery_records)):
        table.add_row(name, *(f"{count:,}" for count in _counts(counts)))
    print_table(table)
    for reason, count in status.not_sent_reasons.items():
        tell(f"{counted_text(count, 'request')} not sent: {reason}")
    if status.error is not None:
        print_error(status.error, as_json=False)


_OUTCOMES: Final = ("delivered", "rejected", "failed", "unknown", "not sent")


def _counts(counts: DeliveryCounts) -> tuple[int, ...]:
    return (counts.delivered, counts.rejected, counts.failed, counts.unknown, counts.not_sent)


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

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json, codes=_EXIT_CODES)


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


def demo(
    *,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Record a small instrumented shop, replay it, and compare what arrived with what was recorded.

    It takes some seconds, and leaves two sessions in the store.

    Example: [bold]otlp-capture demo[/]
    """

    async def work(demonstration: Demo) -> Outcome[int, Any]:
        shown = await demonstration.run(lambda step: None if as_json else tell(f"{step} ..."))
        if isinstance(shown, Failure):
            return shown
        result = shown.unwrap()
        if as_json:
            print_json(
                {
                    "recorded": metadata_document(result.recorded),
                    "replayed": metadata_document(result.replayed),
                    "replay": result.status.to_json(),
                    "comparison": result.comparison.to_json(),
                }
            )
        else:
            _print_demonstration(result, store)
        return Success(DONE if result.comparison.equal else FINDING)

    run_with(store, DemoLive, DemoTag, work, as_json=as_json, codes=_EXIT_CODES)


def _print_demonstration(result: Demonstration, store: str) -> None:
    original, copy = result.recorded.session_id, result.replayed.session_id
    table = Table("", "session", box=None, pad_edge=False)
    for name in COUNTED:
        table.add_column(name, justify="right")
    table.add_row("recorded", original, *count_columns(result.recorded))
    table.add_row("replayed", copy, *count_columns(result.replayed))
    put("")
    print_table(table)
    put("")
    print_comparison(result.comparison)
    parts = urlsplit(store)
    if parts.scheme == "memory":
        return
    folder = unquote(parts.path)
    put("")
    put(f"Both sessions are in {folder if parts.scheme == 'file' else store}. Look at them:")
    option = "" if store == DEFAULT_STORE else f" --store {shlex.quote(store)}"
    results.out(f"  otlp-capture sessions show {original}{option}")
    results.out(f"  otlp-capture diff {original} {copy}{option}")
    if parts.scheme == "file":
        inside = shlex.quote(f"{folder}/{result.recorded.s3_prefix}/raw")
        results.out(f"  zcat {inside}/*/*/traces* | strings")
