"""Why retention does not do what it is asked, one class a fact."""

from typing import Any, ClassVar, TypeAlias

import attrs

from otlp_capture.sessions import InvalidSessionId, MetadataCorrupted, SessionNotFound
from otlp_capture.storage import StorageError
from otlp_capture.upkeep import SessionActive, SessionBeingDeleted, SessionChanged, SessionHeld


@attrs.frozen
class InvalidPolicy:
    """A policy says what it cannot say."""

    field: str
    value: Any
    allowed: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which field, what it was, and what is allowed."""
        return f"{self.field} cannot be {self.value!r}: {self.allowed}."


@attrs.frozen
class PolicyUnreadable:
    """The file of a policy cannot be read as one."""

    path: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which file, and why not."""
        return f"{self.path} is no retention policy: {self.reason}."


@attrs.frozen
class ArchiveMissing:
    """A policy archives, and there is no store to archive to."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing, and how it is given."""
        return (
            "Sessions are to be archived, and no store is named for them. Name one: "
            "--archive-to URL, or retention_service(archive=…)."
        )


@attrs.frozen
class ArchiveIsSource:
    """The archive is the store that sessions are to leave."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and what to do."""
        return (
            "The archive is the very store that sessions are archived from, so moving them there "
            "would delete them. Name another store, or another prefix."
        )


@attrs.frozen
class ArchiveConflict:
    """The archive holds something else under a session's id."""

    session_id: str
    key: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is in the way, and what to do."""
        return (
            f"The archive holds another {self.key} than session {self.session_id!r} has. Nothing "
            f"was overwritten; move one of the two out of the way."
        )


@attrs.frozen
class CopyDiffers:
    """What was read back from the archive is not what was written there."""

    session_id: str
    key: str
    detail: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What differs; the original stays."""
        return (
            f"The archive's copy of {self.key} is not the original: {self.detail}. Session "
            f"{self.session_id!r} stays where it was; try again."
        )


ArchiveError: TypeAlias = (
    InvalidSessionId
    | SessionNotFound
    | MetadataCorrupted
    | SessionHeld
    | SessionActive
    | SessionChanged
    | SessionBeingDeleted
    | ArchiveIsSource
    | ArchiveConflict
    | CopyDiffers
    | StorageError
)
"""Why a session is not archived."""

RetentionError: TypeAlias = InvalidPolicy | ArchiveMissing | ArchiveError
"""Everything that `RetentionService` answers in place of a result."""
