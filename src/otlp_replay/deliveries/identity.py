"""What determines which events a replay has, in which order."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import attrs

from otlp_replay.config import ReplayConfig

_DETERMINING: Final = (
    "session_id",
    "merged_session_ids",
    "replay_traces",
    "replay_metrics",
    "replay_logs",
    "filter_services",
    "replay_from",
    "replay_until",
    "trace_share",
    "limit",
    "shard",
    "loops",
    "copies",
    "remap_ids",
    "seed",
)
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


def identity_of(config: ReplayConfig, planned_requests: int) -> ReplayIdentity:
    """Return what determines the events of a replay by *config*.

    Args:
        config: what is asked for.
        planned_requests: how many requests that makes, so that a session which has grown since,
            or was counted anew, is told from what it was.
    """
    settings = {name: getattr(config, name) for name in _DETERMINING}
    return replay_identity({**settings, "planned_requests": planned_requests})


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}… {_digest(text)}"


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
