"""What can go wrong while a session is recorded, one class a fact."""

from typing import Any, ClassVar, TypeAlias

import attrs

from otlp_capture.otlp import InvalidRequest, RequestTooLarge, Signal
from otlp_capture.redaction import RedactionFailed
from otlp_capture.sessions import (
    InvalidSessionId,
    LoadError,
    MetadataCorrupted,
    SessionAlreadyExists,
    SessionNotFound,
    SessionTakenOver,
)
from otlp_capture.storage import StorageError
from otlp_capture.upkeep import SessionBeingDeleted


@attrs.frozen
class InvalidConfig:
    """A setting has a value that it cannot have."""

    field: str
    value: Any
    allowed: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which setting, what it was, and what is allowed."""
        return f"{self.field} cannot be {self.value!r}: {self.allowed}."


@attrs.frozen
class SessionAlreadyActive:
    """*session_id* is being recorded by somebody else."""

    session_id: str
    idle_s: float
    is_held_here: bool = False
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Who holds the session, and when it would be free."""
        if self.is_held_here:
            return (
                f"Session {self.session_id!r} is being recorded by another process of this "
                f"machine. It can be taken up once that has ended."
            )
        return (
            f"Session {self.session_id!r} is being recorded: its last checkpoint is "
            f"{self.idle_s:.0f} s old. It can be taken up once that is 60 s."
        )


@attrs.frozen
class SessionEnded:
    """*session_id* takes no more requests."""

    session_id: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Why it ended."""
        return f"Session {self.session_id!r} has ended ({self.reason}) and takes no more requests."


@attrs.frozen
class SignalNotEnabled:
    """*session_id* does not record *signal*."""

    session_id: str
    signal: Signal
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is not recorded."""
        return f"Session {self.session_id!r} does not record {self.signal}."


@attrs.frozen
class UnsupportedContentEncoding:
    """A body is compressed in a way that is not accepted."""

    content_encoding: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was said, and what is accepted."""
        return (
            f"Content-Encoding {self.content_encoding[:100]!r} is not accepted. "
            f"Send 'gzip' once, or 'identity'."
        )


@attrs.frozen
class CompressionFailure:
    """A body says that it is gzip, and is not."""

    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong with it."""
        return f"The body cannot be decompressed: {self.reason}."


@attrs.frozen
class StorageFailure:
    """The store did not do what the recorder needed; its `cause` says whether that may pass.

    Attributes:
        session_id: whose objects they were; None where it was about all sessions.
        cause: what the store did.
    """

    session_id: str | None
    cause: StorageError
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What the store said."""
        if self.session_id is None:
            return self.cause.message
        return f"Session {self.session_id!r}: {self.cause.message}"


RequestRefused: TypeAlias = (
    InvalidRequest
    | RequestTooLarge
    | CompressionFailure
    | UnsupportedContentEncoding
    | RedactionFailed
)
"""Why a request itself is not kept."""

CaptureError: TypeAlias = (
    InvalidConfig
    | InvalidSessionId
    | SessionNotFound
    | SessionAlreadyExists
    | SessionAlreadyActive
    | SessionTakenOver
    | SessionEnded
    | SessionBeingDeleted
    | SignalNotEnabled
    | MetadataCorrupted
    | StorageFailure
    | RequestRefused
)
"""Everything that `OtlpCaptureService` answers in place of a result."""

_LoadFailure: TypeAlias = (
    InvalidSessionId | SessionNotFound | MetadataCorrupted | SessionTakenOver | StorageFailure
)


def capture_error(session_id: str, error: LoadError | SessionTakenOver) -> _LoadFailure:
    """Say what went wrong with a session as the service says it."""
    match error:
        case InvalidSessionId() | SessionNotFound() | MetadataCorrupted() | SessionTakenOver():
            return error
        case _:
            return StorageFailure(session_id, error)
