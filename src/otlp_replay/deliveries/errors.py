"""What can be wrong with a ledger of deliveries, one class a fact."""

from typing import ClassVar, TypeAlias

import attrs


@attrs.frozen
class LedgerNotFound:
    """There is no ledger to go on with."""

    path: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing, and what to do."""
        return (
            f"There is no ledger {self.path}, so there is no replay to resume. "
            f"Name the file of the replay that broke off, or begin one without resume."
        )


@attrs.frozen
class LedgerExists:
    """A new replay is to write a ledger where one lies."""

    path: str
    replay_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is in the way, and what to do."""
        return (
            f"{self.path} is the ledger of replay {self.replay_id or 'unknown'}. "
            f"Go on with that by resume, or choose another file."
        )


@attrs.frozen
class LedgerOfAnother:
    """A ledger belongs to a replay with other events."""

    path: str
    replay_id: str
    differing: tuple[str, ...]
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """In what it differs, and what to do."""
        return (
            f"{self.path} is the ledger of replay {self.replay_id}, which differs in "
            f"{', '.join(self.differing)}: the same numbers would mean other requests. "
            f"Resume it with the settings it was begun with, or begin another ledger."
        )


@attrs.frozen
class LedgerInUse:
    """Another process writes the ledger."""

    path: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What is in the way, and what to do."""
        return f"{self.path} is in use by another replay. Wait until that is over."


@attrs.frozen
class LedgerDamaged:
    """The beginning of a ledger cannot be read."""

    path: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and what to do."""
        return (
            f"{self.path} is no ledger of a replay, or its beginning is damaged: {self.reason}. "
            f"Name the right file, or begin another ledger."
        )


@attrs.frozen
class LedgerUnusable:
    """The file system refused."""

    path: str
    reason: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What was in the way, and what to do."""
        return (
            f"The ledger {self.path} cannot be read or written: {self.reason}. "
            f"What it says already stays true: resume it when that is mended."
        )


LedgerError: TypeAlias = (
    LedgerNotFound | LedgerExists | LedgerOfAnother | LedgerInUse | LedgerDamaged | LedgerUnusable
)
