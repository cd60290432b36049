"""Names of replays: those that begin later sort later."""

import secrets
import uuid
from typing import Final

_RANDOM_BITS: Final = 74


def new_replay_id(unix_nano: int) -> str:
    """Return a UUID of version 7: milliseconds, and chance.

    Source: RFC 9562, UUID Version 7.

    >>> new_replay_id(1_763_861_000_000_000_000)[:15]
    '019aae4e-ef40-7'
    """
    chance = secrets.randbits(_RANDOM_BITS)
    high, low = chance >> 62, chance & ((1 << 62) - 1)
    value = (unix_nano // 1_000_000 & ((1 << 48) - 1)) << 80
    return str(uuid.UUID(int=value | 7 << 76 | high << 64 | 0b10 << 62 | low))
