"""What determines which events a replay has, in which order."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import attrs

_DIGEST_BYTES: Final = 16
_SHOWN: Final = 80


@attrs.frozen
class ReplayIdentity:
    """What two runs must share so that their events have the same numbers.

    Speed, target and limits of time are no part of it: they may differ.

    Attributes:
        parts: a name for each setting, and its value as text; long ones by their digest.
    """

    parts: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """Return what stands for all parts."""
        return _digest(json.dumps(self.parts))

    def differences(self, other: "ReplayIdentity") -> tuple[str, ...]:
        """Return in which parts *other* is not as this, by name."""
        ours, theirs = dict(self.parts), dict(other.parts)
        names = sorted({*ours, *theirs})
        return tuple(name for name in names if ours.get(name) != theirs.get(name))


def replay_identity(settings: Mapping[str, object]) -> ReplayIdentity:
    """Return the identity of a replay with *settings*: what may be told by `repr`, by name.

    >>> replay_identity({"sessions": ("checkout",), "loops": 2}).parts
    (('loops', '2'), ('sessions', "('checkout',)"))
    """
    return ReplayIdentity(tuple((name, _short(repr(settings[name]))) for name in sorted(settings)))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}… {_digest(text)}"


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
