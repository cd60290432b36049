"""What can be wrong with what is to be imported."""

from typing import ClassVar, TypeAlias

import attrs


@attrs.frozen
class FileUnreadable:
    """What is to be imported cannot be read, or holds nothing that could be imported."""

    path: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which file, and why not."""
        return f"{self.path} cannot be imported: {self.reason}."


@attrs.frozen
class SignalMissing:
    """The file is protobuf, which does not say of which signal, and neither does its name."""

    path: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing, and what to do."""
        return (
            f"{self.path} is no JSON, and protobuf does not tell its signal. "
            f"Say --signal traces, metrics or logs."
        )


@attrs.frozen
class EntryBroken:
    """One entry of a file, or the whole of it, is no export request.

    Attributes:
        path: the file.
        place: `line 3`, or `frame 3`, counted from 1, or `the whole`.
        reason: what is wrong with it.
    """

    path: str
    place: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Where, what, and what became of the rest."""
        return (
            f"{self.path}, {self.place}: {self.reason} "
            f"Nothing was imported; --skip-invalid leaves such entries out and keeps the rest."
        )


@attrs.frozen
class PartitionFormatInvalid:
    """A partition format cannot be read back into a time."""

    partition_format: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and what is allowed."""
        return (
            f"{self.partition_format!r} is no partition format that can be read: {self.reason}. "
            f"Use %Y, %m, %d, %H, %M, %S, %F, %R, %T, %s and %%, and a date at least."
        )


@attrs.frozen
class PassedOver:
    """A file that was not read, because it was not asked for or is no regular file.

    Attributes:
        path: the file, or the folder with all that is in it.
        reason: why it was not read.
    """

    path: str
    reason: str


LeftOut: TypeAlias = EntryBroken | PassedOver
"""What an import did not take in."""
