"""`otlp-capture sessions verify`, `reindex`, `delete`, `hold` and `release`."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Annotated, Any, Final, TypeAlias

import typer
from rich.filesize import decimal

from otlp_capture.cli.asking import confirmed
from otlp_capture.cli.help import Command
from otlp_capture.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from otlp_capture.cli.sessions import sessions as sessions
from otlp_capture.cli.sessions import tell_waiting
from otlp_capture.cli.terminal import (
    DONE,
    FINDING,
    counted_text,
    print_json,
    progress,
    put,
    run_with,
    summary,
    tell,
)
from otlp_capture.clock import SYSTEM_CLOCK, SystemClock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    Freed,
    SessionNotFound,
    load_session,
    metadata_document,
)
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_capture.upkeep import (
    Findings,
    ReindexReport,
    VerifyReport,
    delete_session,
    hold_session,
    reindex_session,
    release_session,
    verify_session,
)

SessionArgument: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="The session.")]
YesOption: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_SHOWN: Final = 50


@sessions.command("verify", cls=Command)
def verify_command(
    session_id: SessionArgument, *, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False
) -> None:
    """Read all of a session, and tell what is wrong with it.

    Each frame is inflated, checked and parsed; counts are compared with the frames' headers, the
    manifest and the metadata. Nothing is changed. The exit code is 1 where something is damaged or
    counts disagree; notes, such as counters of an active session that lag, are no damage.

    Example: [bold]otlp-capture sessions verify checkout[/]
    """

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        with _reading(f"verifying {session_id}", as_json=as_json) as advanced:
            verified = await verify_session(storage, session_id, advanced=advanced)
        if isinstance(verified, Failure):
            return verified
        report = verified.unwrap()
        if as_json:
            print_json(_verify_document(report))
        else:
            _print_verification(report)
            tell_waiting(storage, session_id)
        return Success(DONE if report.is_sound else FINDING)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json)


@sessions.command("reindex", cls=Command)
def reindex_command(
    session_id: SessionArgument, *, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False
) -> None:
    """Rebuild a session's manifest from its segments, and count it anew.

    Damaged segments stay out of the manifest; their frames before the damage are counted. A
    session that somebody records is refused: stop it first.

    Example: [bold]otlp-capture sessions reindex checkout[/]
    """

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        with _reading(f"reindexing {session_id}", as_json=as_json) as advanced:
            done = await reindex_session(storage, SYSTEM_CLOCK, session_id, advanced=advanced)
        if isinstance(done, Failure):
            return done
        report = done.unwrap()
        if as_json:
            print_json(_reindex_document(report))
        else:
            _print_reindex(report)
        return Success(FINDING if report.findings.damages else DONE)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json)


@sessions.command("delete", cls=Command)
def delete_command(
    session_id: SessionArgument,
    *,
    yes: YesOption = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Delete it although it is active, or has no metadata."),
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Delete a session: its metadata last, so that it is seen until all is gone.

    At a terminal it asks first; elsewhere it needs --yes. A session under a hold is never deleted.
    What was interrupted is finished by deleting again.

    Example: [bold]otlp-capture sessions delete checkout --yes[/]
    """

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        asked = Success(True) if yes else await _asked(storage, session_id, as_json=as_json)
        if isinstance(asked, Failure):
            return asked
        if not asked.unwrap():
            tell("Nothing was deleted.")
            return Success(FINDING)
        deleted = await delete_session(storage, SYSTEM_CLOCK, session_id, force=force)
        if isinstance(deleted, Failure):
            return deleted
        freed = deleted.unwrap()
        if as_json:
            print_json(
                {
                    "sessionId": session_id,
                    "deletedObjects": freed.objects,
                    "freedSpaceBytes": freed.size_bytes,
                }
            )
        else:
            put(f"{session_id} is deleted: {_freed_text(freed)}")
        return Success(DONE)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json)


@sessions.command("hold", cls=Command)
def hold_command(
    session_id: SessionArgument,
    *,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; for people.")] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Protect a session from deletion, retention and archiving, until it is released.

    Example: [bold]otlp-capture sessions hold checkout --reason "incident 4711"[/]
    """

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        held = await hold_session(storage, SYSTEM_CLOCK, session_id, reason)
        if isinstance(held, Failure):
            return held
        if as_json:
            print_json(metadata_document(held.unwrap()))
        else:
            put(f"{session_id} is under a hold: it is neither deleted nor archived.")
        return Success(DONE)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json)


@sessions.command("release", cls=Command)
def release_command(
    session_id: SessionArgument, *, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False
) -> None:
    """Lift the hold of a session.

    Example: [bold]otlp-capture sessions release checkout[/]
    """

    async def work(storage: S3Storage) -> Outcome[int, Any]:
        released = await release_session(storage, session_id)
        if isinstance(released, Failure):
            return released
        if as_json:
            print_json(metadata_document(released.unwrap()))
        else:
            put(f"{session_id} is under no hold.")
        return Success(DONE)

    run_with(store, SystemClock, S3StorageTag, work, as_json=as_json)


@contextmanager
def _reading(what: str, *, as_json: bool) -> Generator[Callable[[int, int], None]]:
    with progress(as_json=as_json) as bar:
        task = bar.add_task(what, total=0, unit="bytes")

        def advanced(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advanced


async def _asked(storage: S3Storage, session_id: str, *, as_json: bool) -> Outcome[bool, Any]:
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure) and not isinstance(loaded.failure(), SessionNotFound):
        return loaded
    what = loaded.map(lambda stored: summary(stored.metadata)).value_or(session_id)
    question = f"{what}\nDelete it?"
    return await confirmed(question, what=f"Deleting {session_id}", as_json=as_json)


def _freed_text(freed: Freed) -> str:
    return (
        f"{counted_text(freed.objects, 'object')}, {counted_text(freed.size_bytes, 'byte')} "
        f"({decimal(freed.size_bytes)})"
    )


def findings_document(findings: Findings) -> dict[str, Any]:
    """Return findings as JSON values."""
    return {
        "damages": findings.damages,
        "findingCounts": dict(findings.counts),
        "findings": [
            {
                "kind": each.kind,
                "isDamage": each.is_damage,
                "key": each.key,
                "offset": each.offset,
                "detail": each.detail,
            }
            for each in findings.listed
        ],
    }


def _verify_document(report: VerifyReport) -> dict[str, Any]:
    return {
        "sessionId": report.session_id,
        "isSound": report.is_sound,
        "status": report.status,
        "segments": report.segments,
        "frames": report.frames,
        "foreignFrames": report.foreign_frames,
        "sizeBytes": report.size_bytes,
        "manifestParts": report.manifest_parts,
        "counters": dict(report.counters),
        **findings_document(report.findings),
    }


def _reindex_document(report: ReindexReport) -> dict[str, Any]:
    return {
        "sessionId": report.metadata.session_id,
        "hasChanged": report.has_changed,
        "segments": report.segments,
        "damagedSegments": report.damaged_segments,
        "writtenParts": list(report.written_parts),
        "removedParts": list(report.removed_parts),
        "counters": {
            name: {"before": before, "after": after}
            for name, (before, after) in report.counters.items()
        },
        **findings_document(report.findings),
    }


def _print_verification(report: VerifyReport) -> None:
    foreign = f" ({report.foreign_frames:,} of other writers)" if report.foreign_frames else ""
    put(
        f"{report.session_id}: {counted_text(report.segments, 'segment')} with "
        f"{counted_text(report.frames, 'frame')}{foreign}, "
        f"{counted_text(report.size_bytes, 'byte')}"
    )
    _print_findings(report.findings)
    if report.is_sound and report.findings.counts:
        put("Nothing is damaged; the notes above say what does not agree yet.")
    elif report.is_sound:
        put("Nothing is damaged, and all counts agree.")
    else:
        put(f"{counted_text(report.findings.damages, 'damage')} found.")


def _print_reindex(report: ReindexReport) -> None:
    put(
        f"{report.metadata.session_id}: {counted_text(report.segments, 'segment')} indexed, "
        f"{report.damaged_segments:,} of them damaged"
    )
    for key in report.written_parts:
        put(f"written: {key}")
    for key in report.removed_parts:
        put(f"removed: {key}")
    for name, (before, after) in report.counters.items():
        put(f"{name}: {after:,}; it was {before:,}")
    if not report.has_changed:
        put("Nothing had to be changed.")
    _print_findings(report.findings)


def _print_findings(findings: Findings) -> None:
    for each in findings.listed[:_SHOWN]:
        place = each.key if each.offset is None else f"{each.key} at byte {each.offset:,}"
        put(f"{'damage' if each.is_damage else 'note'}: {each.kind}: {place}: {each.detail}")
    left = sum(findings.counts.values()) - min(len(findings.listed), _SHOWN)
    if left:
        put(f"{left:,} more; --json lists up to 1,000 of each")
