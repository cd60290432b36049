"""A part of a session's traces, so that several machines can replay it together."""

import attrs


@attrs.frozen
class Shard:
    """One of *count* disjoint parts; together they are the whole.

    Attributes:
        index: which part, from 0.
        count: how many parts there are.
    """

    index: int = 0
    count: int = 1
