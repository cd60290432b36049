"""A plan is executed: what it says, exactly, and told exactly."""

from collections.abc import Callable
from typing import Final

from otlp_capture.clock import Clock
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention.archive import archive_session
from otlp_capture.retention.errors import ArchiveError, ArchiveMissing
from otlp_capture.retention.model import (
    CleanupError,
    CleanupResult,
    PlannedAction,
    RetentionPlan,
)
from otlp_capture.sessions import Freed, discard_objects
from otlp_capture.storage import (
    AccessDenied,
    CredentialsMissing,
    S3Storage,
    StorageUnreachable,
    StorageUnusable,
)
from otlp_capture.upkeep import delete_session

_ENDS_THE_RUN: Final = (AccessDenied, CredentialsMissing, StorageUnreachable, StorageUnusable)
"""What will not be otherwise for the next session."""


async def execute_plan(
    storage: S3Storage,
    archive: S3Storage | None,
    clock: Clock,
    plan: RetentionPlan,
    *,
    done: Callable[[PlannedAction], None],
) -> Outcome[CleanupResult, ArchiveMissing]:
    """Do what *plan* says, one thing after the other; what cannot be done is told and left.

    A session that is not as the plan saw it any more is left alone. A store that cannot be
    reached ends the run.

    Args:
        storage: the store that was planned for.
        archive: where sessions are archived to.
        clock: what dates deletions and measures the run.
        plan: what is to be done.
        done: told of each action that ended, well or not.

    Fails with:
        ArchiveMissing: something is to be archived, and there is no archive; nothing was done.
    """
    if archive is None and any(action.action == "archive" for action in plan.actions):
        return Failure(ArchiveMissing())
    began_ns = clock.monotonic_ns()
    freed = list[Freed]()
    processed, archived = list[str](), list[str]()
    errors = list[CleanupError]()
    for action in plan.actions:
        ended = await _execute(storage, archive, clock, action, freed.append)
        done(action)
        if isinstance(ended, Success):
            processed.append(action.path)
            archived += [action.path] if action.action == "archive" else []
            continue
        errors.append(CleanupError(action.path, ended.failure()))
        if isinstance(ended.failure(), _ENDS_THE_RUN):
            break
    total = sum(freed, Freed())
    return Success(
        CleanupResult(
            deleted_objects=total.objects,
            freed_space_bytes=total.size_bytes,
            processed_paths=tuple(processed),
            archived_paths=tuple(archived),
            errors=tuple(errors),
            duration_ms=(clock.monotonic_ns() - began_ns) // 1_000_000,
        )
    )


async def _execute(
    storage: S3Storage,
    archive: S3Storage | None,
    clock: Clock,
    action: PlannedAction,
    told: Callable[[Freed], None],
) -> Outcome[Freed, ArchiveError]:
    metadata = action.metadata
    if metadata is None:
        return await discard_objects(storage, action.path, told=told)
    if action.action == "delete":
        return await delete_session(
            storage, clock, metadata.session_id, expected=metadata, told=told
        )
    assert archive is not None, "this was asked before anything was done"
    return await archive_session(
        storage, archive, clock, metadata.session_id, expected=metadata, told=told
    )
