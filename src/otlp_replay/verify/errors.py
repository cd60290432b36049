"""What can go wrong in a comparison besides what can in a replay."""

from pathlib import Path
from tempfile import gettempdir
from typing import ClassVar, TypeAlias

import attrs

from otlp_replay.errors import ReplayError


@attrs.frozen
class NoScratchSpace:
    """Records that do not fit into memory could not be put into a temporary file."""

    directory: Path | None
    reason: str
    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """Where there is no room, and what to do."""
        return (
            f"The comparison needs a temporary file in {self.directory or gettempdir()}, and could "
            f"not keep it there: {self.reason}. Make room there, name another folder "
            f"(temporary_folder, --scratch), or let it take more memory (memory_bytes, --memory)."
        )


@attrs.frozen
class ComparisonTooLarge:
    """Requests that differ cannot be paired within the memory that the comparison may take."""

    needed_bytes: int
    memory_bytes: int
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What does not fit, and what to do."""
        return (
            f"Some requests differ, and to pair all by their records takes {self.needed_bytes:,} "
            f"bytes of memory, more than the {self.memory_bytes:,} that it may take. Allow more "
            f"(memory_bytes, --memory), compare one signal at a time, or declare one shift, which "
            f"takes no pairing."
        )


VerifyError: TypeAlias = ReplayError | NoScratchSpace | ComparisonTooLarge
"""Everything that `verify` answers in place of a comparison."""
