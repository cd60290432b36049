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
from otlp_replay.deliveries import LedgerError
from otlp_replay.selection import NothingSelected


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
    """*replay_id* names no replay of this service, and no session that it has replayed."""

    replay_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing, and what to do."""
        return f"There is no replay {self.replay_id!r} here. Start one with start_replay."


@attrs.frozen
class ReplayAlreadyExists:
    """There is a replay that is called *replay_id*."""

    replay_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is in the way, and what to do."""
        return f"There is a replay {self.replay_id!r} already. Choose another replay_id, or none."


@attrs.frozen
class ReplayNotSteerable:
    """The replay *replay_id* cannot do *what* now."""

    replay_id: str
    what: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was wanted, and why it cannot be."""
        return f"The replay {self.replay_id!r} cannot {self.what}: {self.reason}."


@attrs.frozen
class ReplayInterrupted:
    """The service was closed before the replay was over."""

    session_id: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What happened."""
        return f"The replay of {self.session_id!r} was interrupted before it was over."


@attrs.frozen
class ReplayCancelled:
    """Somebody has cancelled the replay."""

    session_id: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What happened."""
        return f"The replay of {self.session_id!r} was cancelled."


@attrs.frozen
class TargetTooSlow:
    """A request was too late, and the replay was to fail then."""

    target: str
    lateness_s: float
    max_lateness_s: float
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """How late it was, and what to do."""
        return (
            f"A request to {self.target} was {self.lateness_s:.3f} s late, more than "
            f"{self.max_lateness_s:g} s. The replay ended; lower its speed, or let it be later."
        )


@attrs.frozen
class TooLate:
    """A request is not sent because it is late."""

    lateness_s: float
    max_lateness_s: float
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """How late it was."""
        return f"it was {self.lateness_s:.3f} s late, more than {self.max_lateness_s:g} s"


@attrs.frozen
class Skipped:
    """A request is not sent because the replay was moved past it."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened."""
        return "the replay was moved past it"


@attrs.frozen
class DeliveredBefore:
    """A request is not sent because an earlier run of the replay has delivered it."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened."""
        return "an earlier run has delivered it, by the ledger"


@attrs.frozen
class SettledBefore:
    """A request is not sent because the target has a part of it, or all, by an earlier run."""

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened."""
        return "an earlier run has delivered a part of it, or may have delivered it, by the ledger"


@attrs.frozen
class DurationReached:
    """A request is not sent because the replay was to end before."""

    max_duration_s: float
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened."""
        return f"the replay was to end after {self.max_duration_s:g} s"


ReplayError: TypeAlias = (
    InvalidConfig
    | InvalidSessionId
    | SessionNotFound
    | DataCorrupted
    | DecompressionFailure
    | NothingSelected
    | IngestionFailure
    | ReplayNotFound
    | ReplayAlreadyExists
    | ReplayNotSteerable
    | ReplayInterrupted
    | ReplayCancelled
    | TargetTooSlow
    | LedgerError
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
