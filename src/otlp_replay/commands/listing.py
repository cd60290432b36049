"""The command `otlp-capture replays`."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from otlp_capture.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from otlp_capture.cli.terminal import (
    DONE,
    exit_code,
    plain,
    print_error,
    print_json,
    print_table,
    put,
    run_with,
    tell,
)
from otlp_capture.clock import SystemClock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import load_session
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay.commands.exits import EXIT_CODES
from otlp_replay.fidelity import (
    CertificateCorrupted,
    FidelityCertificate,
    duration_text,
    list_certificates,
    load_certificate,
    summary_lines,
)


def replays(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session.")],
    replay_id: Annotated[
        str | None, typer.Argument(metavar="REPLAY", help="One of its replays, to show whole.")
    ] = None,
    *,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """List the replays of a session by their certificates, or show one of them.

    Exits with 1 where a certificate is damaged; the others are listed all the same.

    Example: [bold]otlp-capture replays checkout[/]
    """

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        loaded = await load_session(storage, session_id)
        if isinstance(loaded, Failure):
            return loaded
        if replay_id is None:
            return await _list(storage, session_id, as_json=as_json)
        return await _show(storage, session_id, replay_id, as_json=as_json)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json, codes=EXIT_CODES)


async def _list(storage: S3Storage, session_id: str, *, as_json: bool) -> Outcome[int, Any]:
    listed = await list_certificates(storage, session_id)
    if isinstance(listed, Failure):
        return listed
    found = list[FidelityCertificate]()
    code = DONE
    for each in listed.unwrap():
        loaded = await load_certificate(storage, session_id, each.replay_id)
        if isinstance(loaded, Success):
            found.append(loaded.unwrap())
            continue
        error = loaded.failure()
        if not isinstance(error, CertificateCorrupted):
            return Failure(error)
        print_error(error, as_json=as_json)
        code = exit_code(error, EXIT_CODES)
    if as_json:
        print_json({"replays": [certificate.to_json() for certificate in found]})
    else:
        _print_table(session_id, found)
    return Success(code)


async def _show(
    storage: S3Storage, session_id: str, replay_id: str, *, as_json: bool
) -> Outcome[int, Any]:
    loaded = await load_certificate(storage, session_id, replay_id)
    if isinstance(loaded, Failure):
        return loaded
    certificate = loaded.unwrap()
    if as_json:
        print_json(certificate.to_json())
        return Success(DONE)
    put(f"{certificate.replay_id}: {certificate.status}, to {certificate.target}")
    for line in summary_lines(certificate):
        put(line)
    if certificate.error:
        put(f"It broke off: {certificate.error}")
    return Success(DONE)


def _print_table(session_id: str, found: list[FidelityCertificate]) -> None:
    if not found:
        tell(f"No replay of {session_id} has ended yet; each leaves a certificate.")
        return
    table = Table("replay", "start (UTC)", "status", "target", box=None, pad_edge=False)
    for name in ("delivered", "planned", "p99 lateness", "drift"):
        table.add_column(name, justify="right")
    for each in found:
        is_measured = each.dispatched_requests > 0
        table.add_row(
            each.replay_id,
            _time(each.started_at),
            each.status,
            plain(each.target),
            f"{each.requests('delivered'):,}",
            f"{each.planned_requests:,}",
            duration_text(each.lateness.quantile(0.99)) if is_measured else "-",
            duration_text(each.timing.end_drift_ns) if is_measured else "-",
        )
    print_table(table)


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
