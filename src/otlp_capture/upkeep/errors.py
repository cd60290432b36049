"""Why a session is left as it is, one class a fact."""

from typing import ClassVar

import attrs

from otlp_capture.sessions import SessionTakenOver
from otlp_capture.storage import StorageError


@attrs.frozen
class SessionHeld:
    """A hold protects *session_id*."""

    session_id: str
    reason: str | None
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What protects it, and how it is released."""
        reason = f" ({self.reason})" if self.reason else ""
        return (
            f"Session {self.session_id!r} is under a hold{reason}: it is neither deleted nor "
            f"archived. `otlp-capture sessions release {self.session_id}` lifts it."
        )


@attrs.frozen
class SessionActive:
    """*session_id* has not ended."""

    session_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What it is, and what to do."""
        return (
            f"Session {self.session_id!r} is active: what records it may still write. "
            f"Stop it first, or use --force if nobody needs it."
        )


@attrs.frozen
class SessionRecorded:
    """Somebody records *session_id* right now."""

    session_id: str
    idle_s: float
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """How that is known, and what to do."""
        return (
            f"Session {self.session_id!r} is being recorded: its last checkpoint is "
            f"{self.idle_s:.0f} s old. Stop it first, or wait until that is 60 s."
        )


@attrs.frozen
class SessionChanged:
    """The metadata of *session_id* are not those that were read any more."""

    session_id: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What happened, and what to do."""
        return (
            f"The metadata of session {self.session_id!r} changed meanwhile, so nothing was "
            f"written over them. Try again."
        )


@attrs.frozen
class SessionBeingDeleted:
    """The deletion of *session_id* was begun: parts of it may be gone."""

    session_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What it is, and how to end it."""
        return (
            f"The deletion of session {self.session_id!r} was begun, and parts of it may be gone. "
            f"`otlp-capture sessions delete {self.session_id}` finishes it."
        )


def as_changed(error: SessionTakenOver | StorageError) -> SessionChanged | StorageError:
    """Say in the words of who does not record that the metadata are not what they were."""
    return SessionChanged(error.session_id) if isinstance(error, SessionTakenOver) else error
