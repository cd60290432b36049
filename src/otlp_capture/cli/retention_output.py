"""How a store's usage, a plan, and what became of it are shown: to people, and as JSON."""

from datetime import UTC, datetime
from typing import Any

from rich.filesize import decimal
from rich.table import Table

from otlp_capture.cli.terminal import (
    counted_text,
    plain,
    print_json,
    print_table,
    put,
    tell,
)
from otlp_capture.retention import CleanupResult, PlannedAction, RetentionPlan, StorageMetrics


def show_plan(plan: RetentionPlan, *, as_json: bool) -> None:
    """Print a plan, for whom it is wanted."""
    if as_json:
        print_json(_plan_document(plan))
    else:
        print_plan(plan)


def print_plan(plan: RetentionPlan) -> None:
    """Print a plan for people."""
    if plan.actions:
        table = Table("what", "path", box=None, pad_edge=False)
        table.add_column("objects", justify="right")
        table.add_column("size", justify="right")
        table.add_column("why")
        for action in plan.actions:
            size = decimal(action.size_bytes)
            why = f"{action.cause}: {action.detail}"
            table.add_row(
                action.action, plain(action.path), f"{action.objects:,}", size, plain(why)
            )
        print_table(table)
    for each in plan.protected:
        put(f"left alone: {each.session_id}: {each.why}")
    left = plan.total_size_bytes - plan.freed_size_bytes
    put(
        f"{counted_text(plan.freed_objects, 'object')} with {_size(plan.freed_size_bytes)} go; "
        f"{_size(left)} stay."
    )
    if plan.shortfall_bytes:
        put(f"The store stays {_size(plan.shortfall_bytes)} above its bound: nothing more may go.")


def print_result(result: CleanupResult) -> None:
    """Print what was done, for people."""
    archived = set(result.archived_paths)
    for path in result.processed_paths:
        put(f"{'archived' if path in archived else 'deleted'}: {path}")
    for error in result.errors:
        tell(f"not done: {error.message}")
    put(
        f"{counted_text(result.deleted_objects, 'object')} with "
        f"{_size(result.freed_space_bytes)} freed in {result.duration_ms / 1000:.1f} s."
    )


def print_usage(used: StorageMetrics) -> None:
    """Print what a store holds, for people."""
    sessions, continuous = used.sessions_path, used.continuous_path
    table = Table("path", box=None, pad_edge=False)
    table.add_column("objects", justify="right")
    table.add_column("size", justify="right")
    table.add_row("sessions/", f"{sessions.total_objects:,}", decimal(sessions.total_size_bytes))
    table.add_row(
        "continuous/", f"{continuous.total_objects:,}", decimal(continuous.total_size_bytes)
    )
    print_table(table)
    put(
        f"{sessions.active_sessions:,} active, {sessions.completed_sessions:,} completed, "
        f"{sessions.failed_sessions:,} failed; {sessions.held_sessions:,} under a hold, "
        f"{sessions.unreadable_sessions:,} unreadable."
    )
    put(f"{_size(used.total_size_bytes)} in all.")


def _size(size_bytes: int) -> str:
    return f"{counted_text(size_bytes, 'byte')} ({decimal(size_bytes)})"


def time_text(value: datetime) -> str:
    """Return a time as JSON has it."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def usage_document(used: StorageMetrics) -> dict[str, Any]:
    """Return a store's usage as JSON values."""
    continuous, sessions = used.continuous_path, used.sessions_path
    oldest, newest = continuous.oldest_object_date, continuous.newest_object_date
    dates = {"oldestObjectDate": oldest, "newestObjectDate": newest}
    return {
        "continuousPath": {
            "totalObjects": continuous.total_objects,
            "totalSizeBytes": continuous.total_size_bytes,
            **{name: time_text(value) for name, value in dates.items() if value is not None},
        },
        "sessionsPath": {
            "totalObjects": sessions.total_objects,
            "totalSizeBytes": sessions.total_size_bytes,
            "activeSessions": sessions.active_sessions,
            "completedSessions": sessions.completed_sessions,
            "failedSessions": sessions.failed_sessions,
            "heldSessions": sessions.held_sessions,
            "unreadableSessions": sessions.unreadable_sessions,
        },
        "totalSizeBytes": used.total_size_bytes,
    }


def _plan_document(plan: RetentionPlan) -> dict[str, Any]:
    return {
        "actions": [_action_document(action) for action in plan.actions],
        "protected": [{"sessionId": each.session_id, "why": each.why} for each in plan.protected],
        "totalSizeBytes": plan.total_size_bytes,
        "freedObjects": plan.freed_objects,
        "freedSpaceBytes": plan.freed_size_bytes,
        "shortfallBytes": plan.shortfall_bytes,
    }


def _action_document(action: PlannedAction) -> dict[str, Any]:
    return {
        "action": action.action,
        "path": action.path,
        "cause": action.cause,
        "detail": action.detail,
        "objects": action.objects,
        "sizeBytes": action.size_bytes,
    }


def result_document(result: CleanupResult) -> dict[str, Any]:
    """Return what was done as JSON values."""
    return {
        "deletedObjects": result.deleted_objects,
        "freedSpaceBytes": result.freed_space_bytes,
        "processedPaths": list(result.processed_paths),
        "archivedPaths": list(result.archived_paths),
        "errors": [
            {
                "path": error.path,
                "error": type(error.cause).__name__,
                "message": error.cause.message,
            }
            for error in result.errors
        ],
        "duration": result.duration_ms,
    }
