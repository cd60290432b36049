"""Where on a session's clock a replay begins and ends."""

from typing import TypeAlias

import attrs


@attrs.frozen
class At:
    """A moment of the wall clock, in nanoseconds since the Unix epoch."""

    unix_nano: int


@attrs.frozen
class After:
    """A moment so many nanoseconds after the first arrival; negative: before the last one."""

    ns: int


Moment: TypeAlias = At | After
