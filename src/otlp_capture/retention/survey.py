"""What a store holds: one listing, and the metadata of each session."""

import re
from datetime import date
from typing import Final

import anyio

from otlp_capture.clock import moment, unix_nano
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.retention.model import (
    ContinuousMetrics,
    PathUsage,
    SessionsMetrics,
    SessionUsage,
    StorageMetrics,
    StorageSurvey,
    UnreadableSession,
)
from otlp_capture.sessions import (
    SESSIONS,
    CaptureSessionMetadata,
    InvalidSessionId,
    LoadError,
    MetadataCorrupted,
    SessionNotFound,
    load_session,
    session_prefix,
)
from otlp_capture.storage import S3Storage, StorageError

CONTINUOUS: Final = "continuous/"
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AT_ONCE: Final = 8
_NOTHING: Final = PathUsage()


async def survey_store(storage: S3Storage) -> Outcome[StorageSurvey, StorageError]:
    """Tell what a store holds.

    Fails with:
        StorageError: the store did not answer well.
    """
    sessions = await _usage_by_folder(storage, SESSIONS)
    if isinstance(sessions, Failure):
        return sessions
    continuous = await survey_continuous(storage)
    if isinstance(continuous, Failure):
        return continuous
    loaded = await _load_all(storage, list(sessions.unwrap()))
    days = continuous.unwrap()
    readable, unreadable = list[SessionUsage](), list[UnreadableSession]()
    for session_id, usage in sessions.unwrap().items():
        found = loaded[session_id]
        if isinstance(found, Success):
            readable.append(SessionUsage(found.unwrap(), usage))
            continue
        error = found.failure()
        if not isinstance(error, InvalidSessionId | SessionNotFound | MetadataCorrupted):
            return Failure(error)
        unreadable.append(UnreadableSession(session_id, error.message, usage))
    return Success(
        StorageSurvey(
            tuple(sorted(readable, key=lambda each: age_key(each.metadata))),
            tuple(unreadable),
            days.days,
            days.other_continuous,
        )
    )


async def survey_continuous(storage: S3Storage) -> Outcome[StorageSurvey, StorageError]:
    """Tell what lies in `continuous/`, and nothing of sessions.

    Fails with:
        StorageError: the store did not answer well.
    """
    folders = await _usage_by_folder(storage, CONTINUOUS)
    if isinstance(folders, Failure):
        return folders
    days = {name: usage for name, usage in folders.unwrap().items() if _is_day(name)}
    others = (usage for name, usage in folders.unwrap().items() if name not in days)
    return Success(StorageSurvey((), (), days, sum(others, PathUsage())))


async def survey_session(storage: S3Storage, session_id: str) -> Outcome[StorageSurvey, LoadError]:
    """Tell what one session takes, and nothing else.

    Fails with:
        InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
        StorageError: the store did not answer well.
    """
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure):
        return loaded
    folders = await _usage_by_folder(storage, f"{session_prefix(session_id)}/")
    if isinstance(folders, Failure):
        return folders
    usage = sum(folders.unwrap().values(), PathUsage())
    held = SessionUsage(loaded.unwrap().metadata, usage)
    return Success(StorageSurvey((held,), (), {}, PathUsage()))


def ended_unix_nano(metadata: CaptureSessionMetadata) -> int:
    """Return when a session's age begins: at its end, or its start where no end is told."""
    return unix_nano(metadata.end_time or metadata.start_time)


def age_key(metadata: CaptureSessionMetadata) -> tuple[int, str]:
    """Return what puts the oldest first."""
    return ended_unix_nano(metadata), metadata.session_id


def metrics(survey: StorageSurvey) -> StorageMetrics:
    """Return the figures of a survey, in the documented shape."""
    continuous = survey.continuous
    statuses = [each.metadata.status for each in survey.sessions]
    everything = survey.sessions_usage
    oldest, newest = continuous.oldest_unix_nano, continuous.newest_unix_nano
    return StorageMetrics(
        continuous_path=ContinuousMetrics(
            total_objects=continuous.objects,
            total_size_bytes=continuous.size_bytes,
            oldest_object_date=None if oldest is None else moment(oldest),
            newest_object_date=None if newest is None else moment(newest),
        ),
        sessions_path=SessionsMetrics(
            total_objects=everything.objects,
            total_size_bytes=everything.size_bytes,
            active_sessions=statuses.count("active"),
            completed_sessions=statuses.count("completed"),
            failed_sessions=statuses.count("failed"),
            held_sessions=sum(each.metadata.hold is not None for each in survey.sessions),
            unreadable_sessions=len(survey.unreadable),
        ),
        total_size_bytes=survey.total_size_bytes,
    )


async def _usage_by_folder(
    storage: S3Storage, prefix: str
) -> Outcome[dict[str, PathUsage], StorageError]:
    """Add up objects by what follows *prefix* up to the next slash; those without one by ''."""
    folders: dict[str, PathUsage] = {}
    async for found in storage.list_objects(prefix):
        if isinstance(found, Failure):
            return found
        stored = found.unwrap()
        name, slash, _ = stored.key.removeprefix(prefix).partition("/")
        name = name if slash else ""
        before = folders.get(name, _NOTHING)
        folders[name] = before.with_object(stored.size_bytes, stored.modified_unix_nano)
    return Success(folders)


async def _load_all(
    storage: S3Storage, session_ids: list[str]
) -> dict[str, Outcome[CaptureSessionMetadata, LoadError]]:
    loaded: dict[str, Outcome[CaptureSessionMetadata, LoadError]] = {}
    waiting = iter(session_ids)

    async def work() -> None:
        for session_id in waiting:
            found = await load_session(storage, session_id)
            loaded[session_id] = (
                found if isinstance(found, Failure) else Success(found.unwrap().metadata)
            )

    async with anyio.create_task_group() as tasks:
        for _ in range(min(_AT_ONCE, len(session_ids))):
            tasks.start_soon(work)
    return loaded


def _is_day(name: str) -> bool:
    if not _DAY.fullmatch(name):
        return False
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True
