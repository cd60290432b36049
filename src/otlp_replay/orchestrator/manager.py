"""The documented `SessionManager`: sessions found by what they are, and not by name alone."""

from typing import Final, Never, Protocol, TypeAlias, runtime_checkable

from otlp_capture.capture import InvalidConfig, StorageFailure
from otlp_capture.layer import Scope, Tag, scoped
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    InvalidSessionId,
    SessionNotFound,
    list_sessions,
    load_session,
)
from otlp_capture.storage import S3Storage, S3StorageTag
from otlp_replay.errors import DataCorrupted, DecompressionFailure, as_replay_error
from otlp_replay.orchestrator.choosing import (
    NoSessionMatches,
    SelectionStrategy,
    SessionFilter,
    choice_problems,
    choose,
    is_replayable,
)

SelectionError: TypeAlias = (
    InvalidConfig
    | InvalidSessionId
    | SessionNotFound
    | NoSessionMatches
    | DataCorrupted
    | DecompressionFailure
    | StorageFailure
)
"""Everything that `SessionManager` answers in place of a result."""

_ANY: Final = SessionFilter()


@runtime_checkable
class SessionManager(Protocol):
    """Finds the session that a replay is to send."""

    async def select(
        self,
        strategy: SelectionStrategy = "latest",
        where: SessionFilter = _ANY,
        *,
        seed: int | None = None,
    ) -> Outcome[CaptureSessionMetadata, SelectionError]:
        """Choose one of the sessions that have ended and hold requests.

        Args:
            strategy: the one that began last; any; the one that is stored in most bytes, or in
                fewest. Of those that are equal, the one that began last.
            where: which may be chosen.
            seed: with `random`, makes the same choice of the same sessions; None: any.

        Fails with:
            InvalidConfig: *strategy* or *where* cannot be.
            NoSessionMatches: none may be chosen; it says what there is.
            StorageFailure: the store did not answer well.
        """
        ...

    async def get(self, session_id: str) -> Outcome[CaptureSessionMetadata, SelectionError]:
        """Return what is known of a session.

        Fails with:
            InvalidSessionId, SessionNotFound: there is no such session.
            DataCorrupted: its metadata cannot be read.
            StorageFailure: the store did not answer well.
        """
        ...

    async def list(
        self, where: SessionFilter = _ANY
    ) -> Outcome[tuple[CaptureSessionMetadata, ...], SelectionError]:
        """Return the sessions that `select` may choose from, in the order of their start.

        Fails with:
            InvalidConfig: *where* cannot be.
            StorageFailure: the store did not answer well.
        """
        ...


SessionManagerTag: Final = Tag[SessionManager]("otlp_replay.SessionManager")


class _SessionManager:
    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage

    async def select(
        self,
        strategy: SelectionStrategy = "latest",
        where: SessionFilter = _ANY,
        *,
        seed: int | None = None,
    ) -> Outcome[CaptureSessionMetadata, SelectionError]:
        problem = next(choice_problems(strategy, where), None)
        if problem is not None:
            return Failure(problem)
        listed = await list_sessions(self._storage)
        if isinstance(listed, Failure):
            return Failure(StorageFailure(None, listed.failure()))
        return choose(listed.unwrap(), strategy, where, seed)

    async def get(self, session_id: str) -> Outcome[CaptureSessionMetadata, SelectionError]:
        loaded = await load_session(self._storage, session_id)
        if isinstance(loaded, Failure):
            return Failure(as_replay_error(session_id, loaded.failure()))
        return Success(loaded.unwrap().metadata)

    async def list(
        self, where: SessionFilter = _ANY
    ) -> Outcome[tuple[CaptureSessionMetadata, ...], SelectionError]:
        problem = next(choice_problems("latest", where), None)
        if problem is not None:
            return Failure(problem)
        listed = await list_sessions(self._storage)
        if isinstance(listed, Failure):
            return Failure(StorageFailure(None, listed.failure()))
        found = (each for each in listed.unwrap() if is_replayable(each))
        return Success(tuple(each for each in found if where.matches(each)))


async def _open_manager(scope: Scope, storage: S3Storage) -> Outcome[SessionManager, Never]:
    del scope  # there is nothing to release
    return Success(_SessionManager(storage))


SessionManagerLive: Final = scoped(SessionManagerTag, _open_manager, S3StorageTag)
