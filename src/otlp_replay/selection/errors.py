"""Why nothing is sent of a request, or of a session."""

from typing import ClassVar

import attrs


@attrs.frozen
class FilteredOut:
    """Nothing of a request is selected."""

    key: str
    sequence: int
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Which request, and why it is not sent."""
        return (
            f"Request {self.sequence} in {self.key} holds no record of the services, the share "
            f"and the shard that are selected."
        )


@attrs.frozen
class NothingSelected:
    """A selection leaves nothing of the sessions that it selects from.

    Attributes:
        wanted: the part of the selection that leaves nothing.
        found: what there is instead.
    """

    wanted: str
    found: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was wanted, and what there is."""
        return f"Nothing would be replayed: {self.wanted}, and {self.found}."
