"""What can go wrong while a session is replayed, one class a fact."""

from typing import ClassVar, TypeAlias

import attrs

from otlp_capture.capture import InvalidConfig, StorageFailure
from otlp_capture.sending import TargetNotAllowed
from otlp_capture.sessions import (
    InvalidSessionId,
    LoadError,
    MetadataCorrupted,
    ReadError,
    SegmentCorrupted,
    SessionNotFound,
)


@attrs.frozen
class DataCorrupted:
    """Something that *session_id* holds makes no sense."""

    session_id: str
    cause: MetadataCorrupted | SegmentCorrupted
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is damaged, and where."""
        return f"Session {self.session_id!r}: {self.cause.message}"


@attrs.frozen
class DecompressionFailure:
    """A stored request of *session_id* cannot be decompressed."""

    session_id: str
    cause: SegmentCorrupted
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is damaged, and where."""
        return f"Session {self.session_id!r}: {self.cause.message}"


@attrs.frozen
class IngestionFailure:
    """The target cannot be reached, or takes nothing, so the replay broke off."""

    target: str
    reason: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """Which target, and what it did."""
        return (
            f"{self.target} takes nothing: {self.reason}. "
            f"The replay broke off; check that an OTLP endpoint listens there, and keeps up."
        )


@attrs.frozen
class ReplayNotFound:
    """*session_id* is not being replayed here, and was not."""

    session_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing, and what to do."""
        return f"There is no replay of {self.session_id!r} here. Start one with start_replay."


@attrs.frozen
class ReplayAlreadyRunning:
    """*session_id* is being replayed."""

    session_id: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What is in the way, and what to do."""
        return f"{self.session_id!r} is being replayed. Wait until it is over."


@attrs.frozen
class ReplayInterrupted:
    """The service was closed before the replay was over."""

    session_id: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What happened."""
        return f"The replay of {self.session_id!r} was interrupted before it was over."


ReplayError: TypeAlias = (
    InvalidConfig
    | InvalidSessionId
    | SessionNotFound
    | DataCorrupted
    | DecompressionFailure
    | IngestionFailure
    | ReplayNotFound
    | ReplayAlreadyRunning
    | ReplayInterrupted
    | StorageFailure
    | TargetNotAllowed
)
"""Everything that `OtlpReplayService` answers in place of a result."""


def as_replay_error(
    session_id: str, error: LoadError | ReadError
) -> InvalidSessionId | SessionNotFound | DataCorrupted | DecompressionFailure | StorageFailure:
    """Say an error of the session in the words of a replay."""
    match error:
        case InvalidSessionId() | SessionNotFound():
            return error
        case SegmentCorrupted(part="compression"):
            return DecompressionFailure(session_id, error)
        case MetadataCorrupted() | SegmentCorrupted():
            return DataCorrupted(session_id, error)
        case _:
            return StorageFailure(session_id, error)
