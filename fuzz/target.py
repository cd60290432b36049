"""What a target of the fuzzer is."""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

import attrs

Mutation: TypeAlias = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""Makes other bytes of some, with pieces of others."""


@attrs.frozen
class Target:
    """Something that reads bytes from anyone.

    Attributes:
        seeds: makes what is mutated.
        mutate: makes other bytes of a seed, or of what was made of one.
        check: reads any bytes; raises where what it reads them with breaks its word.
    """

    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutation
    check: Callable[[bytes], None]
